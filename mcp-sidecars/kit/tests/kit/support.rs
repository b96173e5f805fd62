//! A sidecar whose tools do everything that tools should not.

use std::time::Duration;

use anyhow::anyhow;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt;
use mcp_kit::{Call, NoArguments, Sidecar, Tool, ToolError, Tools, testing};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt;
use validator::Validate;

pub const TOKEN: &str = "full-0123456789-0123456789-0123456789";
pub const OLD_TOKEN: &str = "last-0123456789-0123456789-0123456789";
pub const READ_TOKEN: &str = "read-0123456789-0123456789-0123456789";
pub const CANARY: &str = "canary-5f0c1f";

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Note {
    #[validate(length(min = 1, max = 10))]
    pub text: String,
    #[validate(range(min = 1, max = 3))]
    #[serde(default = "one")]
    pub times: u32,
    #[validate(length(min = 1, max = 255))]
    pub idempotency_key: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Noted {
    pub text: String,
    pub idempotency_key: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Sleep {
    pub milliseconds: u64,
}

fn one() -> u32 {
    1
}

pub fn sidecar() -> anyhow::Result<Sidecar> {
    let tools = Tools::new("sample", "1.2.3")
        .with(
            Tool::new("write_note", "Writes a note.", write_note)
                .additive()
                .idempotent(),
        )?
        .with(
            Tool::new(
                "read_note",
                "Reads a note.",
                async |_: Call, _: NoArguments| noted("read"),
            )
            .read_only(),
        )?
        .with(Tool::new("sleep", "Sleeps.", sleep).read_only())?
        .with(Tool::new("panic", "Panics.", panics).read_only())?
        .with(
            Tool::new(
                "leak",
                "Answers with a secret.",
                async |_: Call, _: NoArguments| noted(CANARY),
            )
            .read_only(),
        )?
        .with(Tool::new("fail", "Fails with a cause.", fails).read_only())?
        .with(
            Tool::new(
                "flood",
                "Answers with 2 MiB.",
                async |_: Call, _: NoArguments| noted(&"x".repeat(2 << 20)),
            )
            .read_only(),
        )?
        .with(Tool::new("whose", "Says whose account it is.", whose).read_only())?
        .with(Tool::new("away", "Its provider is away.", away).read_only())?;
    Ok(Sidecar::new(tools).secrets([CANARY.into()]))
}

async fn whose(call: Call, _: NoArguments) -> Result<Noted, ToolError> {
    let account = call
        .account
        .ok_or_else(|| ToolError::refused("nobody\'s"))?;
    noted(&format!(
        "{} with {}",
        account.id,
        account.token.expose_secret()
    ))
}

async fn write_note(_: Call, note: Note) -> Result<Noted, ToolError> {
    let times = usize::try_from(note.times).map_err(ToolError::internal)?;
    Ok(Noted {
        text: note.text.repeat(times),
        idempotency_key: note.idempotency_key,
    })
}

async fn sleep(_: Call, arguments: Sleep) -> Result<Noted, ToolError> {
    tokio::time::sleep(Duration::from_millis(arguments.milliseconds)).await;
    noted("slept")
}

async fn panics(_: Call, _: NoArguments) -> Result<Noted, ToolError> {
    tokio::task::yield_now().await;
    panic!("the {CANARY} is out")
}

async fn fails(_: Call, _: NoArguments) -> Result<Noted, ToolError> {
    Err(anyhow!("password=hidden at postgres://user:pass@db/x").into())
}

async fn away(_: Call, _: NoArguments) -> Result<Noted, ToolError> {
    Err(ToolError::unavailable(
        "the provider is away",
        Duration::from_millis(1500),
    ))
}

#[expect(clippy::unnecessary_wraps, reason = "tools answer with results")]
fn noted(text: &str) -> Result<Noted, ToolError> {
    Ok(Noted {
        text: text.to_owned(),
        idempotency_key: None,
    })
}

pub fn app(arguments: &[&str]) -> Router {
    let settings = testing::settings(arguments).unwrap();
    sidecar()
        .unwrap()
        .build(&settings)
        .unwrap()
        .router(&settings)
        .unwrap()
}

/// With tokens.
pub fn guarded_app() -> Router {
    app(&[
        &format!("--mcp-tokens={TOKEN},{OLD_TOKEN}"),
        &format!("--mcp-read-tokens={READ_TOKEN}"),
    ])
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

/// `head` holds further headers as `name: value`.
pub async fn send(app: &Router, method: &str, path: &str, head: &[&str], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if !head.iter().any(|line| line.starts_with("host:")) {
        request = request.header("host", "localhost:8100");
    }
    for line in head {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
        text,
    }
}

pub async fn post(app: &Router, tool: &str, body: &str) -> Answer {
    send(app, "POST", &format!("/mcp/tools/{tool}"), &[], body).await
}
