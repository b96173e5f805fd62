//! The best pairs of a venue and a catering, without trying them all.
//!
//! What is compared of a pair is the sum of a key of the venue and a key of the catering. Venues
//! are taken from the best key down until even the best catering could not lift one into the
//! result; for each, the [`Index`] of its currency gives the caterings that fit and still count.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use super::{
    candidates::Candidates,
    index::{Index, Offer, Wanted},
    place::Place,
    points::{Yardstick, catering_points, median, venue_points},
    rules::Criteria,
    snapshot::words::WordSet,
};
use crate::money::Currency;

/// What makes a pair better than another. Ties are settled by the lower total, then the lower id
/// of the venue, then that of the caterer, in-house catering first.
#[derive(Debug, Clone, Copy)]
pub(super) enum Objective {
    Score,
    Cheapest,
    /// Whatever is found first.
    Any,
    /// The venue nearest to a place.
    NearestTo(Place),
}

/// A pair that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    key: i128,
    /// Index into [`Candidates::venues`].
    pub(super) venue: usize,
    /// Index into [`Candidates::caterers`]; `None` for in-house catering.
    pub(super) caterer: Option<usize>,
}

/// What totals are compared with, by currency: of venues and of caterings.
#[derive(Debug)]
pub(super) struct Yardsticks {
    budget: Option<i64>,
    medians: HashMap<Currency, (i64, i64)>,
}

/// Candidates arranged for finding their best pairs, for one objective.
pub(super) struct Matcher<'a> {
    criteria: &'a Criteria,
    candidates: &'a Candidates<'a>,
    any: bool,
    /// Key and index of each venue, best first.
    venues: Vec<(i128, usize)>,
    /// Keys of the venues' own caterings, by index of the venue.
    in_house: Vec<Option<i128>>,
    offers: HashMap<Currency, Index>,
    /// The best key of all caterings.
    best: Option<i128>,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(
        criteria: &'a Criteria,
        candidates: &'a Candidates<'a>,
        yardsticks: &Yardsticks,
        objective: Objective,
    ) -> Self {
        let keys = Keys {
            criteria,
            candidates,
            yardsticks,
            objective,
        };
        let numbers = 0..candidates.venues.len();
        let in_house: Vec<_> = numbers
            .clone()
            .map(|number| keys.in_house(number))
            .collect();
        let mut venues: Vec<_> = numbers.map(|number| (keys.venue(number), number)).collect();
        venues.sort_unstable_by_key(|(key, _)| Reverse(*key));
        let offers = keys.offers();
        let outside = offers.values().filter_map(Index::best_key);
        let best = outside.chain(in_house.iter().copied().flatten()).max();
        let any = matches!(objective, Objective::Any);
        Self {
            criteria,
            candidates,
            any,
            venues,
            in_house,
            offers,
            best,
        }
    }

    /// The best `most` pairs that are free on one of these dates (as bits), best first.
    pub(super) fn best(&self, most: usize, dates: u128) -> Vec<Pair> {
        let mut pairs = Best {
            most,
            any: self.any,
            pairs: BinaryHeap::with_capacity(most + 1),
        };
        let Some(best) = self.best else {
            return Vec::new();
        };
        for (key, number) in self.venues.iter().copied() {
            if key + best <= pairs.floor() {
                break;
            }
            let venue = &self.candidates.venues[number];
            if venue.dates & dates == 0 {
                continue;
            }
            if let Some(catering) = self.in_house[number] {
                pairs.offer(Pair {
                    key: key + catering,
                    venue: number,
                    caterer: None,
                });
            }
            let entry = &venue.listed.entry;
            let index = self.offers.get(&entry.currency);
            let Some(index) = index.filter(|_| entry.outside_catering_allowed) else {
                continue;
            };
            let wanted = Wanted {
                place: venue.listed.place,
                reach: 0.0,
                cost: self
                    .criteria
                    .budget
                    .map_or(i64::MAX, |budget| budget - venue.total),
                dates: venue.dates & dates,
            };
            index.visit(&wanted, pairs.floor().saturating_sub(key), &mut |offer| {
                let caterer = Some(offer.number as usize);
                pairs.offer(Pair {
                    key: key + offer.key,
                    venue: number,
                    caterer,
                });
                pairs.floor().saturating_sub(key)
            });
        }
        pairs.sorted()
    }
}

impl Yardsticks {
    pub(super) fn new(criteria: &Criteria, candidates: &Candidates) -> Self {
        let mut totals: HashMap<Currency, (Vec<i64>, Vec<i64>)> = HashMap::new();
        if criteria.budget.is_none() {
            for venue in &candidates.venues {
                let (venues, caterings) = totals.entry(venue.listed.entry.currency).or_default();
                venues.push(venue.total);
                caterings.extend(venue.in_house);
            }
            for caterer in &candidates.caterers {
                totals
                    .entry(caterer.listed.entry.currency)
                    .or_default()
                    .1
                    .push(caterer.total);
            }
        }
        let medians = totals
            .into_iter()
            .map(|(currency, (mut venues, mut caterings))| {
                (currency, (median(&mut venues), median(&mut caterings)))
            });
        Self {
            budget: criteria.budget,
            medians: medians.collect(),
        }
    }

