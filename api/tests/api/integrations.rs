//! Accounts at providers: connected at the sandbox's pages, used, refreshed, disconnected.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use event_planner_api::{
    access::Role,
    integrations::Provider,
    jobs::{HANDLERS, Options, Worker},
    keyring::{KeyRing, rotate},
    sidecars::{Errand, SidecarError},
};
use event_planner_sandbox::{Fault, Misbehaviour};
use mcp_kit::Account;
use reqwest::Url;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::MakeWriter;
use uuid::Uuid;

use crate::{
    providers::{self, counts},
    scene::{create, event},
    support::{Answer, Client, TestApp},
};

const PROVIDERS: [&str; 3] = ["google", "slack", "linear"];

/// Where to go, as the API says it.
async fn start(client: &Client, provider: &str) -> String {
    let answer = client.get(&format!("/oauth/{provider}/start")).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let start = answer.expect(200);
    start["authorize_url"].as_str().unwrap().to_owned()
}

/// What a browser does: no redirect is followed but by hand.
async fn go(url: &str) -> reqwest::Response {
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    browser.build().unwrap().get(url).send().await.unwrap()
}

/// The person looks at the provider's page and allows it; answers where the provider sends them, on our side.
async fn allow(authorize_url: &str, account: Option<&str>) -> String {
    let page = go(authorize_url).await;
    assert_eq!(
        page.status(),
        StatusCode::OK,
        "{}",
        page.text().await.unwrap()
    );
    let mut url: Url = authorize_url.parse().unwrap();
    let (folder, _) = url.path().rsplit_once('/').unwrap();
    let approve = format!("{folder}/approve");
    url.set_path(&approve);
    if let Some(account) = account {
        url.query_pairs_mut().append_pair("account", account);
    }
    let allowed = go(url.as_str()).await;
    assert!(allowed.status().is_redirection(), "{}", allowed.status());
    let back = allowed.headers()["location"].to_str().unwrap();
    let ours = back.strip_prefix("https://events.example");
    ours.expect("the way back leads to us").to_owned()
}

async fn connect(app: &TestApp, client: &Client, provider: &str, account: Option<&str>) {
    let back = allow(&start(client, provider).await, account).await;
    app.anonymous.get(&back).await.expect(200);
}

async fn status(client: &Client, provider: &str) -> Value {
    let answer = client.get(&format!("/oauth/{provider}/status")).await;
    let body = answer.expect(200);
    assert_eq!(body["success"], true);
    body["status"].clone()
}

async fn account(
    app: &TestApp,
    organization_id: Uuid,
    provider: Provider,
) -> Result<Option<Account>, SidecarError> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let integrations = &app.app.integrations;
    integrations
        .account(organization_id, provider, "", deadline)
        .await
}

async fn token(app: &TestApp, organization_id: Uuid, provider: Provider) -> String {
    let account = account(app, organization_id, provider).await.unwrap();
    account.unwrap().token.expose_secret().to_owned()
}

