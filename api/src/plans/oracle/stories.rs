//! Single cases, with the figures worked out by hand.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;
use validator::Validate;

use super::examples::{Dice, catalogue};
use crate::plans::{
    availability::{Busy, BusyIndex},
    brief::Brief,
    option::{Constraint, LineCode, Outcome},
    search::search,
    snapshot::{CatererEntry, InHouseCatering, Snapshot, VenueEntry},
};

const VENUE: Uuid = Uuid::from_u128(1);
const CATERER: Uuid = Uuid::from_u128(2);

fn venue() -> VenueEntry {
    VenueEntry {
        id: VENUE,
        name: "Ferry Hall".to_owned(),
        city: "San Francisco".to_owned(),
        city_key: String::new(),
        country: "US".to_owned(),
        latitude: 37.79,
        longitude: -122.39,
        time_zone: "America/Los_Angeles".to_owned(),
        capacity: 150,
        has_event_room: true,
        amenities: vec!["Projector".to_owned()],
        rating: 80,
        currency: "USD".parse().unwrap(),
        hire_fee: 100_000,
        hourly_rate: 10_001,
        event_room_fee: 5_000,
        tax_rate_bps: 1_000,
        deposit_rate_bps: 2_500,
        setup_minutes: 60,
        teardown_minutes: 30,
        outside_catering_allowed: true,
        in_house: None,
        blocked: Vec::new(),
    }
}

fn caterer() -> CatererEntry {
    CatererEntry {
        id: CATERER,
        name: "Trattoria".to_owned(),
        city: "San Francisco".to_owned(),
        city_key: String::new(),
        country: "US".to_owned(),
        latitude: 37.77,
        longitude: -122.42,
        time_zone: "America/Los_Angeles".to_owned(),
        delivery_radius_km: 20,
        cuisines: vec!["Italian".to_owned()],
        dietary_options: vec!["vegan".to_owned()],
        rating: 90,
        currency: "USD".parse().unwrap(),
        price_per_guest: 4_000,
        minimum_order: 500_000,
        delivery_fee: 2_000,
        service_fee_bps: 1_000,
        tax_rate_bps: 500,
        deposit_rate_bps: 1_000,
        minimum_guests: 10,
        maximum_guests: 500,
        daily_capacity: 1,
        blocked: Vec::new(),
    }
}

/// A brief for 120 people with some fields changed.
fn brief(changes: &Value) -> Brief {
    let mut json = json!({
        "event_date": "2026-09-15", "start_time": "18:00", "duration_minutes": 210,
        "location": { "city": "san  francisco" }, "number_of_guests": 120,
    });
    crate::merge_patch::merge(&mut json, changes);
    serde_json::from_value(json).unwrap()
}

fn now() -> Timestamp {
    "2026-02-01T12:00:00Z".parse().unwrap()
}

fn plan(brief: &Brief, venues: Vec<VenueEntry>, busy: Vec<Busy>) -> Outcome {
    search(
        brief,
        &Snapshot::new(venues, vec![caterer()]),
        &BusyIndex::new(busy),
        now(),
    )
}

fn changed<'a>(outcome: &'a Outcome, field: &str) -> Vec<(&'a str, &'a Value)> {
    let changes = outcome
        .changes
        .iter()
        .filter(|change| change.field == field);
    changes
        .map(|change| (change.detail.as_str(), &change.brief_patch))
        .collect()
}

#[test]
fn every_cost_has_its_line() {
    let outcome = plan(
        &brief(&json!({ "needs_event_room": true })),
        vec![venue()],
        vec![],
    );
    let option = &outcome.options[0];
    let lines: Vec<_> = option
        .lines
        .iter()
        .map(|line| (line.code, line.amount.amount))
        .collect();
    // 3.5 hours at 100.01 are 350.035, so 350.04; the tax is 10 % of 1,400.04.
    let expected = [
        (LineCode::VenueHire, 100_000),
        (LineCode::VenueHours, 35_004),
        (LineCode::EventRoom, 5_000),
        (LineCode::VenueTax, 14_000),
        (LineCode::Food, 480_000),
        (LineCode::MinimumOrder, 20_000),
        (LineCode::Delivery, 2_000),
        (LineCode::ServiceFee, 50_000),
        (LineCode::CateringTax, 27_600),
    ];
    assert_eq!(lines, expected);
    assert_eq!(option.total.to_string(), "7,336.04 USD");
    assert_eq!(option.per_guest.to_string(), "61.14 USD");
    assert_eq!(option.venue_deposit.to_string(), "385.01 USD");
    assert_eq!(option.starts_at.to_string(), "2026-09-16T01:00:00Z");
    assert_eq!(option.occupied_from.to_string(), "2026-09-16T00:00:00Z");
    assert_eq!(option.occupied_until.to_string(), "2026-09-16T05:00:00Z");
    assert_eq!(
        outcome.summary,
        "1 option in san  francisco on Tuesday 15 September 2026 for 120 guests, from 7,336.04 USD \
         (61.14 USD a head). Best: Ferry Hall with Trattoria on Tuesday 15 September 2026."
    );
}

