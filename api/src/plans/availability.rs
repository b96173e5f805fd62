//! When venues and caterers are taken.

use std::{
    cell::{Cell, OnceCell},
    collections::HashMap,
};

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Time},
    tz::{AmbiguousOffset, TimeZone},
};
use uuid::Uuid;

use super::{
    candidates::World,
    rules::{Criteria, DATES_AROUND, dates_between},
    snapshot::{CatererEntry, Listed, VenueEntry},
};

/// A booking's claim on a venue or a caterer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    pub booking_id: Uuid,
    pub venue_or_caterer: Uuid,
    /// Start of the claim, setting up included. Counts for venues.
    pub occupied_from: Timestamp,
    /// End of the claim (not included), clearing away included. Counts for venues.
    pub occupied_until: Timestamp,
    /// The local date of the event. Counts for caterers.
    pub service_date: Date,
    /// Set for a hold: from this instant on it no longer counts.
    pub expires_at: Option<Timestamp>,
}

/// All claims of an organization, kept up to date booking by booking.
#[derive(Debug, Default)]
pub struct BusyIndex {
    by_place: HashMap<Uuid, Claims>,
    place_of: HashMap<Uuid, Uuid>,
}

/// The claims on one venue or caterer, in no order; kept small, as every search reads most of them.
#[derive(Debug, Default)]
struct Claims {
    /// The booking of each claim.
    bookings: Vec<Uuid>,
    claims: Vec<Claim>,
}

/// A claim as searches read it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// Seconds since the epoch, rounded down; equal to `until` for a claim of no length.
    from: i64,
    /// Seconds since the epoch, rounded up.
    until: i64,
    /// Microseconds since the epoch; the largest number for a claim that stays.
    expires_at: i64,
    service_date: Date,
}

impl BusyIndex {
    pub fn new(busy: impl IntoIterator<Item = Busy>) -> Self {
        let mut index = Self::default();
        for claim in busy {
            index.apply(claim.booking_id, Some(claim));
        }
        index
    }

    /// Puts the claim of a booking in the place of its former one; `None` removes it.
    pub fn apply(&mut self, booking_id: Uuid, busy: Option<Busy>) {
        let former = self.place_of.remove(&booking_id);
        if let Some(claims) = former.and_then(|place| self.by_place.get_mut(&place))
            && let Some(number) = claims.bookings.iter().position(|id| *id == booking_id)
        {
            claims.bookings.swap_remove(number);
            claims.claims.swap_remove(number);
        }
        if let Some(busy) = busy {
            self.place_of.insert(booking_id, busy.venue_or_caterer);
            let claims = self.by_place.entry(busy.venue_or_caterer).or_default();
            claims.bookings.push(booking_id);
            claims.claims.push(Claim::new(&busy));
        }
    }

    /// The claims on a venue or caterer, in no order.
    pub(super) fn of(&self, venue_or_caterer: Uuid) -> &[Claim] {
        self.by_place
            .get(&venue_or_caterer)
            .map_or(&[], |claims| claims.claims.as_slice())
    }
}

impl Claim {
    fn new(busy: &Busy) -> Self {
        let (from, until) = (busy.occupied_from, busy.occupied_until);
        let part = i64::from(until.subsec_nanosecond() > 0);
        Self {
            from: from.as_second(),
            until: if from < until {
                until.as_second() + part
            } else {
                from.as_second()
            },
            expires_at: busy.expires_at.map_or(i64::MAX, Timestamp::as_microsecond),
            service_date: busy.service_date,
        }
    }

    /// Whether the claim still counts at `now`.
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at > now.as_microsecond()
    }
}

/// On which dates each venue and caterer is free for an event: worked out when first asked, and
/// kept, so that variations of a brief
/// share it. A set of dates is a bit mask: bit 0 is the first.
#[derive(Debug)]
pub(super) struct FreeDates<'a> {
    pub(super) world: World<'a>,
    /// The dates of the brief, and those around that a change may lead to.
    pub(super) dates: Vec<Date>,
    minutes: i32,
    /// The calendar of the brief's own zone, if it has one.
    of_brief: Option<Calendar>,
    start_time: Time,
    /// One calendar for each zone of the catalogue.
    by_zone: Vec<OnceCell<Calendar>>,
    venues: Vec<Cell<u128>>,
    caterers: Vec<Cell<u128>>,
}