/// Does what is due until `is_done`.
async fn work_until(app: &TestApp, is_done: impl AsyncFn() -> bool) {
    let stop = CancellationToken::new();
    let worker = Worker::run(app.app.clone(), HANDLERS, Options::default(), stop.clone());
    let worker = tokio::spawn(worker);
    for _ in 0..200 {
        if is_done().await {
            stop.cancel();
            worker.await.unwrap();
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it is not done");
}

#[sqlx::test]
async fn an_account_is_connected_at_each_provider(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    for (provider, account) in PROVIDERS.into_iter().zip([
        "planner@sandbox.example",
        "Sandbox Events",
        "Sandbox Events",
    ]) {
        let before = status(&app.viewer, provider).await;
        assert_eq!(before["stored"], false);
        let url = start(&app.owner, provider).await;
        let asked: Url = url.parse().unwrap();
        let has = |name: &str| asked.query_pairs().any(|(known, _)| known == name);
        assert_eq!(has("code_challenge"), provider != "slack");
        assert!(!url.contains("client_secret") && !url.contains("code_verifier"));
        let done = app.anonymous.get(&allow(&url, None).await).await;
        let page = done.text();
        assert!(page.contains("is connected"), "{page}");
        assert!(
            done.header("content-security-policy")
                .contains("default-src 'none'")
        );
        assert_eq!(done.header("referrer-policy"), "no-referrer");

        let after = status(&app.viewer, provider).await;
        assert_eq!(
            (&after["stored"], &after["developerFallback"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(after["status"], "CONNECTED");
        if provider != "slack" {
            assert_eq!(after["account"], account);
        }
        assert!(after["expires_at"].is_string(), "{after}");
        assert!(!after["scopes"].as_array().unwrap().is_empty());
        let other = status(&app.stranger, provider).await;
        assert_eq!(other["stored"], false);
        assert_eq!(other["account"], Value::Null);
    }
    let list = app.owner.get("/v1/integrations").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    assert_eq!(list["items"][0]["connected_by"], app.owner_id.to_string());
    let audit = app
        .owner
        .get("/v1/audit?action=integration.connected")
        .await;
    let entries = audit.expect(200);
    let entries = entries["items"].as_array().unwrap().clone();
    assert_eq!(entries.len(), 3);
    let named = |entry: &Value| entry.to_string().contains(&app.owner_id.to_string());
    assert!(entries.iter().all(named), "{entries:?}");
}

#[sqlx::test]
async fn whose_account_is_used_is_told_in_exactly_this_form(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let answer = app.owner.get("/oauth/google/status").await.expect(200);
    let fields = answer.as_object().unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["status", "success"]);
    assert_eq!(answer["success"], true);
    assert_eq!(answer["status"]["stored"], false);
    assert_eq!(answer["status"]["developerFallback"], true);
}

#[sqlx::test]
async fn the_way_back_is_good_once_and_for_ten_minutes(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let back = allow(&start(&app.owner, "linear").await, None).await;
    app.anonymous.get(&back).await.expect(200);
    let fails = async |path: &str| {
        let answer = app.anonymous.get(path).await;
        let problem = answer.expect_problem(400, "connection_failed");
        assert!(!problem.to_string().contains("code-"), "{problem}");
    };
    fails(&back).await;
    // Another provider's, a made-up one, a stranger's organization before it, none.
    let back = allow(&start(&app.owner, "google").await, None).await;
    fails(&back.replace("/google/", "/linear/")).await;
    fails(&back).await;
    let back = allow(&start(&app.owner, "google").await, None).await;
    let ours = app.organization_id.simple().to_string();
    let theirs = app.other_organization_id.simple().to_string();
    fails(&back.replace(&ours, &theirs)).await;
    for state in [
        "",
        "state=",
        "state=x",
        "state=x.y",
        &format!("state={ours}.x"),
    ] {
        fails(&format!(
            "/oauth/google/callback?code=sandbox-code-x&{state}"
        ))
        .await;
    }
    app.anonymous
        .get("/oauth/google/callback?state=%ff")
        .await
        .expect_problem(400, "malformed_request");
    app.advance(Duration::from_secs(601));
    fails(&back).await;
    assert_eq!(status(&app.owner, "google").await["stored"], false);
    app.anonymous
        .get("/oauth/dropbox/callback?code=x&state=y")
        .await
        .expect_problem(404, "not_found");
}

#[sqlx::test]
async fn a_code_of_somebody_else_is_not_taken(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let mine = allow(&start(&app.owner, "google").await, None).await;
    let theirs = allow(&start(&app.stranger, "google").await, None).await;
    let part = |path: &str, name: &str| {
        let url: Url = format!("http://x{path}").parse().unwrap();
        let mut pairs = url.query_pairs();
        pairs
            .find(|(known, _)| known == name)
            .unwrap()
            .1
            .into_owned()
    };
    let (state, code) = (part(&mine, "state"), part(&theirs, "code"));
    let swapped = format!("/oauth/google/callback?state={state}&code={code}");
    let problem = app.anonymous.get(&swapped).await;
    let problem = problem.expect_problem(400, "connection_failed");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("invalid_grant")
    );
    assert_eq!(status(&app.owner, "google").await["stored"], false);
}

#[sqlx::test]
async fn somebody_who_says_no_is_heard(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let url: Url = start(&app.owner, "slack").await.parse().unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state");
    let state = state.unwrap().1.into_owned();
    let path = |error: &str| format!("/oauth/slack/callback?error={error}&state={state}");
    let answer = app.anonymous.get(&path("access_denied")).await;
    let problem = answer.expect_problem(400, "connection_failed");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("access_denied")
    );
    let again = app.anonymous.get(&path("%3Cscript%3E")).await;
    assert!(!again.text().contains("script"));
    assert_eq!(status(&app.owner, "slack").await["stored"], false);
}

#[sqlx::test]
async fn what_a_browser_began_only_that_browser_ends(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let begin = async || {
        let accept = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
        let answer = app.owner.get_with("/oauth/google/start", &accept).await;
        assert_eq!(answer.status, StatusCode::FOUND);
        let cookie = answer.header("set-cookie").to_owned();
        assert!(cookie.starts_with("__Host-oauth-google="), "{cookie}");
        for word in [
            "Secure",
            "HttpOnly",
            "SameSite=Lax",
            "Path=/",
            "Max-Age=600",
        ] {
            assert!(cookie.contains(word), "{cookie}");
        }
        let cookie = cookie.split(';').next().unwrap().to_owned();
        (allow(answer.header("location"), None).await, cookie)
    };
    let (back, _) = begin().await;
    app.anonymous
        .get(&back)
        .await
        .expect_problem(400, "connection_failed");
    let (back, _) = begin().await;
    let (_, other) = begin().await;
    app.anonymous
        .get_with(&back, &[("cookie", &other)])
        .await
        .expect_problem(400, "connection_failed");
    let (back, cookie) = begin().await;
    let cookies = format!("a=b; {cookie}; c=d");
    let done = app.anonymous.get_with(&back, &[("cookie", &cookies)]).await;
    done.expect(200);
    assert!(done.header("set-cookie").contains("Max-Age=0"));
    let redirect = app.owner.get("/oauth/google/start?redirect=true").await;
    assert_eq!(redirect.status, StatusCode::FOUND);
}

#[sqlx::test]
async fn whoever_may_no_longer_connect_accounts_does_not(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool.clone()).await;
    let back = allow(&start(&app.owner, "google").await, None).await;
    sqlx::query("UPDATE members SET role = $2 WHERE id = $1")
        .bind(app.owner_id)
        .bind(Role::Planner.to_string())
        .execute(&pool)
        .await
        .unwrap();
    app.anonymous
        .get(&back)
        .await
        .expect_problem(400, "connection_failed");
    assert_eq!(status(&app.viewer, "google").await["stored"], false);
}

#[sqlx::test]
async fn a_key_that_was_revoked_meanwhile_connects_nothing(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let new = json!({ "name": "front end" });
    let key = app.owner.post("/v1/api-keys", &new).await.expect(201);
    let client = app.client(key["key"].as_str().unwrap());
    let back = allow(&start(&client, "google").await, None).await;
    let path = format!("/v1/api-keys/{}", key["id"].as_str().unwrap());
    app.owner.delete(&path, "*").await.expect(204);
    app.anonymous
        .get(&back)
        .await
        .expect_problem(400, "connection_failed");
    assert_eq!(status(&app.viewer, "google").await["stored"], false);
}

#[sqlx::test]
async fn without_keys_or_a_client_it_is_said_what_is_missing(pool: PgPool) {
    let mut config = providers::integrations("http://127.0.0.1:9");
    config.keys.integrations_keys = None;
    let app = TestApp::with_integrations(pool.clone(), &config).await;
    let problem = app.owner.get("/oauth/google/start").await;
    let problem = problem.expect_problem(501, "integration_not_configured");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("INTEGRATIONS_KEYS")
    );
    let mut config = providers::integrations("http://127.0.0.1:9");
    config.linear_oauth_client_id = None;
    config.linear_oauth_client_secret = None;
    let app = TestApp::with_quota(pool, 1_000_000, |_| {}).await;
    app.owner.get("/oauth/google/start").await.expect(200);
    app.owner
        .get("/oauth/dropbox/start")
        .await
        .expect_problem(404, "not_found");
    assert!(
        config
            .client(Provider::Linear)
            .unwrap()
            .credentials
            .is_none()
    );
    config.linear_oauth_client_id = Some("half".into());
    let error = config.client(Provider::Linear).unwrap_err().to_string();
    assert!(error.contains("LINEAR_OAUTH_CLIENT_SECRET"), "{error}");
}

