//! Two organizations in one database, and somebody of the first who asks.

use std::path::PathBuf;

use clap::Parser;
use event_planner_mcp_postgres::{PostgresSettings, sidecar};
use mcp_kit::{Caller, Cli, Failure, ToolError, testing::Client};
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgConnectOptions};

pub const ACME: &str = "00000000-0000-7000-8000-00000000000a";
pub const MEMBER: &str = "00000000-0000-7000-8000-0000000000ff";
/// In every text of the other organization, and in every personal text of ours.
pub const SECRETS: [&str; 2] = ["zebra", "quagga"];

pub struct World {
    pub client: Client,
    pub url: String,
}

impl World {
    pub async fn new(pool: PgPool) -> Self {
        Self::with(pool, &[]).await
    }

    /// With further arguments of the command line.
    pub async fn with(pool: PgPool, arguments: &[&str]) -> Self {
        seed(&pool).await;
        let url = url(&pool, "event_planner_reporting");
        let client = client(&url, arguments);
        let client = client.as_caller(acting(ACME));
        Self { client, url }
    }

    pub async fn ask(&self, sql: &str) -> Result<Value, ToolError> {
        self.call("query", json!({ "sql": sql })).await
    }

    pub async fn ask_with(&self, sql: &str, params: Value) -> Result<Value, ToolError> {
        self.call("query", json!({ "sql": sql, "params": params }))
            .await
    }

    pub async fn rows(&self, sql: &str) -> Value {
        self.ask(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))["rows"]
            .clone()
    }

    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Value, ToolError> {
        call(&self.client, tool, arguments).await
    }
}

pub async fn call(client: &Client, tool: &str, arguments: Value) -> Result<Value, ToolError> {
    client
        .call(tool, arguments)
        .await
        .map_err(|failure| match failure {
            Failure::Tool(error) => error,
            other => panic!("{other:?}"),
        })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the script is ours and has several statements"
)]
pub async fn seed(pool: &PgPool) {
    sqlx::raw_sql(include_str!("world.sql"))
        .execute(pool)
        .await
        .unwrap();
}

pub fn settings(url: &str, arguments: &[&str]) -> PostgresSettings {
    let fixed = ["test", "--database-url", url];
    Cli::<PostgresSettings>::parse_from(fixed.iter().chain(arguments)).own
}

pub fn client(url: &str, arguments: &[&str]) -> Client {
    Client::new(sidecar(&settings(url, arguments)).unwrap()).unwrap()
}

pub fn acting(organization: &str) -> Caller {
    Caller::local()
        .acting_for(&format!("{organization}/{MEMBER}"))
        .unwrap()
}

/// The address of the pool's database for another role.
pub fn url(pool: &PgPool, role: &str) -> String {
    let options = pool.connect_options();
    let (host, port) = (options.get_host(), options.get_port());
    format!(
        "postgres://{role}@{host}:{port}/{}?sslmode=disable",
        options.get_database().unwrap()
    )
}

pub fn options(pool: &PgPool, role: &str) -> PgConnectOptions {
    (*pool.connect_options()).clone().username(role)
}

/// A path of this folder.
pub fn here(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/postgres")
        .join(name)
}
