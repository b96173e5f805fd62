//! The one way to a provider: deadline → bulkhead → breaker → attempt → classify → wait and try again, or not.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow, ensure};
use reqwest::{StatusCode, Url, header, redirect};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

mod breaker;
mod outgoing;
mod retry;

pub use outgoing::{Outgoing, Reply};

use crate::{call::Call, error::ToolError, metrics::Metrics, redact::Redactor};
use breaker::Breaker;
use retry::{Budget, backoff};

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
const LONGEST_QUEUE: Duration = Duration::from_millis(250);

/// A client for one provider. Cheap to clone; clones share limits and breaker.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    name: &'static str,
    base_url: Url,
    http: reqwest::Client,
    policy: Policy,
    places: Semaphore,
    breaker: Breaker,
    budget: Budget,
    metrics: Metrics,
    redactor: Redactor,
}

/// What one attempt came to.
enum Attempt {
    /// An answer for the sidecar to judge.
    Done(Reply),
    /// Not done; `is_safe`: surely nothing happened there, so any request may be repeated.
    Again {
        error: ToolError,
        is_safe: bool,
        outcome: &'static str,
    },
    /// Repeating is of no use.
    Never(ToolError),
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
            .timeout(policy.attempt_timeout)
            .user_agent(concat!("event-planner/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(Arc::new(Inner {
            name,
            base_url,
            http,
            policy,
            places: Semaphore::new(policy.at_once),
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
    /// `TIMEOUT` at the deadline; `REFUSED` for an answer over the limit; `INVALID` for an id that is no path segment.
    pub async fn send(&self, call: &Call, request: Outgoing) -> Result<Reply, ToolError> {
        let inner = &*self.0;
        if !request.stays_in_place() {
            return Err(ToolError::invalid(
                "an id must not be empty, . or .., nor hold control characters",
            ));
        }
        let _place = inner.place(call).await?;
        inner.budget.earn();
        let mut attempt = 1;
        loop {
            inner.breaker.admit().map_err(|wait| {
                inner.count("breaker_open");
                ToolError::unavailable(format!("{} is left alone after failures", inner.name), wait)
            })?;
            let (error, is_safe) = match inner.attempt(call, &request).await {
                Attempt::Done(reply) => return Ok(reply),
                Attempt::Never(error) => return Err(error),
                Attempt::Again { error, is_safe, .. } => (error, is_safe),
            };
            let wait = error
                .retry_after
                .filter(|_| is_safe)
                .unwrap_or_else(|| backoff(attempt));
            let may_repeat = is_safe || request.is_repeatable();
            let has_time = call.remaining() > wait + Duration::from_millis(50);
            if !may_repeat || attempt >= inner.policy.attempts || !has_time || !inner.budget.spend()
            {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
}

impl Inner {
    async fn place(&self, call: &Call) -> Result<SemaphorePermit<'_>, ToolError> {
        let longest = LONGEST_QUEUE.min(call.remaining());
        let place = tokio::time::timeout(longest, self.places.acquire()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            self.count("full");
            ToolError::unavailable(
                format!("too many requests to {} at once", self.name),
                Duration::from_secs(1),
            )
        })
    }

    /// One attempt, counted, and told to the breaker. Cut off at the call's deadline.
    async fn attempt(&self, call: &Call, request: &Outgoing) -> Attempt {
        let begun = Instant::now();
        let told = self.breaker.begun();
        let ended = tokio::time::timeout_at(call.deadline, self.exchange(request)).await;
        let ended = ended.unwrap_or_else(|_| Attempt::Again {
            error: ToolError::timeout(),
            is_safe: false,
            outcome: "cut_off",
        });
        let (outcome, is_healthy) = match &ended {
            Attempt::Done(reply) if reply.status.is_success() => ("ok", true),
            Attempt::Done(_) => ("refused", true),
            Attempt::Never(_) => ("too_large", true),
            Attempt::Again { outcome, .. } => (*outcome, *outcome == "rate_limited"),
        };
        if is_healthy || outcome != "cut_off" || begun.elapsed() >= self.policy.patience {
            told.end(is_healthy);
        }
        self.count(outcome);
        let seconds = begun.elapsed().as_secs_f64();
        self.metrics
            .upstream_duration
            .with_label_values(&[self.name])
            .observe(seconds);
        self.metrics
            .breaker_open
            .with_label_values(&[self.name])
            .set(i64::from(self.breaker.is_open()));
        ended
    }

    async fn exchange(&self, request: &Outgoing) -> Attempt {
        let response = match request.build(&self.http, &self.base_url).send().await {
            Ok(response) => response,
            Err(error) => return self.lost(error),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let wait = headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let wait = wait.map(|seconds: u64| Duration::from_secs(seconds).min(LONGEST_WAIT));
        if status == StatusCode::TOO_MANY_REQUESTS {
            let error = ToolError::rate_limited(wait.unwrap_or(Duration::from_secs(1)));
            return Attempt::Again {
                error,
                is_safe: true,
                outcome: "rate_limited",
            };
        }
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            let message = format!("{} answered {}", self.name, status.as_u16());
            let mut error = ToolError::unavailable(message, wait.unwrap_or(Duration::from_secs(1)));
            error.cause = Some(anyhow!("{} {status}", self.name));
            return Attempt::Again {
                error,
                is_safe: false,
                outcome: "failed",
            };
        }
        match self.read(response).await {
            Ok(Some(body)) => Attempt::Done(Reply {
                status,
                headers,
                body,
            }),
            Ok(None) => {
                let limit = self.policy.response_limit;
                Attempt::Never(ToolError::refused(format!(
                    "{} answered with more than {limit} bytes",
                    self.name
                )))
            }
            Err(error) => self.lost(error),
        }
    }

    /// The body, or nothing when it is over the limit: reading stops there.
    async fn read(
        &self,
        mut response: reqwest::Response,
    ) -> Result<Option<Vec<u8>>, reqwest::Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.policy.response_limit {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }

    /// No answer, or only a part. The address may hold ids and keys, so it is left out of the cause.
    fn lost(&self, error: reqwest::Error) -> Attempt {
        let (is_safe, is_late) = (error.is_connect(), error.is_timeout());
        let cause = anyhow::Error::new(error.without_url());
        let cause = anyhow!(
            "{}: {}",
            self.name,
            self.redactor.text(&format!("{cause:#}"))
        );
        let message = format!("{} is not reachable right now", self.name);
        let error = ToolError::unavailable(message, Duration::from_secs(1)).with_cause(cause);
        Attempt::Again {
            error,
            is_safe,
            outcome: if is_late { "timeout" } else { "lost" },
        }
    }

    fn count(&self, outcome: &str) {
        self.metrics
            .upstream
            .with_label_values(&[self.name, outcome])
            .inc();
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Provider({})", self.0.name)
    }
}
