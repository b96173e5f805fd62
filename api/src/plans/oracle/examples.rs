//! Random small catalogues and briefs for tests: few distinct values, so that ties, tight budgets,
//! shared dates and near misses are common.

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date};
use uuid::Uuid;

use super::Catalogue;
use crate::money::Money;
use crate::plans::{
    availability::Busy,
    brief::{Brief, DateWindow, Location, Point},
    snapshot::{CatererEntry, InHouseCatering, VenueEntry},
};

const CUISINES: [&str; 4] = ["italian", "Indian", "thai", "Tex-Mex"];
const DIETS: [&str; 3] = ["vegan", "Gluten free", "halal"];
const AMENITIES: [&str; 3] = ["projector", "Step-free access", "parking"];
/// Name, latitude, longitude and zone; Lord Howe shifts its clocks by half an hour.
const CITIES: [(&str, f64, f64, &str); 4] = [
    ("San Francisco", 37.77, -122.42, "America/Los_Angeles"),
    ("Oakland", 37.80, -122.27, "America/Los_Angeles"),
    ("Zürich", 47.37, 8.54, "Europe/Zurich"),
    ("Lord Howe", -31.55, 159.08, "Australia/Lord_Howe"),
];

/// The same throws for the same seed (`SplitMix64`).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// 0 to `sides` − 1.
    pub(super) fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// As [`Self::below`], for arithmetic with signs.
    fn up_to(&mut self, sides: u64) -> i64 {
        self.below(sides).cast_signed()
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }

    /// True once in `times`.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn some(&mut self, list: &[&str], most: u64) -> Vec<String> {
        (0..self.below(most + 1))
            .map(|_| self.of(list).to_owned())
            .collect()
    }

    fn id(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.below(u64::MAX), self.below(u64::MAX))
    }

    fn date(&mut self, around: Date) -> Date {
        around + (self.up_to(9) - 4).days()
    }

    fn place(&mut self) -> (&'static str, f64, f64, &'static str) {
        let (city, latitude, longitude, zone) = if self.once_in(3) {
            self.of(&CITIES)
        } else {
            CITIES[0]
        };
        let shift = |dice: &mut Self| {
            if dice.once_in(3) {
                f64::from(dice.of(&[0, 1, 2, 3, 5, 8])) * 0.0131
            } else {
                0.0
            }
        };
        (city, latitude + shift(self), longitude + shift(self), zone)
    }

    fn blocked(&mut self, around: Date) -> Vec<(Date, Date)> {
        (0..self.below(3))
            .map(|_| {
                let from = self.date(around);
                (from, from + self.up_to(3).days())
            })
            .collect()
    }
}

pub(super) fn catalogue(dice: &mut Dice, venues: usize, caterers: usize) -> (Brief, Catalogue) {
    // Days on which clocks change in one of the zones, and one ordinary day.
    let around: Date = dice
        .of(&[
            "2026-03-08",
            "2026-11-01",
            "2026-03-29",
            "2026-10-25",
            "2026-10-04",
            "2026-07-15",
        ])
        .parse()
        .unwrap();
    let now = (around - 2.days())
        .at(9, 0, 0, 0)
        .in_tz("UTC")
        .unwrap()
        .timestamp();
    let venues: Vec<_> = (0..venues).map(|_| venue(dice, around)).collect();
    let caterers: Vec<_> = (0..caterers).map(|_| caterer(dice, around)).collect();
    let places: Vec<_> = venues
        .iter()
        .map(|it| it.id)
        .chain(caterers.iter().map(|it| it.id))
        .collect();
    let claims = if places.is_empty() { 0 } else { dice.below(20) };
    let busy = (0..claims)
        .map(|_| busy(dice, &places, around, now))
        .collect();
    (
        brief(dice, around),
        Catalogue {
            venues,
            caterers,
            busy,
            now,
        },
    )
}

fn venue(dice: &mut Dice, around: Date) -> VenueEntry {
    let (city, latitude, longitude, time_zone) = dice.place();
    let in_house = (!dice.once_in(3)).then(|| InHouseCatering {
        price_per_guest: dice.of(&[0, 10, 25, 33]),
        cuisines: dice.some(&CUISINES, 3),
        dietary_options: dice.some(&DIETS, 4),
        service_fee_bps: dice.of(&[0, 1_250]),
    });
    VenueEntry {
        id: dice.id(),
        name: "Hall".to_owned(),
        city: city.to_owned(),
        city_key: String::new(),
        country: "US".to_owned(),
        latitude,
        longitude,
        time_zone: time_zone.to_owned(),
        capacity: dice.of(&[8, 10, 12, 30]),
        has_event_room: !dice.once_in(3),
        amenities: dice.some(&AMENITIES, 5),
        rating: dice.of(&[0, 70, 71, 100]),
        currency: dice.of(&["USD", "USD", "USD", "JPY"]).parse().unwrap(),
        hire_fee: dice.of(&[0, 50, 51, 300]),
        hourly_rate: dice.of(&[0, 7, 100]),
        event_room_fee: dice.of(&[0, 20]),
        tax_rate_bps: dice.of(&[0, 825]),
        deposit_rate_bps: 2_500,
        setup_minutes: dice.of(&[0, 60, 1_000]),
        teardown_minutes: dice.of(&[0, 45]),
        outside_catering_allowed: !dice.once_in(4),
        in_house,
        blocked: dice.blocked(around),
    }
}

