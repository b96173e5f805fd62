//! Prices, points and distances by the book.

use super::own_catering_fits;
use crate::{
    money::Currency,
    plans::{
        brief::Brief,
        snapshot::{CatererEntry, VenueEntry},
    },
    text::word_list,
};

pub(super) fn budget(brief: &Brief) -> Option<i128> {
    let per_guest = brief
        .budget_per_guest
        .map(|money| i128::from(money.amount) * i128::from(brief.number_of_guests));
    per_guest.or(brief.budget_total.map(|money| i128::from(money.amount)))
}

pub(super) fn currency(brief: &Brief) -> Option<Currency> {
    let money = brief.budget_per_guest.or(brief.budget_total);
    money.map(|money| money.currency).or(brief.currency)
}

fn half_up(numerator: i128, denominator: i128) -> i128 {
    (2 * numerator + denominator).div_euclid(2 * denominator)
}

pub(super) fn venue_cost(brief: &Brief, venue: &VenueEntry) -> i128 {
    let hours = half_up(
        i128::from(venue.hourly_rate) * i128::from(brief.duration_minutes),
        60,
    );
    let room = if brief.needs_event_room {
        i128::from(venue.event_room_fee)
    } else {
        0
    };
    let lines = i128::from(venue.hire_fee) + hours + room;
    lines + half_up(lines * i128::from(venue.tax_rate_bps), 10_000)
}

pub(super) fn own_catering_cost(brief: &Brief, venue: &VenueEntry) -> i128 {
    let own = venue.in_house.as_ref().unwrap();
    let food = i128::from(own.price_per_guest) * i128::from(brief.number_of_guests);
    let lines = food + half_up(food * i128::from(own.service_fee_bps), 10_000);
    lines + half_up(lines * i128::from(venue.tax_rate_bps), 10_000)
}

pub(super) fn caterer_cost(brief: &Brief, caterer: &CatererEntry) -> i128 {
    let food = i128::from(caterer.price_per_guest) * i128::from(brief.number_of_guests);
    let order = food.max(i128::from(caterer.minimum_order));
    let fee = half_up(order * i128::from(caterer.service_fee_bps), 10_000);
    let lines = order + i128::from(caterer.delivery_fee) + fee;
    lines + half_up(lines * i128::from(caterer.tax_rate_bps), 10_000)
}

pub(super) fn references(
    brief: &Brief,
    venues: &[&VenueEntry],
    caterers: &[&CatererEntry],
    currency: Currency,
) -> (i128, i128) {
    let venues = venues.iter().filter(|venue| venue.currency == currency);
    let of_venues = venues
        .clone()
        .map(|venue| venue_cost(brief, venue))
        .collect();
    let own = venues.filter(|venue| own_catering_fits(brief, venue));
    let own = own.map(|venue| own_catering_cost(brief, venue));
    let caterers = caterers
        .iter()
        .filter(|caterer| caterer.currency == currency);
    let caterings = own
        .chain(caterers.map(|caterer| caterer_cost(brief, caterer)))
        .collect();
    (lower_median(of_venues), lower_median(caterings))
}

fn lower_median(mut totals: Vec<i128>) -> i128 {
    totals.sort_unstable();
    if totals.is_empty() {
        0
    } else {
        totals[(totals.len() - 1) / 2]
    }
}

pub(super) fn price_deduction(brief: &Brief, total: i128, reference: i128) -> i128 {
    match budget(brief) {
        Some(0) => 0,
        Some(budget) => 4_000 * total / budget,
        None if total + reference == 0 => 0,
        None => 2_000 * total / (total + reference),
    }
}

pub(super) fn distance_points(brief: &Brief, venue: &VenueEntry) -> i128 {
    let (Some(near), Some(radius)) = (brief.location.near, brief.location.radius_km) else {
        return 1_000;
    };
    let away = haversine(
        near.latitude,
        near.longitude,
        venue.latitude,
        venue.longitude,
    );
    let metres: i128 = format!("{away:.0}").parse().unwrap();
    let radius = i128::from(radius) * 1_000;
    (1_000 * (radius - metres) / radius).max(0)
}

pub(super) fn cuisine_points(brief: &Brief, offered: &[String]) -> i128 {
    let wanted = word_list(&brief.cuisine_preferences);
    if wanted.is_empty() {
        return 1_000;
    }
    let matches = wanted.iter().filter(|word| offered.contains(word)).count();
    i128::try_from(1_000 * matches / wanted.len()).unwrap()
}

/// Metres, by the textbook formula.
pub(super) fn haversine(
    latitude: f64,
    longitude: f64,
    other_latitude: f64,
    other_longitude: f64,
) -> f64 {
    let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let cosines = latitude.to_radians().cos() * other_latitude.to_radians().cos();
    let square = half(latitude, other_latitude) + cosines * half(longitude, other_longitude);
    2.0 * 6_371_008.8 * square.sqrt().min(1.0).asin()
}
