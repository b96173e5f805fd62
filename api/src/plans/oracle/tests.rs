//! The engine against the oracle, and laws that hold for every brief.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    Catalogue, Found, everything,
    examples::{Dice, catalogue},
    key,
};
use crate::plans::{
    availability::BusyIndex,
    brief::Brief,
    option::{LineCode, Outcome, PlanOption, Side},
    search::search,
    snapshot::Snapshot,
};

fn answer(brief: &Brief, catalogue: &Catalogue) -> Outcome {
    let snapshot = Snapshot::new(catalogue.venues.clone(), catalogue.caterers.clone());
    let busy = BusyIndex::new(catalogue.busy.iter().copied());
    search(brief, &snapshot, &busy, catalogue.now)
}

fn as_found(option: &PlanOption) -> Found {
    Found {
        score: option.score.into(),
        venue: option.venue.id,
        caterer: option.catering.caterer_id,
        date: option.date,
        starts_at: option.starts_at,
        dates: 1 + usize::try_from(option.further_dates_count).unwrap(),
        venue_total: option.venue_total.amount.into(),
        catering_total: option.catering_total.amount.into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_search_finds_what_the_oracle_finds(seed: u64, venues in 0_usize..9, caterers in 0_usize..12) {
        let (brief, catalogue) = catalogue(&mut Dice(seed), venues, caterers);
        let outcome = answer(&brief, &catalogue);
        let (mut expected, excluded) = everything(&brief, &catalogue);
        expected.truncate(usize::try_from(brief.limit).unwrap());
        let found: Vec<_> = outcome.options.iter().map(as_found).collect();
        prop_assert_eq!(found, expected);
        let counts: BTreeMap<_, _> = outcome
            .excluded
            .iter()
            .map(|it| (key(it.side, it.constraint), it.excluded))
            .collect();
        prop_assert_eq!(counts, excluded);
    }

    #[test]
    fn every_change_opens_what_it_says(seed: u64, venues in 0_usize..9, caterers in 0_usize..12) {
        let (brief, catalogue) = catalogue(&mut Dice(seed), venues, caterers);
        let outcome = answer(&brief, &catalogue);
        prop_assert!(outcome.changes.len() <= 8);
        for change in &outcome.changes {
            let mut json = serde_json::to_value(&brief).unwrap();
            crate::merge_patch::merge(&mut json, &change.brief_patch);
            let patched: Brief = serde_json::from_value(json).unwrap();
            prop_assert_eq!(patched.check(catalogue.now), vec![]);
            let (options, _) = everything(&patched, &catalogue);
            let limit = usize::try_from(brief.limit).unwrap();
            prop_assert_eq!(options.len().min(limit), change.opens, "{:?}", change);
            prop_assert!(change.opens > outcome.options.len());
        }
    }

    #[test]
    fn lines_add_up_and_points_make_the_score(seed: u64) {
        let (brief, catalogue) = catalogue(&mut Dice(seed), 8, 10);
        for option in answer(&brief, &catalogue).options {
            let sum = |side: Side| -> i64 {
                let lines = option.lines.iter().filter(|line| line.side == side);
                lines.map(|line| line.amount.amount).sum()
            };
            prop_assert_eq!(sum(Side::Venue), option.venue_total.amount);
            prop_assert_eq!(sum(Side::Catering), option.catering_total.amount);
            prop_assert_eq!(option.total.amount, option.venue_total.amount + option.catering_total.amount);
            let guests = i64::from(brief.number_of_guests);
            prop_assert!(option.per_guest.amount * guests >= option.total.amount);
            prop_assert!((option.per_guest.amount - 1) * guests < option.total.amount);
            prop_assert!(option.lines.iter().all(|line| line.amount.amount > 0));
            prop_assert!(option.lines.iter().filter(|line| line.code == LineCode::Food).count() <= 1);
            prop_assert!((0..=10_000).contains(&option.score));
            prop_assert!(option.within_budget);
            prop_assert!(option.occupied_from <= option.starts_at && option.starts_at < option.ends_at);
            let stored = serde_json::to_string(&option).unwrap();
            prop_assert_eq!(serde_json::from_str::<PlanOption>(&stored).unwrap(), option);
        }
    }

    #[test]
    fn one_more_guest_is_never_cheaper(seed: u64, guests in 1_i32..200) {
        use crate::plans::pricing::CateringPrice;
        let (_, catalogue) = catalogue(&mut Dice(seed), 3, 3);
        for caterer in &catalogue.caterers {
            let price = |guests| CateringPrice::of_caterer(caterer, guests).total();
            prop_assert!(price(guests) <= price(guests + 1));
        }
        for venue in &catalogue.venues {
            let Some(own) = &venue.in_house else { continue };
            let price = |guests| CateringPrice::of_venue(venue, own, guests).total();
            prop_assert!(price(guests) <= price(guests + 1));
        }
    }
}
