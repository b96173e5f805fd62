//! Leaves a provider alone after failures in a row, and lets one request try now and then.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Closed, open until a time, or half open with one request on its way.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failed: u32,
    open_until: Option<Instant>,
}

/// A request on its way.
pub(super) struct Told<'a>(&'a Breaker);

impl Breaker {
    pub(super) fn new(failures: u32, pause: Duration) -> Self {
        Self {
            failures,
            pause,
            state: Mutex::default(),
        }
    }

    /// Lets a request through, or says how long to wait. When the pause is over, the first through is the trial, and
    /// the pause begins anew for all others until it has ended.
    pub(super) fn admit(&self) -> Result<(), Duration> {
        let mut state = self.lock();
        let Some(until) = state.open_until else {
            return Ok(());
        };
        let now = Instant::now();
        if now < until {
            return Err(until - now);
        }
        state.open_until = Some(now + self.pause);
        Ok(())
    }

    pub(super) fn begun(&self) -> Told<'_> {
        Told(self)
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().open_until.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told<'_> {
    pub(super) fn end(self, is_healthy: bool) {
        let mut state = self.0.lock();
        if is_healthy {
            *state = State::default();
            return;
        }
        state.failed = state.failed.saturating_add(1);
        if state.failed >= self.0.failures {
            state.open_until = Some(Instant::now() + self.0.pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_lets_one_try() {
        let breaker = Breaker::new(2, Duration::from_secs(10));
        breaker.begun().end(false);
        breaker.begun().end(true);
        breaker.begun().end(false);
        assert!(breaker.admit().is_ok());
        breaker.begun().end(false);
        assert_eq!(breaker.admit(), Err(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(breaker.admit().is_ok(), "the trial");
        assert!(breaker.admit().is_err(), "only one");
        breaker.begun().end(true);
        assert!(breaker.admit().is_ok() && !breaker.is_open());
    }
}
