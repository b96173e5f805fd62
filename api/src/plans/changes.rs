//! The nearest changes of a brief that help, each tried before it is told.

mod limits;
mod wishes;

use serde_json::Value;
use validator::Validate;

use super::{
    availability::FreeDates, brief::Brief, candidates::Candidates, option::Change, rules::Criteria,
    search::count,
};
use crate::merge_patch::merge;

/// The most changes told.
const MOST: usize = 8;

/// The changes of one field that open more than the `found` options that the brief has, the most
/// useful kind first: another date, more money, fewer guests, another place, another cuisine, one
/// requirement less. Each is verified by searching again with the changed brief.
///
/// `free` covers the dates around those of the brief as well.
pub(super) fn nearest_changes(
    brief: &Brief,
    criteria: &Criteria,
    free: &FreeDates,
    found: usize,
) -> Vec<Change> {
    let mut attempts = Attempts {
        brief,
        criteria,
        free,
        found,
        changes: Vec::new(),
    };
    let kinds = [
        Attempts::date,
        Attempts::budget,
        Attempts::guests,
        Attempts::location,
        Attempts::cuisine,
        Attempts::event_room,
        Attempts::amenities,
        Attempts::dietary,
    ];
    for kind in kinds {
        if attempts.changes.len() < MOST {
            kind(&mut attempts);
        }
    }
    attempts.changes.truncate(MOST);
    attempts.changes
}

struct Attempts<'a> {
    brief: &'a Brief,
    criteria: &'a Criteria,
    free: &'a FreeDates<'a>,
    /// How many options the brief has as it is.
    found: usize,
    changes: Vec<Change>,
}

impl<'a> Attempts<'a> {
    fn candidates(&self, criteria: &Criteria) -> Candidates<'a> {
        Candidates::new(criteria, self.free.world.snapshot, self.free)
    }

    fn criteria_of(&self, brief: &Brief) -> Criteria {
        Criteria::new(brief, self.free.world.snapshot)
    }

    fn count(&self, criteria: &Criteria) -> usize {
        count(criteria, self.free.world.snapshot, self.free)
    }

    /// Keeps a change if the changed brief is valid and has more options.
    fn verify(&mut self, field: &str, brief_patch: Value, lead: &str) {
        let Ok(before) = serde_json::to_value(self.brief) else {
            return;
        };
        let mut after = before.clone();
        merge(&mut after, &brief_patch);
        let Ok(brief) = serde_json::from_value::<Brief>(after.clone()) else {
            return;
        };
        if brief.validate().is_err() || !brief.check(self.free.world.now).is_empty() {
            return;
        }
        let opens = self.count(&self.criteria_of(&brief));
        if opens <= self.found {
            return;
        }
        self.changes.push(Change {
            field: field.to_owned(),
            from: before[field].clone(),
            to: after[field].clone(),
            brief_patch,
            opens,
            detail: detail(lead, opens, self.found),
        });
    }
}

/// `At 92.00 USD a head three options open.`
fn detail(lead: &str, opens: usize, found: usize) -> String {
    let words = [
        "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    ];
    let number = words
        .get(opens)
        .map_or_else(|| opens.to_string(), |word| (*word).to_owned());
    match (found, opens) {
        (0, 1) => format!("{lead} one option opens."),
        (0, _) => format!("{lead} {number} options open."),
        _ => format!("{lead} there are {number} options instead of {found}."),
    }
}
