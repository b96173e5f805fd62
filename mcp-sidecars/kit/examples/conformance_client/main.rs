//! The client that the official conformance suite drives: the kit's own, and rmcp's with OAuth and elicitation for what
//! the kit's leaves out.

mod asked;
mod listening;
mod login;

use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use mcp_kit::{Client, Metrics, Policy, Request};
use rmcp::model::Tool;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

/// As the suite starts it.
#[derive(Parser)]
struct Arguments {
    #[arg(long, env = "MCP_CONFORMANCE_SCENARIO")]
    scenario: String,
    #[arg(long, env = "MCP_CONFORMANCE_CONTEXT", default_value = "{}")]
    context: String,
    #[arg(long, env = "MCP_CONFORMANCE_PROTOCOL_VERSION", default_value = "")]
    protocol_version: String,
    url: String,
}

/// What a scenario tells its client.
#[derive(Default, Deserialize)]
struct Context {
    client_id: Option<String>,
    client_secret: Option<String>,
    #[serde(default, rename = "toolCalls")]
    tool_calls: Vec<ToolCall>,
}

#[derive(Deserialize)]
struct ToolCall {
    name: String,
    #[serde(default)]
    arguments: Value,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let context: Context = serde_json::from_str(&arguments.context)?;
    let is_modern = arguments.protocol_version == "2026-07-28";
    match arguments.scenario.as_str() {
        name if name.starts_with("auth/") => {
            login::use_tools(&arguments.url, &context, is_modern).await
        }
        "elicitation-sep1034-client-defaults" | "sse-retry" | "sep-2322-client-request-state" => {
            asked::use_tools(&arguments.url, is_modern).await
        }
        _ => use_tools(&arguments.url, &context).await,
    }
}

/// Lists the tools and calls what the scenario asks for, or each tool once.
async fn use_tools(url: &str, context: &Context) -> anyhow::Result<()> {
    let client = Client::mcp("suite", url, None, Policy::default(), &Metrics::new()?)?;
    let deadline = || Instant::now() + Duration::from_secs(10);
    let tools = client.list_tools(deadline()).await;
    let tools = tools.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let mut calls: Vec<(String, Value)> = context
        .tool_calls
        .iter()
        .map(|call| (call.name.clone(), call.arguments.clone()))
        .collect();
    if calls.is_empty() {
        let arguments = |tool: &Tool| echo(tool, &tools).unwrap_or_else(|| sample(tool));
        let all = tools.iter();
        calls = all
            .map(|tool| (tool.name.to_string(), arguments(tool)))
            .collect();
    }
    let mut failed = 0;
    for (name, arguments) in &calls {
        let request = Request::new(name, arguments, deadline());
        let request = request.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        failed += usize::from(client.call(&request).await.is_err());
    }
    ensure!(failed == 0 || failed < calls.len(), "every call failed");
    Ok(())
}

/// For the tool that wants a schema back: the one that we were shown.
fn echo(tool: &Tool, tools: &[Tool]) -> Option<Value> {
    if tool.name != "json_schema_echo" {
        return None;
    }
    let shown = tools
        .iter()
        .find(|tool| tool.name == "json_schema_2020_12_tool")?;
    Some(json!({ "schema": shown.input_schema }))
}

/// Arguments that a tool's schema takes: a value of the right type for each required property.
fn sample(tool: &Tool) -> Value {
    let schema = &tool.input_schema;
    let required = schema.get("required").and_then(Value::as_array);
    let values = required.into_iter().flatten().filter_map(|name| {
        let name = name.as_str()?;
        let kind = schema.get("properties")?.get(name)?.get("type")?.as_str()?;
        let value = match kind {
            "number" | "integer" => json!(2),
            "boolean" => json!(true),
            "array" => json!([]),
            "object" => json!({}),
            _ => json!("text"),
        };
        Some((name.to_owned(), value))
    });
    Value::Object(values.collect::<Map<_, _>>())
}
