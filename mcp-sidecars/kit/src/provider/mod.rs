//! The one way to a provider: deadline → bulkhead → breaker → attempt → classify → wait and try again, or not.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use reqwest::{Url, redirect};
use serde_json::Value;
use tokio::time::Instant;

mod attempt;
mod breaker;
mod gate;
mod incoming;
mod outgoing;
mod retry;

pub(crate) use attempt::retry_after;
pub(crate) use gate::{Attempt, Gate, Repeat, Setback};
pub use incoming::Incoming;
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
    /// The provider's own account of a failure (408, 429 or 5xx), for the error's details: an object with
    /// `provider_code` and `provider_message`. The body is cut off after 16 KiB or half a second.
    pub explain: Option<fn(&Reply) -> Option<Value>>,
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
            explain: None,
        }
    }
}

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
        // No time-out for the whole: an attempt may last as long as it makes progress.
        let http = http_client(None)?;
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
        request.check()?;
        let exchange = || inner.exchange(&request);
        inner.gate.pass(deadline, request.repeat(), exchange).await
    }

    /// As [`send`](Self::send), up to the answer's headers: the body is read piece by piece, and nothing is repeated after
    /// the first.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn open(&self, call: &Call, request: Outgoing) -> Result<Incoming, ToolError> {
        self.open_by(call.deadline, request).await
    }

    /// As [`open`](Self::open), where there is a deadline but no call of a tool.
    pub(crate) async fn open_by(
        &self,
        deadline: Instant,
        request: Outgoing,
    ) -> Result<Incoming, ToolError> {
        let inner = &*self.0;
        request.check()?;
        let answer = || inner.answer(&request);
        let opened = inner.gate.open(deadline, request.repeat(), answer);
        let (response, passage) = opened.await?;
        Ok(Incoming::new(self.clone(), passage, response, deadline))
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
pub(crate) fn http_client(timeout: Option<Duration>) -> reqwest::Result<reqwest::Client> {
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("event-planner/", env!("CARGO_PKG_VERSION")));
    match timeout {
        Some(timeout) => client.timeout(timeout).build(),
        None => client.build(),
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Provider({})", self.0.gate.name)
    }
}
