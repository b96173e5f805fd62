//! Moving the bookings of an event to another time, at the prices they were booked at.

use jiff::{SignedDuration, tz::TimeZone};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Booking, BookingStatus, CancellationReason, CancelledBooking, Claim, Conflict, Place,
    cancel::cancel,
    hold::{MINUTES_OF_A_DAY, named},
    live, queries, record,
};
use crate::{
    events::Event,
    money::{Money, divide_half_up},
    orchestrations, payments,
    plans::pricing,
    problem::{OnConstraint, Problem},
    work::Work,
};

/// How bookings move.
#[derive(Debug, Clone, Copy)]
pub struct Moving {
    /// What cannot move is released, on its terms.
    pub drop_conflicting: bool,
    /// Confirmed bookings move even where their price changes.
    pub reconfirm: bool,
}

/// What becomes of a booking when its event moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MoveOutcome {
    /// It moves along.
    Moved,
    /// The place is taken at the new time.
    Conflict,
    /// The place is closed at the new time.
    BlockedDate,
    /// It is confirmed, and moving changes its price.
    NeedsReconfirmation,
}

/// A booking of an event that moves.
#[derive(Debug, Serialize, ToSchema)]
pub struct MovedBooking {
    pub booking_id: Uuid,
    /// The venue, or
    pub venue_id: Option<Uuid>,
    /// the caterer.
    pub caterer_id: Option<Uuid>,
    pub outcome: MoveOutcome,
    /// What stands in its way.
    pub conflicts: Vec<Conflict>,
    /// Its price before and after, where that changes.
    pub price: Option<PriceChange>,
    /// What releasing it costs, where it is released because it cannot move.
    pub released: Option<CancelledBooking>,
    /// Before the move.
    #[serde(skip)]
    pub version: i64,
}

/// A price before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct PriceChange {
    pub from: Money,
    pub to: Money,
}

/// Moves all live bookings of an event to its new time; `before` is the event as it was, which releasing goes by. What cannot
/// move stays where it is, and its outcome says why: then nothing of it may be kept. The caller has called
/// `lock_availability`.
pub async fn move_all(
    work: &mut Work,
    organization_id: Uuid,
    before: &Event,
    after: &Event,
    moving: Moving,
) -> Result<Vec<MovedBooking>, Problem> {
    super::cancel::release_expired_in(work, organization_id).await?;
    let bookings = live(work, organization_id, before.id).await?;
    let has_caterer = bookings.iter().any(|booking| booking.caterer_id.is_some());
    if has_caterer && after.duration_minutes > MINUTES_OF_A_DAY {
        let detail = "a caterer is booked, who serves one day: at most 24 hours";
        return Err(Problem::field("/duration_minutes", "too_long", detail));
    }
    let ids: Vec<_> = bookings.iter().map(|booking| booking.id).collect();
    let mut moved = Vec::with_capacity(bookings.len());
    for (number, booking) in bookings.iter().enumerate() {
        // Those that come after it still stand where they leave from.
        let still_there = &ids[number..];
        moved.push(
            move_one(
                work,
                organization_id,
                (before, after),
                booking,
                still_there,
                moving,
            )
            .await?,
        );
    }
    if moved.iter().any(|booking| booking.released.is_some()) {
        orchestrations::booking::cancel_if_unbooked(work, before.id).await?;
    }
    Ok(moved)
}