#[sqlx::test]
async fn a_provider_that_is_away_is_told_and_nothing_is_kept(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let back = allow(&start(&app.owner, "google").await, None).await;
    let fault = Fault::new(
        event_planner_sandbox::Provider::Google,
        Misbehaviour::Error { status: 503 },
    );
    sandbox.misbehave(fault.on("POST", "/token"));
    let answer = app.anonymous.get(&back).await;
    answer.expect_problem(503, "sidecar_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    sandbox.world.faults.clear();
    // The code may be used up, so the way back is.
    app.anonymous
        .get(&back)
        .await
        .expect_problem(400, "connection_failed");
    assert_eq!(status(&app.owner, "google").await["stored"], false);
}

#[sqlx::test]
async fn organizations_never_act_with_each_others_accounts(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    connect(&app, &app.owner, "linear", Some("sandbox-events")).await;
    let ours = account(&app, app.organization_id, Provider::Linear).await;
    let ours = ours.unwrap().unwrap();
    let none = account(&app, app.other_organization_id, Provider::Linear).await;
    assert!(none.unwrap().is_none());
    connect(&app, &app.stranger, "linear", Some("other-workspace")).await;
    let theirs = account(&app, app.other_organization_id, Provider::Linear).await;
    let theirs = theirs.unwrap().unwrap();
    assert_ne!(ours.id, theirs.id);
    assert_ne!(ours.token.expose_secret(), theirs.token.expose_secret());
    let shown = app.stranger.get("/v1/integrations").await.expect(200);
    assert_eq!(shown["items"].as_array().unwrap().len(), 1);
    assert_eq!(shown["items"][0]["account_name"], "Other Workspace");
    // A row of ours, moved to them by somebody with the database in hand, does not open there.
    let moved = sqlx::query(
        "UPDATE integrations SET access_token = (SELECT access_token FROM integrations WHERE organization_id = $1)
         WHERE organization_id = $2",
    );
    let moved = moved
        .bind(app.organization_id)
        .bind(app.other_organization_id);
    moved.execute(&app.app.db).await.unwrap();
    let stolen = account(&app, app.other_organization_id, Provider::Linear).await;
    assert!(stolen.is_err());
}

#[sqlx::test]
async fn calls_of_a_job_act_with_the_organizations_account(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    connect(
        &app,
        &app.owner,
        "google",
        Some("assistant@sandbox.example"),
    )
    .await;
    let errand = |organization_id: Uuid| Errand {
        organization_id,
        member_id: None,
        request_id: None,
        idempotency_key: Uuid::from_u128(organization_id.as_u128() ^ 1).to_string(),
        account: None,
        deadline: Instant::now() + Duration::from_secs(10),
    };
    let drive = &app.app.sidecars.gdrive;
    let (ours, theirs) = (
        errand(app.organization_id),
        errand(app.other_organization_id),
    );
    let arguments = json!({ "name": "Offsite" });
    let made: Value = drive.run(&ours, "create_folder", &arguments).await.unwrap();
    let arguments = json!({ "file_id": made["file"]["id"] });
    let seen: Value = drive.ask(&ours, "get_file", &arguments).await.unwrap();
    assert_eq!(seen["name"], "Offsite", "{seen}");
    // The sidecar's own account, which the other organization acts with, has no such folder.
    let hidden = drive.ask::<Value>(&theirs, "get_file", &arguments).await;
    assert!(
        matches!(hidden, Err(SidecarError::Refused(_))),
        "{hidden:?}"
    );
    assert_eq!(counts(&sandbox).await["google"]["tokens_refreshed"], 0);
}

/// Lets a worker show everything in Linear that waits for it.
async fn mirror(app: &TestApp) {
    work_until(app, async || {
        let left = "SELECT count(*) FROM jobs WHERE kind LIKE 'linear.%' AND died_at IS NULL";
        let left = sqlx::query_scalar::<_, i64>(left).fetch_one(&app.app.db);
        left.await.unwrap() == 0
    })
    .await;
}

async fn issue(app: &TestApp, name: &str) -> Value {
    let errand = Errand {
        organization_id: app.organization_id,
        member_id: None,
        request_id: None,
        idempotency_key: String::new(),
        account: None,
        deadline: Instant::now() + Duration::from_secs(10),
    };
    let linear = &app.app.sidecars.linear;
    let arguments = json!({ "issue": name });
    linear.ask(&errand, "get_issue", &arguments).await.unwrap()
}

#[sqlx::test]
async fn bytes_go_to_the_organizations_account_and_come_from_it(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let account = Some("assistant@sandbox.example");
    connect(&app, &app.owner, "google", account).await;
    let event = crate::scene::create(&app.planner, "/v1/events", &crate::scene::event()).await;
    let path = format!("/v1/events/{event}/documents/content?name=plan.txt");
    let request = app.planner.request(axum::http::Method::POST, &path);
    let request = request
        .header("content-type", "text/plain")
        .header("idempotency-key", "plan");
    // The sidecar's own account does not see the folder that this goes into.
    let document = app.planner.send(request, "Chairs in rows".into()).await;
    let document = document.expect(201);
    let path = format!("/v1/documents/{}/content", document["id"].as_str().unwrap());
    assert_eq!(app.viewer.get(&path).await.text(), "Chairs in rows");
}

#[sqlx::test]
async fn a_task_is_one_issue_that_follows_it_to_its_end(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    connect(&app, &app.owner, "linear", Some("other-workspace")).await;
    let tasks = format!(
        "/v1/events/{}/tasks",
        create(&app.planner, "/v1/events", &event()).await
    );
    let mut earlier = Vec::new();
    for title in ["Done before", "Open before"] {
        let new = json!({ "title": title, "due": { "days_before": 1 } });
        earlier.push(create(&app.planner, &tasks, &new).await);
    }
    let done = format!("/v1/tasks/{}/complete", earlier[0]);
    app.planner.post(&done, &Value::Null).await.expect(200);
    let organization = format!("/v1/organizations/{}", app.organization_id);
    let team = json!({ "linear_team": "SEC" });
    app.owner.patch(&organization, "*", &team).await.expect(200);

    // What is open already is shown, too; what is done is over.
    mirror(&app).await;
    let shown = issue(&app, "SEC-1").await;
    assert_eq!(shown["title"], "Open before");
    assert_eq!(counts(&sandbox).await["linear"]["issues"], 1);

    let new = json!({ "title": "Book the band", "description": "Jazz",
        "due": { "days_before": 14, "time": "23:30" } });
    let path = format!("/v1/tasks/{}", create(&app.planner, &tasks, &new).await);
    mirror(&app).await;
    let shown = issue(&app, "SEC-2").await;
    assert_eq!(
        (&shown["title"], &shown["description"], &shown["due_date"]),
        (
            &json!("Book the band"),
            &json!("Jazz"),
            &json!("2027-05-29")
        )
    );
    let change = json!({ "title": "Book the DJ", "description": "" });
    app.planner.patch(&path, "*", &change).await.expect(200);
    mirror(&app).await;
    let shown = issue(&app, "SEC-2").await;
    assert_eq!(
        (&shown["title"], shown.get("description")),
        (&json!("Book the DJ"), None)
    );
    for (step, state) in [("complete", "Done"), ("reopen", "Todo")] {
        let step = format!("{path}/{step}");
        app.planner.post(&step, &Value::Null).await.expect(200);
        mirror(&app).await;
        assert_eq!(issue(&app, "SEC-2").await["state"], state);
    }
    assert_eq!(app.planner.delete(&path, "*").await.status, 204);
    mirror(&app).await;
    assert_eq!(issue(&app, "SEC-2").await["state_type"], "canceled");
    assert_eq!(counts(&sandbox).await["linear"]["issues"], 2);
}

#[sqlx::test]
async fn the_tasks_of_a_deleted_event_end_with_their_issues(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool.clone()).await;
    let organization = format!("/v1/organizations/{}", app.organization_id);
    let team = json!({ "linear_team": "EVT" });
    app.owner.patch(&organization, "*", &team).await.expect(200);
    let event = create(&app.planner, "/v1/events", &event()).await;
    let event = format!("/v1/events/{event}");
    let new = json!({ "title": "Book the band", "due": { "days_before": 14 } });
    let task = create(&app.planner, &format!("{event}/tasks"), &new).await;
    mirror(&app).await;
    app.planner.delete(&event, "*").await.expect(204);
    let trail = format!("/v1/audit?subject_id={task}");
    let trail = app.owner.get(&trail).await.expect(200);
    assert_eq!(trail["items"][0]["action"], "task.deleted");
    mirror(&app).await;
    assert_eq!(issue(&app, "EVT-1").await["state_type"], "canceled");
    let left = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM task_issues");
    assert_eq!(left.fetch_one(&pool).await.unwrap(), 0);
}

