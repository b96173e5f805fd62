//! The sidecar over a socket.

use std::time::{Duration, Instant};

use clap::Parser;
use event_planner_mcp_postgres::{PostgresSettings, sidecar};
use mcp_kit::Cli;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::{
    cancel::running,
    world::{ACME, MEMBER, seed, url},
};

/// Where it listens, and a client that acts for somebody of the first organization.
struct Served {
    address: String,
    http: reqwest::Client,
}

impl Served {
    async fn new(pool: &PgPool) -> Self {
        seed(pool).await;
        let url = url(pool, "event_planner_reporting");
        let arguments = ["x", "--database-url", &url, "--statement-timeout", "20000"];
        let cli = Cli::<PostgresSettings>::parse_from(arguments);
        let settings = mcp_kit::testing::settings(&[]).unwrap();
        let service = sidecar(&cli.own).unwrap().build(&settings).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = service.router(&settings).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::new();
        Self { address, http }
    }

    async fn post(&self, path: &str, body: &Value) -> reqwest::Result<Value> {
        let request = self.http.post(format!("{}{path}", self.address)).json(body);
        let request = request
            .header("on-behalf-of", format!("{ACME}/{MEMBER}"))
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25");
        request.send().await?.json().await
    }

    async fn rpc(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.post("/mcp", &body).await.unwrap()["result"].clone()
    }
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn a_caller_that_hangs_up_ends_its_statement(pool: PgPool) {
    let served = Served::new(&pool).await;
    let sql = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
    let call = json!({ "name": "query", "arguments": { "sql": sql } });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call });
    for (path, body) in [("/mcp/tools/query", json!({ "sql": sql })), ("/mcp", call)] {
        let asking = served.post(path, &body);
        let asked = tokio::time::timeout(Duration::from_millis(500), asking).await;
        assert!(asked.is_err(), "{path}: {asked:?}");
        let left = Instant::now();
        while running(&pool).await > 0 {
            assert!(
                left.elapsed() < Duration::from_secs(1),
                "{path}: still running"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn schemas_are_resources_over_mcp(pool: PgPool) {
    let served = Served::new(&pool).await;
    let list = served.rpc("resources/list", json!({})).await;
    let uris: Vec<_> = list["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["uri"].clone())
        .collect();
    assert!(uris.contains(&json!("schema://events")), "{list}");
    let templates = served.rpc("resources/templates/list", json!({})).await;
    assert_eq!(
        templates["resourceTemplates"][0]["uriTemplate"],
        "schema://{table}"
    );
    let read = served
        .rpc("resources/read", json!({ "uri": "schema://events" }))
        .await;
    let text = read["contents"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("starts_at") && !text.contains("organization_id"),
        "{text}"
    );
    let unknown = served
        .rpc("resources/read", json!({ "uri": "schema://members" }))
        .await;
    assert_eq!(unknown, Value::Null);
}
