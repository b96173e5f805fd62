//! When venues and caterers are taken.

use std::collections::HashMap;

use jiff::{Timestamp, civil::Date};
use uuid::Uuid;

/// A booking's claim on a venue or a caterer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    pub booking_id: Uuid,
    pub venue_or_caterer: Uuid,
    /// Start of the claim, setting up included. Counts for venues.
    pub occupied_from: Timestamp,
    /// End of the claim (not included), clearing away included. Counts for venues.
    pub occupied_until: Timestamp,
    /// The local date of the event. Counts for caterers.
    pub service_date: Date,
    /// Set for a hold: from this instant on it no longer counts.
    pub expires_at: Option<Timestamp>,
}

impl Busy {
    /// Whether the claim still counts at `now`.
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expiry| expiry > now)
    }
}

/// All claims of an organization, kept up to date booking by booking.
#[derive(Debug, Default)]
pub struct BusyIndex {
    by_place: HashMap<Uuid, Vec<Busy>>,
    place_of: HashMap<Uuid, Uuid>,
}

impl BusyIndex {
    pub fn new(busy: impl IntoIterator<Item = Busy>) -> Self {
        let mut index = Self::default();
        for claim in busy {
            index.apply(claim.booking_id, Some(claim));
        }
        index
    }

    /// Puts the claim of a booking in the place of its former one; `None` removes it.
    pub fn apply(&mut self, booking_id: Uuid, busy: Option<Busy>) {
        let former = self.place_of.remove(&booking_id);
        if let Some(claims) = former.and_then(|place| self.by_place.get_mut(&place)) {
            claims.retain(|claim| claim.booking_id != booking_id);
        }
        if let Some(claim) = busy {
            self.place_of.insert(booking_id, claim.venue_or_caterer);
            self.by_place.entry(claim.venue_or_caterer).or_default().push(claim);
        }
    }

    /// The claims on a venue or caterer, in no order.
    pub(super) fn of(&self, venue_or_caterer: Uuid) -> &[Busy] {
        self.by_place.get(&venue_or_caterer).map_or(&[], Vec::as_slice)
    }
}
