//! One call of a remote tool.

use std::{sync::Arc, time::Duration};

use rmcp::model::JsonObject;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::{auth::Account, error::ToolError};

/// A server that lives answers a late call itself; so much sooner than our own deadline it is asked to.
const LONGEST_MARGIN: Duration = Duration::from_millis(100);

/// What is asked of a tool, for whom, and until when.
#[derive(Debug, Clone)]
pub struct Request {
    pub tool: String,
    pub arguments: JsonObject,
    /// When the answer is due.
    pub deadline: Instant,
    /// `X-Request-Id`: under which the server's log has this call.
    pub request_id: Option<Arc<str>>,
    /// W3C Trace Context.
    pub traceparent: Option<Arc<str>>,
    /// `On-Behalf-Of`: `<organization id>/<member id>`.
    pub on_behalf_of: Option<Arc<str>>,
    /// With this key the tool does it once, however often it is asked; becomes the argument `idempotency_key`.
    pub idempotency_key: Option<String>,
    /// The provider account to act with, where the sidecar has no credentials of its own. It goes over a sidecar's
    /// HTTP wrapper only: no other server is to see it.
    pub account: Option<Account>,
    /// The tool changes nothing, so that it may be asked again.
    pub is_read_only: bool,
}

impl Request {
    /// A call of `tool` that is not repeated unless it is [`read_only`](Self::read_only) or has a key.
    ///
    /// # Errors
    /// INTERNAL if the arguments have no JSON form, or are no object.
    pub fn new(
        tool: impl Into<String>,
        arguments: &impl Serialize,
        deadline: Instant,
    ) -> Result<Self, ToolError> {
        let value = serde_json::to_value(arguments).map_err(ToolError::internal)?;
        let Value::Object(arguments) = value else {
            let cause = anyhow::anyhow!("arguments must be an object");
            return Err(ToolError::internal(cause));
        };
        Ok(Self {
            tool: tool.into(),
            arguments,
            deadline,
            request_id: None,
            traceparent: None,
            on_behalf_of: None,
            idempotency_key: None,
            account: None,
            is_read_only: false,
        })
    }

    /// The tool changes nothing.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.is_read_only = true;
        self
    }

    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    pub(super) fn is_repeatable(&self) -> bool {
        self.is_read_only || self.idempotency_key.is_some()
    }

    /// The arguments with the key among them: a tool that takes none says so, rather than do it twice.
    pub(super) fn arguments(&self) -> JsonObject {
        let mut arguments = self.arguments.clone();
        if let Some(key) = &self.idempotency_key {
            arguments.insert("idempotency_key".to_owned(), key.clone().into());
        }
        arguments
    }

    /// Milliseconds that the server has.
    pub(super) fn timeout_ms(&self) -> u64 {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let given = left.saturating_sub((left / 10).min(LONGEST_MARGIN));
        u64::try_from(given.as_millis()).map_or(3_600_000, |given| given.clamp(1, 3_600_000))
    }

    /// Headers that the request needs on every road over HTTP.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let given = [
            (crate::meta::REQUEST_ID, self.request_id.as_deref()),
            (crate::meta::TRACEPARENT, self.traceparent.as_deref()),
            (crate::meta::ON_BEHALF_OF, self.on_behalf_of.as_deref()),
        ];
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }
}