async fn move_one(
    work: &mut Work,
    organization_id: Uuid,
    (before, after): (&Event, &Event),
    booking: &Booking,
    still_there: &[Uuid],
    moving: Moving,
) -> Result<MovedBooking, Problem> {
    let claim = claim(booking, after)?;
    let conflicts = conflicts(work, organization_id, booking, &claim, still_there).await?;
    let price = (claim.total != booking.total).then_some(PriceChange {
        from: booking.total,
        to: claim.total,
    });
    let mut moved = MovedBooking {
        booking_id: booking.id,
        venue_id: booking.venue_id,
        caterer_id: booking.caterer_id,
        outcome: outcome(booking, &conflicts, price, moving),
        conflicts,
        price,
        released: None,
        version: booking.version,
    };
    match moved.outcome {
        MoveOutcome::Moved | MoveOutcome::NeedsReconfirmation => {
            let now = work.now;
            let done = queries::move_to(work, organization_id, booking.id, &claim, now).await;
            done.on_constraint(named)?;
            let after = queries::get_in(work, organization_id, booking.id).await?;
            record(work, "booking.moved", Some(booking), &after).await?;
            if price.is_some() {
                payments::follow_price(work, organization_id, booking.id).await?;
            }
        }
        MoveOutcome::Conflict | MoveOutcome::BlockedDate => {
            moved.price = None;
            if moving.drop_conflicting {
                let reason = CancellationReason::Requested;
                let released = cancel(work, organization_id, before, booking, reason).await?;
                moved.released = Some(released);
            }
        }
    }
    Ok(moved)
}

fn outcome(
    booking: &Booking,
    conflicts: &[Conflict],
    price: Option<PriceChange>,
    moving: Moving,
) -> MoveOutcome {
    let is_confirmed = booking.status == BookingStatus::Confirmed;
    if conflicts
        .iter()
        .any(|conflict| conflict.kind != "BLOCKED_DATE")
    {
        MoveOutcome::Conflict
    } else if !conflicts.is_empty() {
        MoveOutcome::BlockedDate
    } else if is_confirmed && price.is_some() && !moving.reconfirm {
        MoveOutcome::NeedsReconfirmation
    } else {
        MoveOutcome::Moved
    }
}

async fn conflicts(
    work: &mut Work,
    organization_id: Uuid,
    booking: &Booking,
    claim: &Claim,
    still_there: &[Uuid],
) -> Result<Vec<Conflict>, Problem> {
    let found = match claim.place {
        Place::Venue(id) => {
            queries::venue_conflicts(work, organization_id, id, claim, still_there).await?
        }
        // Its place on that day is its own already.
        Place::Caterer(_) if booking.service_date.to_jiff() == claim.service_date => Vec::new(),
        Place::Caterer(id) => {
            queries::caterer_conflicts(work, organization_id, id, claim, still_there).await?
        }
    };
    Ok(found)
}

/// What a booking claims at the new time of its event: as much time for setting up and clearing away, at its own prices.
fn claim(booking: &Booking, event: &Event) -> Result<Claim, Problem> {
    let place = match (booking.venue_id, booking.caterer_id) {
        (Some(id), _) => Place::Venue(id),
        (None, Some(id)) => Place::Caterer(id),
        (None, None) => return Err(anyhow::anyhow!("a booking of nothing").into()),
    };
    let (starts_at, ends_at) = (event.starts_at.to_jiff(), event.ends_at.to_jiff());
    let lasted = booking
        .ends_at
        .to_jiff()
        .duration_since(booking.starts_at.to_jiff());
    let lines = if lasted == SignedDuration::from_mins(i64::from(event.duration_minutes)) {
        booking.lines.0.clone()
    } else {
        pricing::for_minutes(&booking.lines, event.duration_minutes)
    };
    let total: i64 = lines.iter().map(|line| line.amount.amount).sum();
    let zone = TimeZone::get(&event.time_zone).map_err(anyhow::Error::from)?;
    let setup = booking.starts_at.to_jiff() - booking.occupied_from.to_jiff();
    let teardown = booking.occupied_until.to_jiff() - booking.ends_at.to_jiff();
    Ok(Claim {
        place,
        plan_id: booking.plan_id,
        number_of_guests: booking.number_of_guests,
        starts_at,
        ends_at,
        occupied_from: starts_at - setup,
        occupied_until: ends_at + teardown,
        service_date: zone.to_datetime(starts_at).date(),
        total: Money::new(total, booking.total.currency),
        deposit: Money::new(deposit(booking, total), booking.deposit.currency),
        lines,
    })
}

/// The same share of the total as before, rounded half up.
fn deposit(booking: &Booking, total: i64) -> i64 {
    let (share, whole) = (booking.deposit.amount, booking.total.amount);
    if whole == 0 || whole == total {
        return share;
    }
    divide_half_up(i128::from(total) * i128::from(share), i128::from(whole))
}
