//! Tools that only answer, log, report progress or tell of a change.

use std::{sync::Arc, time::Duration};

use mcp_kit::{Call, Conversation, Tools};
use rmcp::{ErrorData, model::CallToolResult};
use serde_json::json;
use tokio::time::sleep;

use crate::shared::{
    Answer, Changed, PNG, Shared, WAV, argument, capabilities, content, fixture, object, sharing,
    strings, text, wire,
};

const PAUSE: Duration = Duration::from_millis(50);

type Talk = Arc<Conversation>;

pub fn add(tools: Tools, shared: &Arc<Shared>) -> anyhow::Result<Tools> {
    let tools = contents(tools)?;
    let none = || strings(&[]);
    let tools = fixture(tools, "test_tool_with_logging", none(), logs)?;
    let tools = fixture(tools, "test_logging_tool", none(), logs_when_asked)?;
    let tools = fixture(tools, "test_tool_with_progress", none(), progress)?;
    let tools = fixture(
        tools,
        "test_error_handling",
        none(),
        async |_: Call, _: Talk| fails(),
    )?;
    let tools = fixture(
        tools,
        "test_reconnection",
        none(),
        async |_: Call, _: Talk| {
            sleep(PAUSE).await;
            text("Reconnection test completed")
        },
    )?;
    let tools = fixture(
        tools,
        "test_missing_capability",
        none(),
        async |_: Call, talk: Talk| needs_sampling(&talk),
    )?;
    let tools = fixture(
        tools,
        "greet",
        strings(&["name"]),
        async |_: Call, talk: Talk| greet(&talk),
    )?;
    let tools = fixture(
        tools,
        "json_schema_2020_12_tool",
        schema(),
        async |_: Call, _: Talk| text("seen"),
    )?;
    let header = json!({ "type": "object", "properties": { "value": { "type": "string", "x-mcp-header": "Value" } } });
    let tools = fixture(
        tools,
        "test_custom_header",
        object(header),
        async |_: Call, _: Talk| text("seen"),
    )?;
    let tools = fixture(
        tools,
        "test_trigger_tool_change",
        none(),
        sharing(shared, |shared, _| tell(shared, Changed::Tools)),
    )?;
    fixture(
        tools,
        "test_trigger_prompt_change",
        none(),
        sharing(shared, |shared, _| tell(shared, Changed::Prompts)),
    )
}

fn contents(tools: Tools) -> anyhow::Result<Tools> {
    let none = || strings(&[]);
    let tools = fixture(
        tools,
        "test_simple_text",
        none(),
        async |_: Call, _: Talk| text("This is a simple text response for testing."),
    )?;
    let tools = fixture(
        tools,
        "test_image_content",
        none(),
        async |_: Call, _: Talk| {
            content(&json!([{ "type": "image", "data": PNG, "mimeType": "image/png" }]))
        },
    )?;
    let tools = fixture(
        tools,
        "test_audio_content",
        none(),
        async |_: Call, _: Talk| {
            content(&json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }]))
        },
    )?;
    let tools = fixture(
        tools,
        "test_embedded_resource",
        none(),
        async |_: Call, _: Talk| {
            content(&json!([{ "type": "resource", "resource": {
            "uri": "test://embedded-resource", "mimeType": "text/plain", "text": "This is an embedded resource content.",
        } }]))
        },
    )?;
    fixture(
        tools,
        "test_multiple_content_types",
        none(),
        async |_: Call, _: Talk| {
            content(&json!([
                { "type": "text", "text": "Multiple content types test:" },
                { "type": "image", "data": PNG, "mimeType": "image/png" },
                { "type": "resource", "resource": {
                    "uri": "test://mixed-content-resource",
                    "mimeType": "application/json",
                    "text": r#"{"test":"data","value":123}"#,
                } },
            ]))
        },
    )
}

async fn logs(_: Call, talk: Talk) -> Answer {
    for (index, line) in [
        "Tool execution started",
        "Tool processing data",
        "Tool execution completed",
    ]
    .iter()
    .enumerate()
    {
        if index > 0 {
            sleep(PAUSE).await;
        }
        log(&talk, line).await?;
    }
    text("Logged three lines")
}

async fn logs_when_asked(_: Call, talk: Talk) -> Answer {
    if talk.context.meta.log_level().is_some() {
        log(&talk, "asked for").await?;
    }
    text("Logged what was asked for")
}

#[expect(deprecated, reason = "the suite still tests what SEP-2577 will remove")]
async fn log(talk: &Conversation, line: &str) -> Result<(), ErrorData> {
    let line = wire(json!({ "level": "info", "data": line }))?;
    let sent = talk.context.peer.notify_logging_message(line).await;
    sent.map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

async fn progress(call: Call, _: Talk) -> Answer {
    call.progress(0.0, 100.0, "").await;
    sleep(PAUSE).await;
    call.progress(50.0, 100.0, "").await;
    sleep(PAUSE).await;
    call.progress(100.0, 100.0, "").await;
    text("Progress reported")
}

fn fails() -> Answer {
    let said =
        json!([{ "type": "text", "text": "This tool intentionally returns an error for testing" }]);
    let result: CallToolResult =
        wire(json!({ "resultType": "complete", "isError": true, "content": said }))?;
    Ok(result.into())
}

fn needs_sampling(talk: &Conversation) -> Answer {
    if capabilities(talk).sampling.is_none() {
        return Err(ErrorData::missing_required_client_capability(wire(
            json!({ "sampling": {} }),
        )?));
    }
    text("The client can sample")
}

fn greet(talk: &Conversation) -> Answer {
    let name = argument(talk, "name")?;
    text(&format!("Hello, {}!", name.as_str().unwrap_or_default()))
}

async fn tell(shared: Arc<Shared>, changed: Changed) -> Answer {
    // An error means that nobody listens.
    let _ = shared.changes.send(changed);
    std::future::ready(text("Told")).await
}

/// Kept verbatim: the suite compares every keyword.
fn schema() -> rmcp::model::JsonObject {
    let address = json!({ "$anchor": "addressDef", "type": "object", "properties": {
        "street": { "type": "string" }, "city": { "type": "string" },
    } });
    object(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "address": address },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    }))
}
