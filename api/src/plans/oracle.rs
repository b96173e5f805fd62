//! The search as a reader of the rules would do it by hand: every venue with every catering on
//! every date, in plain loops. Slow, and written without looking at the fast one.

mod examples;
mod stories;
mod sums;
mod tests;

use std::collections::BTreeMap;

use sums::{
    budget, caterer_cost, cuisine_points, currency, distance_points, haversine, own_catering_cost,
    price_deduction, references, venue_cost,
};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use uuid::Uuid;

use super::{
    availability::Busy,
    brief::Brief,
    option::{Constraint, Side},
    snapshot::{CatererEntry, VenueEntry},
};
use crate::text::{fold, word_list};

/// Everything that a search looks at, as it came.
#[derive(Debug, Clone)]
pub(super) struct Catalogue {
    pub(super) venues: Vec<VenueEntry>,
    pub(super) caterers: Vec<CatererEntry>,
    pub(super) busy: Vec<Busy>,
    pub(super) now: Timestamp,
}

/// What must agree with an option of the fast search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) score: i128,
    pub(super) venue: Uuid,
    pub(super) caterer: Option<Uuid>,
    pub(super) date: Date,
    pub(super) starts_at: Timestamp,
    pub(super) dates: usize,
    pub(super) venue_total: i128,
    pub(super) catering_total: i128,
}

/// All options, best first, and how many each constraint excluded.
pub(super) fn everything(
    brief: &Brief,
    catalogue: &Catalogue,
) -> (Vec<Found>, BTreeMap<(bool, Constraint), usize>) {
    let mut excluded = BTreeMap::new();
    let mut venues = Vec::new();
    for venue in &catalogue.venues {
        match venue_fault(brief, catalogue, venue) {
            None => venues.push(venue),
            Some(constraint) => *excluded.entry(key(Side::Venue, constraint)).or_default() += 1,
        }
    }
    let mut caterers = Vec::new();
    for caterer in &catalogue.caterers {
        match caterer_fault(brief, catalogue, caterer, &venues) {
            None => caterers.push(caterer),
            Some(constraint) => *excluded.entry(key(Side::Catering, constraint)).or_default() += 1,
        }
    }
    let mut found = Vec::new();
    for venue in &venues {
        let references = references(brief, &venues, &caterers, venue.currency);
        if own_catering_fits(brief, venue) {
            found.extend(pair(brief, catalogue, venue, None, references));
        }
        for caterer in &caterers {
            found.extend(pair(brief, catalogue, venue, Some(caterer), references));
        }
    }
    found.sort_by_key(|it| {
        (
            -it.score,
            it.venue_total + it.catering_total,
            it.venue,
            it.caterer,
        )
    });
    (found, excluded)
}

pub(super) fn key(side: Side, constraint: Constraint) -> (bool, Constraint) {
    (side == Side::Catering, constraint)
}

fn pair(
    brief: &Brief,
    catalogue: &Catalogue,
    venue: &VenueEntry,
    caterer: Option<&CatererEntry>,
    references: (i128, i128),
) -> Option<Found> {
    let venue_total = venue_cost(brief, venue);
    let catering_total = match caterer {
        Some(caterer) => caterer_cost(brief, caterer),
        None => own_catering_cost(brief, venue),
    };
    let total = venue_total + catering_total;
    if budget(brief).is_some_and(|budget| total > budget) {
        return None;
    }
    if let Some(caterer) = caterer
        && (!venue.outside_catering_allowed || !serves(caterer, venue))
    {
        return None;
    }
    let mut free = Vec::new();
    for date in dates(brief) {
        let caterer_free = caterer.is_none_or(|caterer| caterer_is_free(catalogue, caterer, date));
        if let Some(start) = venue_start(brief, catalogue, venue, date)
            && caterer_free
        {
            free.push((date, start));
        }
    }
    let (date, starts_at) = *free.first()?;
    let (cuisines, rating) = match caterer {
        Some(caterer) => (word_list(&caterer.cuisines), caterer.rating),
        None => (word_list(&venue.in_house.as_ref()?.cuisines), venue.rating),
    };
    let score = 4_000
        - price_deduction(brief, venue_total, references.0)
        - price_deduction(brief, catering_total, references.1)
        + 1_500 * i128::from(brief.number_of_guests) / i128::from(venue.capacity)
        + i128::from(venue.rating) * 15
        + distance_points(brief, venue)
        + i128::from(rating) * 10
        + cuisine_points(brief, &cuisines);
    Some(Found {
        score,
        venue: venue.id,
        caterer: caterer.map(|caterer| caterer.id),
        date,
        starts_at,
        dates: free.len(),
        venue_total,
        catering_total,
    })
}

fn venue_fault(brief: &Brief, catalogue: &Catalogue, venue: &VenueEntry) -> Option<Constraint> {
    let here = match (
        &brief.location.city,
        brief.location.near,
        brief.location.radius_km,
    ) {
        (Some(city), ..) => fold(city) == fold(&venue.city),
        (None, Some(near), Some(radius)) => {
            let away = haversine(
                near.latitude,
                near.longitude,
                venue.latitude,
                venue.longitude,
            );
            away <= f64::from(radius) * 1_000.0
        }
        _ => false,
    };
    let amenities = word_list(&venue.amenities);
    let faults = [
        (!here, Constraint::Location),
        (
            venue.capacity < brief.number_of_guests,
            Constraint::Capacity,
        ),
        (
            brief.needs_event_room && !venue.has_event_room,
            Constraint::EventRoom,
        ),
        (
            word_list(&brief.required_amenities)
                .iter()
                .any(|word| !amenities.contains(word)),
            Constraint::Amenities,
        ),
        (
            currency(brief).is_some_and(|code| code != venue.currency),
            Constraint::Currency,
        ),
        (
            budget(brief).is_some_and(|most| venue_cost(brief, venue) > most),
            Constraint::Budget,
        ),
        (
            dates(brief)
                .iter()
                .all(|date| venue_start(brief, catalogue, venue, *date).is_none()),
            Constraint::Date,
        ),
    ];
    faults
        .into_iter()
        .find(|(failed, _)| *failed)
        .map(|(_, constraint)| constraint)
}

