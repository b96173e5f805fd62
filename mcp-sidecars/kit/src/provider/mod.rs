//! The one way to a provider: deadline → bulkhead → breaker → attempt → classify → wait and try again, or not.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use reqwest::{Url, redirect};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

mod attempt;
mod breaker;
mod incoming;
mod outgoing;
mod retry;

pub use incoming::Incoming;
pub use outgoing::{Outgoing, Reply};

use crate::{call::Call, error::ToolError, metrics::Metrics, redact::Redactor};
use attempt::{Attempt, Tally, outcome_of};
use breaker::Breaker;
use retry::{Budget, backoff};

/// How a provider is treated.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Longest time for one attempt; while a body is streamed, longest time without progress.
    pub attempt_timeout: Duration,
    /// Attempts for one request, the first included.
    pub attempts: u32,
    /// Requests under way at once; more wait for a quarter of a second, then fail.
    pub at_once: usize,
    /// Largest answer that is read whole, in bytes after decompression.
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

const LONGEST_QUEUE: Duration = Duration::from_millis(250);

/// A client for one provider. Cheap to clone; clones share limits and breaker.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    name: &'static str,
    base_url: Url,
    http: reqwest::Client,
    policy: Policy,
    places: Arc<Semaphore>,
    breaker: Breaker,
    budget: Budget,
    metrics: Metrics,
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
        // An error means that one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base_url: Url = base_url
            .parse()
            .with_context(|| format!("the base URL of {name}"))?;
        let is_plain =
            matches!(base_url.scheme(), "http" | "https") && !base_url.cannot_be_a_base();
        ensure!(is_plain, "the base URL of {name} must be http or https");
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(3))
            .user_agent(concat!("event-planner/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(Arc::new(Inner {
            name,
            base_url,
            http,
            policy,
            places: Arc::new(Semaphore::new(policy.at_once)),
            breaker: Breaker::new(policy.failures, policy.pause),
            budget: Budget::default(),
            metrics: metrics.clone(),
            redactor: Redactor::default(),
        })))
    }

    /// Sends until an answer comes, the call's deadline is near or another attempt is of no use. Any status but 408,
    /// 429 and 5xx is an answer.
    ///
    /// # Errors
    /// `RATE_LIMITED` with the provider's `Retry-After`; `UNAVAILABLE` when it is away, fails or is left alone;
    /// `TIMEOUT` at the deadline; `REFUSED` for an answer over the limit.
    pub async fn send(&self, call: &Call, request: Outgoing) -> Result<Reply, ToolError> {
        let inner = &*self.0;
        let _place = inner.place(call).await?;
        let (reply, tally) = inner
            .repeat(call, &request, || inner.exchange(&request))
            .await?;
        tally.end(inner, outcome_of(reply.status));
        Ok(reply)
    }

    /// The same, up to the answer's headers: the body is read piece by piece, and nothing is repeated after the first.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn open(&self, call: &Call, request: Outgoing) -> Result<Incoming, ToolError> {
        let inner = &*self.0;
        let place = inner.place(call).await?;
        let (response, tally) = inner
            .repeat(call, &request, || inner.answer(&request))
            .await?;
        Ok(Incoming::new(
            self.clone(),
            place,
            tally,
            response,
            call.deadline,
        ))
    }
}

impl Inner {
    async fn place(&self, call: &Call) -> Result<OwnedSemaphorePermit, ToolError> {
        let longest = LONGEST_QUEUE.min(call.remaining());
        let places = Arc::clone(&self.places);
        let place = tokio::time::timeout(longest, places.acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            self.count("full");
            ToolError::unavailable(
                format!("too many requests to {} at once", self.name),
                Duration::from_secs(1),
            )
        })
    }

    /// Attempts until one is done, the deadline is near or another is of no use.
    async fn repeat<T, Fut>(
        &self,
        call: &Call,
        request: &Outgoing,
        exchange: impl Fn() -> Fut,
    ) -> Result<(T, Tally), ToolError>
    where
        Fut: Future<Output = Attempt<T>>,
    {
        self.budget.earn();
        let mut attempt = 1;
        loop {
            self.breaker.admit().map_err(|wait| {
                self.count("breaker_open");
                ToolError::unavailable(format!("{} is left alone after failures", self.name), wait)
            })?;
            let tally = Tally::begin();
            let ended = tokio::time::timeout_at(call.deadline, exchange()).await;
            let (error, is_safe) = match ended.unwrap_or_else(|_| Attempt::cut_off()) {
                Attempt::Done(done) => return Ok((done, tally)),
                Attempt::Never { error, outcome } => {
                    tally.end(self, outcome);
                    return Err(error);
                }
                Attempt::Again {
                    error,
                    is_safe,
                    outcome,
                } => {
                    tally.end(self, outcome);
                    (error, is_safe)
                }
            };
            let wait = error
                .retry_after
                .filter(|_| is_safe)
                .unwrap_or_else(|| backoff(attempt));
            let may_repeat = (is_safe || request.is_repeatable()) && request.is_whole();
            let has_time = call.remaining() > wait + Duration::from_millis(50);
            if !may_repeat || attempt >= self.policy.attempts || !has_time || !self.budget.spend() {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Provider({})", self.0.name)
    }
}
