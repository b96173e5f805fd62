//! A sidecar whose tools do whatever a client must cope with: the client's tests run it on every road.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use clap::Parser;
use mcp_kit::{Call, Cli, Code, NoArguments, NoSettings, Sidecar, Tool, ToolError, Tools};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use validator::Validate;

static BEGUN: AtomicU32 = AtomicU32::new(0);
static ENDED: AtomicU32 = AtomicU32::new(0);

#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Say {
    #[validate(length(min = 1, max = 80))]
    text: String,
    #[validate(length(min = 1, max = 255))]
    idempotency_key: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Said {
    text: String,
    idempotency_key: Option<String>,
    on_behalf_of: Option<String>,
    request_id: String,
    traceparent: Option<String>,
}

#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Fail {
    /// One of the codes, such as `REFUSED`.
    code: String,
}

#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Wait {
    #[validate(range(max = 60_000))]
    milliseconds: u64,
}

#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Flood {
    #[validate(range(max = 50_000_000))]
    bytes: usize,
}

#[derive(Serialize, JsonSchema)]
struct Counts {
    process_id: u32,
    begun: u32,
    ended: u32,
}

#[derive(Serialize, JsonSchema)]
struct Text {
    text: String,
}

async fn say(call: Call, say: Say) -> Result<Said, ToolError> {
    Ok(Said {
        text: say.text,
        idempotency_key: say.idempotency_key,
        on_behalf_of: call.caller.on_behalf_of.as_deref().map(str::to_owned),
        request_id: call.request_id.to_string(),
        traceparent: call.traceparent.as_deref().map(str::to_owned),
    })
}

async fn fail(_: Call, fail: Fail) -> Result<Text, ToolError> {
    let code: Code = serde_json::from_value(json!(fail.code))
        .map_err(|_| ToolError::field("/code", "unknown", "there is no such code"))?;
    let mut error = ToolError::refused("it was asked to fail");
    error.code = code;
    error.retry_after = Some(Duration::from_secs(7));
    Err(error.with_details(json!({ "why": "a test", "seats": [1, 2] })))
}

/// Counts when it is dropped, too.
struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        ENDED.fetch_add(1, Ordering::SeqCst);
    }
}

async fn wait(_: Call, wait: Wait) -> Result<Text, ToolError> {
    BEGUN.fetch_add(1, Ordering::SeqCst);
    let _ends = Ends;
    tokio::time::sleep(Duration::from_millis(wait.milliseconds)).await;
    let text = "waited".to_owned();
    Ok(Text { text })
}

async fn panics(_: Call, _: NoArguments) -> Result<Text, ToolError> {
    tokio::task::yield_now().await;
    panic!("as it was asked to")
}

async fn flood(_: Call, flood: Flood) -> Result<Text, ToolError> {
    let text = "x".repeat(flood.bytes);
    Ok(Text { text })
}

async fn counts(_: Call, _: NoArguments) -> Result<Counts, ToolError> {
    Ok(Counts {
        process_id: std::process::id(),
        begun: BEGUN.load(Ordering::SeqCst),
        ended: ENDED.load(Ordering::SeqCst),
    })
}

fn tools() -> anyhow::Result<Tools> {
    Tools::new("contract", env!("CARGO_PKG_VERSION"))
        .with(Tool::new("say", "Says who asked for what.", say).idempotent())?
        .with(Tool::new("fail", "Fails with a code.", fail).read_only())?
        .with(Tool::new("wait", "Waits.", wait).read_only())?
        .with(Tool::new("panic", "Panics.", panics).read_only())?
        .with(Tool::new("flood", "Answers with much.", flood).read_only())?
        .with(Tool::new("counts", "Counts the waits.", counts).read_only())
}

#[tokio::main]
async fn main() -> ExitCode {
    mcp_kit::run(Cli::<NoSettings>::parse(), async |_, _| {
        Ok(Sidecar::new(tools()?))
    })
    .await
}
