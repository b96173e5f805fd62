//! Taking hold of a place: find what is in the way, then claim it.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;
use serde_json::{Map, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Booking, NewBooking, queries, record};
use crate::{
    events::Event,
    money::{Currency, Money, share},
    plans::{self, option::PriceLine, pricing},
    problem::{OnConstraint, Problem, kinds},
    work::Work,
};

pub(super) const MINUTES_OF_A_DAY: i32 = 24 * 60;

/// What can be booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Venue(Uuid),
    Caterer(Uuid),
}

/// A booking to make, with its price.
#[derive(Debug)]
pub struct Claim {
    pub place: Place,
    pub plan_id: Option<Uuid>,
    pub number_of_guests: i32,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub occupied_from: Timestamp,
    pub occupied_until: Timestamp,
    pub service_date: Date,
    pub total: Money,
    pub deposit: Money,
    pub lines: Vec<PriceLine>,
}

/// What stands in the way of a booking.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Conflict {
    /// `BOOKING`, `BLOCKED_DATE`, or `DAILY_CAPACITY` of a caterer.
    pub kind: String,
    pub venue_id: Option<Uuid>,
    pub caterer_id: Option<Uuid>,
    /// The booking or the blocked date.
    pub id: Uuid,
    pub from: jiff_sqlx::Timestamp,
    pub until: jiff_sqlx::Timestamp,
}

