//! Another cuisine, one requirement less.

use serde_json::json;

use super::Attempts;
use crate::{
    plans::{
        candidates::Candidates,
        ranking::{Matcher, Objective, Pair, Yardsticks},
        search::ALL_DATES,
        snapshot::words::WordSet,
    },
    text::word_list,
};

/// The most of a kind: cuisines to add, requirements to drop.
const MOST_OF_A_KIND: usize = 2;

impl Attempts<'_> {
    /// Cuisines that would do if they were wanted as well.
    pub(super) fn cuisine(&mut self) {
        let names = &self.criteria.cuisine_names;
        if names.is_empty() || self.brief.cuisine_preferences.len() >= 10 {
            return;
        }
        let mut criteria = self.criteria.clone();
        criteria.cuisines = WordSet::default();
        let candidates = self.candidates(&criteria);
        let yardsticks = Yardsticks::new(&criteria, &candidates);
        let matcher = Matcher::new(&criteria, &candidates, &yardsticks, Objective::Score);
        let mut others: Vec<&String> = Vec::new();
        for pair in &matcher.best(20, ALL_DATES) {
            others.extend(cuisines(&candidates, pair));
        }
        let mut tried: Vec<&String> = Vec::new();
        for cuisine in others {
            if names.contains(cuisine) || tried.contains(&cuisine) {
                continue;
            }
            tried.push(cuisine);
            let mut wanted = self.brief.cuisine_preferences.clone();
            wanted.push(cuisine.clone());
            let name = cuisine.replace('_', " ");
            let patch = json!({ "cuisine_preferences": wanted });
            self.verify(
                "cuisine_preferences",
                patch,
                &format!("With {name} food as well"),
            );
            if tried.len() == MOST_OF_A_KIND {
                return;
            }
        }
    }

    pub(super) fn event_room(&mut self) {
        if self.brief.needs_event_room {
            let patch = json!({ "needs_event_room": false });
            self.verify("needs_event_room", patch, "Without an event room");
        }
    }

    /// The amenities that alone keep the most venues out.
    pub(super) fn amenities(&mut self) {
        let mut relaxed = self.criteria.clone();
        relaxed.amenities = WordSet::default();
        let fitting = self.free.world.snapshot.venues.iter();
        let fitting = fitting.filter(|venue| relaxed.venue_fails(venue).is_none());
        let offered = fitting.map(|venue| venue.entry.amenities.as_slice());
        for word in obstacles(&word_list(&self.brief.required_amenities), offered) {
            let left = without(&self.brief.required_amenities, &word);
            let name = word.replace('_', " ");
            let patch = json!({ "required_amenities": left });
            self.verify(
                "required_amenities",
                patch,
                &format!("Without \u{201c}{name}\u{201d}"),
            );
        }
    }

    /// The dietary requirements that alone keep the most caterings out.
    pub(super) fn dietary(&mut self) {
        let mut relaxed = self.criteria.clone();
        relaxed.dietary = WordSet::default();
        let caterers = self.free.world.snapshot.caterers.iter();
        let caterers = caterers.filter(|caterer| relaxed.caterer_fails(caterer).is_none());
        let venues = self.free.world.snapshot.venues.iter();
        let venues = venues.filter(|venue| relaxed.venue_fails(venue).is_none());
        let in_house = venues.filter_map(|venue| venue.entry.in_house.as_ref());
        let offered = caterers
            .map(|caterer| caterer.entry.dietary_options.as_slice())
            .chain(in_house.map(|own| own.dietary_options.as_slice()));
        for word in obstacles(&word_list(&self.brief.dietary_requirements), offered) {
            let left = without(&self.brief.dietary_requirements, &word);
            let name = word.replace('_', " ");
            let patch = json!({ "dietary_requirements": left });
            self.verify(
                "dietary_requirements",
                patch,
                &format!("Without \u{201c}{name}\u{201d}"),
            );
        }
    }
}

/// Which of the `wanted` words are the only one that an offer lacks, the most frequent first.
fn obstacles<'a>(wanted: &[String], offered: impl Iterator<Item = &'a [String]>) -> Vec<String> {
    let mut counts = vec![0; wanted.len()];
    for words in offered {
        let mut missing = (0..wanted.len()).filter(|number| !words.contains(&wanted[*number]));
        if let (Some(only), None) = (missing.next(), missing.next()) {
            counts[only] += 1;
        }
    }
    let mut order: Vec<_> = (0..wanted.len())
        .filter(|number| counts[*number] > 0)
        .collect();
    order.sort_by_key(|number| std::cmp::Reverse(counts[*number]));
    order
        .into_iter()
        .take(MOST_OF_A_KIND)
        .map(|number| wanted[number].clone())
        .collect()
}

/// The words as they were written, without one.
fn without(words: &[String], dropped: &str) -> Vec<String> {
    let same = |word: &String| {
        word_list(std::slice::from_ref(word))
            .iter()
            .any(|it| it == dropped)
    };
    words.iter().filter(|word| !same(word)).cloned().collect()
}

fn cuisines<'a>(candidates: &'a Candidates, pair: &Pair) -> &'a [String] {
    match pair.caterer {
        Some(number) => &candidates.caterers[number].listed.entry.cuisines,
        None => match &candidates.venues[pair.venue].listed.entry.in_house {
            Some(own) => &own.cuisines,
            None => &[],
        },
    }
}
