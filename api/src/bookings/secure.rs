//! Bookings that are paid for: kept while somebody pays, and made firm when the money is there.

use jiff::Timestamp;
use sqlx::Connection;
use uuid::Uuid;

use super::{Booking, BookingStatus, CancellationReason, Claim, Place, hold, queries, record};
use crate::{calendar, events::Event, money::Money, orchestrations, problem::Problem, work::Work};

/// What became of bookings that were paid for.
#[derive(Debug, PartialEq, Eq)]
pub enum Secured {
    /// All are confirmed, but for those that somebody has cancelled meanwhile.
    Confirmed { cancelled: Vec<Uuid> },
    /// A hold ended, and its place is somebody else's now or its event at another time: nothing was changed.
    Lost,
}

/// Keeps what is held until `until`, for somebody who is about to pay; but never for longer than a new hold and one
/// checkout, counted from when it was booked. The caller has called `lock_availability`.
pub async fn keep_until(
    work: &mut Work,
    organization_id: Uuid,
    bookings: &[Uuid],
    until: Timestamp,
) -> Result<(), Problem> {
    let settings = work.settings();
    let longest = settings.hold_ttl + settings.payments.checkout_ttl;
    let now = work.now;
    let kept = queries::keep(work, organization_id, bookings, until, longest, now).await?;
    for id in kept {
        let booking = queries::get_in(work, organization_id, id).await?;
        record(work, "booking.extended", None, &booking).await?;
    }
    Ok(())
}

/// Confirms bookings whose money has come in, also those whose hold has ended since, if their place is still free. The
/// caller has called `lock_availability`.
pub async fn secure(
    work: &mut Work,
    organization_id: Uuid,
    event: &Event,
    bookings: &[Uuid],
) -> Result<Secured, Problem> {
    let now = work.now;
    let is_over = event.ends_at.to_jiff() <= now || event.status.is_over();
    let (mut cancelled, mut confirmed) = (Vec::new(), Vec::new());
    // What was taken back so far is given up again when a later one is lost.
    let mut attempt = work.begin().await?;
    for id in bookings {
        let booking = queries::get_in(&mut attempt, organization_id, *id).await?;
        match (booking.status, booking.cancellation_reason) {
            (BookingStatus::Confirmed, _) => continue,
            (BookingStatus::Held, _) => {
                queries::confirm(&mut attempt, organization_id, *id, now).await?;
            }
            (BookingStatus::Cancelled, Some(CancellationReason::Expired)) => {
                let is_lost = is_over || !is_at_its_time(&booking, event);
                if is_lost || !take_back(&mut attempt, organization_id, &booking, now).await? {
                    attempt.rollback().await?;
                    return Ok(Secured::Lost);
                }
            }
            (BookingStatus::Cancelled, _) => {
                cancelled.push(*id);
                continue;
            }
        }
        confirmed.push(booking);
    }
    attempt.commit().await?;
    for before in &confirmed {
        let booking = queries::get_in(work, organization_id, before.id).await?;
        record(work, "booking.confirmed", Some(before), &booking).await?;
    }
    let is_revived = |before: &Booking| before.status == BookingStatus::Cancelled;
    if confirmed.iter().any(is_revived) {
        // What ended with the hold begins again.
        calendar::follow(work, organization_id, event.id).await?;
        orchestrations::booking::start(work, event).await?;
    }
    Ok(Secured::Confirmed { cancelled })
}

/// Only live bookings move with their event.
fn is_at_its_time(booking: &Booking, event: &Event) -> bool {
    let of_booking = (booking.starts_at.to_jiff(), booking.ends_at.to_jiff());
    of_booking == (event.starts_at.to_jiff(), event.ends_at.to_jiff())
}

/// Claims the place of an expired hold once more; false when it is taken or blocked.
async fn take_back(
    db: &mut sqlx::PgConnection,
    organization_id: Uuid,
    booking: &Booking,
    now: Timestamp,
) -> Result<bool, Problem> {
    let Some(claim) = claim_of(booking) else {
        return Ok(false);
    };
    let conflicts = match claim.place {
        Place::Venue(id) => queries::venue_conflicts(db, organization_id, id, &claim, &[]).await?,
        Place::Caterer(id) => {
            queries::caterer_conflicts(db, organization_id, id, &claim, &[]).await?
        }
    };
    if !conflicts.is_empty() {
        return Ok(false);
    }
    match queries::revive(db, organization_id, booking.id, now).await {
        Ok(is_revived) => Ok(is_revived),
        Err(error) => {
            let violated = error
                .as_database_error()
                .and_then(|error| error.constraint());
            if violated.is_some_and(hold::is_ours) {
                return Ok(false);
            }
            Err(error.into())
        }
    }
}

/// The same claim as at first.
fn claim_of(booking: &Booking) -> Option<Claim> {
    let venue = booking.venue_id.map(Place::Venue);
    Some(Claim {
        place: venue.or(booking.caterer_id.map(Place::Caterer))?,
        plan_id: booking.plan_id,
        number_of_guests: booking.number_of_guests,
        starts_at: booking.starts_at.to_jiff(),
        ends_at: booking.ends_at.to_jiff(),
        occupied_from: booking.occupied_from.to_jiff(),
        occupied_until: booking.occupied_until.to_jiff(),
        service_date: booking.service_date.to_jiff(),
        total: booking.total,
        deposit: Money::new(booking.deposit.amount, booking.total.currency),
        lines: booking.lines.0.clone(),
    })
}