fn caterer_fault(
    brief: &Brief,
    catalogue: &Catalogue,
    caterer: &CatererEntry,
    venues: &[&VenueEntry],
) -> Option<Constraint> {
    let guests = brief.number_of_guests;
    let faults = [
        (
            guests < caterer.minimum_guests || guests > caterer.maximum_guests,
            Constraint::Guests,
        ),
        (!cuisine_fits(brief, &caterer.cuisines), Constraint::Cuisine),
        (
            !dietary_fits(brief, &caterer.dietary_options),
            Constraint::Dietary,
        ),
        (
            currency(brief).is_some_and(|code| code != caterer.currency),
            Constraint::Currency,
        ),
        (
            budget(brief).is_some_and(|most| caterer_cost(brief, caterer) > most),
            Constraint::Budget,
        ),
        (
            dates(brief)
                .iter()
                .all(|date| !caterer_is_free(catalogue, caterer, *date)),
            Constraint::Date,
        ),
        (
            !venues
                .iter()
                .any(|venue| venue.outside_catering_allowed && serves(caterer, venue)),
            Constraint::Delivery,
        ),
    ];
    faults
        .into_iter()
        .find(|(failed, _)| *failed)
        .map(|(_, constraint)| constraint)
}

fn serves(caterer: &CatererEntry, venue: &VenueEntry) -> bool {
    let away = haversine(
        caterer.latitude,
        caterer.longitude,
        venue.latitude,
        venue.longitude,
    );
    away <= f64::from(caterer.delivery_radius_km) * 1_000.0 && caterer.currency == venue.currency
}

fn own_catering_fits(brief: &Brief, venue: &VenueEntry) -> bool {
    venue.in_house.as_ref().is_some_and(|own| {
        cuisine_fits(brief, &own.cuisines) && dietary_fits(brief, &own.dietary_options)
    })
}

fn cuisine_fits(brief: &Brief, offered: &[String]) -> bool {
    let (wanted, offered) = (word_list(&brief.cuisine_preferences), word_list(offered));
    wanted.is_empty() || wanted.iter().any(|word| offered.contains(word))
}

fn dietary_fits(brief: &Brief, offered: &[String]) -> bool {
    let offered = word_list(offered);
    word_list(&brief.dietary_requirements)
        .iter()
        .all(|word| offered.contains(word))
}

fn dates(brief: &Brief) -> Vec<Date> {
    let (mut date, to) = match (brief.event_date, brief.date_window) {
        (Some(date), _) => (date, date),
        (None, Some(window)) => (window.from, window.to),
        (None, None) => return Vec::new(),
    };
    let mut dates = Vec::new();
    while date <= to {
        dates.push(date);
        date = date.tomorrow().unwrap();
    }
    dates
}

/// When the event would start there on that date, if it can.
fn venue_start(
    brief: &Brief,
    catalogue: &Catalogue,
    venue: &VenueEntry,
    date: Date,
) -> Option<Timestamp> {
    let zone = TimeZone::get(brief.time_zone.as_ref().unwrap_or(&venue.time_zone)).ok()?;
    let wall = date.to_datetime(brief.start_time);
    let start = zone.to_zoned(wall).unwrap();
    if start.datetime() != wall || start.timestamp() <= catalogue.now {
        return None;
    }
    let start = start.timestamp();
    let minutes = |number: i32| SignedDuration::from_mins(i64::from(number));
    // Blocked days are those that any moment of the event belongs to, by the venue's calendar.
    let own = TimeZone::get(&venue.time_zone).ok()?;
    let last_moment = start + minutes(brief.duration_minutes) - SignedDuration::from_secs(1);
    let touched = own.to_datetime(start).date()..=own.to_datetime(last_moment).date();
    if venue
        .blocked
        .iter()
        .any(|(from, to)| from <= touched.end() && to >= touched.start())
    {
        return None;
    }
    let from = start - minutes(venue.setup_minutes);
    let until = start + minutes(brief.duration_minutes) + minutes(venue.teardown_minutes);
    let taken = live(catalogue, venue.id)
        .filter(|claim| claim.occupied_from < claim.occupied_until)
        .any(|claim| claim.occupied_from < until && from < claim.occupied_until);
    (!taken).then_some(start)
}

fn caterer_is_free(catalogue: &Catalogue, caterer: &CatererEntry, date: Date) -> bool {
    let served = live(catalogue, caterer.id)
        .filter(|claim| claim.service_date == date)
        .count();
    let blocked = caterer
        .blocked
        .iter()
        .any(|(from, to)| (*from..=*to).contains(&date));
    served < usize::try_from(caterer.daily_capacity).unwrap() && !blocked
}

fn live(catalogue: &Catalogue, place: Uuid) -> impl Iterator<Item = &Busy> {
    catalogue.busy.iter().filter(move |claim| {
        let expired = claim
            .expires_at
            .is_some_and(|expiry| expiry <= catalogue.now);
        claim.venue_or_caterer == place && !expired
    })
}