/// No set of dates is as large.
const UNKNOWN: u128 = u128::MAX;

impl<'a> FreeDates<'a> {
    /// For the dates of these criteria and those around, and for their hours and zone.
    pub(super) fn new(criteria: &Criteria, world: World<'a>) -> Self {
        let dates = match (criteria.dates.first(), criteria.dates.last()) {
            (Some(from), Some(to)) => {
                let days = DATES_AROUND.days();
                dates_between(from.saturating_sub(days), to.saturating_add(days))
            }
            _ => Vec::new(),
        };
        let of_brief = criteria.time_zone.as_deref().map(|name| {
            let zone = TimeZone::get(name).ok();
            Calendar::new(&dates, criteria.start_time, zone.as_ref(), world.now)
        });
        Self {
            world,
            minutes: criteria.minutes,
            of_brief,
            start_time: criteria.start_time,
            by_zone: world
                .snapshot
                .zones
                .iter()
                .map(|_| OnceCell::new())
                .collect(),
            venues: vec![Cell::new(UNKNOWN); world.snapshot.venues.len()],
            caterers: vec![Cell::new(UNKNOWN); world.snapshot.caterers.len()],
            dates,
        }
    }

    /// The dates, of these criteria, on which a venue is free.
    pub(super) fn of_venue(&self, rank: usize, criteria: &Criteria) -> u128 {
        let listed = &self.world.snapshot.venues[rank];
        let known = &self.venues[rank];
        if known.get() == UNKNOWN {
            let claims = self.world.busy.of(listed.entry.id);
            let calendar = self.calendar(listed);
            let free = calendar.free(&listed.entry, self.minutes, claims, self.world.now);
            let zone = self.world.snapshot.zones[listed.zone].as_ref();
            let blocked = calendar.blocked(&listed.entry.blocked, zone, self.minutes);
            known.set(free & !blocked);
        }
        self.part(known.get(), criteria)
    }

    /// The dates, of these criteria, on which a caterer is free.
    pub(super) fn of_caterer(&self, rank: usize, criteria: &Criteria) -> u128 {
        let entry = &self.world.snapshot.caterers[rank].entry;
        let known = &self.caterers[rank];
        if known.get() == UNKNOWN {
            let claims = self.world.busy.of(entry.id);
            known.set(serving_dates(entry, &self.dates, claims, self.world.now));
        }
        self.part(known.get(), criteria)
    }

    /// The start of an event at a venue on one of the dates.
    pub(super) fn start(&self, venue: &Listed<VenueEntry>, date: Date) -> Timestamp {
        self.calendar(venue)
            .start(self.dates.partition_point(|it| *it < date))
    }

    fn calendar(&self, venue: &Listed<VenueEntry>) -> &Calendar {
        self.of_brief.as_ref().unwrap_or_else(|| {
            self.by_zone[venue.zone].get_or_init(|| {
                let zone = self.world.snapshot.zones[venue.zone].as_ref();
                Calendar::new(&self.dates, self.start_time, zone, self.world.now)
            })
        })
    }

    /// The same dates, numbered as in the criteria, whose dates are some of these.
    fn part(&self, mask: u128, criteria: &Criteria) -> u128 {
        let first = criteria
            .dates
            .first()
            .map(|date| self.dates.partition_point(|it| it < date));
        (mask >> first.unwrap_or(0)) & bits(0, criteria.dates.len())
    }
}

/// Dates as instants in one zone.
#[derive(Debug)]
struct Calendar {
    /// Seconds since the epoch, ascending, one per date.
    starts: Vec<i64>,
    /// Dates on which the event can start: the wall time exists, and is still to come.
    open: u128,
}