    /// For objectives that do not look at points.
    pub(super) fn none() -> Self {
        Self {
            budget: None,
            medians: HashMap::new(),
        }
    }

    pub(super) fn venue(&self, currency: Currency) -> Yardstick {
        self.of(currency, |(venue, _)| venue)
    }

    pub(super) fn catering(&self, currency: Currency) -> Yardstick {
        self.of(currency, |(_, catering)| catering)
    }

    fn of(&self, currency: Currency, side: impl Fn((i64, i64)) -> i64) -> Yardstick {
        if let Some(budget) = self.budget {
            return Yardstick::Budget(budget);
        }
        Yardstick::Reference(self.medians.get(&currency).copied().map_or(0, side))
    }
}

/// Bits of a key, from the top: 26 for points, 56 for the total, 22 for each rank. Totals stay
/// below 2⁵⁶ (100,000 guests at the largest amount, with fees and taxes of 100 %), so that the sum
/// of two keys orders pairs as the tuple of the sums would.
const POINTS_SHIFT: u32 = 100;
const TOTAL_SHIFT: u32 = 44;
const VENUE_SHIFT: u32 = 22;

fn key(points: i64, total: i64, rank: usize) -> i128 {
    let rank = i128::try_from(rank).unwrap_or_default();
    (i128::from(points) << POINTS_SHIFT) - (i128::from(total) << TOTAL_SHIFT) - rank
}

struct Keys<'a> {
    criteria: &'a Criteria,
    candidates: &'a Candidates<'a>,
    yardsticks: &'a Yardsticks,
    objective: Objective,
}

impl Keys<'_> {
    fn venue(&self, number: usize) -> i128 {
        let venue = &self.candidates.venues[number];
        let points = match self.objective {
            Objective::Score => {
                let yardstick = self.yardsticks.venue(venue.listed.entry.currency);
                venue_points(self.criteria, venue.listed, venue.total, yardstick)
            }
            Objective::Cheapest | Objective::Any => 0,
            Objective::NearestTo(place) => -place.metres(venue.listed.place),
        };
        key(points, venue.total, venue.rank << VENUE_SHIFT)
    }

    fn in_house(&self, number: usize) -> Option<i128> {
        let venue = &self.candidates.venues[number];
        let (entry, total) = (&venue.listed.entry, venue.in_house?);
        Some(key(
            self.catering(entry.currency, &venue.listed.cuisines, entry.rating, total),
            total,
            0,
        ))
    }

    fn offers(&self) -> HashMap<Currency, Index> {
        let mut offers: HashMap<Currency, Vec<Offer>> = HashMap::new();
        for (number, caterer) in self.candidates.caterers.iter().enumerate() {
            let (entry, total) = (&caterer.listed.entry, caterer.total);
            let points = self.catering(
                entry.currency,
                &caterer.listed.cuisines,
                entry.rating,
                total,
            );
            offers.entry(entry.currency).or_default().push(Offer {
                number: u32::try_from(number).unwrap_or(u32::MAX),
                place: caterer.listed.place,
                reach: caterer.listed.reach,
                cost: total,
                dates: caterer.dates,
                key: key(points, total, caterer.rank + 1),
            });
        }
        offers
            .into_iter()
            .map(|(currency, offers)| (currency, Index::new(offers)))
            .collect()
    }

    fn catering(&self, currency: Currency, cuisines: &WordSet, rating: i16, total: i64) -> i64 {
        match self.objective {
            Objective::Score => {
                let yardstick = self.yardsticks.catering(currency);
                catering_points(self.criteria, cuisines, rating, total, yardstick)
            }
            Objective::Cheapest | Objective::Any | Objective::NearestTo(_) => 0,
        }
    }
}

/// The best pairs so far.
struct Best {
    most: usize,
    /// Whether the first that are found are as good as any.
    any: bool,
    pairs: BinaryHeap<Reverse<Pair>>,
}

impl Best {
    /// The key that a pair must be above to count.
    fn floor(&self) -> i128 {
        match self.pairs.peek() {
            _ if self.most == 0 => i128::MAX,
            Some(Reverse(worst)) if self.pairs.len() >= self.most => {
                if self.any {
                    i128::MAX
                } else {
                    worst.key
                }
            }
            _ => i128::MIN,
        }
    }

    fn offer(&mut self, pair: Pair) {
        if pair.key <= self.floor() {
            return;
        }
        self.pairs.push(Reverse(pair));
        if self.pairs.len() > self.most {
            self.pairs.pop();
        }
    }

    fn sorted(self) -> Vec<Pair> {
        self.pairs
            .into_sorted_vec()
            .into_iter()
            .map(|Reverse(pair)| pair)
            .collect()
    }
}
