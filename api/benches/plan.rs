//! How long a brief takes: `cargo bench --bench plan`.
//!
//! Prints the median and the 99th percentile over many different briefs, then criterion's figures.
//! Everything runs on one core; the catalogues are made by a fixed formula.

use std::{
    hint::black_box,
    io::Write,
    time::{Duration, Instant},
};

use criterion::Criterion;
use event_planner_api::{
    money::{Currency, Money},
    plans::{
        availability::{Busy, BusyIndex},
        brief::{Brief, DateWindow, Location, Point},
        search::search,
        snapshot::{CatererEntry, InHouseCatering, Snapshot, VenueEntry},
    },
};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date};
use uuid::Uuid;

const BRIEFS: u64 = 200;
const CLAIMS_EACH: u64 = 10;
const CUISINES: [&str; 8] = [
    "italian", "indian", "thai", "mexican", "japanese", "greek", "french", "korean",
];
const DIETS: [&str; 5] = ["vegan", "vegetarian", "gluten_free", "halal", "kosher"];
const AMENITIES: [&str; 6] = [
    "projector",
    "wifi",
    "parking",
    "stage",
    "terrace",
    "step_free",
];
const CITIES: [(&str, f64, f64, &str, &str); 8] = [
    (
        "San Francisco",
        37.77,
        -122.42,
        "America/Los_Angeles",
        "USD",
    ),
    ("New York", 40.71, -74.01, "America/New_York", "USD"),
    ("London", 51.51, -0.13, "Europe/London", "GBP"),
    ("Berlin", 52.52, 13.41, "Europe/Berlin", "EUR"),
    ("Paris", 48.86, 2.35, "Europe/Paris", "EUR"),
    ("São Paulo", -23.55, -46.63, "America/Sao_Paulo", "BRL"),
    ("Tokyo", 35.68, 139.69, "Asia/Tokyo", "JPY"),
    ("Sydney", -33.87, 151.21, "Australia/Sydney", "AUD"),
];

type Catalogue = (Vec<VenueEntry>, Vec<CatererEntry>);

/// A catalogue ready for searching, and what is asked of it.
struct Case {
    name: String,
    snapshot: Snapshot,
    busy: BusyIndex,
    briefs: Vec<Brief>,
}

fn main() {
    let cases = cases();
    let mut out = std::io::stdout().lock();
    for case in &cases {
        let mut times: Vec<Duration> = case.briefs.iter().map(|brief| time(case, brief)).collect();
        times.sort_unstable();
        let found = case
            .briefs
            .iter()
            .filter(|brief| options(case, brief) > 0)
            .count();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
        let (p50, p99, most) = (at(50), at(99), at(100));
        let (name, briefs) = (&case.name, times.len());
        let line = format!(
            "{name:<44} p50 {p50:>7.2} ms   p99 {p99:>7.2} ms   max {most:>7.2} ms   ({found} of {briefs} briefs have options)"
        );
        let _ = writeln!(out, "{line}");
    }
    drop(out);
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for case in &cases {
        criterion.bench_function(&format!("plan/{}", case.name), |bencher| {
            bencher.iter(|| options(case, black_box(&case.briefs[0])));
        });
    }
    criterion.final_summary();
}

fn cases() -> Vec<Case> {
    [1_000, 10_000]
        .into_iter()
        .flat_map(|size| [fitting(size), hopeless(size)])
        .flatten()
        .collect()
}

/// Cases in which most briefs have options.
fn fitting(size: u64) -> Vec<Case> {
    vec![
        case(size, "eight cities", catalogue(size, 8), |_| {}),
        case(size, "one city", catalogue(size, 1), here),
        case(
            size,
            "one city, tight budget",
            catalogue(size, 1),
            |brief| {
                here(brief);
                brief.budget_per_guest = Some(Money::new(2_600, currency("USD")));
            },
        ),
        case(
            size,
            "one city, attractive far caterers",
            far_caterers(size),
            here,
        ),
    ]
}

/// Cases in which hardly any brief has options, so that every kind of change is tried.
fn hopeless(size: u64) -> Vec<Case> {
    vec![
        case(
            size,
            "one city, only far caterers",
            far_caterers_only(size),
            here,
        ),
        case(
            size,
            "one city, budget too small",
            catalogue(size, 1),
            |brief| {
                here(brief);
                brief.budget_per_guest = None;
                brief.budget_total = Some(Money::new(100, currency("USD")));
            },
        ),
        case(
            size,
            "one city, every date taken",
            all_blocked(size),
            one_day_here,
        ),
        case(
            size,
            "one city, too many guests",
            catalogue(size, 1),
            |brief| {
                one_day_here(brief);
                brief.number_of_guests = 5_000;
            },
        ),
        case(
            size,
            "one city, all of everything",
            catalogue(size, 1),
            |brief| {
                one_day_here(brief);
                brief.dietary_requirements = DIETS.map(String::from).to_vec();
                brief.required_amenities = AMENITIES.map(String::from).to_vec();
                brief.needs_event_room = true;
            },
        ),
    ]
}