#[sqlx::test]
async fn a_connected_slack_account_may_do_what_messages_need(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    connect(&app, &app.owner, "slack", None).await;
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let path = format!("/v1/events/{event_id}/messages");
    let body = json!({ "channel": "SLACK", "recipients": ["#events"], "text": "From our own app" });
    let sent = app.planner.post_once("own", &path, &body).await.expect(202);
    let path = format!("/v1/messages/{}", sent["items"][0]["id"].as_str().unwrap());
    work_until(&app, async || {
        app.planner.get(&path).await.expect(200)["status"] != "QUEUED"
    })
    .await;
    let sent = app.planner.get(&path).await.expect(200);
    assert_eq!(sent["status"], "SENT", "{sent}");
}

#[sqlx::test]
async fn a_task_that_changes_while_it_is_shown_ends_as_it_is(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let organization = format!("/v1/organizations/{}", app.organization_id);
    let team = json!({ "linear_team": "EVT" });
    app.owner.patch(&organization, "*", &team).await.expect(200);
    let event = create(&app.planner, "/v1/events", &event()).await;
    let new = json!({ "title": "Title 0", "due": { "days_before": 14 } });
    let task = create(&app.planner, &format!("/v1/events/{event}/tasks"), &new).await;
    let path = format!("/v1/tasks/{task}");
    let changes = async {
        for number in 1..=20 {
            let change = json!({ "title": format!("Title {number}") });
            app.planner.patch(&path, "*", &change).await.expect(200);
        }
        app.planner
            .post(&format!("{path}/complete"), &Value::Null)
            .await
            .expect(200);
    };
    tokio::join!(mirror(&app), changes);
    mirror(&app).await;
    let shown = issue(&app, "EVT-1").await;
    assert_eq!(
        (&shown["title"], &shown["state"]),
        (&json!("Title 20"), &json!("Done"))
    );
    assert_eq!(counts(&sandbox).await["linear"]["issues"], 1);
}

