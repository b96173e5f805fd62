//! Every kind of job, on one screen.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Done, Failure, Handler, Job};
use crate::{
    bookings, calendar, changes, documents, integrations, messages, orchestrations, payments,
    reminders, state::App, tasks, webhooks, webhooks_in, work,
};

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
        kind: "documents.give_up",
        attempts: 1,
        timeout: Duration::from_mins(1),
        every: Some(Duration::from_mins(5)),
        run: |app, job| Box::pin(documents::give_up_abandoned(app, job)),
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
    Handler {
        kind: "subtask.run",
        // The run counts its own attempts; these are for what even that could not end.
        attempts: 50,
        // A step's own time-out is shorter.
        timeout: Duration::from_mins(6),
        every: None,
        run: |app, job| Box::pin(orchestrations::run_subtask(app, job)),
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
        run: |app, job| Box::pin(tasks::mirror(app, job)),
    },
    Handler {
        kind: "linear.mirror_open",
        attempts: 20,
        timeout: Duration::from_secs(30),
        every: None,
        run: |app, job| Box::pin(tasks::mirror_open(app, job)),
    },
    Handler {
        kind: "calendar.sync",
        attempts: calendar::ATTEMPTS,
        timeout: Duration::from_secs(30),
        every: None,
        run: |app, job| Box::pin(calendar::sync(app, job)),
    },
    Handler {
        kind: "calendar.read",
        attempts: 5,
        timeout: Duration::from_secs(150),
        every: None,
        run: |app, job| Box::pin(calendar::read(app, job)),
    },
    Handler {
        kind: "calendar.look",
        attempts: 1,
        timeout: Duration::from_secs(30),
        every: Some(Duration::from_mins(3)),
        run: |app, job| Box::pin(look_at_calendars(app, job)),
    },
    Handler {
        kind: "received_events.forget",
        attempts: 1,
        timeout: Duration::from_secs(30),
        every: Some(Duration::from_hours(1)),
        run: |app, job| Box::pin(forget_old_events(app, job)),
    },
    payment("payments.open", |app, job| {
        Box::pin(payments::jobs::run_open(app, job))
    }),
    payment("payments.cancel", |app, job| {
        Box::pin(payments::jobs::run_cancel(app, job))
    }),
    payment("payments.check", |app, job| {
        Box::pin(payments::jobs::run_check(app, job))
    }),
    payment("payments.refund", |app, job| {
        Box::pin(payments::jobs::run_refund(app, job))
    }),
    payment("payments.stripe_event", |app, job| {
        Box::pin(payments::jobs::run_stripe_event(app, job))
    }),
];

/// Money: tried for some hours before a person has to look.
const fn payment(
    kind: &'static str,
    run: fn(App, Job) -> BoxFuture<'static, Result<Done, Failure>>,
) -> Handler {
    Handler {
        kind,
        attempts: 20,
        timeout: Duration::from_mins(1),
        every: None,
        run,
    }
}

async fn forget_old_events(app: App, _: Job) -> Result<Done, Failure> {
    webhooks_in::forget_old(&app).await?;
    Ok(Done::Finished)
}

async fn release_expired(app: App, _: Job) -> Result<Done, Failure> {
    bookings::release_expired(&app).await?;
    Ok(Done::Finished)
}

async fn look_at_calendars(app: App, _: Job) -> Result<Done, Failure> {
    calendar::look_everywhere(&app).await?;
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