fn case(size: u64, name: &str, catalogue: Catalogue, change: impl FnMut(&mut Brief)) -> Case {
    let mut briefs: Vec<_> = (0..BRIEFS).map(brief).collect();
    briefs.iter_mut().for_each(change);
    ready(format!("{size} x {size}, {name}"), catalogue, briefs)
}

fn time(case: &Case, brief: &Brief) -> Duration {
    let started = Instant::now();
    black_box(options(case, black_box(brief)));
    started.elapsed()
}

fn options(case: &Case, brief: &Brief) -> usize {
    search(brief, &case.snapshot, &case.busy, now())
        .options
        .len()
}

fn ready(name: String, (venues, caterers): Catalogue, briefs: Vec<Brief>) -> Case {
    let places: Vec<_> = venues
        .iter()
        .map(|venue| venue.id)
        .chain(caterers.iter().map(|it| it.id))
        .collect();
    let mut dice = Dice(7);
    let mut busy = Vec::new();
    for place in places {
        for _ in 0..CLAIMS_EACH {
            let service_date = first_date() + dice.days(100);
            let start = service_date
                .at(dice.hour(), 0, 0, 0)
                .in_tz("UTC")
                .map(|at| at.timestamp());
            let occupied_from = start.unwrap_or(Timestamp::MAX);
            busy.push(Busy {
                booking_id: dice.id(),
                venue_or_caterer: place,
                occupied_from,
                occupied_until: occupied_from + SignedDuration::from_hours(6),
                service_date,
                expires_at: None,
            });
        }
    }
    Case {
        name,
        snapshot: Snapshot::new(venues, caterers),
        busy: BusyIndex::new(busy),
        briefs,
    }
}

fn catalogue(size: u64, cities: u64) -> Catalogue {
    let mut dice = Dice(42);
    let venues = (0..size).map(|_| venue(&mut dice, cities)).collect();
    let caterers = (0..size).map(|_| caterer(&mut dice, cities)).collect();
    (venues, caterers)
}

/// The most attractive half of the caterers delivers only to one unattractive venue far away.
fn far_caterers(size: u64) -> Catalogue {
    let (mut venues, mut caterers) = catalogue(size, 1);
    for caterer in caterers.iter_mut().step_by(2) {
        (
            caterer.rating,
            caterer.price_per_guest,
            caterer.minimum_order,
        ) = (100, 100, 0);
        caterer.delivery_radius_km = 20;
        caterer.latitude += 0.5;
    }
    for venue in venues.iter_mut().take(1) {
        (venue.rating, venue.capacity) = (0, 10_000);
        (venue.latitude, venue.longitude) = (CITIES[0].1 + 0.5, CITIES[0].2);
    }
    (venues, caterers)
}

/// Every caterer is out of reach of every venue, and no venue caters.
fn far_caterers_only(size: u64) -> Catalogue {
    let (mut venues, mut caterers) = catalogue(size, 1);
    for (number, caterer) in caterers.iter_mut().enumerate() {
        caterer.delivery_radius_km = if number % 2 == 0 { 1 } else { 30 };
        caterer.latitude += 0.8;
    }
    for venue in &mut venues {
        venue.in_house = None;
        venue.outside_catering_allowed = true;
    }
    (venues, caterers)
}

/// Free only after the dates that are asked for.
fn all_blocked(size: u64) -> Catalogue {
    let (mut venues, caterers) = catalogue(size, 1);
    for venue in &mut venues {
        venue.blocked = vec![(first_date() - 30.days(), first_date() + 45.days())];
    }
    (venues, caterers)
}

fn venue(dice: &mut Dice, cities: u64) -> VenueEntry {
    let (city, latitude, longitude, time_zone, code) = dice.city(cities);
    let in_house = (dice.below(3) == 0).then(|| InHouseCatering {
        price_per_guest: dice.amount(3_000, 9_000),
        cuisines: dice.some(&CUISINES, 3),
        dietary_options: dice.some(&DIETS, 4),
        service_fee_bps: 1_000,
    });
    VenueEntry {
        id: dice.id(),
        name: format!("Venue {}", dice.below(100_000)),
        city: city.to_owned(),
        city_key: String::new(),
        country: "XX".to_owned(),
        latitude,
        longitude,
        time_zone: time_zone.to_owned(),
        capacity: dice.number(40, 600),
        has_event_room: dice.below(2) == 0,
        amenities: dice.some(&AMENITIES, 6),
        rating: dice.rating(),
        currency: currency(code),
        hire_fee: dice.amount(50_000, 800_000),
        hourly_rate: dice.amount(0, 30_000),
        event_room_fee: dice.amount(0, 50_000),
        tax_rate_bps: 850,
        deposit_rate_bps: 2_500,
        setup_minutes: 120,
        teardown_minutes: 60,
        outside_catering_allowed: dice.below(5) > 0,
        in_house,
        blocked: Vec::new(),
    }
}

