//! Credentials against the sandbox's token endpoint.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use event_planner_google::{Credentials, GoogleSettings};
use event_planner_sandbox::{
    Fault, Misbehaviour, Provider, Sandbox,
    google::token::{CLIENT_ID, CLIENT_SECRET, PERSON, REFRESH_TOKEN},
};
use mcp_kit::{Account, Call, Caller, Code, Metrics, Outgoing, Policy, Road};
use reqwest::Method;
use secrecy::ExposeSecret;
use tokio::time::Instant;

const SCOPES: [&str; 1] = ["https://www.googleapis.com/auth/calendar.events"];

#[derive(Parser)]
struct Wrapped {
    #[command(flatten)]
    google: GoogleSettings,
}

fn settings(sandbox: &Sandbox, arguments: &[&str]) -> GoogleSettings {
    let token_url = format!("--google-token-url={}/token", sandbox.url("google"));
    let all = ["test", &token_url]
        .into_iter()
        .chain(arguments.iter().copied());
    Wrapped::try_parse_from(all).unwrap().google
}

fn with_refresh_token(sandbox: &Sandbox, client_secret: &str) -> GoogleSettings {
    settings(
        sandbox,
        &[
            &format!("--google-client-id={CLIENT_ID}"),
            &format!("--google-client-secret={client_secret}"),
            &format!("--google-refresh-token={REFRESH_TOKEN}"),
        ],
    )
}

fn credentials(settings: &GoogleSettings) -> Credentials {
    Credentials::new(settings, &SCOPES, &Metrics::new().unwrap()).unwrap()
}

fn call() -> Call {
    let mut call = Call::new(Arc::new(Caller::local()), Road::Stdio, "test");
    call.deadline = Instant::now() + Duration::from_secs(5);
    call
}

/// The service account's key file as the sandbox hands it out, in a folder of its own.
async fn key_file(sandbox: &Sandbox, name: &str) -> PathBuf {
    let metrics = Metrics::new().unwrap();
    let google =
        mcp_kit::Provider::new("test", &sandbox.url("google"), Policy::default(), &metrics);
    let request = Outgoing::new(Method::GET, ["service-account.json"]);
    let text = google.unwrap().send(&call(), request).await.unwrap().body;
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn fifty_calls_at_once_fetch_one_token() {
    let sandbox = Sandbox::start().await.unwrap();
    let credentials = credentials(&with_refresh_token(&sandbox, CLIENT_SECRET));
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let credentials = credentials.clone();
            tokio::spawn(async move { credentials.token(&call()).await.unwrap() })
        })
        .collect();
    let mut tokens = Vec::new();
    for each in calls {
        tokens.push(each.await.unwrap().expose_secret().to_owned());
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
    assert_eq!(sandbox.arrived(Provider::Google).len(), 1);
}

#[tokio::test]
async fn a_token_that_many_saw_refused_is_replaced_once() {
    let sandbox = Sandbox::start().await.unwrap();
    let credentials = credentials(&with_refresh_token(&sandbox, CLIENT_SECRET));
    let first = credentials.token(&call()).await.unwrap();
    credentials.refused(&first).await;
    let second = credentials.token(&call()).await.unwrap();
    assert_ne!(first.expose_secret(), second.expose_secret());
    credentials.refused(&first).await;
    let third = credentials.token(&call()).await.unwrap();
    assert_eq!(second.expose_secret(), third.expose_secret());
    assert_eq!(sandbox.arrived(Provider::Google).len(), 2);
}

