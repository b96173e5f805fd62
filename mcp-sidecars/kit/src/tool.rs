//! A tool, defined once and reachable on every road.

use std::{any::TypeId, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use rmcp::model::{CallToolResponse, ErrorData, JsonObject, Tool as McpTool, ToolAnnotations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use validator::Validate;

use crate::{
    arguments::read,
    auth::{SCOPE_READ, SCOPE_WRITE},
    call::{Call, Conversation},
    content::{Download, InlineDownload},
    error::{Failure, ToolError},
    schema,
};

/// Arguments of a tool that takes none.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NoArguments {}

/// What a tool gave back.
#[derive(Debug)]
pub(crate) enum Answer {
    Value(Value),
    Mcp(Box<CallToolResponse>),
    Content(Box<Download>),
}

pub(crate) type Running = BoxFuture<'static, Result<Answer, Failure>>;
type Handler = dyn Fn(Call, JsonObject) -> Result<Running, ToolError> + Send + Sync;

/// A tool with its schemas, its hints and its work.
#[derive(Clone)]
pub struct Tool {
    pub(crate) definition: McpTool,
    pub(crate) scope: &'static str,
    pub(crate) timeout: Option<Duration>,
    pub(crate) is_typed: bool,
    /// Largest content that it takes, in bytes; none without it.
    pub(crate) content_limit: Option<u64>,
    pub(crate) gives_content: bool,
    handler: Arc<Handler>,
}

impl Tool {
    /// A tool from typed arguments to a typed result.
    ///
    /// `A` must be `#[serde(deny_unknown_fields)]` ([`Tools::with`](crate::Tools::with) refuses it else); its schema is
    /// shown to callers and its `validator` rules are enforced. Until told otherwise ([`read_only`](Self::read_only)
    /// and the others) it writes, may destroy, is not idempotent, touches the outside world and needs the scope `write`.
    pub fn new<A, O, F, Fut>(name: &'static str, description: &'static str, work: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Validate + Send + 'static,
        O: Serialize + JsonSchema + 'static,
        F: Fn(Call, A) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<O, ToolError>> + Send + 'static,
    {
        let handler = move |call: Call, arguments: JsonObject| -> Result<Running, ToolError> {
            let arguments = read::<A>(arguments)?;
            let work = work.clone();
            Ok(Box::pin(async move {
                let output = work(call, arguments).await?;
                let value = serde_json::to_value(&output).map_err(ToolError::internal)?;
                Ok(Answer::Value(value))
            }))
        };
        let mut tool =
            Self::with_handler(name, description, schema::input::<A>(), Arc::new(handler));
        if TypeId::of::<O>() != TypeId::of::<Value>() {
            tool.definition.output_schema = Some(Arc::new(schema::output::<O>()));
        }
        tool.is_typed = true;
        tool
    }

    /// A tool that gives bytes, and changes nothing: by `GET /mcp/tools/{tool}/content` as a stream, for as long as the
    /// call's deadline allows; elsewhere as base64 in JSON, up to 256 KiB.
    pub fn download<A, F, Fut>(name: &'static str, description: &'static str, work: F) -> Self
    where
        A: DeserializeOwned + JsonSchema + Validate + Send + 'static,
        F: Fn(Call, A) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<Download, ToolError>> + Send + 'static,
    {
        let handler = move |call: Call, arguments: JsonObject| -> Result<Running, ToolError> {
            let arguments = read::<A>(arguments)?;
            let work = work.clone();
            let wants_stream = call.wants_stream;
            Ok(Box::pin(async move {
                let download = work(call, arguments).await?;
                if wants_stream {
                    return Ok(Answer::Content(Box::new(download)));
                }
                let inline = download.inline().await?;
                let value = serde_json::to_value(&inline).map_err(ToolError::internal)?;
                Ok(Answer::Value(value))
            }))
        };
        let mut tool =
            Self::with_handler(name, description, schema::input::<A>(), Arc::new(handler));
        tool.definition.output_schema = Some(Arc::new(schema::output::<InlineDownload>()));
        tool.is_typed = true;
        tool.gives_content = true;
        tool.with_meta("gives", json!(true)).read_only()
    }

    /// It takes [`Call::content`] of at most so many bytes, by `POST /mcp/tools/{tool}/content`. On the other roads the
    /// call has none: let small content be an argument, too.
    #[must_use]
    pub fn takes_content(mut self, limit: u64) -> Self {
        self.content_limit = Some(limit);
        self.with_meta("takes_bytes", json!(limit))
    }

    /// A tool that talks with the MCP client: it sees the raw request and may answer with input requests, tasks or
    /// JSON-RPC errors. `input_schema` is shown as it is and checked by the tool alone. The HTTP wrapper refuses it.
    pub fn conversational<F, Fut>(
        name: &'static str,
        description: &'static str,
        input_schema: JsonObject,
        work: F,
    ) -> Self
    where
        F: Fn(Call, Arc<Conversation>) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<CallToolResponse, ErrorData>> + Send + 'static,
    {
        let handler = move |call: Call, _: JsonObject| -> Result<Running, ToolError> {
            let work = work.clone();
            Ok(Box::pin(async move {
                let conversation = call.mcp.clone().ok_or(Failure::NeedsMcp)?;
                let response = work(call, conversation).await.map_err(Failure::Protocol)?;
                Ok(Answer::Mcp(Box::new(response)))
            }))
        };
        Self::with_handler(name, description, input_schema, Arc::new(handler))
    }

    /// It changes nothing: safe to call again, and the scope `read` is enough.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.scope = SCOPE_READ;
        self.annotate(|hints| hints.read_only(true).destructive(false).idempotent(true))
    }

    /// It only adds, never changes or removes.
    #[must_use]
    pub fn additive(self) -> Self {
        self.annotate(|hints| hints.destructive(false))
    }

    /// The same call again has no further effect.
    #[must_use]
    pub fn idempotent(self) -> Self {
        self.annotate(|hints| hints.idempotent(true))
    }

    /// It touches nothing outside our own systems.
    #[must_use]
    pub fn closed_world(self) -> Self {
        self.annotate(|hints| hints.open_world(false))
    }

    /// The scope that a caller's token needs, instead of `read` or `write`.
    #[must_use]
    pub fn scope(mut self, scope: &'static str) -> Self {
        self.scope = scope;
        self
    }

    /// Longest time for one call, instead of the setting's.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// As MCP shows it in `tools/list`.
    pub fn definition(&self) -> &McpTool {
        &self.definition
    }

    /// Checks the arguments and returns the work, not begun.
    pub(crate) fn prepare(&self, call: Call, arguments: JsonObject) -> Result<Running, ToolError> {
        (self.handler)(call, arguments)
    }

    /// Whether the tool takes an argument of that name.
    pub(crate) fn takes(&self, argument: &str) -> bool {
        let properties = self.definition.input_schema.get("properties");
        properties.is_some_and(|properties| properties.get(argument).is_some())
    }

    fn with_handler(
        name: &'static str,
        description: &'static str,
        schema: JsonObject,
        handler: Arc<Handler>,
    ) -> Self {
        let hints = ToolAnnotations::new()
            .read_only(false)
            .destructive(true)
            .idempotent(false)
            .open_world(true);
        let definition = McpTool::new(name, description, schema).with_annotations(hints);
        Self {
            definition,
            scope: SCOPE_WRITE,
            timeout: None,
            is_typed: false,
            content_limit: None,
            gives_content: false,
            handler,
        }
    }

    /// Tells callers of the HTTP wrapper, which shows definitions as they are.
    fn with_meta(mut self, name: &str, value: Value) -> Self {
        let meta = self.definition.meta.get_or_insert_default();
        meta.0.insert(format!("eventplanner/content.{name}"), value);
        self
    }

    fn annotate(mut self, change: impl FnOnce(ToolAnnotations) -> ToolAnnotations) -> Self {
        let hints = self.definition.annotations.take().unwrap_or_default();
        self.definition.annotations = Some(change(hints));
        self
    }
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tool")
            .field("name", &self.definition.name)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
