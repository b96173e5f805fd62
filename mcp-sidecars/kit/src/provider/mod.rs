//! The one way to a provider: deadline → bulkhead → breaker → attempt → classify → wait and try again, or not.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow, ensure};
use reqwest::{StatusCode, Url, header, redirect};
use tokio::time::Instant;

mod breaker;
mod gate;
mod outgoing;
mod retry;

pub(crate) use gate::{Attempt, Gate, Setback};
pub use outgoing::{Outgoing, Reply};
pub(crate) use retry::jittered;

use crate::{call::Call, error::ToolError, metrics::Metrics, redact::Redactor};

/// How a provider is treated.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Longest time for one attempt.
    pub attempt_timeout: Duration,
    /// Attempts for one request, the first included.
    pub attempts: u32,
    /// Requests under way at once; more wait for a quarter of a second, then fail.
    pub at_once: usize,
    /// Largest answer, in bytes after decompression.
    pub response_limit: usize,
    /// Failures in a row after which the provider is left alone.
    pub failures: u32,
    /// For how long; then one request tries.
    pub pause: Duration,
    /// An attempt that a call's deadline cut off sooner than this says nothing of the provider.
    pub patience: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(10),
            attempts: 3,
            at_once: 16,
            response_limit: 4 * 1024 * 1024,
            failures: 5,
            pause: Duration::from_secs(10),
            patience: Duration::from_millis(500),
        }
    }
}

/// A `Retry-After` beyond a day is taken for a day.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A client for one provider. Cheap to clone; clones share limits and breaker.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    base_url: Url,
    http: reqwest::Client,
    gate: Gate,
    redactor: Redactor,
}

impl Provider {
    /// A client for the provider at `base_url`, which comes from the settings, never from a caller. Redirects are not
    /// followed and no proxy is taken from the environment.
    ///
    /// # Errors
    /// An address that is not `http` or `https`.
    pub fn new(
        name: &'static str,
        base_url: &str,
        policy: Policy,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let base_url = checked_url(name, base_url)?;
        let http = http_client(policy.attempt_timeout)?;
        Ok(Self(Arc::new(Inner {
            base_url,
            http,
            gate: Gate::new(name, policy, metrics),
            redactor: Redactor::default(),
        })))
    }

    /// Sends until an answer comes, the call's deadline is near or another attempt is of no use. Any status but 408,
    /// 429 and 5xx is an answer.
    ///
    /// # Errors
    /// `RATE_LIMITED` with the provider's `Retry-After`; `UNAVAILABLE` when it is away, fails or is left alone;
    /// `TIMEOUT` at the deadline; `REFUSED` for an answer over the limit; `INVALID` for an id that
    /// is no path segment. Each says whether the request was surely not
    /// carried out.
    pub async fn send(&self, call: &Call, request: Outgoing) -> Result<Reply, ToolError> {
        self.send_by(call.deadline, request).await
    }

    /// As [`send`](Self::send), where there is a deadline but no call of a tool.
    pub(crate) async fn send_by(
        &self,
        deadline: Instant,
        request: Outgoing,
    ) -> Result<Reply, ToolError> {
        let inner = &*self.0;
        if !request.stays_in_place() {
            let message = "an id must not be empty, . or .., nor hold control characters";
            return Err(ToolError::invalid(message).undone(true));
        }
        inner
            .gate
            .pass(deadline, request.is_repeatable(), || {
                inner.exchange(&request)
            })
            .await
    }
}

/// An address from the settings.
pub(crate) fn checked_url(name: &str, url: &str) -> anyhow::Result<Url> {
    let url: Url = url
        .parse()
        .with_context(|| format!("the base URL of {name}"))?;
    let is_plain = matches!(url.scheme(), "http" | "https") && !url.cannot_be_a_base();
    ensure!(is_plain, "the base URL of {name} must be http or https");
    Ok(url)
}

/// The one kind of HTTP client: no redirects, no proxy from the environment, rustls with ring.
pub(crate) fn http_client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .user_agent(concat!("event-planner/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Seconds of a `Retry-After` header.
pub(crate) fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

impl Inner {
    async fn exchange(&self, request: &Outgoing) -> Attempt<Reply> {
        let response = match request.build(&self.http, &self.base_url).send().await {
            Ok(response) => response,
            Err(error) => return self.lost(error),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        if !request.takes(&headers)
            && let Some(setback) = self.failure(status, retry_after(&headers))
        {
            return Attempt::Again(setback);
        }
        match self.read(response).await {
            Ok(Some(body)) => Attempt::Done(
                Reply {
                    status,
                    headers,
                    body,
                },
                if status.is_success() { "ok" } else { "refused" },
            ),
            Ok(None) => Attempt::Never(self.gate.too_large(), "too_large"),
            Err(error) => self.lost(error),
        }
    }

    /// What a status says by itself, if that is no answer.
    fn failure(&self, status: StatusCode, wait: Option<Duration>) -> Option<Setback> {
        let name = self.gate.name;
        let shown_wait = wait.unwrap_or(Duration::from_secs(1));
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Some(Setback {
                error: ToolError::rate_limited(shown_wait),
                is_safe: true,
                wait: Some(shown_wait),
                outcome: "rate_limited",
            });
        }
        if !status.is_server_error() && status != StatusCode::REQUEST_TIMEOUT {
            return None;
        }
        let message = format!("{name} answered {}", status.as_u16());
        Some(Setback {
            error: ToolError::unavailable(message, shown_wait)
                .with_cause(anyhow!("{name} {status}")),
            is_safe: false,
            wait,
            outcome: "failed",
        })
    }

    /// The body, or nothing when it is over the limit: reading stops there.
    async fn read(
        &self,
        mut response: reqwest::Response,
    ) -> Result<Option<Vec<u8>>, reqwest::Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.gate.policy.response_limit {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }

    /// No answer, or only a part. The address may hold ids and keys, so it is left out of the cause.
    fn lost<T>(&self, error: reqwest::Error) -> Attempt<T> {
        let (is_safe, is_late) = (error.is_connect(), error.is_timeout());
        let cause = anyhow::Error::new(error.without_url());
        let name = self.gate.name;
        let cause = anyhow!("{name}: {}", self.redactor.text(&format!("{cause:#}")));
        let message = format!("{name} is not reachable right now");
        Attempt::Again(Setback {
            error: ToolError::unavailable(message, Duration::from_secs(1)).with_cause(cause),
            is_safe,
            wait: None,
            outcome: if is_late { "timeout" } else { "lost" },
        })
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Provider({})", self.0.gate.name)
    }
}
