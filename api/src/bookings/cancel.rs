//! Cancelling, on the terms that were agreed on; and releasing holds that nobody confirmed.

use axum::{extract::State, response::Response};
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Booking, BookingStatus, CancellationReason, live, lock_availability, queries, record};
use crate::{
    access::{Access, WriteBookings},
    catalogue,
    events::{self, Event},
    extract::{Path, Query, ValidateOnly},
    money::{Money, share},
    orchestrations, payments,
    problem::{Problem, kinds},
    state::App,
    work::{Answer, Work},
};

/// A cancelled booking, and who owes whom.
#[derive(Debug, Serialize, ToSchema)]
pub struct CancelledBooking {
    pub booking: Booking,
    /// What cancelling costs on the terms of the booking.
    pub fee: Money,
    /// What has been paid so far.
    pub paid: Money,
    /// What comes back: paid beyond the fee.
    pub refund_due: Money,
    /// What is still owed: the fee beyond what was paid.
    pub balance_due: Money,
}

/// Cancel a booking on its terms; a payment that is still asked for, for it alone, is cancelled, too. Needs an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/bookings/{booking_id}/cancel", tag = "bookings",
    params(("booking_id" = Uuid, Path, description = "The booking."), ValidateOnly),
    responses((status = 200, description = "The booking as it is now, and what is due.", body = CancelledBooking)))]
pub async fn cancel_booking(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    lock_availability(&mut work, organization_id).await?;
    let current = queries::get_in(&mut work, organization_id, id).await?;
    if current.status == BookingStatus::Cancelled {
        return Err(Problem::conflict(
            &kinds::INVALID_TRANSITION,
            "the booking is CANCELLED already",
        ));
    }
    let event = events::queries::lock(&mut work, organization_id, current.event_id).await?;
    let cancelled = cancel(
        &mut work,
        organization_id,
        &event,
        &current,
        CancellationReason::Requested,
    )
    .await?;
    orchestrations::booking::cancel_if_unbooked(&mut work, event.id).await?;
    work.commit(Answer::ok(cancelled.booking.version, &cancelled)?)
        .await
}

/// Cancels all live bookings of an event. The caller has called `lock_availability`.
pub async fn cancel_all(
    work: &mut Work,
    organization_id: Uuid,
    event: &Event,
) -> Result<Vec<CancelledBooking>, Problem> {
    let mut cancelled = Vec::new();
    for booking in &live(work, organization_id, event.id).await? {
        cancelled.push(
            cancel(
                work,
                organization_id,
                event,
                booking,
                CancellationReason::EventCancelled,
            )
            .await?,
        );
    }
    Ok(cancelled)
}

pub(super) async fn cancel(
    work: &mut Work,
    organization_id: Uuid,
    event: &Event,
    current: &Booking,
    reason: CancellationReason,
) -> Result<CancelledBooking, Problem> {
    let now = work.now;
    let fee = match current.status {
        BookingStatus::Confirmed => {
            let zone = TimeZone::get(&event.time_zone).map_err(anyhow::Error::from)?;
            let today = zone.to_datetime(now).date();
            let left = today
                .until(current.service_date.to_jiff())
                .map_err(anyhow::Error::from)?;
            share(
                current.total.amount,
                catalogue::fee_bps(&current.cancellation_terms, left.get_days()),
            )
        }
        BookingStatus::Held | BookingStatus::Cancelled => 0,
    };
    queries::cancel(work, organization_id, current.id, reason, fee, now).await?;
    let booking = queries::get_in(work, organization_id, current.id).await?;
    record(work, "booking.cancelled", Some(current), &booking).await?;
    payments::follow_booking(work, organization_id, current.id).await?;
    let (paid, money) = (booking.paid, |amount: i64| {
        Money::new(amount.max(0), booking.total.currency)
    });
    Ok(CancelledBooking {
        fee: money(fee),
        paid,
        refund_due: money(paid.amount - fee),
        balance_due: money(fee - paid.amount),
        booking,
    })
}

/// Releases every hold that has expired, organization by organization; gives how many. What goes wrong in one is told when
/// all the others had their turn.
pub async fn release_expired(app: &App) -> Result<u64, Problem> {
    let (mut released, mut trouble) = (0, None);
    for organization_id in queries::organizations_with_expired_holds(&app.db, app.now()).await? {
        match release_of(app, organization_id).await {
            Ok(count) => released += count,
            Err(problem) => trouble = Some(problem),
        }
    }
    trouble.map_or(Ok(released), Err)
}

async fn release_of(app: &App, organization_id: Uuid) -> Result<u64, Problem> {
    let mut work = Work::system(app, organization_id).await?;
    lock_availability(&mut work, organization_id).await?;
    let released = release_expired_in(&mut work, organization_id).await?;
    work.commit_silently().await?;
    Ok(released)
}

/// The same within a change. The caller has called `lock_availability`.
pub(super) async fn release_expired_in(
    work: &mut Work,
    organization_id: Uuid,
) -> Result<u64, Problem> {
    let now = work.now;
    let expired = queries::expire(work, organization_id, now).await?;
    for id in &expired {
        let booking = queries::get_in(work, organization_id, *id).await?;
        record(work, "booking.expired", None, &booking).await?;
        orchestrations::booking::cancel_if_unbooked(work, booking.event_id).await?;
    }
    Ok(expired.len() as u64)
}