#[sqlx::test]
async fn without_a_sidecar_tasks_cannot_be_shown_in_linear(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let organization = format!("/v1/organizations/{}", app.organization_id);
    let team = json!({ "linear_team": "EVT" });
    let refused = app.owner.patch(&organization, "*", &team).await;
    let problem = refused.expect_problem(501, "sidecar_not_configured");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("LINEAR_SIDECAR_URL")
    );
}

#[sqlx::test]
async fn a_token_is_refreshed_once_however_many_calls_wait(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    for (name, provider) in [("google", Provider::Google), ("linear", Provider::Linear)] {
        connect(&app, &app.owner, name, None).await;
        let first = token(&app, app.organization_id, provider).await;
        assert_eq!(token(&app, app.organization_id, provider).await, first);
        // Two processes, as far as the database can tell.
        let config = providers::integrations(&sandbox.world.base_url);
        let other = app.integrations_beside(&config);
        for round in 1..=2 {
            app.advance(Duration::from_secs(86_400 - 30));
            let deadline = Instant::now() + Duration::from_secs(20);
            let calls = (0..50).map(|number| {
                let integrations = if number % 2 == 0 {
                    &app.app.integrations
                } else {
                    &other
                };
                integrations.account(app.organization_id, provider, "", deadline)
            });
            let accounts = futures_util::future::join_all(calls).await;
            let tokens = accounts
                .into_iter()
                .map(|account| account.unwrap().unwrap().token.expose_secret().to_owned());
            let tokens: std::collections::BTreeSet<_> = tokens.collect();
            assert_eq!(tokens.len(), 1);
            assert!(!tokens.contains(&first));
            let refreshed = &counts(&sandbox).await[name]["tokens_refreshed"];
            assert_eq!(*refreshed, round, "{name}");
        }
        assert_eq!(status(&app.owner, name).await["status"], "CONNECTED");
    }
}

