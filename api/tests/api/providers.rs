//! The sandbox and the sidecars before it, over real sockets in this process.

use clap::Parser;
use event_planner_api::config;
use event_planner_sandbox::{
    Sandbox,
    google::token::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN},
    linear::token as linear_token,
};
use mcp_kit::{Cli, Metrics, Sidecar, testing};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::SERVICE_TOKEN;

/// 32 random bytes.
pub const KEY: &str = "q83vEiuRkH0zYv2m8cQyq3s0bqJm9C2nX1u7YtZ4T0E=";

/// Starts everything that stands for Google, Slack, Stripe, Twilio and Linear, and says where the sidecars are. `arguments`
/// are the sandbox's.
pub async fn start(arguments: &[&str]) -> (Sandbox, config::Sidecars) {
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox = Sandbox::start_with(arguments).await.unwrap();
    let metrics = Metrics::new().unwrap();
    let (google, slack) = (google(&sandbox), slack(&sandbox));
    let (stripe, twilio) = (stripe(&sandbox), twilio(&sandbox));
    let gdrive = Cli::<event_planner_mcp_gdrive::Settings>::parse_from(&google).own;
    let calendar = Cli::<event_planner_mcp_calendar::CalendarSettings>::parse_from(&google).own;
    let slack = Cli::<event_planner_mcp_slack::Settings>::parse_from(&slack).own;
    let stripe = Cli::<event_planner_mcp_stripe::StripeSettings>::parse_from(&stripe).own;
    let twilio = Cli::<mcp_twilio::Settings>::parse_from(&twilio).own;
    let linear = linear(&sandbox);
    let linear = Cli::<event_planner_mcp_linear::LinearSettings>::parse_from(&linear).own;
    let token = || Some(SERVICE_TOKEN.to_owned().into());
    let config = config::Sidecars {
        gdrive_sidecar_url: serve(event_planner_mcp_gdrive::sidecar(&gdrive, &metrics)).await,
        gdrive_sidecar_token: token(),
        calendar_sidecar_url: serve(event_planner_mcp_calendar::sidecar(&calendar, &metrics)).await,
        calendar_sidecar_token: token(),
        slack_sidecar_url: serve(event_planner_mcp_slack::sidecar(&slack, &metrics)).await,
        slack_sidecar_token: token(),
        stripe_sidecar_url: serve(event_planner_mcp_stripe::sidecar(&stripe, &metrics)).await,
        stripe_sidecar_token: token(),
        twilio_sidecar_url: serve(mcp_twilio::sidecar(&twilio, &metrics)).await,
        twilio_sidecar_token: token(),
        linear_sidecar_url: serve(event_planner_mcp_linear::sidecar(&linear, &metrics)).await,
        linear_sidecar_token: token(),
        ..config::Sidecars::default()
    };
    (sandbox, config)
}

/// How many there are of everything at the providers, e.g. `counts["slack"]["messages"]`.
pub async fn counts(sandbox: &Sandbox) -> Value {
    let url = format!("{}/sandbox/counts", sandbox.world.base_url);
    let answer = reqwest::get(url).await.unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

async fn serve(sidecar: anyhow::Result<Sidecar>) -> Option<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let token = format!("--mcp-tokens={SERVICE_TOKEN}");
    // 600 calls a minute are the default: ten thousand jobs would wait for a quarter of an hour.
    let settings = testing::settings(&[&token, "--rate-limit=1000000"]).unwrap();
    let service = sidecar.unwrap().build(&settings).unwrap();
    let router = service.router(&settings).unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    Some(url)
}

fn google(sandbox: &Sandbox) -> Vec<String> {
    let url = sandbox.url("google");
    vec![
        "test".to_owned(),
        format!("--google-base-url={url}"),
        format!("--google-token-url={url}/token"),
        format!("--google-client-id={CLIENT_ID}"),
        format!("--google-client-secret={CLIENT_SECRET}"),
        format!("--google-refresh-token={REFRESH_TOKEN}"),
    ]
}

fn slack(sandbox: &Sandbox) -> Vec<String> {
    let url = sandbox.url("slack");
    vec![
        "test".to_owned(),
        format!("--slack-api-url={url}/api"),
        format!("--slack-files-url={url}"),
        "--slack-bot-token=xoxb-sandbox-only-token-of-the-planner-bot".to_owned(),
    ]
}

fn linear(sandbox: &Sandbox) -> Vec<String> {
    let url = sandbox.url("linear");
    vec![
        "test".to_owned(),
        format!("--linear-api-url={url}"),
        format!("--linear-api-key={}", linear_token::API_KEY),
    ]
}

fn stripe(sandbox: &Sandbox) -> Vec<String> {
    let url = sandbox.url("stripe");
    vec![
        "test".to_owned(),
        format!("--stripe-base-url={url}"),
        "--stripe-secret-key=rk_test_sandbox-what-the-sidecar-needs-no-real-key".to_owned(),
    ]
}

fn twilio(sandbox: &Sandbox) -> Vec<String> {
    let url = sandbox.url("twilio");
    vec![
        "test".to_owned(),
        format!("--twilio-base-url={url}"),
        format!("--twilio-lookups-base-url={url}/lookups"),
        format!("--twilio-verify-base-url={url}/verify"),
        "--twilio-account-sid=ACsandbox0000000000000000000000000".to_owned(),
        "--twilio-auth-token=sandbox-twilio-auth-token-no-secret".to_owned(),
        "--twilio-senders=+15005550006,MGsandbox0000000000000000000000000".to_owned(),
        "--twilio-verify-service-sid=VAsandbox0000000000000000000000000".to_owned(),
        // The sandbox lists what it has at once.
        "--settle-time=1".to_owned(),
    ]
}

/// Keys and OAuth clients of the sandbox that is there.
pub fn integrations(sandbox: &str) -> config::Integrations {
    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        integrations: config::Integrations,
    }
    let arguments = [
        "test".to_owned(),
        format!("--integrations-keys=k1:{KEY}"),
        format!("--google-oauth-client-id={CLIENT_ID}"),
        format!("--google-oauth-client-secret={CLIENT_SECRET}"),
        format!("--google-oauth-authorize-url={sandbox}/google/o/oauth2/v2/auth"),
        format!("--google-oauth-api-url={sandbox}/google"),
        "--slack-oauth-client-id=1000000000001.1000000000002".to_owned(),
        "--slack-oauth-client-secret=sandbox-only-client-secret-of-the-app".to_owned(),
        format!("--slack-oauth-authorize-url={sandbox}/slack/oauth/v2/authorize"),
        format!("--slack-oauth-api-url={sandbox}/slack/api"),
        format!("--linear-oauth-client-id={}", linear_token::CLIENT_ID),
        format!(
            "--linear-oauth-client-secret={}",
            linear_token::CLIENT_SECRET
        ),
        format!("--linear-oauth-authorize-url={sandbox}/linear/oauth/authorize"),
        format!("--linear-oauth-api-url={sandbox}/linear"),
    ];
    Alone::parse_from(arguments).integrations
}
