//! An answer that is read piece by piece.

use bytes::Bytes;
use futures_util::{Stream, stream};
use reqwest::{StatusCode, header::HeaderMap};
use tokio::time::Instant;

use super::{
    Provider, Reply,
    attempt::outcome_of,
    gate::{CUT_OFF, Passage},
};
use crate::error::ToolError;

/// An answer whose body is still on its way. It keeps its place among the requests under way until it is dropped.
pub struct Incoming {
    pub status: StatusCode,
    pub headers: HeaderMap,
    response: reqwest::Response,
    provider: Provider,
    passage: Option<Passage>,
    deadline: Instant,
    left: u64,
}

impl Incoming {
    pub(super) fn new(
        provider: Provider,
        passage: Passage,
        response: reqwest::Response,
        deadline: Instant,
    ) -> Self {
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            response,
            provider,
            passage: Some(passage),
            deadline,
            left: u64::MAX,
        }
    }

    /// Takes at most so many bytes; more is REFUSED.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.left = bytes;
        self
    }

    /// The next piece, or nothing at the end.
    ///
    /// # Errors
    /// UNAVAILABLE when the connection is lost or nothing comes for an attempt's time, TIMEOUT at the call's deadline,
    /// REFUSED over the limit.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ToolError> {
        let inner = &*self.provider.0;
        let idle = Instant::now() + inner.gate.policy.attempt_timeout;
        let due = idle.min(self.deadline);
        let (error, outcome) = match tokio::time::timeout_at(due, self.response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                if let Some(left) = self.left.checked_sub(length) {
                    self.left = left;
                    return Ok(Some(chunk));
                }
                (inner.gate.too_large(), "too_large")
            }
            Ok(Ok(None)) => {
                self.end(outcome_of(self.status));
                return Ok(None);
            }
            Ok(Err(error)) => {
                let is_late = error.is_timeout();
                let error = inner.away().with_cause(inner.cause(error));
                (error, if is_late { "timeout" } else { "lost" })
            }
            Err(_) if due == self.deadline => (ToolError::timeout(), CUT_OFF),
            Err(_) => (inner.away(), "timeout"),
        };
        self.end(outcome);
        Err(error)
    }

    /// Reads the rest, as long as it is within the policy's limit: for an error body.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    pub async fn whole(self) -> Result<Reply, ToolError> {
        let limit = self.provider.0.gate.policy.response_limit;
        let mut limited = self.limit(u64::try_from(limit).unwrap_or(u64::MAX));
        let mut body = Vec::new();
        while let Some(chunk) = limited.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        let (status, headers) = (limited.status, std::mem::take(&mut limited.headers));
        Ok(Reply {
            provider: limited.provider.0.gate.name,
            status,
            headers,
            body,
        })
    }

    /// The pieces; the stream ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, ToolError>> + Send + 'static {
        stream::unfold(Some(self), |incoming| async {
            let mut incoming = incoming?;
            match incoming.chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(incoming))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    fn end(&mut self, outcome: &str) {
        if let Some(passage) = self.passage.take() {
            let is_healthy = !matches!(outcome, "lost" | "timeout" | CUT_OFF);
            let said = (outcome != "abandoned").then_some(is_healthy);
            self.provider.0.gate.arrived(&passage, outcome, said);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.end("abandoned");
    }
}
