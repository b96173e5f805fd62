use clap::Parser;
use event_planner_mcp_slack::{Settings, sidecar};
use event_planner_sandbox::{Fault, Misbehaviour, Provider, Sandbox};
use mcp_kit::{Cli, Code, Failure, Metrics, ToolError, testing::Client};
use serde_json::{Value, json};

pub const BOT_TOKEN: &str = "xoxb-sandbox-only-token-of-the-planner-bot";
pub const READER_TOKEN: &str = "xoxb-sandbox-only-token-with-two-scopes";
pub const EXPIRED_TOKEN: &str = "xoxb-sandbox-only-token-that-is-expired";
pub const EVENTS: &str = "C0SANDBOX02";
pub const RANDOM: &str = "C0SANDBOX04";
pub const BOARD: &str = "C0SANDBOX06";

pub fn settings(sandbox: &Sandbox, arguments: &[&str]) -> Settings {
    let api = format!("--slack-api-url={}/api", sandbox.url("slack"));
    let files = format!("--slack-files-url={}", sandbox.url("slack"));
    let fixed = ["slack", &api, &files];
    Cli::<Settings>::try_parse_from(fixed.iter().chain(arguments))
        .unwrap()
        .own
}

pub fn client_with(sandbox: &Sandbox, arguments: &[&str]) -> Client {
    let settings = settings(sandbox, arguments);
    Client::new(sidecar(&settings, &Metrics::new().unwrap()).unwrap()).unwrap()
}

/// With the bot's token and these settings.
pub fn client(sandbox: &Sandbox, arguments: &[&str]) -> Client {
    let token = format!("--slack-bot-token={BOT_TOKEN}");
    let arguments: Vec<&str> = std::iter::once(token.as_str())
        .chain(arguments.iter().copied())
        .collect();
    client_with(sandbox, &arguments)
}

pub async fn ok(client: &Client, tool: &str, arguments: Value) -> Value {
    client
        .call(tool, arguments)
        .await
        .unwrap_or_else(|failure| panic!("{tool}: {failure:?}"))
}

pub async fn refused(client: &Client, tool: &str, arguments: Value) -> ToolError {
    match client.call(tool, arguments).await {
        Err(Failure::Tool(error)) => error,
        other => panic!("{tool}: {other:?}"),
    }
}

pub async fn code(client: &Client, tool: &str, arguments: Value) -> (Code, String) {
    let error = refused(client, tool, arguments).await;
    let details = error.details.unwrap_or_default();
    (
        error.code,
        details["provider_code"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    )
}

pub fn http() -> reqwest::Client {
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

pub async fn get(url: &str) -> String {
    http().get(url).send().await.unwrap().text().await.unwrap()
}

/// How many there are at Slack.
pub async fn count(sandbox: &Sandbox, thing: &str) -> u64 {
    let url = format!("{}/sandbox/counts", sandbox.world.base_url);
    let text = get(&url).await;
    let counts: Value = serde_json::from_str(&text).unwrap();
    counts["slack"][thing].as_u64().unwrap()
}

pub fn trouble(sandbox: &Sandbox, misbehaviour: Misbehaviour, method: &str) {
    let fault = Fault::new(Provider::Slack, misbehaviour).on("POST", method);
    sandbox.world.faults.add(fault.times(1));
}

pub fn trouble_after(sandbox: &Sandbox, misbehaviour: Misbehaviour, method: &str) {
    let fault = Fault::new(Provider::Slack, misbehaviour).on("POST", method);
    sandbox.world.faults.add(fault.times(1).after());
}

pub fn message(text: &str, key: &str) -> Value {
    json!({ "channel": "#events", "text": text, "idempotency_key": key })
}
