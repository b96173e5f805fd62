//! From a brief to ranked options.

mod describe;

use jiff::Timestamp;

use describe::Describer;

use super::{
    availability::{BusyIndex, FreeDates},
    brief::Brief,
    candidates::{Candidates, World},
    changes::nearest_changes,
    option::{Considered, Outcome},
    ranking::{Matcher, Objective, Yardsticks},
    rules::Criteria,
    snapshot::Snapshot,
};

/// Every date of a brief, as bits.
pub(super) const ALL_DATES: u128 = u128::MAX;

/// The best options for a brief, and what stood in the way of others.
///
/// The brief is taken to be valid and checked; one that is not simply finds nothing. Dates that
/// are over at `now` (the event would have started) and holds that have expired do not count.
pub fn search(brief: &Brief, snapshot: &Snapshot, busy: &BusyIndex, now: Timestamp) -> Outcome {
    let world = World {
        snapshot,
        busy,
        now,
    };
    let criteria = Criteria::new(brief, snapshot);
    let free = FreeDates::new(&criteria, world);
    let candidates = Candidates::new(&criteria, snapshot, &free);
    let yardsticks = Yardsticks::new(&criteria, &candidates);
    let matcher = Matcher::new(&criteria, &candidates, &yardsticks, Objective::Score);
    let pairs = matcher.best(criteria.limit, ALL_DATES);
    let describer = Describer::new(&criteria, &candidates, &yardsticks, &free);
    let options: Vec<_> = pairs
        .iter()
        .zip(1..)
        .map(|(pair, rank)| describer.option(pair, rank))
        .collect();
    let changes = if options.len() < criteria.limit {
        nearest_changes(brief, &criteria, &free, options.len())
    } else {
        Vec::new()
    };
    Outcome {
        summary: describe::summary(brief, &options, &changes),
        excluded: describe::exclusions(brief, &candidates),
        considered: Considered {
            venues: snapshot.venues.len(),
            caterers: snapshot.caterers.len(),
            venues_left: candidates.venues.len(),
            caterers_left: candidates.caterers.len(),
        },
        options,
        changes,
    }
}

/// How many options there are, at most the limit. `free` covers the dates of the criteria.
pub(super) fn count(criteria: &Criteria, snapshot: &Snapshot, free: &FreeDates) -> usize {
    let candidates = Candidates::new(criteria, snapshot, free);
    let matcher = Matcher::new(criteria, &candidates, &Yardsticks::none(), Objective::Any);
    matcher.best(criteria.limit, ALL_DATES).len()
}
