//! Every kind of job, on one screen.

use std::time::Duration;

use super::{Done, Failure, Handler, Job};
use crate::{bookings, changes, state::App, webhooks, work};

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
        kind: "webhook.deliver",
        // It counts its own; more are only for what goes wrong with us.
        attempts: 100,
        timeout: Duration::from_secs(25),
        every: None,
        run: |app, job| Box::pin(webhooks::deliver(app, job)),
    },
    Handler {
        kind: "webhook_deliveries.forget",
        attempts: 1,
        timeout: Duration::from_secs(30),
        every: Some(Duration::from_mins(10)),
        run: |app, job| Box::pin(forget_deliveries(app, job)),
    },
    Handler {
        kind: "changes.forget",
        attempts: 1,
        timeout: Duration::from_secs(30),
        every: Some(Duration::from_mins(10)),
        run: |app, job| Box::pin(forget_changes(app, job)),
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

async fn forget_deliveries(app: App, _: Job) -> Result<Done, Failure> {
    webhooks::forget_deliveries(&app.db, app.now()).await?;
    Ok(Done::Finished)
}

async fn forget_changes(app: App, _: Job) -> Result<Done, Failure> {
    changes::forget(&app.db, app.now()).await?;
    Ok(Done::Finished)
}
