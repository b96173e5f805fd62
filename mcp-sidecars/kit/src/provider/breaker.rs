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

    /// How a request that was let through ended.
    pub(super) fn end(&self, is_healthy: bool) {
        let mut state = self.lock();
        if is_healthy {
            *state = State::default();
            return;
        }
        state.failed = state.failed.saturating_add(1);
        if state.failed >= self.failures {
            state.open_until = Some(Instant::now() + self.pause);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().open_until.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_lets_one_try() {
        let breaker = Breaker::new(2, Duration::from_secs(10));
        breaker.end(false);
        breaker.end(true);
        breaker.end(false);
        assert!(breaker.admit().is_ok());
        breaker.end(false);
        assert_eq!(breaker.admit(), Err(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(breaker.admit().is_ok(), "the trial");
        assert!(breaker.admit().is_err(), "only one");
        breaker.end(true);
        assert!(breaker.admit().is_ok() && !breaker.is_open());
    }
}
