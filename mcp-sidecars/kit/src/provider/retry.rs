//! How often and how soon a request is repeated.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// A retry costs ten requests: at most 1.1 attempts for each request in the long run.
const PRICE: u32 = 10;
/// Ten retries at most in a row.
const MOST: u32 = 100;
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// The retries that requests have earned; begins with ten of them.
#[derive(Debug)]
pub(super) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(MOST))
    }
}

impl Budget {
    /// One request earns a tenth of a retry.
    pub(super) fn earn(&self) {
        let more = |held: u32| Some((held + 1).min(MOST));
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Takes one retry, if there is one.
    pub(super) fn spend(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                held.checked_sub(PRICE)
            })
            .is_ok()
    }
}

/// The time before the attempt after `attempt`: exponential with full jitter, from nothing to 2 s at most.
pub(super) fn backoff(attempt: u32) -> Duration {
    let longest = FIRST
        .saturating_mul(1 << attempt.clamp(1, 8).saturating_sub(1))
        .min(LONGEST);
    jittered(longest)
}

/// Any time up to `longest`, each as likely.
pub(crate) fn jittered(longest: Duration) -> Duration {
    let mut random = [0; 4];
    // Without randomness there is no jitter, only the longest wait.
    if getrandom::fill(&mut random).is_err() {
        return longest;
    }
    longest.mul_f64(f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_tenth_of_requests_in_the_long_run() {
        let budget = Budget::default();
        let mut retries = 0;
        for _ in 0..10_000 {
            budget.earn();
            retries += u32::from(budget.spend());
        }
        assert!((1000..=1010).contains(&retries), "{retries}");
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        for attempt in 0..40 {
            assert!(backoff(attempt) <= LONGEST);
        }
        assert!((0..50).all(|_| backoff(1) <= FIRST));
    }
}
