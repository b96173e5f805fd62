//! How many messages may go out: in a minute, and in a day.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use mcp_kit::ToolError;
use serde_json::json;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// When messages went out, for a day.
#[derive(Debug)]
pub(crate) struct Caps {
    per_minute: usize,
    per_day: usize,
    sent: Mutex<VecDeque<Instant>>,
}

impl Caps {
    pub(crate) fn new(per_minute: usize, per_day: usize) -> Self {
        Self {
            per_minute,
            per_day,
            sent: Mutex::default(),
        }
    }

    /// Counts one message, or says when the next may go.
    pub(crate) fn take(&self) -> Result<(), ToolError> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        while sent
            .front()
            .is_some_and(|at| now.duration_since(*at) >= DAY)
        {
            sent.pop_front();
        }
        for (most, window, cap) in [
            (self.per_day, DAY, "MAX_MESSAGES_PER_DAY"),
            (self.per_minute, MINUTE, "MAX_MESSAGES_PER_MINUTE"),
        ] {
            // The message that must grow old before another may go.
            let full = sent.len().checked_sub(most).map(|index| sent.get(index));
            let wait = match full {
                None => continue,
                Some(Some(at)) => window.saturating_sub(now.duration_since(*at)),
                Some(None) => window,
            };
            if !wait.is_zero() {
                return Err(ToolError::rate_limited(wait)
                    .with_details(json!({ "cap": cap, "most": most }))
                    .undone(true));
            }
        }
        sent.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_minute_and_the_day_are_kept() {
        let caps = Caps::new(2, 3);
        let wait = |caps: &Caps| caps.take().err().and_then(|error| error.retry_after);
        assert_eq!((wait(&caps), wait(&caps)), (None, None));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(wait(&caps), Some(Duration::from_secs(40)));
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(wait(&caps), None);
        tokio::time::advance(MINUTE).await;
        assert_eq!(wait(&caps), Some(DAY.saturating_sub(2 * MINUTE)));
        tokio::time::advance(DAY).await;
        assert_eq!(wait(&caps), None);
        assert_eq!(wait(&Caps::new(5, 0)), Some(DAY));
    }
}
