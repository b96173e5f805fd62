//! What becomes of a job after an attempt.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{
    Done, Failure, Handler, Job,
    queries::{self, Again, Claims},
    worker::PAUSE,
};
use crate::state::App;

/// Retries wait a random time up to this, doubled with each attempt (full jitter).
const FIRST_SPREAD: Duration = Duration::from_secs(2);
const LONGEST_SPREAD: Duration = Duration::from_hours(1);
/// A job without a lane that finds its provider away waits this long: nothing else keeps it from asking all the time.
const NEXT_LOOK: Duration = Duration::from_secs(15);
/// Whatever is asked for: nobody makes a lane wait longer than a day.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// Longest text that is kept of an error, in characters.
const LONGEST_ERROR: usize = 500;
/// Finished jobs that leave the queue together.
const BATCH: usize = 512;

/// What an attempt came to, for the metrics.
pub(super) fn outcome(ended: &Result<Done, Failure>) -> &'static str {
    match ended {
        Ok(_) => "ok",
        Err(Failure::Retry { .. }) => "retry",
        Err(Failure::Away { .. }) => "away",
        Err(Failure::Fatal(_)) => "fatal",
        Err(Failure::Lost) => "lost",
    }
}

/// Gives back a job that was not done. Whether something `went_well` in its lane since the last pause decides how long one is.
/// True where its lane was paused for it.
pub(super) async fn give_back(
    app: &App,
    handler: &Handler,
    job: &Job,
    failure: Failure,
    went_well: bool,
) -> sqlx::Result<bool> {
    let mut paused = false;
    let (error, again) = match failure {
        Failure::Lost => {
            tracing::warn!(job.id = %job.id, kind = job.kind, "the lease ended before the job did; its result is refused");
            return Ok(false);
        }
        Failure::Away { error, after } => {
            let mut after = after.unwrap_or_default().min(LONGEST_WAIT);
            if job.lane.is_empty() {
                after = after.max(handler.every.unwrap_or(NEXT_LOOK));
            } else {
                paused = queries::pause_lane(&app.db, &job.lane, after, went_well).await?;
            }
            (
                error,
                Again {
                    after,
                    spread: FIRST_SPREAD,
                    counts: false,
                    dies: false,
                },
            )
        }
        Failure::Retry { error, after } => {
            let again = Again {
                after: after.unwrap_or_default().min(LONGEST_WAIT),
                spread: spread(job.attempts).min(handler.every.unwrap_or(LONGEST_SPREAD)),
                counts: true,
                dies: handler.every.is_none()
                    && u32::try_from(job.attempts).is_ok_and(|made| made >= handler.attempts),
            };
            (error, again)
        }
        Failure::Fatal(error) => {
            let again = Again {
                after: handler.every.unwrap_or_default(),
                spread: Duration::ZERO,
                counts: true,
                dies: handler.every.is_none(),
            };
            (error, again)
        }
    };
    let error: String = error.chars().take(LONGEST_ERROR).collect();
    tracing::warn!(job.id = %job.id, kind = job.kind, attempts = job.attempts, error, dead = again.dies, "job not done");
    queries::release(&app.db, job, Some(&error), again).await?;
    Ok(paused)
}

/// Puts housekeeping back on the queue for the next time.
pub(super) async fn come_again(app: &App, job: &Job, every: Duration) -> sqlx::Result<()> {
    let again = Again {
        after: every,
        spread: Duration::ZERO,
        counts: true,
        dies: false,
    };
    queries::release(&app.db, job, None, again).await?;
    Ok(())
}

/// Takes finished jobs off the queue, many at a time.
pub(super) async fn finish(app: App, mut finished: mpsc::UnboundedReceiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    while finished.recv_many(&mut batch, BATCH).await > 0 {
        let mut claims = Claims::default();
        for job in batch.drain(..) {
            claims.push(&job);
        }
        let mut gone = queries::finish(&app.db, &claims).await;
        if gone.is_err() {
            tokio::time::sleep(PAUSE).await;
            gone = queries::finish(&app.db, &claims).await;
        }
        match gone {
            Ok(gone) if usize::try_from(gone).ok() == Some(claims.ids.len()) => {}
            Ok(gone) => tracing::warn!(
                gone,
                of = claims.ids.len(),
                "some leases ended before their jobs did"
            ),
            Err(error) => {
                tracing::warn!(%error, "finished jobs stay on the queue and will be done again");
            }
        }
    }
}

fn spread(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts - 1).unwrap_or_default().min(20);
    (FIRST_SPREAD * 2_u32.pow(doublings)).min(LONGEST_SPREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_an_hour() {
        let seconds = [1, 2, 3, 11, 12, 1_000].map(|attempt| spread(attempt).as_secs());
        assert_eq!(seconds, [2, 4, 8, 2_048, 3_600, 3_600]);
    }
}
