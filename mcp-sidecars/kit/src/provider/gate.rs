//! What goes round every request to the outside, whatever carries it: bulkhead → breaker → attempt → wait and try
//! again, or not; all before the deadline, counted.

use std::time::Duration;

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use super::{
    Policy,
    breaker::Breaker,
    retry::{Budget, backoff},
};
use crate::{error::ToolError, metrics::Metrics};

const LONGEST_QUEUE: Duration = Duration::from_millis(250);

/// The limits and the state of health of one peer.
pub(crate) struct Gate {
    pub(crate) name: &'static str,
    pub(crate) policy: Policy,
    places: Semaphore,
    breaker: Breaker,
    budget: Budget,
    metrics: Metrics,
}

/// What one attempt came to.
pub(crate) enum Attempt<T> {
    /// An answer; `outcome` is for the metrics.
    Done(T, &'static str),
    /// No answer that counts.
    Again(Setback),
    /// An answer that cannot be taken, and why for the metrics; repeating is of no use.
    Never(ToolError, &'static str),
}

/// Why there is no answer.
pub(crate) struct Setback {
    pub(crate) error: ToolError,
    /// Surely nothing happened there, so any request may be repeated.
    pub(crate) is_safe: bool,
    /// How long the peer asks us to wait; else we choose.
    pub(crate) wait: Option<Duration>,
    /// For the metrics; `rate_limited` is a sign of health.
    pub(crate) outcome: &'static str,
}

impl Gate {
    pub(crate) fn new(name: &'static str, policy: Policy, metrics: &Metrics) -> Self {
        Self {
            name,
            policy,
            places: Semaphore::new(policy.at_once),
            breaker: Breaker::new(policy.failures, policy.pause),
            budget: Budget::default(),
            metrics: metrics.clone(),
        }
    }

    /// Attempts until an answer comes, the deadline is near or another attempt is of no use.
    pub(crate) async fn pass<T, F: Future<Output = Attempt<T>>>(
        &self,
        deadline: Instant,
        is_repeatable: bool,
        attempt: impl Fn() -> F,
    ) -> Result<T, ToolError> {
        let _place = self.place(deadline).await?;
        self.budget.earn();
        let mut number = 1;
        let mut is_undone = true;
        loop {
            self.breaker.admit().map_err(|wait| {
                self.count("breaker_open");
                ToolError::unavailable(format!("{} is left alone after failures", self.name), wait)
                    .undone(is_undone)
            })?;
            let setback = match self.try_once(deadline, attempt()).await {
                Attempt::Done(answer, _) => return Ok(answer),
                Attempt::Never(error, _) => return Err(error),
                Attempt::Again(setback) => setback,
            };
            is_undone &= setback.is_safe;
            let wait = setback.wait.filter(|_| setback.is_safe);
            let wait = wait.unwrap_or_else(|| backoff(number));
            let may_repeat = setback.is_safe || is_repeatable;
            let left = deadline.saturating_duration_since(Instant::now());
            let has_time = left > wait + Duration::from_millis(50);
            if !may_repeat || number >= self.policy.attempts || !has_time || !self.budget.spend() {
                return Err(setback.error.undone(is_undone));
            }
            tokio::time::sleep(wait).await;
            number += 1;
        }
    }

    /// Whether the peer is left alone.
    pub(crate) fn is_shut(&self) -> bool {
        self.breaker.is_open()
    }

    /// An answer of more than the limit.
    pub(crate) fn too_large(&self) -> ToolError {
        let limit = self.policy.response_limit;
        ToolError::refused(format!(
            "{} answered with more than {limit} bytes",
            self.name
        ))
    }

    async fn place(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, ToolError> {
        let longest = deadline.min(Instant::now() + LONGEST_QUEUE);
        let place = tokio::time::timeout_at(longest, self.places.acquire()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            self.count("full");
            ToolError::unavailable(
                format!("too many requests to {} at once", self.name),
                Duration::from_secs(1),
            )
            .undone(true)
        })
    }

    /// One attempt, counted, and told to the breaker. Cut off at the deadline.
    async fn try_once<T>(
        &self,
        deadline: Instant,
        attempt: impl Future<Output = Attempt<T>>,
    ) -> Attempt<T> {
        let begun = Instant::now();
        let told = self.breaker.begun();
        let ended = tokio::time::timeout_at(deadline, attempt).await;
        let ended = ended.unwrap_or_else(|_| {
            Attempt::Again(Setback {
                error: ToolError::timeout(),
                is_safe: false,
                wait: None,
                outcome: "cut_off",
            })
        });
        let (outcome, is_healthy) = match &ended {
            Attempt::Done(_, outcome) | Attempt::Never(_, outcome) => (*outcome, true),
            Attempt::Again(setback) => (setback.outcome, setback.outcome == "rate_limited"),
        };
        if is_healthy || outcome != "cut_off" || begun.elapsed() >= self.policy.patience {
            told.end(is_healthy);
        }
        self.count(outcome);
        self.metrics
            .upstream_duration
            .with_label_values(&[self.name])
            .observe(begun.elapsed().as_secs_f64());
        self.metrics
            .breaker_open
            .with_label_values(&[self.name])
            .set(i64::from(self.breaker.is_open()));
        ended
    }

    fn count(&self, outcome: &str) {
        self.metrics
            .upstream
            .with_label_values(&[self.name, outcome])
            .inc();
    }
}