fn caterer(dice: &mut Dice, cities: u64) -> CatererEntry {
    let (city, latitude, longitude, time_zone, code) = dice.city(cities);
    CatererEntry {
        id: dice.id(),
        name: format!("Caterer {}", dice.below(100_000)),
        city: city.to_owned(),
        city_key: String::new(),
        country: "XX".to_owned(),
        latitude,
        longitude,
        time_zone: time_zone.to_owned(),
        delivery_radius_km: dice.number(5, 40),
        cuisines: dice.some(&CUISINES, 4),
        dietary_options: dice.some(&DIETS, 5),
        rating: dice.rating(),
        currency: currency(code),
        price_per_guest: dice.amount(1_500, 9_000),
        minimum_order: dice.amount(0, 200_000),
        delivery_fee: dice.amount(0, 20_000),
        service_fee_bps: 1_200,
        tax_rate_bps: 850,
        deposit_rate_bps: 1_000,
        minimum_guests: dice.number(1, 30),
        maximum_guests: dice.number(100, 900),
        daily_capacity: 2,
        blocked: Vec::new(),
    }
}

/// The brief of this number: they differ in nearly everything.
fn brief(number: u64) -> Brief {
    let mut dice = Dice(1_000 + number);
    let (city, latitude, longitude, _, code) = CITIES[dice.index(8)];
    let from = first_date() + dice.days(5);
    let guests = dice.number(20, 200);
    let by_city = dice.below(2) == 0;
    let budget = dice.amount(6_000, 15_000);
    Brief {
        event_date: None,
        date_window: Some(DateWindow {
            from,
            to: from + 89.days(),
        }),
        start_time: jiff::civil::time(dice.hour(), 0, 0, 0),
        duration_minutes: dice.number(60, 600),
        time_zone: None,
        location: Location {
            city: by_city.then(|| city.to_owned()),
            near: (!by_city).then_some(Point {
                latitude,
                longitude,
            }),
            radius_km: (!by_city).then(|| dice.number(10, 50)),
        },
        number_of_guests: guests,
        cuisine_preferences: dice.some(&CUISINES, 3),
        dietary_requirements: dice.some(&DIETS, 1),
        budget_per_guest: (dice.below(3) > 0).then(|| Money::new(budget, currency(code))),
        budget_total: None,
        currency: None,
        event_type: None,
        needs_event_room: dice.below(3) == 0,
        required_amenities: dice.some(&AMENITIES, 1),
        special_requirements: None,
        limit: 20,
    }
}

/// Moves a brief to the one city that the catalogue has.
fn here(brief: &mut Brief) {
    let (city, latitude, longitude, _, code) = CITIES[0];
    if brief.location.city.is_some() {
        brief.location.city = Some(city.to_owned());
    } else {
        brief.location.near = Some(Point {
            latitude,
            longitude,
        });
    }
    if let Some(budget) = &mut brief.budget_per_guest {
        budget.currency = currency(code);
    }
}

/// The same for one date.
fn one_day_here(brief: &mut Brief) {
    here(brief);
    brief.event_date = brief.date_window.take().map(|window| window.from);
}

fn first_date() -> Date {
    jiff::civil::date(2026, 9, 1)
}

fn now() -> Timestamp {
    Timestamp::from_second(1_780_000_000).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn currency(code: &str) -> Currency {
    code.parse()
        .unwrap_or_else(|error| panic!("{code} {error}"))
}

/// The same throws for the same seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn number(&mut self, from: i32, to: i32) -> i32 {
        let range = u64::from(to.abs_diff(from));
        from + i32::try_from(self.below(range)).unwrap_or_default()
    }

    fn amount(&mut self, from: i32, to: i32) -> i64 {
        i64::from(self.number(from, to))
    }

    fn index(&mut self, length: u64) -> usize {
        usize::try_from(self.below(length)).unwrap_or_default()
    }

    fn rating(&mut self) -> i16 {
        i16::try_from(self.below(101)).unwrap_or_default()
    }

    fn hour(&mut self) -> i8 {
        i8::try_from(8 + self.below(12)).unwrap_or_default()
    }

    fn days(&mut self, most: i32) -> jiff::Span {
        i64::from(self.number(0, most)).days()
    }

    fn id(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.below(u64::MAX), self.below(u64::MAX))
    }

    fn some(&mut self, list: &[&str], most: u64) -> Vec<String> {
        (0..self.below(most + 1))
            .map(|_| list[self.index(list.len() as u64)].to_owned())
            .collect()
    }

    /// A city and a place up to some 15 km from its middle.
    fn city(&mut self, cities: u64) -> (&'static str, f64, f64, &'static str, &'static str) {
        let (city, latitude, longitude, zone, code) = CITIES[self.index(cities)];
        let mut shift = || f64::from(self.number(-1_000, 1_000)) * 0.000_13;
        (city, latitude + shift(), longitude + shift(), zone, code)
    }
}
