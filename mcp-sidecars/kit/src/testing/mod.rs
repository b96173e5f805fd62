//! Helpers for a sidecar's tests: its tools behind the guard, without a socket.

mod schema;

pub use schema::faults;

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use clap::Parser;
use futures_util::stream;
use rmcp::ServerHandler;
use serde_json::{Value, json};

use crate::{
    auth::{Account, Caller},
    call::{Call, Road},
    content::Content,
    error::{Failure, ToolError},
    guard::{SharedGuard, Success},
    settings::{Cli, NoSettings, Settings},
    sidecar::Sidecar,
    tool::Tool,
};

/// Calls a sidecar's tools in memory, through the whole guard.
pub struct Client {
    guard: SharedGuard,
    caller: Arc<Caller>,
    account: Option<Account>,
}

impl Client {
    /// A caller who may do everything.
    ///
    /// # Errors
    /// As [`Sidecar::build`].
    pub fn new<E: ServerHandler>(sidecar: Sidecar<E>) -> anyhow::Result<Self> {
        Ok(Self {
            guard: sidecar.build(&settings(&[])?)?.guard,
            caller: Arc::new(Caller::local()),
            account: None,
        })
    }

    /// The same sidecar, called by somebody else.
    #[must_use]
    pub fn as_caller(&self, caller: Caller) -> Self {
        Self {
            guard: Arc::clone(&self.guard),
            caller: Arc::new(caller),
            account: self.account.clone(),
        }
    }

    /// The same caller, acting with somebody's provider account.
    #[must_use]
    pub fn with_account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    /// The same with content beside the arguments, as `POST /mcp/tools/{tool}/content` brings it, in one piece.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_with_content(
        &self,
        tool: &str,
        arguments: Value,
        media_type: &str,
        content: Vec<u8>,
    ) -> Result<Value, Failure> {
        let limit = self.guard.registry.get(tool);
        let limit = limit.and_then(|tool| tool.content_limit).unwrap_or(0);
        let length = u64::try_from(content.len()).ok();
        let body = stream::iter([anyhow::Ok(content.into())]);
        let content = Content::new(media_type, length, body, limit, Duration::from_secs(1));
        self.run(tool, arguments, Some(content)).await
    }

    /// The tool's result, which is held against the schema that the tool shows.
    ///
    /// # Errors
    /// As the guard says; arguments that are no object are INVALID, and a result that does not fit is INTERNAL.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Value, Failure> {
        self.run(tool, arguments, None).await
    }

    async fn run(
        &self,
        tool: &str,
        arguments: Value,
        content: Option<Content>,
    ) -> Result<Value, Failure> {
        let Value::Object(arguments) = arguments else {
            return Err(ToolError::invalid("the arguments must be an object").into());
        };
        let mut call = Call::new(Arc::clone(&self.caller), Road::Stdio, "test");
        call.account.clone_from(&self.account);
        call.content = content;
        match self.guard.call(tool, call, arguments).await? {
            Success::Value(value, _) => self.fitting(tool, value),
            Success::Mcp(_) | Success::Content(_) => Err(Failure::NeedsMcp),
        }
    }

    fn fitting(&self, tool: &str, value: Value) -> Result<Value, Failure> {
        let tool = self.guard.registry.get(tool);
        let schema = tool.and_then(|tool| tool.definition().output_schema.as_deref().cloned());
        let faults = schema.map_or_else(Vec::new, |schema| faults(&Value::Object(schema), &value));
        if faults.is_empty() {
            return Ok(value);
        }
        let cause = anyhow!("the result does not fit its schema: {}", faults.join("; "));
        Err(ToolError::internal(cause).into())
    }

    /// The list of tools as MCP shows it, pretty: to be compared with a committed file.
    pub fn tool_list(&self) -> String {
        let tools: Vec<_> = self
            .guard
            .registry
            .tools
            .iter()
            .map(Tool::definition)
            .collect();
        format!("{:#}\n", json!({ "tools": tools }))
    }
}

/// Settings for tests: no token on loopback, any port, and these arguments.
///
/// # Errors
/// Arguments that clap does not take.
pub fn settings(arguments: &[&str]) -> anyhow::Result<Settings> {
    let fixed = [
        "test",
        "--allow-loopback-without-token",
        "--listen-addr=127.0.0.1:0",
        "--metrics-addr=127.0.0.1:0",
    ];
    Ok(Cli::<NoSettings>::try_parse_from(fixed.iter().chain(arguments))?.kit)
}
