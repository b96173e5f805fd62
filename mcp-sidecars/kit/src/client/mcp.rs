//! The roads over MCP: one connection, opened when needed, behind the same gate as every provider.

use std::sync::Arc;

use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, MetaObject, PaginatedRequestParams,
    RequestMetaObject, ServerResult, Tool as ToolDefinition,
};
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(super) use super::connection::Link;
use super::{
    connection::{Connection, Trouble},
    headers::CallHeaders,
    outcome,
    request::Request,
};
use crate::{
    error::ToolError,
    meta,
    provider::{Attempt, Gate, Repeat},
};

/// A server that lists more has lost its way.
const MOST_TOOLS: usize = 1_000;
const MOST_PAGES: usize = 50;

/// A server reached over MCP.
pub(super) struct Mcp {
    shared: Arc<Shared>,
    /// Ends what is still connecting.
    _ends: DropGuard,
}

struct Shared {
    gate: Gate,
    link: Link,
    slot: Mutex<Option<Arc<Connection>>>,
    stop: CancellationToken,
}

impl Mcp {
    pub(super) fn new(gate: Gate, link: Link) -> Self {
        let stop = CancellationToken::new();
        let ends = stop.clone().drop_guard();
        let shared = Arc::new(Shared {
            gate,
            link,
            slot: Mutex::new(None),
            stop,
        });
        Self {
            shared,
            _ends: ends,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.shared.gate.name
    }

    pub(super) async fn list_tools(
        &self,
        deadline: Instant,
    ) -> Result<Vec<ToolDefinition>, ToolError> {
        let shared = &self.shared;
        shared
            .gate
            .pass(deadline, Repeat::Freely, || shared.attempt(all_tools))
            .await
    }

    pub(super) async fn call(&self, request: &Request) -> Result<Value, ToolError> {
        let shared = &self.shared;
        let name = shared.gate.name;
        let attempt = || {
            shared.attempt(async move |connection: Arc<Connection>| {
                let message = message(request, &shared.link);
                let answer = connection.ask(message).await;
                answer.map_err(|error| Trouble::of_request(&error))
            })
        };
        let result = shared
            .gate
            .pass(
                request.deadline,
                Repeat::freely_if(request.is_repeatable()),
                attempt,
            )
            .await;
        if shared.gate.is_shut() {
            shared.replace_process();
        }
        let ServerResult::CallToolResult(result) = result? else {
            let message = "the tool asks back, which this client cannot answer";
            return Err(ToolError::refused(message));
        };
        let value = outcome::of_result(name, result)?;
        if value.to_string().len() > shared.gate.policy.response_limit {
            return Err(shared.gate.too_large());
        }
        if let Link::Stdio(starter) = &shared.link {
            starter.has_worked();
        }
        Ok(value)
    }
}

impl Shared {
    /// One attempt on the connection there is, or a new one.
    async fn attempt<T>(
        self: &Arc<Self>,
        work: impl AsyncFnOnce(Arc<Connection>) -> Result<T, Trouble>,
    ) -> Attempt<T> {
        let done = match self.connection().await {
            Ok(connection) => {
                let done = work(Arc::clone(&connection)).await;
                if done.as_ref().is_err_and(Trouble::is_lost) {
                    connection.retire();
                }
                done
            }
            Err(trouble) => Err(trouble),
        };
        match done {
            Ok(answer) => Attempt::Done(answer, "ok"),
            Err(trouble) => trouble.into_attempt(self.gate.name, self.gate.too_large()),
        }
    }

    /// Connecting goes on when the caller's deadline ends: the next call finds it done.
    async fn connection(self: &Arc<Self>) -> Result<Arc<Connection>, Trouble> {
        if let Ok(slot) = self.slot.try_lock()
            && let Some(connection) = slot.as_ref().filter(|there| there.is_usable())
        {
            return Ok(Arc::clone(connection));
        }
        let shared = Arc::clone(self);
        let opening = tokio::spawn(async move {
            let mut slot = shared.slot.lock().await;
            if let Some(connection) = slot.as_ref().filter(|there| there.is_usable()) {
                return Ok(Arc::clone(connection));
            }
            *slot = None;
            let limit = shared.gate.policy.response_limit;
            let opening = Connection::open(shared.gate.name, &shared.link, limit);
            let patience = shared.gate.policy.attempt_timeout;
            let opened = tokio::select! {
                opened = tokio::time::timeout(patience, opening) => opened,
                () = shared.stop.cancelled() => return Err(Trouble::stopped()),
            };
            let connection = Arc::new(opened.unwrap_or_else(|_| Err(Trouble::late()))?);
            *slot = Some(Arc::clone(&connection));
            Ok(connection)
        });
        opening.await.unwrap_or_else(|_| Err(Trouble::stopped()))
    }

    /// Ends a process that has stopped answering: the next attempt gets another.
    fn replace_process(&self) {
        if let (Link::Stdio(_), Ok(slot)) = (&self.link, self.slot.try_lock())
            && let Some(connection) = slot.as_ref()
        {
            connection.close();
        }
    }
}

/// Every page of the list.
async fn all_tools(connection: Arc<Connection>) -> Result<Vec<ToolDefinition>, Trouble> {
    let mut tools = Vec::new();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let params = PaginatedRequestParams::default().with_cursor(cursor);
        let page = connection.peer().list_tools(Some(params)).await;
        let page = page.map_err(|error| Trouble::of_request(&error))?;
        tools.extend(page.tools);
        cursor = page.next_cursor;
        if cursor.is_none() || tools.len() >= MOST_TOOLS {
            break;
        }
    }
    tools.truncate(MOST_TOOLS);
    Ok(tools)
}

/// The request for one call: who and under which id in headers, or in `_meta` where there are none.
fn message(request: &Request, link: &Link) -> ClientRequest {
    let mut extra = meta::with_timeout(request.timeout_ms());
    let mut headers = CallHeaders::default();
    for (name, value) in request.headers() {
        match link {
            Link::Http { .. } => {
                if let Ok(value) = HeaderValue::from_str(value) {
                    headers.0.insert(HeaderName::from_static(name), value);
                }
            }
            Link::Stdio(_) => meta::insert(&mut extra, name, value),
        }
    }
    let mut params = CallToolRequestParams::new(request.tool.clone());
    params.arguments = Some(request.arguments());
    params.meta = Some(RequestMetaObject(MetaObject(extra)));
    let mut call = CallToolRequest::new(params);
    call.extensions.insert(headers);
    ClientRequest::CallToolRequest(call)
}
