//! What a brief demands of a venue and of a caterer.

use jiff::civil::{Date, Time};

use super::{
    brief::{Brief, Location, MAX_WINDOW_DAYS},
    option::Constraint,
    place::{Place, reach_squared},
    snapshot::{CatererEntry, Listed, Snapshot, VenueEntry, words::WordSet},
};
use crate::{
    money::Currency,
    text::{fold, word_list},
};

/// How many days before and after the dates of a brief others are tried.
pub(super) const DATES_AROUND: i32 = 14;

/// A brief made ready for comparing: folded words, one budget in minor units, a list of dates.
#[derive(Debug, Clone)]
pub(super) struct Criteria {
    /// Ascending, without gaps, at most 120.
    pub(super) dates: Vec<Date>,
    pub(super) start_time: Time,
    pub(super) minutes: i32,
    /// IANA name; `None`: the venue's own.
    pub(super) time_zone: Option<String>,
    pub(super) area: Area,
    pub(super) guests: i32,
    /// Whether capacities and numbers of guests served are overlooked.
    pub(super) any_size: bool,
    /// The preferred cuisines, as people name them.
    pub(super) cuisine_names: Vec<String>,
    pub(super) cuisines: WordSet,
    pub(super) dietary: WordSet,
    pub(super) amenities: WordSet,
    pub(super) event_room: bool,
    pub(super) currency: Option<Currency>,
    /// The most that the whole event may cost, in minor units.
    pub(super) budget: Option<i64>,
    pub(super) limit: usize,
}

/// Where a venue may be.
#[derive(Debug, Clone)]
pub(super) enum Area {
    /// In the city of this key.
    City(String),
    /// Anywhere but there.
    OutsideCity(String),
    Near {
        middle: Place,
        radius_km: i32,
    },
    /// A location without a form: a brief that was not checked.
    Nowhere,
}

impl Criteria {
    /// Words are compared by the vocabulary of the snapshot.
    pub(super) fn new(brief: &Brief, snapshot: &Snapshot) -> Self {
        let budget = brief.budget();
        let words = |list: &[String]| snapshot.vocabulary.set(&word_list(list));
        Self {
            dates: brief
                .dates()
                .map(|(from, to)| dates_between(from, to))
                .unwrap_or_default(),
            start_time: brief.start_time,
            minutes: brief.duration_minutes,
            time_zone: brief.time_zone.clone(),
            area: Area::new(&brief.location),
            guests: brief.number_of_guests,
            any_size: false,
            cuisine_names: word_list(&brief.cuisine_preferences),
            cuisines: words(&brief.cuisine_preferences),
            dietary: words(&brief.dietary_requirements),
            amenities: words(&brief.required_amenities),
            event_room: brief.needs_event_room,
            currency: budget.map(|budget| budget.currency).or(brief.currency),
            budget: budget.map(|budget| budget.amount),
            limit: usize::try_from(brief.limit).unwrap_or(0),
        }
    }

    /// The first constraint, up to the currency, that a venue fails.
    pub(super) fn venue_fails(&self, venue: &Listed<VenueEntry>) -> Option<Constraint> {
        let entry = &venue.entry;
        if !self.area.contains(venue) {
            Some(Constraint::Location)
        } else if entry.capacity < self.guests && !self.any_size {
            Some(Constraint::Capacity)
        } else if self.event_room && !entry.has_event_room {
            Some(Constraint::EventRoom)
        } else if !venue.amenities.has_all(&self.amenities) {
            Some(Constraint::Amenities)
        } else if self
            .currency
            .is_some_and(|currency| currency != entry.currency)
        {
            Some(Constraint::Currency)
        } else {
            None
        }
    }

    /// The first constraint, up to the currency, that a caterer fails.
    pub(super) fn caterer_fails(&self, listed: &Listed<CatererEntry>) -> Option<Constraint> {
        let caterer = &listed.entry;
        let served = caterer.minimum_guests..=caterer.maximum_guests;
        if !served.contains(&self.guests) && !self.any_size {
            Some(Constraint::Guests)
        } else if !self.likes(&listed.cuisines) {
            Some(Constraint::Cuisine)
        } else if !listed.dietary.has_all(&self.dietary) {
            Some(Constraint::Dietary)
        } else if self
            .currency
            .is_some_and(|currency| currency != caterer.currency)
        {
            Some(Constraint::Currency)
        } else {
            None
        }
    }

    /// Whether a venue's own catering meets the cuisine and dietary requirements.
    pub(super) fn in_house_fits(&self, venue: &Listed<VenueEntry>) -> bool {
        self.likes(&venue.cuisines) && venue.dietary.has_all(&self.dietary)
    }

    /// Whether a total, or a part of one, in minor units keeps to the budget.
    pub(super) fn affords(&self, total: i64) -> bool {
        self.budget.is_none_or(|budget| total <= budget)
    }

    fn likes(&self, cuisines: &WordSet) -> bool {
        self.cuisines.is_empty() || cuisines.matches(&self.cuisines) > 0
    }
}

impl Area {
    fn new(location: &Location) -> Self {
        match (&location.city, location.near, location.radius_km) {
            (Some(city), None, None) => Self::City(fold(city)),
            (None, Some(point), Some(radius_km)) => Self::Near {
                middle: Place::new(point.latitude, point.longitude),
                radius_km,
            },
            _ => Self::Nowhere,
        }
    }

    fn contains(&self, venue: &Listed<VenueEntry>) -> bool {
        match self {
            Self::City(key) => venue.entry.city_key == *key,
            Self::OutsideCity(key) => venue.entry.city_key != *key,
            Self::Near { middle, radius_km } => {
                venue.place.line_squared(*middle) <= reach_squared(*radius_km)
            }
            Self::Nowhere => false,
        }
    }
}

/// All dates from `from` to `to`, at most 120: sets of them are kept as bits.
pub(super) fn dates_between(from: Date, to: Date) -> Vec<Date> {
    let most = usize::try_from(MAX_WINDOW_DAYS + 2 * DATES_AROUND).unwrap_or_default();
    std::iter::successors(Some(from), |date| date.tomorrow().ok())
        .take_while(|date| *date <= to)
        .take(most)
        .collect()
}