/// How many refreshes this process has counted.
fn refreshes(app: &TestApp, provider: &str, outcome: &str) -> u64 {
    let refreshes = &app.app.metrics.oauth_refreshes;
    refreshes.with_label_values(&[provider, outcome]).get()
}

#[sqlx::test]
async fn an_account_that_was_taken_back_is_never_replaced_by_another_one(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    connect(&app, &app.owner, "google", None).await;
    let held = token(&app, app.organization_id, Provider::Google).await;
    let revoke = format!("{}/google/revoke", sandbox.world.base_url);
    let browser = reqwest::Client::new();
    let revoked = browser
        .post(revoke)
        .form(&[("token", held)])
        .send()
        .await
        .unwrap();
    assert_eq!(revoked.status(), StatusCode::OK);
    app.advance(Duration::from_hours(2));
    for _ in 0..2 {
        let refused = account(&app, app.organization_id, Provider::Google).await;
        let Err(SidecarError::Refused(refusal)) = refused else {
            panic!("{refused:?}")
        };
        assert!(
            refusal.message.contains("/oauth/google/start"),
            "{}",
            refusal.message
        );
    }
    let after = status(&app.owner, "google").await;
    assert_eq!(
        (&after["stored"], &after["status"]),
        (&json!(true), &json!("EXPIRED"))
    );
    assert_eq!(after["developerFallback"], false);
    assert_eq!(refreshes(&app, "google", "expired"), 1);
    let audit = app
        .owner
        .get("/v1/audit?action=integration.expired")
        .await
        .expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
    connect(&app, &app.owner, "google", None).await;
    assert_eq!(status(&app.owner, "google").await["status"], "CONNECTED");
    token(&app, app.organization_id, Provider::Google).await;
}

