//! Every kind of job, on one screen.

use std::time::Duration;

use super::{Done, Failure, Handler, Job};
use crate::{bookings, documents, messages, reminders, state::App, work};

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
        kind: "messages.send",
        attempts: messages::ATTEMPTS,
        timeout: Duration::from_mins(1),
        every: None,
        run: |app, job| Box::pin(messages::deliver(app, job)),
    },
    Handler {
        kind: "messages.check",
        attempts: 1,
        timeout: Duration::from_mins(2),
        every: Some(Duration::from_mins(1)),
        run: |app, job| Box::pin(messages::check(app, job)),
    },
    Handler {
        kind: "reminders.send_due",
        attempts: 1,
        timeout: Duration::from_mins(1),
        every: Some(Duration::from_secs(15)),
        run: |app, job| Box::pin(reminders::send_due(app, job)),
    },
    Handler {
        kind: "documents.create",
        attempts: documents::ATTEMPTS,
        timeout: Duration::from_mins(2),
        every: None,
        run: |app, job| Box::pin(documents::create(app, job)),
    },
    Handler {
        kind: "documents.trash",
        attempts: documents::ATTEMPTS,
        timeout: Duration::from_mins(1),
        every: None,
        run: |app, job| Box::pin(documents::trash(app, job)),
    },
    Handler {
        kind: "documents.forget_broken_uploads",
        attempts: 1,
        timeout: Duration::from_mins(1),
        every: Some(Duration::from_mins(5)),
        run: |app, job| Box::pin(documents::forget_broken_uploads(app, job)),
    },
    Handler {
        kind: "idempotency_keys.forget",
        attempts: 1,
        timeout: Duration::from_secs(30),
        every: Some(Duration::from_mins(1)),
        run: |app, job| Box::pin(forget_old_answers(app, job)),
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
