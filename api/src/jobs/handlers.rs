//! Every kind of job, on one screen.

use std::time::Duration;

use super::{Done, Failure, Handler, Job};
use crate::{bookings, integrations, state::App, work};

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
        kind: "integrations.revoke",
        attempts: 20,
        timeout: Duration::from_secs(30),
        every: None,
        run: |app, job| Box::pin(integrations::revoke(app, job)),
    },
    Handler {
        kind: "linear.mirror_task",
        attempts: 20,
        timeout: Duration::from_secs(30),
        every: None,
        run: |app, job| Box::pin(integrations::mirror(app, job)),
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
