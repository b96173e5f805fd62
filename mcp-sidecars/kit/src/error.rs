//! What a tool answers when it did not do what was asked.

use std::{borrow::Cow, time::Duration};

use rmcp::model::ErrorData;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Why a tool did not do what was asked. A code exists only where a caller acts differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// The arguments do not hold: change them.
    Invalid,
    /// Understood, but not done; asking again changes nothing.
    Refused,
    /// What the arguments name does not exist.
    NotFound,
    /// Too many calls: wait.
    RateLimited,
    /// The provider is away or we are full: try again.
    Unavailable,
    /// It took longer than the call's deadline; what happened is unknown.
    Timeout,
    /// A defect; the cause is in the log, under the request id.
    Internal,
}

impl Code {
    /// As it stands in answers, e.g. `NOT_FOUND`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::Refused => "REFUSED",
            Self::NotFound => "NOT_FOUND",
            Self::RateLimited => "RATE_LIMITED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Timeout => "TIMEOUT",
            Self::Internal => "INTERNAL",
        }
    }
}

/// The error of a tool: words for the caller, and a cause that only the log sees.
#[derive(Debug)]
pub struct ToolError {
    pub code: Code,
    /// For the caller; the guard redacts and shortens it.
    pub message: Cow<'static, str>,
    /// How long the caller should wait before it tries again.
    pub retry_after: Option<Duration>,
    /// More for the caller to act on, such as the fields that do not hold.
    pub details: Option<Value>,
    /// Surely nothing was changed at the provider, so that even a request without a key may be made again.
    pub is_undone: bool,
    /// For the log only.
    pub cause: Option<anyhow::Error>,
}

impl ToolError {
    /// The arguments do not hold.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Invalid, message)
    }

    /// One argument does not hold; `pointer` is a JSON pointer (RFC 6901) like `/amount`.
    pub fn field(pointer: &str, code: &str, detail: &str) -> Self {
        Self::invalid(format!("{pointer}: {detail}"))
            .with_details(json!({ "errors": [{ "pointer": format!("#{pointer}"), "code": code, "detail": detail }] }))
    }

    /// Understood, but not done.
    pub fn refused(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Refused, message)
    }

    /// What the arguments name does not exist.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// Too many calls; the next is taken after `retry_after`.
    pub fn rate_limited(retry_after: Duration) -> Self {
        let mut error = Self::new(Code::RateLimited, "too many calls; wait before the next");
        error.retry_after = Some(retry_after);
        error
    }

    /// Something that the tool needs is away, or we are full.
    pub fn unavailable(message: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        let mut error = Self::new(Code::Unavailable, message);
        error.retry_after = Some(retry_after);
        error
    }

    /// The deadline has passed.
    pub fn timeout() -> Self {
        Self::new(
            Code::Timeout,
            "not finished in time; if it was to change something, look before trying again",
        )
    }

    /// A defect; the caller learns nothing but that.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        let message = "something went wrong here; the log has the cause under this request id";
        Self::new(Code::Internal, message).with_cause(cause)
    }

    /// Adds what only the log sees.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds what the caller can act on; an object.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Says whether surely nothing was changed at the provider.
    #[must_use]
    pub fn undone(mut self, is_undone: bool) -> Self {
        self.is_undone = is_undone;
        self
    }

    /// Seconds for `Retry-After` (RFC 9110), rounded up, at least 1.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let wait = self.retry_after?;
        Some((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
    }

    fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
            details: None,
            is_undone: false,
            cause: None,
        }
    }
}

impl From<anyhow::Error> for ToolError {
    fn from(cause: anyhow::Error) -> Self {
        Self::internal(cause)
    }
}

/// Why the guard did not let a call end well.
#[derive(Debug)]
pub enum Failure {
    /// There is no tool of that name.
    UnknownTool,
    /// The caller's token lacks the scope that the tool needs.
    Forbidden { scope: &'static str },
    /// The tool can only be called by an MCP client, because it asks back.
    NeedsMcp,
    /// Nobody waits for the answer any more.
    Abandoned,
    /// The tool's own error, or the guard's in its place.
    Tool(ToolError),
    /// A JSON-RPC error that a conversational tool chose.
    Protocol(ErrorData),
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Self {
        Self::Tool(error)
    }
}