fn caterer(dice: &mut Dice, around: Date) -> CatererEntry {
    let (city, latitude, longitude, time_zone) = dice.place();
    CatererEntry {
        id: dice.id(),
        name: "Kitchen".to_owned(),
        city: city.to_owned(),
        city_key: String::new(),
        country: "US".to_owned(),
        latitude,
        longitude,
        time_zone: time_zone.to_owned(),
        delivery_radius_km: dice.of(&[1, 5, 15, 20_100]),
        cuisines: dice.some(&CUISINES, 4),
        dietary_options: dice.some(&DIETS, 6),
        rating: dice.of(&[0, 70, 71, 100]),
        currency: dice.of(&["USD", "USD", "USD", "JPY"]).parse().unwrap(),
        price_per_guest: dice.of(&[0, 10, 11, 25]),
        minimum_order: dice.of(&[0, 0, 150]),
        delivery_fee: dice.of(&[0, 15]),
        service_fee_bps: dice.of(&[0, 1_000, 1_250]),
        tax_rate_bps: dice.of(&[0, 825]),
        deposit_rate_bps: 1_000,
        minimum_guests: dice.of(&[1, 1, 10]),
        maximum_guests: dice.of(&[9, 10, 100]),
        daily_capacity: dice.of(&[0, 1, 1, 2]),
        blocked: dice.blocked(around),
    }
}

fn busy(dice: &mut Dice, places: &[Uuid], around: Date, now: Timestamp) -> Busy {
    let date = dice.date(around);
    let midnight = date.at(0, 0, 0, 0).in_tz("UTC").unwrap().timestamp();
    let occupied_from = midnight + SignedDuration::from_mins(dice.up_to(48) * 30);
    let minutes = dice.of(&[0, 30, 240, 1_440]);
    Busy {
        booking_id: dice.id(),
        venue_or_caterer: dice.of(places),
        occupied_from,
        occupied_until: occupied_from + SignedDuration::from_mins(minutes),
        service_date: date,
        expires_at: dice
            .once_in(3)
            .then(|| now + SignedDuration::from_mins(dice.up_to(3) - 1)),
    }
}

fn brief(dice: &mut Dice, around: Date) -> Brief {
    let window = dice.once_in(2).then(|| {
        let from = around + (dice.up_to(5) - 2).days();
        DateWindow {
            from,
            to: from + dice.up_to(6).days(),
        }
    });
    let by_city = dice.once_in(2);
    let (city, latitude, longitude, _) = if dice.once_in(4) {
        dice.of(&CITIES)
    } else {
        CITIES[0]
    };
    let money = |dice: &mut Dice, amounts: &[i64]| {
        Money::new(
            dice.of(amounts),
            dice.of(&["USD", "USD", "USD", "JPY"]).parse().unwrap(),
        )
    };
    let budget = dice.below(4);
    Brief {
        event_date: window.is_none().then(|| dice.date(around)),
        date_window: window,
        start_time: dice
            .of(&["01:30", "02:00", "02:15", "18:00"])
            .parse()
            .unwrap(),
        duration_minutes: dice.of(&[15, 61, 240, 1_440]),
        time_zone: dice.once_in(4).then(|| dice.of(&CITIES).3.to_owned()),
        location: Location {
            city: by_city.then(|| city.to_uppercase()),
            near: (!by_city).then_some(Point {
                latitude,
                longitude,
            }),
            radius_km: (!by_city).then(|| dice.of(&[1, 5, 30, 200])),
        },
        number_of_guests: dice.of(&[1, 9, 10, 11]),
        cuisine_preferences: if dice.once_in(2) {
            dice.some(&CUISINES, 3)
        } else {
            Vec::new()
        },
        dietary_requirements: if dice.once_in(3) {
            dice.some(&DIETS, 2)
        } else {
            Vec::new()
        },
        budget_per_guest: (budget == 0).then(|| money(dice, &[0, 20, 35, 60, 200])),
        budget_total: (budget == 1).then(|| money(dice, &[0, 200, 330, 500, 900])),
        currency: (budget == 2 && dice.once_in(2)).then(|| "USD".parse().unwrap()),
        event_type: None,
        needs_event_room: dice.once_in(3),
        required_amenities: if dice.once_in(3) {
            dice.some(&AMENITIES, 2)
        } else {
            Vec::new()
        },
        special_requirements: None,
        limit: dice.of(&[1, 3, 5, 20]),
    }
}