#[tokio::test]
async fn a_refused_secret_is_told_without_showing_it_and_not_tried_at_once_again() {
    let sandbox = Sandbox::start().await.unwrap();
    let wrong = "canary-client-secret-0123456789";
    let credentials = credentials(&with_refresh_token(&sandbox, wrong));
    for _ in 0..3 {
        let error = credentials.token(&call()).await.unwrap_err();
        assert_eq!(error.code, Code::Refused);
        assert!(error.message.contains("GOOGLE_CLIENT_SECRET"));
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    assert_eq!(sandbox.arrived(Provider::Google).len(), 1);
    assert!(!format!("{credentials:?}").contains("canary"));
}

#[tokio::test]
async fn a_service_account_gets_a_token_also_on_behalf_of_a_person() {
    let sandbox = Sandbox::start().await.unwrap();
    let file = key_file(&sandbox, "person").await;
    let file = format!("--google-service-account-file={}", file.display());
    let own = credentials(&settings(&sandbox, &[&file]));
    let token = own.token(&call()).await.unwrap();
    assert!(token.expose_secret().starts_with("ya29."));
    let person = format!("--google-impersonate={PERSON}");
    let delegated = credentials(&settings(&sandbox, &[&file, &person]));
    assert!(delegated.token(&call()).await.is_ok());
    let stranger = "--google-impersonate=somebody@elsewhere.example";
    let refused = credentials(&settings(&sandbox, &[&file, stranger]));
    let error = refused.token(&call()).await.unwrap_err();
    assert_eq!(
        error.details.unwrap()["provider_code"],
        "unauthorized_client"
    );
}

#[tokio::test]
async fn a_key_that_is_not_the_accounts_is_refused_and_one_that_is_none_is_found_at_start() {
    let sandbox = Sandbox::start().await.unwrap();
    let file = key_file(&sandbox, "other").await;
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("planner@", "stranger@")).unwrap();
    let argument = format!("--google-service-account-file={}", file.display());
    let stranger = credentials(&settings(&sandbox, &[&argument]));
    let error = stranger.token(&call()).await.unwrap_err();
    assert_eq!(error.details.unwrap()["provider_code"], "invalid_grant");
    std::fs::write(&file, text.replace("BEGIN", "CANARY")).unwrap();
    let settings = settings(&sandbox, &[&argument]);
    let error = Credentials::new(&settings, &SCOPES, &Metrics::new().unwrap()).unwrap_err();
    assert!(format!("{error:#}").contains("private_key"), "{error:#}");
    assert!(!format!("{error:#}").contains("CANARY"), "{error:#}");
}

#[tokio::test]
async fn secrets_are_listed_for_the_redactor() {
    let sandbox = Sandbox::start().await.unwrap();
    let secrets = with_refresh_token(&sandbox, CLIENT_SECRET)
        .secrets()
        .unwrap();
    assert_eq!(
        secrets
            .iter()
            .map(ExposeSecret::expose_secret)
            .collect::<Vec<_>>(),
        [CLIENT_SECRET, REFRESH_TOKEN]
    );
    let file = key_file(&sandbox, "secrets").await;
    let file = format!("--google-service-account-file={}", file.display());
    let lines = settings(&sandbox, &[&file]).secrets().unwrap();
    assert!(lines.len() > 20);
}

#[tokio::test]
async fn half_of_the_credentials_is_an_error_and_none_is_told_at_the_call() {
    let sandbox = Sandbox::start().await.unwrap();
    let half = settings(&sandbox, &["--google-client-id=x"]);
    assert!(Credentials::new(&half, &SCOPES, &Metrics::new().unwrap()).is_err());
    let without = credentials(&settings(&sandbox, &[]));
    let error = without.token(&call()).await.unwrap_err();
    assert_eq!(error.code, Code::Refused);
    assert!(error.message.contains("GOOGLE_REFRESH_TOKEN"));
    let mut with_account = call();
    with_account.account = Account::new("acc", "an-account-token");
    let token = without.token(&with_account).await.unwrap();
    assert_eq!(token.expose_secret(), "an-account-token");
    assert!(sandbox.arrived(Provider::Google).is_empty());
}

#[tokio::test]
async fn bad_days_of_the_token_endpoint_are_survived_or_told() {
    let sandbox = Sandbox::start().await.unwrap();
    let credentials = credentials(&with_refresh_token(&sandbox, CLIENT_SECRET));
    sandbox.misbehave(
        Fault::new(Provider::Google, Misbehaviour::Error { status: 500 })
            .on("POST", "/token")
            .times(1),
    );
    sandbox.misbehave(
        Fault::new(Provider::Google, Misbehaviour::Cut)
            .on("POST", "/token")
            .times(1),
    );
    assert!(credentials.token(&call()).await.is_ok());
    let token = credentials.token(&call()).await.unwrap();
    credentials.refused(&token).await;
    let busy = Misbehaviour::RateLimited { retry_after: 30 };
    sandbox.misbehave(Fault::new(Provider::Google, busy).times(1));
    let error = credentials.token(&call()).await.unwrap_err();
    assert_eq!(
        (error.code, error.retry_after),
        (Code::RateLimited, Some(Duration::from_secs(30)))
    );
    assert!(credentials.token(&call()).await.is_ok());
}
