//! The score of an option: whole points, the sum of a venue part and a catering part.
//!
//! | reason | points |
//! | --- | --- |
//! | `PRICE` | 4,000 |
//! | `VENUE_PRICE`, `CATERING_PRICE` | less 4,000 × total ÷ budget; without one less 2,000 × total ÷ (total + reference) |
//! | `CAPACITY_FIT` | 1,500 × guests ÷ capacity |
//! | `VENUE_RATING` | 15 per point of 100 |
//! | `DISTANCE` | 1,000 × (radius − distance) ÷ radius; 1,000 in a named city |
//! | `CATERING_RATING` | 10 per point of 100; in-house: the venue's rating |
//! | `CUISINE_MATCH` | 1,000 × preferred cuisines offered ÷ all preferred; 1,000 without any |
//!
//! Each is rounded down to a whole point; distances are in metres. The total is that of the side.
//! The reference is the lower median of the totals of that side, in that currency, of everything
//! that no constraint of its own excludes (for catering: caterers and in-house catering alike).

use super::{
    option::{Reason, ReasonCode},
    place::Place,
    rules::{Area, Criteria},
    snapshot::{Listed, VenueEntry, words::WordSet},
};
use crate::money::Money;

/// From which both prices are deducted.
const PRICE: i64 = 4_000;

/// What one side's totals are compared with, in minor units.
#[derive(Debug, Clone, Copy)]
pub(super) enum Yardstick {
    Budget(i64),
    /// The median of similar offers.
    Reference(i64),
}

impl Yardstick {
    /// The points, 0 or less, for a side that costs `total`.
    fn points(self, total: i64) -> i64 {
        let total = i128::from(total);
        let (most, whole) = match self {
            Self::Budget(budget) => (i128::from(PRICE), i128::from(budget)),
            Self::Reference(reference) => (i128::from(PRICE / 2), total + i128::from(reference)),
        };
        if whole <= 0 {
            return 0;
        }
        -i64::try_from(most * total / whole).unwrap_or(PRICE)
    }

    fn detail(self, total: Money) -> String {
        match self {
            Self::Budget(budget) => {
                let budget = Money::new(budget, total.currency);
                format!("{total} of the budget of {budget}")
            }
            Self::Reference(reference) => {
                let reference = Money::new(reference, total.currency);
                format!("{total}, where {reference} is usual")
            }
        }
    }
}

/// The lower median; 0 for nothing. Reorders `totals`.
pub(super) fn median(totals: &mut [i64]) -> i64 {
    if totals.is_empty() {
        return 0;
    }
    *totals.select_nth_unstable((totals.len() - 1) / 2).1
}

/// The venue's part of the score.
pub(super) fn venue_points(
    criteria: &Criteria,
    venue: &Listed<VenueEntry>,
    total: i64,
    yardstick: Yardstick,
) -> i64 {
    PRICE
        + yardstick.points(total)
        + capacity_points(criteria, &venue.entry)
        + i64::from(venue.entry.rating) * 15
        + distance_points(criteria, venue)
}

/// The catering's part of the score.
pub(super) fn catering_points(
    criteria: &Criteria,
    cuisines: &WordSet,
    rating: i16,
    total: i64,
    yardstick: Yardstick,
) -> i64 {
    yardstick.points(total) + i64::from(rating) * 10 + cuisine_points(criteria, cuisines)
}

/// The reasons for [`venue_points`].
pub(super) fn venue_reasons(
    criteria: &Criteria,
    venue: &Listed<VenueEntry>,
    total: Money,
    yardstick: Yardstick,
) -> Vec<Reason> {
    let (guests, entry) = (criteria.guests, &venue.entry);
    let whole = match yardstick {
        Yardstick::Budget(_) => "keeps to the budget; both prices are deducted from this",
        Yardstick::Reference(_) => "both prices are deducted from this",
    };
    vec![
        reason(ReasonCode::Price, PRICE, whole.to_owned()),
        reason(
            ReasonCode::VenuePrice,
            yardstick.points(total.amount),
            yardstick.detail(total),
        ),
        reason(
            ReasonCode::CapacityFit,
            capacity_points(criteria, entry),
            format!("{guests} of {} places used", entry.capacity),
        ),
        reason(
            ReasonCode::VenueRating,
            i64::from(entry.rating) * 15,
            format!("the venue is rated {} of 100", entry.rating),
        ),
        reason(
            ReasonCode::Distance,
            distance_points(criteria, venue),
            match metres_away(criteria, venue.place) {
                Some(metres) => format!("{} away", kilometres(metres)),
                None => format!("in {}", entry.city),
            },
        ),
    ]
}

/// The reasons for [`catering_points`]; the cuisines also by name.
pub(super) fn catering_reasons(
    criteria: &Criteria,
    cuisines: (&WordSet, &[String]),
    rating: i16,
    total: Money,
    yardstick: Yardstick,
) -> Vec<Reason> {
    let matches = criteria
        .cuisine_names
        .iter()
        .filter(|name| cuisines.1.contains(name));
    let names: Vec<_> = matches.map(|cuisine| cuisine.replace('_', " ")).collect();
    vec![
        reason(
            ReasonCode::CateringPrice,
            yardstick.points(total.amount),
            yardstick.detail(total),
        ),
        reason(
            ReasonCode::CateringRating,
            i64::from(rating) * 10,
            format!("the catering is rated {rating} of 100"),
        ),
        reason(
            ReasonCode::CuisineMatch,
            cuisine_points(criteria, cuisines.0),
            if names.is_empty() {
                "any cuisine will do".to_owned()
            } else {
                format!("offers {}", names.join(", "))
            },
        ),
    ]
}

/// Metres from the middle of the area; `None` when the brief names a city.
pub(super) fn metres_away(criteria: &Criteria, place: Place) -> Option<i64> {
    match &criteria.area {
        Area::Near { middle, .. } => Some(middle.metres(place)),
        _ => None,
    }
}

fn capacity_points(criteria: &Criteria, venue: &VenueEntry) -> i64 {
    1_500 * i64::from(criteria.guests) / i64::from(venue.capacity.max(1))
}

fn distance_points(criteria: &Criteria, venue: &Listed<VenueEntry>) -> i64 {
    let Area::Near { middle, radius_km } = &criteria.area else {
        return 1_000;
    };
    let radius = i64::from(*radius_km) * 1_000;
    let left = radius - middle.metres(venue.place).min(radius);
    1_000 * left / radius.max(1)
}

fn cuisine_points(criteria: &Criteria, cuisines: &WordSet) -> i64 {
    if criteria.cuisines.is_empty() {
        return 1_000;
    }
    let matches = cuisines.matches(&criteria.cuisines);
    i64::try_from(1_000 * matches / criteria.cuisine_names.len().max(1)).unwrap_or_default()
}

fn reason(code: ReasonCode, points: i64, detail: String) -> Reason {
    Reason {
        code,
        points: i32::try_from(points).unwrap_or_default(),
        detail,
    }
}

/// Metres for people: `850 m`, `3.4 km`.
pub(super) fn kilometres(metres: i64) -> String {
    if metres < 1_000 {
        return format!("{metres} m");
    }
    format!("{}.{} km", metres / 1_000, metres % 1_000 / 100)
}
