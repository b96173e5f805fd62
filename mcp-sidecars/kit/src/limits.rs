//! How much at once and how often: refused quickly, never queued.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{auth::Caller, error::ToolError};

/// Callers remembered before those that have been quiet are forgotten.
const REMEMBERED: usize = 10_000;
const FULL_RETRY: Duration = Duration::from_secs(1);

type Key = (Arc<str>, Option<Arc<str>>);

/// The rate of each caller (GCRA) and the calls of all at once.
#[derive(Debug)]
pub struct Limits {
    rate: DefaultKeyedRateLimiter<Key>,
    places: Arc<Semaphore>,
}

impl Limits {
    /// `per_minute` calls for each caller and whom they act for; `at_once` calls of all.
    pub fn new(per_minute: NonZeroU32, at_once: usize) -> Self {
        let rate = RateLimiter::keyed(Quota::per_minute(per_minute));
        Self {
            rate,
            places: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// A place for one call, kept until it is dropped; or why there is none, and when to come again.
    pub fn enter(&self, caller: &Caller) -> Result<OwnedSemaphorePermit, ToolError> {
        if self.rate.len() > REMEMBERED {
            self.rate.retain_recent();
        }
        let key = (Arc::clone(&caller.name), caller.on_behalf_of.clone());
        self.rate.check_key(&key).map_err(|until| {
            ToolError::rate_limited(until.wait_time_from(self.rate.clock().now()))
        })?;
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map_err(|_| ToolError::unavailable("too many calls at once; try again", FULL_RETRY))
    }
}
