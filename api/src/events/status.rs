//! The steps of an event: `DRAFT → PLANNED → PUBLISHED → COMPLETED`, or `CANCELLED`.

use axum::{extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Event, EventStatus, queries};
use crate::{
    access::{Access, WriteBookings, WriteEvents},
    bookings::{self, CancelledBooking},
    calendar,
    extract::{Path, Query, ValidateOnly},
    messages, orchestrations,
    problem::{Problem, kinds},
    state::App,
    tasks,
    work::{Answer, Work},
};

/// A cancelled event, and what became of its bookings.
#[derive(Debug, Serialize, ToSchema)]
pub struct CancelledEvent {
    pub event: Event,
    pub bookings: Vec<CancelledBooking>,
}

/// Mark a draft as planned.
#[utoipa::path(post, path = "/v1/events/{event_id}/plan", tag = "events",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 200, description = "The event as it is now.", body = Event)))]
pub async fn plan_event(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    step(app, access, id, EventStatus::Draft, EventStatus::Planned).await
}

/// Publish a planned event.
#[utoipa::path(post, path = "/v1/events/{event_id}/publish", tag = "events",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 200, description = "The event as it is now.", body = Event)))]
pub async fn publish_event(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    step(
        app,
        access,
        id,
        EventStatus::Planned,
        EventStatus::Published,
    )
    .await
}

/// Complete a published event that has begun.
#[utoipa::path(post, path = "/v1/events/{event_id}/complete", tag = "events",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 200, description = "The event as it is now.", body = Event)))]
pub async fn complete_event(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    step(
        app,
        access,
        id,
        EventStatus::Published,
        EventStatus::Completed,
    )
    .await
}

/// Cancel an event and all its bookings, on their terms; its open tasks, its calendar entry and what is still asked for go, too. Needs an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/events/{event_id}/cancel", tag = "events",
    params(("event_id" = Uuid, Path, description = "The event."), ValidateOnly),
    responses((status = 200, description = "The event, its bookings and what is due.", body = CancelledEvent)))]
pub async fn cancel_event(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    bookings::lock_availability(&mut work, organization_id).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if current.status.is_over() {
        return Err(super::over(&current));
    }
    let bookings = bookings::cancel_all(&mut work, organization_id, &current).await?;
    let event = set(&mut work, organization_id, &current, EventStatus::Cancelled).await?;
    tasks::cancel_open(&mut work, organization_id, id).await?;
    let why = "the event was cancelled before it was sent";
    messages::withdraw(&mut work, organization_id, id, why).await?;
    calendar::follow(&mut work, organization_id, id).await?;
    orchestrations::booking::cancel_all(&mut work, event.id).await?;
    work.commit(Answer::ok(
        event.version,
        &CancelledEvent { event, bookings },
    )?)
    .await
}

async fn step(
    app: App,
    access: Access<WriteEvents>,
    id: Uuid,
    from: EventStatus,
    to: EventStatus,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if current.status != from {
        let detail = format!(
            "the event is {}; this step is from {from} to {to}",
            current.status
        );
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    if to == EventStatus::Completed && current.starts_at.to_jiff() > work.now {
        return Err(Problem::conflict(
            &kinds::INVALID_TRANSITION,
            "the event has not begun yet",
        ));
    }
    let event = set(&mut work, organization_id, &current, to).await?;
    work.commit(Answer::ok(event.version, &event)?).await
}

/// Puts a step into a change. Whether it may be taken is the caller's question.
pub async fn set(
    work: &mut Work,
    organization_id: Uuid,
    current: &Event,
    to: EventStatus,
) -> Result<Event, Problem> {
    let action = match to {
        EventStatus::Draft => {
            let detail = "nothing becomes a draft again";
            return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
        }
        EventStatus::Planned => "event.planned",
        EventStatus::Published => "event.published",
        EventStatus::Completed => "event.completed",
        EventStatus::Cancelled => "event.cancelled",
    };
    let now = work.now;
    let event = queries::set_status(work, organization_id, current.id, to, now).await?;
    work.audit(action, ("event", current.id), Some(current), Some(&event))
        .await?;
    Ok(event)
}