#[sqlx::test]
async fn a_refresh_that_fails_for_now_costs_nothing(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    connect(&app, &app.owner, "linear", None).await;
    app.advance(Duration::from_hours(24));
    let fault = Fault::new(
        event_planner_sandbox::Provider::Linear,
        Misbehaviour::Error { status: 503 },
    );
    sandbox.misbehave(fault.on("POST", "/oauth/token"));
    let away = account(&app, app.organization_id, Provider::Linear).await;
    // Nobody else's calls wait for it.
    assert!(matches!(away, Err(SidecarError::Own(_))), "{away:?}");
    assert_eq!(status(&app.owner, "linear").await["status"], "CONNECTED");
    sandbox.world.faults.clear();
    token(&app, app.organization_id, Provider::Linear).await;
    let outcomes = ["failure", "success", "expired"];
    let counted = outcomes.map(|outcome| refreshes(&app, "linear", outcome));
    assert_eq!(counted, [1, 1, 0]);
}

#[sqlx::test]
async fn a_refresh_goes_on_when_its_caller_gives_up(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    connect(&app, &app.owner, "linear", None).await;
    app.advance(Duration::from_hours(24));
    let late = Misbehaviour::Latency { milliseconds: 400 };
    let fault = Fault::new(event_planner_sandbox::Provider::Linear, late);
    sandbox.misbehave(fault.on("POST", "/oauth/token").after().times(1));
    let deadline = Instant::now() + Duration::from_millis(150);
    let integrations = &app.app.integrations;
    let given_up = integrations.account(app.organization_id, Provider::Linear, "", deadline);
    assert!(given_up.await.is_err());
    // Linear has changed the refresh token by now; without the new one the account would be lost.
    token(&app, app.organization_id, Provider::Linear).await;
    assert_eq!(counts(&sandbox).await["linear"]["tokens_refreshed"], 1);
}

#[sqlx::test]
async fn a_disconnected_account_is_gone_at_once_and_taken_back_in_the_end(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool.clone()).await;
    for provider in ["google", "linear"] {
        connect(&app, &app.owner, provider, None).await;
        let path = format!("/v1/integrations/{provider}");
        let shown = app.viewer.get(&path).await;
        shown.expect(200);
        app.owner
            .delete(&path, "\"77\"")
            .await
            .expect_problem(412, "precondition_failed");
        let bare = app.owner.request(Method::DELETE, &path);
        let bare = app.owner.send(bare, axum::body::Body::empty()).await;
        bare.expect_problem(428, "precondition_required");
        let away = Misbehaviour::Error { status: 500 };
        let which = if provider == "google" {
            event_planner_sandbox::Provider::Google
        } else {
            event_planner_sandbox::Provider::Linear
        };
        sandbox.misbehave(Fault::new(which, away).on("POST", "/revoke").times(1));
        app.owner.delete(&path, shown.etag()).await.expect(204);
        app.viewer.get(&path).await.expect_problem(404, "not_found");
        let which = if provider == "google" {
            Provider::Google
        } else {
            Provider::Linear
        };
        let none = account(&app, app.organization_id, which).await;
        assert!(none.unwrap().is_none());
        let is_revoked = async || counts(&sandbox).await[provider]["tokens_revoked"] == 1;
        work_until(&app, is_revoked).await;
    }
    let is_forgotten = async || {
        let left = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM integration_revocations");
        left.fetch_one(&pool).await.unwrap() == 0
    };
    work_until(&app, is_forgotten).await;
}

#[sqlx::test]
async fn another_account_takes_the_place_of_the_first(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    connect(&app, &app.owner, "google", None).await;
    let first = app.owner.get("/v1/integrations/google").await.expect(200);
    // The same account again is the same connection.
    connect(&app, &app.owner, "google", None).await;
    let again = app.owner.get("/v1/integrations/google").await.expect(200);
    assert_eq!((&again["id"], &again["version"]), (&first["id"], &json!(2)));
    connect(
        &app,
        &app.owner,
        "google",
        Some("assistant@sandbox.example"),
    )
    .await;
    let other = app.owner.get("/v1/integrations/google").await.expect(200);
    assert_ne!(other["id"], first["id"]);
    assert_eq!(other["account_name"], "assistant@sandbox.example");
    work_until(&app, async || {
        counts(&sandbox).await["google"]["tokens_revoked"] == 1
    })
    .await;
    token(&app, app.organization_id, Provider::Google).await;
}

