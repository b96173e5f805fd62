//! Every kind of job, on one screen.

use std::time::Duration;

use super::{Done, Failure, Handler, Job};
use crate::{bookings, orchestrations, state::App, work};

/// What a worker can do.
pub const HANDLERS: &[Handler] = &[
    Handler {
        kind: "bookings.release_expired",
        attempts: 1,
        timeout: Duration::from_secs(30),
        every: Some(Duration::from_secs(10)),
        run: |app, job| Box::pin(release_expired(app, job)),
    },
    Handler {
        kind: "idempotency_keys.forget",
        attempts: 1,
        timeout: Duration::from_secs(30),
        every: Some(Duration::from_mins(1)),
        run: |app, job| Box::pin(forget_old_answers(app, job)),
    },
    Handler {
        kind: "subtask.run",
        // The run counts its own attempts; these are for what even that could not end.
        attempts: 50,
        // A step's own time-out is shorter.
        timeout: Duration::from_mins(6),
        every: None,
        run: |app, job| Box::pin(orchestrations::run_subtask(app, job)),
    },
];

async fn release_expired(app: App, _: Job) -> Result<Done, Failure> {
    bookings::release_expired(&app).await?;
    Ok(Done::Finished)
}

async fn forget_old_answers(app: App, _: Job) -> Result<Done, Failure> {
    work::forget_old_answers(&app).await?;
    Ok(Done::Finished)
}
