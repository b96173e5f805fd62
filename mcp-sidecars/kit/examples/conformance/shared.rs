//! What the fixture's tools share, and short ways to say what they answer.

use std::sync::Arc;

use anyhow::anyhow;
use mcp_kit::{Call, Conversation, Tool, Tools};
use rmcp::{
    ErrorData,
    model::{
        CallToolResponse, CallToolResult, ClientCapabilities, InputRequest, JsonObject,
        RequestStateCodec,
    },
    task_manager::TaskManager,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// A red pixel.
pub const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// No sound at all.
pub const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

pub type Answer = Result<CallToolResponse, ErrorData>;

/// A list that subscribers hear about.
#[derive(Debug, Clone, Copy)]
pub enum Changed {
    Tools,
    Prompts,
}

pub struct Shared {
    pub tasks: TaskManager,
    pub states: RequestStateCodec,
    pub changes: broadcast::Sender<Changed>,
}

impl Shared {
    pub fn new() -> anyhow::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| anyhow!("no randomness: {error}"))?;
        let states = RequestStateCodec::try_new(key)?;
        Ok(Self {
            tasks: TaskManager::new(),
            states,
            changes: broadcast::channel(16).0,
        })
    }
}

/// A value of the protocol, written as it goes over the wire.
pub fn wire<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

pub fn content(content: &Value) -> Answer {
    let result: CallToolResult = wire(json!({ "resultType": "complete", "content": content }))?;
    Ok(result.into())
}

pub fn text(text: &str) -> Answer {
    content(&json!([{ "type": "text", "text": text }]))
}

/// The same, as a task gives it.
pub fn result(text: &str) -> Result<CallToolResult, ErrorData> {
    wire(json!({ "resultType": "complete", "content": [{ "type": "text", "text": text }] }))
}

/// A schema of string arguments.
pub fn strings(names: &[&str]) -> JsonObject {
    let properties = names
        .iter()
        .map(|&name| (name.to_owned(), json!({ "type": "string" })))
        .collect::<JsonObject>();
    object(json!({ "type": "object", "properties": properties, "required": names }))
}

pub fn object(value: Value) -> JsonObject {
    if let Value::Object(object) = value {
        object
    } else {
        JsonObject::new()
    }
}

pub fn argument(conversation: &Conversation, name: &str) -> Result<Value, ErrorData> {
    let arguments = conversation.request.arguments.as_ref();
    let found = arguments.and_then(|arguments| arguments.get(name)).cloned();
    found.ok_or_else(|| ErrorData::invalid_params(format!("{name} is missing"), None))
}

pub fn capabilities(conversation: &Conversation) -> ClientCapabilities {
    conversation
        .context
        .client_capabilities()
        .unwrap_or_default()
}

/// A form that asks for one field.
pub fn form(message: &str, field: &str, kind: &str) -> Result<InputRequest, ErrorData> {
    wire(
        json!({ "method": "elicitation/create", "params": { "mode": "form", "message": message, "requestedSchema": {
        "type": "object", "properties": { field: { "type": kind } }, "required": [field],
    } } }),
    )
}

/// Adds a tool whose name the suite fixes.
pub fn fixture<F, Fut>(
    tools: Tools,
    name: &'static str,
    schema: JsonObject,
    work: F,
) -> anyhow::Result<Tools>
where
    F: Fn(Call, Arc<Conversation>) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    tools.with(Tool::conversational(
        name,
        "A fixture of the conformance suite.",
        schema,
        work,
    ))
}

/// Work that needs what the tools share.
pub fn sharing<F, Fut>(
    shared: &Arc<Shared>,
    work: F,
) -> impl Fn(Call, Arc<Conversation>) -> Fut + Send + Sync + Clone + 'static
where
    F: Fn(Arc<Shared>, Arc<Conversation>) -> Fut + Send + Sync + Clone + 'static,
{
    let shared = Arc::clone(shared);
    move |_, talk| work(Arc::clone(&shared), talk)
}
