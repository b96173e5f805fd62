//! What goes round every request to the outside, whatever carries it: bulkhead → breaker → attempt → wait and try
//! again, or not; all before the deadline, counted.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    Policy,
    breaker::Breaker,
    retry::{Budget, backoff},
};
use crate::{error::ToolError, metrics::Metrics};

const LONGEST_QUEUE: Duration = Duration::from_millis(250);
pub(crate) const CUT_OFF: &str = "cut_off";

/// The limits and the state of health of one peer.
pub(crate) struct Gate {
    pub(crate) name: &'static str,
    pub(crate) policy: Policy,
    places: Arc<Semaphore>,
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

/// Whether another attempt may follow one that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// What was sent is gone.
    Never,
    /// Only if surely nothing happened there.
    WhenUndone,
    /// Whatever happened there: doing it twice is doing it once.
    Freely,
}

impl Repeat {
    pub(crate) fn freely_if(is_repeatable: bool) -> Self {
        if is_repeatable {
            Self::Freely
        } else {
            Self::WhenUndone
        }
    }

    fn after(self, is_safe: bool) -> bool {
        match self {
            Self::Never => false,
            Self::WhenUndone => is_safe,
            Self::Freely => true,
        }
    }
}

/// An answer that is still on its way: it keeps its place until it is dropped, and is counted when it has ended.
pub(crate) struct Passage {
    begun: Instant,
    _place: OwnedSemaphorePermit,
}

impl Gate {
    pub(crate) fn new(name: &'static str, policy: Policy, metrics: &Metrics) -> Self {
        Self {
            name,
            policy,
            places: Arc::new(Semaphore::new(policy.at_once)),
            breaker: Breaker::new(policy.failures, policy.pause),
            budget: Budget::default(),
            metrics: metrics.clone(),
        }
    }

    /// Attempts until an answer comes, the deadline is near or another attempt is of no use.
    pub(crate) async fn pass<T, F: Future<Output = Attempt<T>>>(
        &self,
        deadline: Instant,
        repeat: Repeat,
        attempt: impl Fn() -> F,
    ) -> Result<T, ToolError> {
        let _place = self.place(deadline).await?;
        let (answer, outcome, begun) = self.repeat(deadline, repeat, attempt).await?;
        self.record(begun, outcome, true);
        Ok(answer)
    }

    /// The same, up to the beginning of an answer: [`Gate::arrived`] is told when it has ended.
    pub(crate) async fn open<T, F: Future<Output = Attempt<T>>>(
        &self,
        deadline: Instant,
        repeat: Repeat,
        attempt: impl Fn() -> F,
    ) -> Result<(T, Passage), ToolError> {
        let place = self.place(deadline).await?;
        let (answer, _, begun) = self.repeat(deadline, repeat, attempt).await?;
        Ok((
            answer,
            Passage {
                begun,
                _place: place,
            },
        ))
    }

    /// The end of an answer that was opened; without `is_healthy` it says nothing of the peer.
    pub(crate) fn arrived(&self, passage: &Passage, outcome: &str, is_healthy: Option<bool>) {
        match is_healthy {
            Some(is_healthy) => self.record(passage.begun, outcome, is_healthy),
            None => self.count(outcome),
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

    async fn place(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, ToolError> {
        let longest = deadline.min(Instant::now() + LONGEST_QUEUE);
        let places = Arc::clone(&self.places);
        let place = tokio::time::timeout_at(longest, places.acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            self.count("full");
            ToolError::unavailable(
                format!("too many requests to {} at once", self.name),
                Duration::from_secs(1),
            )
            .undone(true)
        })
    }

    /// An answer, how it is counted and when its attempt began; attempts that failed are counted here.
    async fn repeat<T, F: Future<Output = Attempt<T>>>(
        &self,
        deadline: Instant,
        repeat: Repeat,
        attempt: impl Fn() -> F,
    ) -> Result<(T, &'static str, Instant), ToolError> {
        self.budget.earn();
        let mut number = 1;
        let mut is_undone = true;
        loop {
            self.breaker.admit().map_err(|wait| {
                self.count("breaker_open");
                ToolError::unavailable(
                    format!(
                        "{} did not answer several times and is left alone for a while",
                        self.name
                    ),
                    wait,
                )
                .undone(is_undone)
            })?;
            let begun = Instant::now();
            let ended = tokio::time::timeout_at(deadline, attempt()).await;
            let setback = match ended.unwrap_or_else(|_| Attempt::Again(Setback::cut_off())) {
                Attempt::Done(answer, outcome) => return Ok((answer, outcome, begun)),
                Attempt::Never(error, outcome) => {
                    self.record(begun, outcome, true);
                    return Err(error);
                }
                Attempt::Again(setback) => setback,
            };
            self.record(begun, setback.outcome, setback.outcome == "rate_limited");
            is_undone &= setback.is_safe;
            let wait = setback.wait.filter(|_| setback.is_safe);
            let wait = wait.unwrap_or_else(|| backoff(number));
            let left = deadline.saturating_duration_since(Instant::now());
            let has_time = left > wait + Duration::from_millis(50);
            let may_repeat = repeat.after(setback.is_safe) && number < self.policy.attempts;
            if !may_repeat || !has_time || !self.budget.spend() {
                return Err(setback.error.undone(is_undone));
            }
            tokio::time::sleep(wait).await;
            number += 1;
        }
    }

    /// Counts an attempt and tells the breaker. One that a near deadline cut off says nothing of the peer.
    fn record(&self, begun: Instant, outcome: &str, is_healthy: bool) {
        let elapsed = begun.elapsed();
        if is_healthy || outcome != CUT_OFF || elapsed >= self.policy.patience {
            self.breaker.end(is_healthy);
        }
        self.count(outcome);
        self.metrics
            .upstream_duration
            .with_label_values(&[self.name])
            .observe(elapsed.as_secs_f64());
        self.metrics
            .breaker_open
            .with_label_values(&[self.name])
            .set(i64::from(self.breaker.is_open()));
    }

    fn count(&self, outcome: &str) {
        self.metrics
            .upstream
            .with_label_values(&[self.name, outcome])
            .inc();
    }
}

impl Setback {
    /// The attempt ended because the call did.
    fn cut_off() -> Self {
        Self {
            error: ToolError::timeout(),
            is_safe: false,
            wait: None,
            outcome: CUT_OFF,
        }
    }
}