#[test]
fn the_nearest_budget_and_date_are_told() {
    let tight = brief(&json!({ "budget_per_guest": { "amount": 5_000, "currency": "USD" } }));
    let outcome = plan(&tight, vec![venue()], vec![]);
    assert!(outcome.options.is_empty());
    // 7,281.04 for 120 are 60.68 a head.
    let patch = json!({ "budget_per_guest": { "amount": 6_100, "currency": "USD" } });
    let expected = [("At 61.00 USD a head one option opens.", &patch)];
    assert_eq!(changed(&outcome, "budget_per_guest"), expected);

    let taken = Busy {
        booking_id: Uuid::from_u128(3),
        venue_or_caterer: VENUE,
        occupied_from: "2026-09-15T20:00:00Z".parse().unwrap(),
        occupied_until: "2026-09-16T00:00:01Z".parse().unwrap(),
        service_date: "2026-09-15".parse().unwrap(),
        expires_at: None,
    };
    let outcome = plan(&brief(&json!({})), vec![venue()], vec![taken]);
    assert_eq!(outcome.excluded[0].constraint, Constraint::Date);
    let dates = changed(&outcome, "event_date");
    assert_eq!(dates.len(), 1);
    assert_eq!(dates[0].1, &json!({ "event_date": "2026-09-14" }));
    let expired = Busy {
        expires_at: Some(now()),
        ..taken
    };
    assert_eq!(
        plan(&brief(&json!({})), vec![venue()], vec![expired])
            .options
            .len(),
        1
    );
    let just_before = Busy {
        occupied_until: "2026-09-16T00:00:00Z".parse().unwrap(),
        ..taken
    };
    assert_eq!(
        plan(&brief(&json!({})), vec![venue()], vec![just_before])
            .options
            .len(),
        1
    );
}

#[test]
fn a_skipped_hour_rules_the_date_out_and_a_repeated_one_means_the_first() {
    let at = |date: &str, time: &str| {
        let brief = brief(&json!({ "event_date": date, "start_time": time }));
        plan(&brief, vec![venue()], vec![])
            .options
            .first()
            .map(|it| it.starts_at.to_string())
    };
    assert_eq!(at("2026-03-08", "02:30"), None);
    assert_eq!(
        at("2026-03-08", "03:30").as_deref(),
        Some("2026-03-08T10:30:00Z")
    );
    assert_eq!(
        at("2026-11-01", "01:30").as_deref(),
        Some("2026-11-01T08:30:00Z")
    );
}

#[test]
fn a_venue_without_outside_catering_has_only_its_own() {
    let in_house = InHouseCatering {
        price_per_guest: 3_000,
        cuisines: vec!["Thai".to_owned()],
        dietary_options: vec![],
        service_fee_bps: 0,
    };
    let closed = VenueEntry {
        outside_catering_allowed: false,
        in_house: Some(in_house),
        ..venue()
    };
    let outcome = plan(&brief(&json!({})), vec![closed.clone()], vec![]);
    assert_eq!(outcome.options.len(), 1);
    assert!(outcome.options[0].catering.in_house);
    let italian = brief(&json!({ "cuisine_preferences": ["Italian"] }));
    let outcome = plan(&italian, vec![closed], vec![]);
    let patch = json!({ "cuisine_preferences": ["Italian", "thai"] });
    let expected = [("With thai food as well one option opens.", &patch)];
    assert_eq!(changed(&outcome, "cuisine_preferences"), expected);
}

#[test]
fn a_brief_says_each_thing_once() {
    let faults = |changes: Value| -> Vec<_> {
        let brief = brief(&changes);
        brief
            .check(now())
            .into_iter()
            .map(|fault| (fault.pointer, fault.code))
            .collect()
    };
    let window = json!({ "from": "2026-09-01", "to": "2026-09-02" });
    assert_eq!(faults(json!({})), []);
    assert_eq!(
        faults(json!({ "event_date": null })),
        [("/event_date", "conflict")]
    );
    assert_eq!(
        faults(json!({ "date_window": window })),
        [("/event_date", "conflict")]
    );
    assert_eq!(
        faults(json!({ "event_date": "2026-01-31" })),
        [("/event_date", "past")]
    );
    let long = json!({ "from": "2026-09-01", "to": "2026-12-02" });
    let long = json!({ "event_date": null, "date_window": long });
    assert_eq!(faults(long), [("/date_window/to", "range")]);
    let both = json!({ "location": { "radius_km": 5 } });
    assert_eq!(faults(both), [("/location/city", "conflict")]);
    let usd = json!({ "amount": 1, "currency": "USD" });
    let both = json!({ "budget_total": usd, "budget_per_guest": usd });
    assert_eq!(faults(both), [("/budget_total", "conflict")]);
    assert!(brief(&json!({ "number_of_guests": 0 })).validate().is_err());
    assert!(
        brief(&json!({ "time_zone": "Mars/Olympus" }))
            .validate()
            .is_err()
    );
    assert!(serde_json::from_value::<Brief>(json!({ "guests": 3 })).is_err());
}

#[test]
fn the_random_examples_reach_every_kind_of_answer() {
    let (mut full, mut empty, mut fields) = (0, 0, BTreeSet::new());
    for seed in 0..4_000 {
        let (brief, examples) = catalogue(&mut Dice(seed), 8, 10);
        let snapshot = Snapshot::new(examples.venues, examples.caterers);
        let outcome = search(
            &brief,
            &snapshot,
            &BusyIndex::new(examples.busy),
            examples.now,
        );
        full += usize::from(outcome.options.len() > 1);
        empty += usize::from(outcome.options.is_empty());
        fields.extend(outcome.changes.into_iter().map(|change| change.field));
    }
    assert!(
        full > 400 && empty > 400,
        "{full} with several options, {empty} with none"
    );
    assert_eq!(fields.len(), 10, "{fields:?}");
}
