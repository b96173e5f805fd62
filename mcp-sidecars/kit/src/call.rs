//! What a tool learns about the call it answers.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use rmcp::{
    RoleServer,
    model::{CallToolRequestParams, ProgressNotificationParam},
    service::RequestContext,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{Account, Caller},
    content::Content,
};

/// The way a call came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Road {
    /// `POST /mcp`.
    Mcp,
    /// `POST /mcp/tools/{tool}`.
    Http,
    /// Standard input and output.
    Stdio,
}

impl Road {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Http => "http",
            Self::Stdio => "stdio",
        }
    }
}

/// One call of one tool. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Call {
    pub caller: Arc<Caller>,
    /// The provider account to act with; without one, the sidecar's own credentials.
    pub account: Option<Account>,
    pub road: Road,
    /// The caller's `X-Request-Id`, or one made here.
    pub request_id: Arc<str>,
    /// W3C Trace Context, to be passed on upstream.
    pub traceparent: Option<Arc<str>>,
    /// When the answer is due; the guard ends the call then.
    pub deadline: Instant,
    /// Bytes that came with the call, for a tool that [takes content](crate::Tool::takes_content).
    pub content: Option<Content>,
    /// One range of bytes (`Range` of RFC 9110) that the caller asks of a [download](crate::Tool::download).
    pub range: Option<Arc<str>>,
    /// Cancelled when the caller goes away or the process drains.
    pub cancelled: CancellationToken,
    pub(crate) wants_stream: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) mcp: Option<Arc<Conversation>>,
    /// Told by the guard, so that the answer over HTTP can ask for it on every road.
    pub(crate) missing_scope: MissingScope,
}

/// The scope that the caller turned out to lack.
pub(crate) type MissingScope = Arc<OnceLock<&'static str>>;

/// What only an MCP client brings: the raw request and the way back to the client.
#[derive(Debug)]
pub struct Conversation {
    pub request: CallToolRequestParams,
    pub context: RequestContext<RoleServer>,
}

impl Call {
    /// A call of `caller` without an MCP client behind it.
    pub fn new(caller: Arc<Caller>, road: Road, request_id: impl Into<Arc<str>>) -> Self {
        Self {
            caller,
            account: None,
            road,
            request_id: request_id.into(),
            traceparent: None,
            deadline: Instant::now(),
            content: None,
            range: None,
            cancelled: CancellationToken::new(),
            wants_stream: false,
            timeout: None,
            mcp: None,
            missing_scope: MissingScope::default(),
        }
    }

    /// Asks for an earlier end than the tool's own; a later one is cut to it.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// The organization for which the caller acts: the part of `On-Behalf-Of` before `/`. What is kept under an idempotency
    /// key is kept for each organization and [account](Self::account) on its own.
    pub fn organization(&self) -> Option<&str> {
        self.caller.on_behalf_of.as_deref()?.split('/').next()
    }

    /// Time left until the deadline.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Tells an MCP client that asked for it how far the work is; elsewhere it does nothing.
    pub async fn progress(&self, done: f64, total: f64, message: &str) {
        let Some(conversation) = &self.mcp else {
            return;
        };
        let Some(token) = conversation.context.meta.get_progress_token() else {
            return;
        };
        let mut progress = ProgressNotificationParam::new(token, done).with_total(total);
        progress.message = (!message.is_empty()).then(|| message.to_owned());
        if let Err(error) = conversation.context.peer.notify_progress(progress).await {
            tracing::debug!(%error, "progress not delivered");
        }
    }
}
