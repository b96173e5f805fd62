//! What an organization can choose from, held in memory between searches.

pub(super) mod words;

use std::collections::HashMap;

use jiff::{civil::Date, tz::TimeZone};
use uuid::Uuid;

use words::{Vocabulary, WordSet};

use super::place::{Place, reach_squared};
use crate::{
    money::Currency,
    text::{fold, word_list},
};

/// The catalogue of one organization, made ready for searching. It changes only as a whole;
/// bookings change far more often and are kept apart, in [`super::availability::BusyIndex`].
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(super) venues: Vec<Listed<VenueEntry>>,
    pub(super) caterers: Vec<Listed<CatererEntry>>,
    /// `None` stands for a name that is no IANA zone: nothing can be planned there.
    pub(super) zones: Vec<Option<TimeZone>>,
    pub(super) vocabulary: Vocabulary,
}

/// An entry with what is derived from it once: where it is and which zone it keeps.
#[derive(Debug)]
pub(super) struct Listed<T> {
    pub(super) entry: T,
    pub(super) place: Place,
    /// Index into [`Snapshot::zones`]; only venues use it.
    pub(super) zone: usize,
    /// How far it delivers, see [`reach_squared`]; only caterers do.
    pub(super) reach: f64,
    pub(super) amenities: WordSet,
    /// Those of a venue are its own catering's.
    pub(super) cuisines: WordSet,
    pub(super) dietary: WordSet,
}

impl Snapshot {
    /// Entries may come in any order and with any spelling of words.
    pub fn new(mut venues: Vec<VenueEntry>, mut caterers: Vec<CatererEntry>) -> Self {
        venues.sort_unstable_by_key(|venue| venue.id);
        caterers.sort_unstable_by_key(|caterer| caterer.id);
        let mut zones = Zones::default();
        let mut words = Vocabulary::default();
        let venues = venues
            .into_iter()
            .map(|it| list_venue(it, &mut zones, &mut words))
            .collect();
        let caterers = caterers
            .into_iter()
            .map(|it| list_caterer(it, &mut words))
            .collect();
        Self {
            venues,
            caterers,
            zones: zones.known,
            vocabulary: words,
        }
    }
}

/// A venue of the catalogue. Amounts are minor units of `currency`; `bps` are basis points.
#[derive(Debug, Clone, PartialEq)]
pub struct VenueEntry {
    pub id: Uuid,
    pub name: String,
    pub city: String,
    /// `city` folded, see [`crate::text::fold`]; made by [`Snapshot::new`] when empty.
    pub city_key: String,
    pub country: String,
    /// Degrees, WGS 84.
    pub latitude: f64,
    pub longitude: f64,
    /// IANA name.
    pub time_zone: String,
    /// The most guests.
    pub capacity: i32,
    pub has_event_room: bool,
    pub amenities: Vec<String>,
    /// 0 to 100.
    pub rating: i16,
    pub currency: Currency,
    /// Once per event.
    pub hire_fee: i64,
    pub hourly_rate: i64,
    /// Once per event that needs the room.
    pub event_room_fee: i64,
    pub tax_rate_bps: i32,
    pub deposit_rate_bps: i32,
    /// Minutes during which the venue is occupied before the event.
    pub setup_minutes: i32,
    /// Minutes during which the venue is occupied after the event.
    pub teardown_minutes: i32,
    /// When false, only `in_house` may cater.
    pub outside_catering_allowed: bool,
    pub in_house: Option<InHouseCatering>,
    /// Dates, first and last included, on which no event may start.
    pub blocked: Vec<(Date, Date)>,
}

/// Catering by the venue itself: taxed, rated and paid like the venue.
#[derive(Debug, Clone, PartialEq)]
pub struct InHouseCatering {
    pub price_per_guest: i64,
    pub cuisines: Vec<String>,
    pub dietary_options: Vec<String>,
    pub service_fee_bps: i32,
}

/// A caterer of the catalogue. Amounts are minor units of `currency`; `bps` are basis points.
#[derive(Debug, Clone, PartialEq)]
pub struct CatererEntry {
    pub id: Uuid,
    pub name: String,
    pub city: String,
    /// `city` folded, see [`crate::text::fold`]; made by [`Snapshot::new`] when empty.
    pub city_key: String,
    pub country: String,
    /// Degrees, WGS 84.
    pub latitude: f64,
    pub longitude: f64,
    /// IANA name.
    pub time_zone: String,
    /// Kilometres, as the crow flies, from the caterer to the venues it serves.
    pub delivery_radius_km: i32,
    pub cuisines: Vec<String>,
    pub dietary_options: Vec<String>,
    /// 0 to 100.
    pub rating: i16,
    pub currency: Currency,
    pub price_per_guest: i64,
    /// The least that the food costs.
    pub minimum_order: i64,
    pub delivery_fee: i64,
    pub service_fee_bps: i32,
    pub tax_rate_bps: i32,
    pub deposit_rate_bps: i32,
    pub minimum_guests: i32,
    pub maximum_guests: i32,
    /// How many events it serves on one date.
    pub daily_capacity: i16,
    /// Dates, first and last included, on which it does not serve.
    pub blocked: Vec<(Date, Date)>,
}

#[derive(Default)]
struct Zones {
    known: Vec<Option<TimeZone>>,
    numbers: HashMap<String, usize>,
}

impl Zones {
    fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.known.len();
        self.known.push(TimeZone::get(name).ok());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

fn list_venue(
    mut venue: VenueEntry,
    zones: &mut Zones,
    words: &mut Vocabulary,
) -> Listed<VenueEntry> {
    if venue.city_key.is_empty() {
        venue.city_key = fold(&venue.city);
    }
    venue.amenities = word_list(&venue.amenities);
    let (mut cuisines, mut dietary) = (WordSet::default(), WordSet::default());
    if let Some(in_house) = &mut venue.in_house {
        in_house.cuisines = word_list(&in_house.cuisines);
        in_house.dietary_options = word_list(&in_house.dietary_options);
        cuisines = words.learn(&in_house.cuisines);
        dietary = words.learn(&in_house.dietary_options);
    }
    Listed {
        place: Place::new(venue.latitude, venue.longitude),
        zone: zones.number(&venue.time_zone),
        reach: 0.0,
        amenities: words.learn(&venue.amenities),
        cuisines,
        dietary,
        entry: venue,
    }
}

fn list_caterer(mut caterer: CatererEntry, words: &mut Vocabulary) -> Listed<CatererEntry> {
    if caterer.city_key.is_empty() {
        caterer.city_key = fold(&caterer.city);
    }
    caterer.cuisines = word_list(&caterer.cuisines);
    caterer.dietary_options = word_list(&caterer.dietary_options);
    Listed {
        place: Place::new(caterer.latitude, caterer.longitude),
        zone: 0,
        reach: reach_squared(caterer.delivery_radius_km),
        amenities: WordSet::default(),
        cuisines: words.learn(&caterer.cuisines),
        dietary: words.learn(&caterer.dietary_options),
        entry: caterer,
    }
}
