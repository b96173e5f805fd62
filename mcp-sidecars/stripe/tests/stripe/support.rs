//! A sandbox, a sidecar before it, and somebody who calls.

use std::time::Duration;

use clap::Parser;
use event_planner_mcp_stripe::{StripeSettings, sidecar};
use event_planner_sandbox::Sandbox;
use mcp_kit::{Cli, Code, Failure, Metrics, ToolError, testing::Client};
use serde_json::{Value, json};

pub const SIDECAR_KEY: &str = "rk_test_sandbox-what-the-sidecar-needs-no-real-key";
pub const FULL_KEY: &str = "sk_test_sandbox-full-access-no-real-key";
pub const READ_KEY: &str = "rk_test_sandbox-reads-only-no-real-key";
pub const LIVE_KEY: &str = "sk_live_sandbox-plays-live-no-real-key";
pub const OTHER_KEY: &str = "sk_test_sandbox-connected-account-no-real-key";

pub struct Scene {
    pub sandbox: Sandbox,
    pub client: Client,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(&[&format!("--stripe-secret-key={SIDECAR_KEY}")]).await
    }

    /// With these settings instead of the usual key.
    pub async fn with(arguments: &[&str]) -> Self {
        let sandbox = Sandbox::start().await.unwrap();
        let client = client(&sandbox.url("stripe"), arguments).unwrap();
        Self { sandbox, client }
    }

    pub async fn ok(&self, tool: &str, arguments: Value) -> Value {
        self.client
            .call(tool, arguments)
            .await
            .unwrap_or_else(|failure| panic!("{tool}: {failure:?}"))
    }

    pub async fn refused(&self, tool: &str, arguments: Value) -> ToolError {
        error(self.client.call(tool, arguments).await)
    }

    pub async fn count(&self, things: &str) -> u64 {
        let counts = self.get("/sandbox/counts").await;
        counts["stripe"][things].as_u64().unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let url = self.sandbox.url("").trim_end_matches('/').to_owned() + path;
        serde_json::from_slice(&http().get(url).send().await.unwrap().bytes().await.unwrap())
            .unwrap()
    }

    /// Presses a button of a payment page.
    pub async fn choose(&self, url: &str, choice: &str) -> u16 {
        let pressed = http()
            .post(url)
            .form(&[("choice", choice)])
            .send()
            .await
            .unwrap();
        pressed.status().as_u16()
    }

    /// A payment that came in; its id.
    pub async fn paid(&self, unit_amount: i64) -> String {
        let key = format!(
            "paid-{unit_amount}-{}",
            self.count("checkout_sessions").await
        );
        let session = self
            .ok("create_checkout_session", session(&key, unit_amount))
            .await;
        assert_eq!(
            self.choose(session["url"].as_str().unwrap(), "pay").await,
            303
        );
        let done = self
            .ok(
                "get_checkout_session",
                json!({ "session_id": session["session_id"] }),
            )
            .await;
        assert_eq!(
            (&done["status"], &done["payment_status"]),
            (&json!("complete"), &json!("paid"))
        );
        done["payment_id"].as_str().unwrap().to_owned()
    }
}

pub fn client(base_url: &str, arguments: &[&str]) -> anyhow::Result<Client> {
    let base = format!("--stripe-base-url={base_url}");
    let all = ["test", &base].into_iter().chain(arguments.iter().copied());
    let settings: StripeSettings = Cli::<StripeSettings>::try_parse_from(all)?.own;
    Client::new(sidecar(&settings, &Metrics::new()?)?)
}

pub fn session(key: &str, unit_amount: i64) -> Value {
    json!({
        "items": [{ "name": "Dinner", "unit_amount": unit_amount }],
        "currency": "USD",
        "success_url": "https://planner.example/paid",
        "reference": { "organization_id": "o-1", "event_id": "e-1" },
        "idempotency_key": key,
    })
}

pub fn link(key: &str) -> Value {
    json!({
        "items": [{ "name": "Seat", "unit_amount": 2500, "quantity": 2 }],
        "currency": "eur",
        "max_payments": 1,
        "success_url": "https://planner.example/thanks",
        "reference": { "event_id": "e-1" },
        "idempotency_key": key,
    })
}

pub fn error(answer: Result<Value, Failure>) -> ToolError {
    match answer {
        Err(Failure::Tool(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}

/// The code, and Stripe's own.
pub fn codes(error: &ToolError) -> (Code, Option<&str>) {
    let details = error.details.as_ref();
    (
        error.code,
        details.and_then(|details| details["provider_code"].as_str()),
    )
}

pub fn pointer(error: &ToolError) -> Option<&str> {
    error.details.as_ref()?["errors"][0]["pointer"].as_str()
}

pub fn http() -> reqwest::Client {
    // The kit's first client brings the TLS provider that every other needs.
    client("http://127.0.0.1:9", &[]).unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}