/// Holds all the places or none. The caller has called `lock_availability`, so that what is found
/// free here stays free; the constraints hold even if not. 409 names what is in the way.
pub async fn hold(
    work: &mut Work,
    organization_id: Uuid,
    event: &Event,
    claims: &[Claim],
) -> Result<Vec<Booking>, Problem> {
    if event.status.is_over() {
        let detail = format!(
            "the event is {}; nothing more is booked for it",
            event.status
        );
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    if event.ends_at.to_jiff() <= work.now {
        let detail = "the event is over; nothing more is booked for it";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    super::cancel::release_expired_in(work, organization_id).await?;
    let mut conflicts = Vec::new();
    for claim in claims {
        conflicts.extend(match claim.place {
            Place::Venue(id) => {
                queries::venue_conflicts(work, organization_id, id, claim, &[]).await?
            }
            Place::Caterer(id) => {
                queries::caterer_conflicts(work, organization_id, id, claim, &[]).await?
            }
        });
    }
    if !conflicts.is_empty() {
        return Err(taken(&conflicts));
    }
    let expires_at = work
        .now
        .checked_add(work.settings().hold_ttl)
        .map_err(anyhow::Error::from)?;
    let mut held = Vec::with_capacity(claims.len());
    for claim in claims {
        let (id, now) = (work.new_id(), work.now);
        let inserted =
            queries::insert(work, organization_id, id, event.id, claim, expires_at, now).await;
        if !inserted.on_constraint(named)? {
            return Err(Problem::conflict(
                &kinds::DOUBLE_BOOKING,
                "it is no longer in the catalogue, or full that day",
            ));
        }
        let booking = queries::get_in(work, organization_id, id).await?;
        record(work, "booking.held", None, &booking).await?;
        held.push(booking);
    }
    Ok(held)
}

/// The claim of a booking without a plan: the catalogue's prices for the time of the event.
pub(super) async fn price(
    work: &mut Work,
    organization_id: Uuid,
    event: &Event,
    new: &NewBooking,
) -> Result<Claim, Problem> {
    let (place, priced) = match (new.venue_id, new.caterer_id) {
        (Some(id), _) => (
            Place::Venue(id),
            price_venue(work, organization_id, id, event, new).await?,
        ),
        (None, Some(id)) => (
            Place::Caterer(id),
            price_caterer(work, organization_id, id, event, new).await?,
        ),
        (None, None) => return Err(Problem::field("/venue_id", "required", "is required")),
    };
    let (starts_at, ends_at) = (event.starts_at.to_jiff(), event.ends_at.to_jiff());
    let zone = TimeZone::get(&event.time_zone).map_err(anyhow::Error::from)?;
    let minutes = |minutes: i32| SignedDuration::from_mins(i64::from(minutes));
    let total = priced.lines.iter().map(|line| line.amount.amount).sum();
    Ok(Claim {
        place,
        plan_id: None,
        number_of_guests: new.number_of_guests,
        starts_at,
        ends_at,
        occupied_from: starts_at - minutes(priced.setup_minutes),
        occupied_until: ends_at + minutes(priced.teardown_minutes),
        service_date: zone.to_datetime(starts_at).date(),
        total: Money::new(total, priced.currency),
        deposit: Money::new(share(total, priced.deposit_rate_bps), priced.currency),
        lines: priced.lines,
    })
}

/// What the catalogue asks.
struct Priced {
    lines: Vec<PriceLine>,
    currency: Currency,
    deposit_rate_bps: i32,
    setup_minutes: i32,
    teardown_minutes: i32,
}

async fn price_venue(
    work: &mut Work,
    organization_id: Uuid,
    id: Uuid,
    event: &Event,
    new: &NewBooking,
) -> Result<Priced, Problem> {
    let venue = plans::queries::venue(work, organization_id, id).await?;
    let venue =
        venue.ok_or_else(|| Problem::field("/venue_id", "unknown", "there is no such venue"))?;
    if venue.capacity < new.number_of_guests {
        let detail = format!("the venue holds {} guests", venue.capacity);
        return Err(Problem::field("/number_of_guests", "capacity", detail));
    }
    if new.needs_event_room && !venue.has_event_room {
        let detail = "the venue has no event room";
        return Err(Problem::field("/needs_event_room", "unavailable", detail));
    }
    let mut lines = pricing::venue_lines(&venue, event.duration_minutes, new.needs_event_room);
    if new.in_house_catering {
        let in_house = venue.in_house.as_ref().ok_or_else(|| {
            let detail = "the venue has no catering of its own";
            Problem::field("/in_house_catering", "unavailable", detail)
        })?;
        lines.extend(pricing::in_house_lines(
            &venue,
            in_house,
            new.number_of_guests,
        ));
    }
    Ok(Priced {
        lines,
        currency: venue.currency,
        deposit_rate_bps: venue.deposit_rate_bps,
        setup_minutes: venue.setup_minutes,
        teardown_minutes: venue.teardown_minutes,
    })
}

async fn price_caterer(
    work: &mut Work,
    organization_id: Uuid,
    id: Uuid,
    event: &Event,
    new: &NewBooking,
) -> Result<Priced, Problem> {
    let caterer = plans::queries::caterer(work, organization_id, id).await?;
    let caterer = caterer
        .ok_or_else(|| Problem::field("/caterer_id", "unknown", "there is no such caterer"))?;
    if event.duration_minutes > MINUTES_OF_A_DAY {
        let detail = "a caterer serves one day: make an event of at most 24 hours for it";
        return Err(Problem::field("/caterer_id", "too_long", detail));
    }
    if !(caterer.minimum_guests..=caterer.maximum_guests).contains(&new.number_of_guests) {
        let (fewest, most) = (caterer.minimum_guests, caterer.maximum_guests);
        let detail = format!("the caterer serves {fewest} to {most} guests");
        return Err(Problem::field("/number_of_guests", "capacity", detail));
    }
    Ok(Priced {
        lines: pricing::caterer_lines(&caterer, new.number_of_guests),
        currency: caterer.currency,
        deposit_rate_bps: caterer.deposit_rate_bps,
        setup_minutes: 0,
        teardown_minutes: 0,
    })
}

/// 409 with what stands in the way.
pub fn taken(conflicts: &[Conflict]) -> Problem {
    let what = match conflicts.first() {
        Some(Conflict {
            venue_id: Some(_), ..
        }) => "the venue",
        _ => "the caterer",
    };
    let extra = Map::from_iter([("conflicts".to_owned(), json!(conflicts))]);
    Problem::Conflict(
        &kinds::DOUBLE_BOOKING,
        format!("{what} is taken at that time"),
        extra,
    )
}

/// The database's own words for it, should anything have got past the lock.
pub(super) fn named(constraint: &str) -> Option<Problem> {
    is_ours(constraint)
        .then(|| Problem::conflict(&kinds::DOUBLE_BOOKING, kinds::DOUBLE_BOOKING.detail()))
}

/// Whether this is one of the constraints that forbid double booking.
pub(super) fn is_ours(constraint: &str) -> bool {
    [
        "booking_venue_once_per_time",
        "booking_caterer_slot_once_per_day",
    ]
    .contains(&constraint)
}
