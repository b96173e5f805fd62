//! The venues and caterers that no constraint of their own excludes.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{
    availability::{BusyIndex, FreeDates},
    index::{Index, Offer, Wanted},
    option::Constraint,
    pricing::{CateringPrice, VenuePrice},
    rules::Criteria,
    snapshot::{CatererEntry, Listed, Snapshot, VenueEntry},
};
use crate::money::Currency;

/// What a search looks at; `now` decides which holds still count and which dates are over.
#[derive(Debug, Clone, Copy)]
pub(super) struct World<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) busy: &'a BusyIndex,
    pub(super) now: Timestamp,
}

/// What is left of a catalogue, with the counts of what is not.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    pub(super) venues: Vec<VenueCandidate<'a>>,
    pub(super) caterers: Vec<CatererCandidate<'a>>,
    pub(super) excluded_venues: Tally,
    pub(super) excluded_caterers: Tally,
}

/// How many failed a constraint first.
pub(super) type Tally = std::collections::BTreeMap<Constraint, usize>;

#[derive(Debug)]
pub(super) struct VenueCandidate<'a> {
    pub(super) listed: &'a Listed<VenueEntry>,
    /// Position in the order of ids, which settles ties.
    pub(super) rank: usize,
    /// Minor units.
    pub(super) total: i64,
    /// Total of its own catering in minor units, when that fits the brief.
    pub(super) in_house: Option<i64>,
    /// Free dates as bits.
    pub(super) dates: u128,
}

#[derive(Debug)]
pub(super) struct CatererCandidate<'a> {
    pub(super) listed: &'a Listed<CatererEntry>,
    /// Position in the order of ids, which settles ties.
    pub(super) rank: usize,
    /// Minor units.
    pub(super) total: i64,
    /// Free dates as bits.
    pub(super) dates: u128,
}

impl<'a> Candidates<'a> {
    /// `free` covers the dates of the criteria, and is for the same hours and zone.
    pub(super) fn new(criteria: &Criteria, snapshot: &'a Snapshot, free: &FreeDates) -> Self {
        let mut excluded_venues = Tally::new();
        let mut venues = Vec::new();
        for (rank, listed) in snapshot.venues.iter().enumerate() {
            match venue(criteria, free, rank, listed) {
                Ok(candidate) => venues.push(candidate),
                Err(constraint) => *excluded_venues.entry(constraint).or_default() += 1,
            }
        }
        let mut excluded_caterers = Tally::new();
        let mut served = Served::new(&venues);
        let mut caterers = Vec::new();
        for (rank, listed) in snapshot.caterers.iter().enumerate() {
            match caterer(criteria, free, &mut served, rank, listed) {
                Ok(candidate) => caterers.push(candidate),
                Err(constraint) => *excluded_caterers.entry(constraint).or_default() += 1,
            }
        }
        Self {
            venues,
            caterers,
            excluded_venues,
            excluded_caterers,
        }
    }
}

fn venue<'a>(
    criteria: &Criteria,
    free: &FreeDates,
    rank: usize,
    listed: &'a Listed<VenueEntry>,
) -> Result<VenueCandidate<'a>, Constraint> {
    if let Some(constraint) = criteria.venue_fails(listed) {
        return Err(constraint);
    }
    let entry = &listed.entry;
    let total = VenuePrice::new(entry, criteria.minutes, criteria.event_room).total();
    if !criteria.affords(total) {
        return Err(Constraint::Budget);
    }
    let dates = free.of_venue(rank, criteria);
    if dates == 0 {
        return Err(Constraint::Date);
    }
    let in_house = entry
        .in_house
        .as_ref()
        .filter(|_| criteria.in_house_fits(listed));
    let in_house = in_house
        .map(|in_house| CateringPrice::of_venue(entry, in_house, criteria.guests).total())
        .filter(|catering| criteria.affords(total + catering));
    Ok(VenueCandidate {
        listed,
        rank,
        total,
        in_house,
        dates,
    })
}

fn caterer<'a>(
    criteria: &Criteria,
    free: &FreeDates,
    served: &mut Served,
    rank: usize,
    listed: &'a Listed<CatererEntry>,
) -> Result<CatererCandidate<'a>, Constraint> {
    let entry = &listed.entry;
    if let Some(constraint) = criteria.caterer_fails(listed) {
        return Err(constraint);
    }
    let total = CateringPrice::of_caterer(entry, criteria.guests).total();
    if !criteria.affords(total) {
        return Err(Constraint::Budget);
    }
    let dates = free.of_caterer(rank, criteria);
    if dates == 0 {
        return Err(Constraint::Date);
    }
    if !served.any(listed) {
        return Err(Constraint::Delivery);
    }
    Ok(CatererCandidate {
        listed,
        rank,
        total,
        dates,
    })
}

/// Tells whether any venue takes a caterer's deliveries: near enough, of the same currency, and
/// open to caterers from outside.
struct Served {
    by_currency: HashMap<Currency, (Index, Option<Offer>)>,
}

impl Served {
    fn new(venues: &[VenueCandidate]) -> Self {
        let mut offers: HashMap<Currency, Vec<Offer>> = HashMap::new();
        for venue in venues
            .iter()
            .filter(|venue| venue.listed.entry.outside_catering_allowed)
        {
            let place = venue.listed.place;
            let offer = Offer {
                number: 0,
                place,
                reach: 0.0,
                cost: 0,
                dates: 1,
                key: 0,
            };
            offers
                .entry(venue.listed.entry.currency)
                .or_default()
                .push(offer);
        }
        let indexed = offers
            .into_iter()
            .map(|(currency, list)| (currency, (Index::new(list), None)));
        Self {
            by_currency: indexed.collect(),
        }
    }

    fn any(&mut self, caterer: &Listed<CatererEntry>) -> bool {
        let Some((index, last)) = self.by_currency.get_mut(&caterer.entry.currency) else {
            return false;
        };
        let reach = caterer.reach;
        // The venue that the last caterer reached is often within reach of the next.
        if last.is_some_and(|venue| venue.place.line_squared(caterer.place) <= reach) {
            return true;
        }
        let wanted = Wanted {
            place: caterer.place,
            reach,
            cost: 0,
            dates: 1,
        };
        let found = index.first(&wanted);
        *last = found.or(*last);
        found.is_some()
    }
}
