//! Confirming what is held.

use axum::{extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Booking, BookingFilter, BookingStatus, lock_availability, queries, record};
use crate::{
    access::{Access, WriteBookings},
    events,
    extract::{Path, Query, ValidateOnly},
    problem::{Problem, kinds},
    state::App,
    work::{Answer, Work},
};

/// The bookings of an event that are now confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConfirmedBookings {
    pub bookings: Vec<Booking>,
}

/// Confirm a held booking; its deposit is then due. Needs an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/bookings/{booking_id}/confirm", tag = "bookings",
    params(("booking_id" = Uuid, Path, description = "The booking."), ValidateOnly),
    responses((status = 200, description = "The booking as it is now.", body = Booking)))]
pub async fn confirm_booking(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    lock_availability(&mut work, organization_id).await?;
    let current = queries::get_in(&mut work, organization_id, id).await?;
    let booking = confirm(&mut work, organization_id, &current).await?;
    work.commit(Answer::ok(booking.version, &booking)?).await
}

/// Confirm all held bookings of an event, or none of them. Needs an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/events/{event_id}/confirm", tag = "bookings",
    params(("event_id" = Uuid, Path, description = "The event."), ValidateOnly),
    responses((status = 200, description = "The bookings as they are now.", body = ConfirmedBookings)))]
pub async fn confirm_event(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(event_id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    lock_availability(&mut work, organization_id).await?;
    events::queries::lock(&mut work, organization_id, event_id).await?;
    let filter = BookingFilter {
        event_id: Some(event_id),
        status: Some(BookingStatus::Held),
        ..BookingFilter::default()
    };
    let held = queries::list(&mut *work, organization_id, &filter, None, i64::MAX).await?;
    if held.is_empty() {
        return Err(Problem::conflict(
            &kinds::INVALID_TRANSITION,
            "the event has no held bookings",
        ));
    }
    let mut bookings = Vec::with_capacity(held.len());
    for booking in &held {
        bookings.push(confirm(&mut work, organization_id, booking).await?);
    }
    work.commit(Answer::plain(&ConfirmedBookings { bookings })?)
        .await
}

async fn confirm(
    work: &mut Work,
    organization_id: Uuid,
    current: &Booking,
) -> Result<Booking, Problem> {
    let now = work.now;
    match current.status {
        BookingStatus::Held
            if current
                .expires_at
                .is_none_or(|expires_at| expires_at.to_jiff() > now) => {}
        BookingStatus::Held => return Err(expired()),
        BookingStatus::Cancelled
            if current.cancellation_reason == Some(super::CancellationReason::Expired) =>
        {
            return Err(expired());
        }
        BookingStatus::Confirmed | BookingStatus::Cancelled => {
            let status = if current.status == BookingStatus::Confirmed {
                "CONFIRMED"
            } else {
                "CANCELLED"
            };
            let detail = format!("the booking is {status}; only what is HELD can be confirmed");
            return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
        }
    }
    queries::confirm(work, organization_id, current.id, now).await?;
    let booking = queries::get_in(work, organization_id, current.id).await?;
    record(work, "booking.confirmed", Some(current), &booking).await?;
    Ok(booking)
}

fn expired() -> Problem {
    Problem::conflict(&kinds::HOLD_EXPIRED, kinds::HOLD_EXPIRED.detail())
}
