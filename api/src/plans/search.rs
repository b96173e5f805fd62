//! From a brief to ranked options.

use jiff::Timestamp;

use super::{
    availability::BusyIndex,
    brief::Brief,
    option::{Considered, Outcome},
    snapshot::Snapshot,
};

/// The best options for a brief, or what stands in the way.
pub fn search(brief: &Brief, snapshot: &Snapshot, busy: &BusyIndex, now: Timestamp) -> Outcome {
    let _ = (brief, busy, now);
    Outcome {
        summary: String::new(),
        options: Vec::new(),
        considered: Considered {
            venues: snapshot.venues.len(),
            caterers: snapshot.caterers.len(),
            venues_left: 0,
            caterers_left: 0,
        },
        excluded: Vec::new(),
        changes: Vec::new(),
    }
}