#[sqlx::test]
async fn tokens_are_sealed_anew_under_the_newest_key(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool.clone()).await;
    connect(&app, &app.owner, "google", None).await;
    connect(&app, &app.stranger, "slack", None).await;
    let etag = app.stranger.get("/v1/integrations/slack").await;
    app.stranger
        .delete("/v1/integrations/slack", etag.etag())
        .await
        .expect(204);
    let before = token(&app, app.organization_id, Provider::Google).await;
    let new = "k2:3q2+7wARIjNEVWZ3iJmqu8zd7v8AESIzRFVmd4iZqrs=";
    let old = format!("k1:{}", providers::KEY);
    let both = KeyRing::parse(&format!("{new}\n{old}").into()).unwrap();
    let alone = KeyRing::parse(&new.into()).unwrap();
    assert!(rotate(&app.app.db, &alone).await.is_err());
    assert_eq!(rotate(&app.app.db, &both).await.unwrap(), 2);
    assert_eq!(rotate(&app.app.db, &both).await.unwrap(), 0);
    let mut config = providers::integrations(&sandbox.world.base_url);
    config.keys.integrations_keys = Some(new.into());
    let anew = app.integrations_beside(&config);
    let deadline = Instant::now() + Duration::from_secs(5);
    let account = anew.account(app.organization_id, Provider::Google, "", deadline);
    let account = account.await.unwrap().unwrap();
    assert_eq!(account.token.expose_secret(), before);
    assert!(
        self::account(&app, app.organization_id, Provider::Google)
            .await
            .is_err()
    );
}

/// What is logged, whoever logs it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Whether one of the secrets is anywhere in the text.
fn leaked<'a>(secrets: &'a [String], text: &str) -> Option<&'a String> {
    secrets.iter().find(|secret| text.contains(secret.as_str()))
}

#[sqlx::test]
async fn no_token_and_no_code_shows_anywhere(pool: PgPool) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _recorded = tracing::subscriber::set_default(subscriber);
    let (app, _sandbox) = TestApp::with_providers(pool.clone()).await;
    let mut secrets = vec![providers::KEY.to_owned()];
    let mut answers: Vec<Answer> = Vec::new();
    for (provider, which) in [
        ("google", Provider::Google),
        ("slack", Provider::Slack),
        ("linear", Provider::Linear),
    ] {
        let back = allow(&start(&app.owner, provider).await, None).await;
        let url: Url = format!("http://x{back}").parse().unwrap();
        secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        answers.push(app.anonymous.get(&back).await);
        answers.push(app.anonymous.get(&back).await);
        secrets.push(token(&app, app.organization_id, which).await);
        answers.push(app.owner.get(&format!("/oauth/{provider}/status")).await);
        answers.push(app.owner.get(&format!("/v1/integrations/{provider}")).await);
        app.advance(Duration::from_hours(24));
        secrets.push(token(&app, app.organization_id, which).await);
    }
    secrets.retain(|secret| secret.len() > 8);
    assert!(secrets.len() >= 10, "{}", secrets.len());
    answers.push(app.owner.get("/v1/integrations").await);
    answers.push(app.owner.get("/v1/audit").await);
    answers.push(app.owner.delete("/v1/integrations/google", "*").await);
    for answer in &answers {
        let text = format!("{:?}{}", answer.headers, answer.text());
        assert_eq!(leaked(&secrets, &text), None, "{text}");
    }
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    for table in tables {
        // Bytes come in hexadecimal.
        let sql = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t");
        let text: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(leaked(&secrets, &text), None, "{table}");
        let hex: Vec<String> = secrets.iter().map(|secret| hex(secret)).collect();
        assert_eq!(leaked(&hex, &text), None, "{table}");
    }
    let metrics = app.app.metrics.render(&app.app.db).unwrap();
    assert_eq!(leaked(&secrets, &metrics), None);
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        lines.contains("/oauth/{provider}/callback"),
        "nothing was logged"
    );
    let ours = lines
        .lines()
        .filter(|line| line.contains("event_planner_api") || line.contains("mcp_kit"));
    for line in ours {
        assert_eq!(leaked(&secrets, line), None, "{line}");
    }
}

fn hex(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