impl Calendar {
    fn new(dates: &[Date], start: Time, zone: Option<&TimeZone>, now: Timestamp) -> Self {
        let mut calendar = Self {
            starts: Vec::with_capacity(dates.len()),
            open: 0,
        };
        for (number, date) in dates.iter().enumerate() {
            let local = zone.map(|zone| zone.to_ambiguous_timestamp(date.to_datetime(start)));
            let skipped = local
                .as_ref()
                .is_none_or(|local| matches!(local.offset(), AmbiguousOffset::Gap { .. }));
            let start = local.and_then(|local| local.compatible().ok());
            if !skipped && start.is_some_and(|start| start > now) {
                calendar.open |= 1 << number;
            }
            calendar
                .starts
                .push(start.unwrap_or(Timestamp::MAX).as_second());
        }
        calendar
    }

    /// The start of the event on the date of this number.
    fn start(&self, number: usize) -> Timestamp {
        let second = self.starts.get(number).copied().unwrap_or_default();
        Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
    }

    /// The dates on which the event, with setting up and clearing away, fits between the claims.
    fn free(&self, venue: &VenueEntry, minutes: i32, claims: &[Claim], now: Timestamp) -> u128 {
        let before = i64::from(venue.setup_minutes) * 60;
        let after = (i64::from(minutes) + i64::from(venue.teardown_minutes)) * 60;
        let mut free = self.open;
        for claim in claims
            .iter()
            .filter(|claim| claim.from < claim.until && claim.is_live(now))
        {
            free &= !self.starting_between(claim.from - after, claim.until + before);
        }
        free
    }

    /// The dates on which the event would reach into blocked days, which are days of the venue's
    /// own zone, whatever the zone of the event.
    fn blocked(&self, days: &[(Date, Date)], zone: Option<&TimeZone>, minutes: i32) -> u128 {
        let midnight = |date: Date| {
            let zone = zone.cloned().unwrap_or(TimeZone::UTC);
            zone.to_timestamp(date.at(0, 0, 0, 0))
                .map(Timestamp::as_second)
        };
        days.iter().fold(0, |mask, (from, to)| {
            let day_after = to.tomorrow().unwrap_or(Date::MAX);
            match (midnight(*from), midnight(day_after)) {
                (Ok(from), Ok(until)) => {
                    mask | self.starting_between(from - i64::from(minutes) * 60, until)
                }
                _ => mask,
            }
        })
    }

    /// Dates whose start lies between the two seconds, neither included.
    fn starting_between(&self, after: i64, before: i64) -> u128 {
        if self.starts.last().is_none_or(|last| *last <= after) || self.starts[0] >= before {
            return 0;
        }
        let first = self.starts.partition_point(|start| *start <= after);
        let end = self.starts.partition_point(|start| *start < before);
        bits(first, end)
    }
}

/// The dates on which a caterer can serve one more event.
fn serving_dates(caterer: &CatererEntry, dates: &[Date], claims: &[Claim], now: Timestamp) -> u128 {
    if caterer.daily_capacity <= 0 {
        return 0;
    }
    let mut free = bits(0, dates.len()) & !blocked_dates(&caterer.blocked, dates);
    let capacity = caterer.daily_capacity.unsigned_abs();
    if claims.len() < usize::from(capacity) {
        return free;
    }
    let mut served = [0_u16; 128];
    for claim in claims.iter().filter(|claim| claim.is_live(now)) {
        if let Ok(number) = dates.binary_search(&claim.service_date) {
            served[number] += 1;
            if served[number] >= capacity {
                free &= !bits(number, number + 1);
            }
        }
    }
    free
}

/// The dates that lie in a blocked range.
fn blocked_dates(blocked: &[(Date, Date)], dates: &[Date]) -> u128 {
    let (Some(first), Some(last)) = (dates.first(), dates.last()) else {
        return 0;
    };
    let near = blocked
        .iter()
        .filter(|(from, to)| from <= last && to >= first);
    near.fold(0, |mask, (from, to)| {
        let start = dates.partition_point(|date| date < from);
        let end = dates.partition_point(|date| date <= to);
        mask | bits(start, end)
    })
}

/// The bits from `start` to before `end`, which is at most 127.
fn bits(start: usize, end: usize) -> u128 {
    if start >= end {
        0
    } else {
        ((1 << end) - 1) & !((1 << start) - 1)
    }
}
