//! Options, exclusions and the summary, in full and in words.

use jiff::{SignedDuration, Timestamp, civil::Date};

use crate::money::{Money, share};
use crate::plans::{
    availability::FreeDates,
    brief::Brief,
    candidates::{Candidates, CatererCandidate, Tally, VenueCandidate},
    option::{
        Change, Constraint, Exclusion, OptionCatering, OptionVenue, PlanOption, Reason, Side,
        long_date, people,
    },
    points::{catering_reasons, metres_away, venue_reasons},
    pricing::{caterer_lines, in_house_lines, per_guest, venue_lines},
    ranking::{Pair, Yardsticks},
    rules::Criteria,
    snapshot::VenueEntry,
};

/// How many further dates an option names.
const FURTHER_DATES: usize = 5;

/// Turns pairs into options.
pub(super) struct Describer<'a> {
    criteria: &'a Criteria,
    candidates: &'a Candidates<'a>,
    yardsticks: &'a Yardsticks,
    free: &'a FreeDates<'a>,
}

impl<'a> Describer<'a> {
    pub(super) fn new(
        criteria: &'a Criteria,
        candidates: &'a Candidates<'a>,
        yardsticks: &'a Yardsticks,
        free: &'a FreeDates<'a>,
    ) -> Self {
        Self {
            criteria,
            candidates,
            yardsticks,
            free,
        }
    }

    pub(super) fn option(&self, pair: &Pair, rank: i32) -> PlanOption {
        let candidates = self.candidates;
        let venue = &candidates.venues[pair.venue];
        let caterer = pair.caterer.map(|number| &candidates.caterers[number]);
        let entry = &venue.listed.entry;
        let money = |amount| Money::new(amount, entry.currency);
        let catering_total = caterer
            .map(|it| it.total)
            .or(venue.in_house)
            .unwrap_or_default();
        let total = venue.total + catering_total;
        let deposit_rate = caterer.map_or(entry.deposit_rate_bps, |it| {
            it.listed.entry.deposit_rate_bps
        });
        let mut lines = venue_lines(entry, self.criteria.minutes, self.criteria.event_room);
        let guests = self.criteria.guests;
        lines.extend(match (caterer, &entry.in_house) {
            (Some(caterer), _) => caterer_lines(&caterer.listed.entry, guests),
            (None, Some(in_house)) => in_house_lines(entry, in_house, guests),
            (None, None) => Vec::new(),
        });
        let reasons = self.reasons(venue, caterer, money(catering_total));
        let free = venue.dates & caterer.map_or(u128::MAX, |caterer| caterer.dates);
        let dates: Vec<_> = dates(&self.criteria.dates, free).collect();
        let date = dates.first().copied().unwrap_or_default();
        let starts_at = self.free.start(venue.listed, date);
        let ends_at = later(starts_at, self.criteria.minutes);
        PlanOption {
            rank,
            score: reasons.iter().map(|reason| reason.points).sum(),
            reasons,
            date,
            starts_at,
            ends_at,
            time_zone: self
                .criteria
                .time_zone
                .as_ref()
                .unwrap_or(&entry.time_zone)
                .clone(),
            occupied_from: later(starts_at, -entry.setup_minutes),
            occupied_until: later(ends_at, entry.teardown_minutes),
            venue: option_venue(self.criteria, venue),
            catering: caterer.map_or_else(|| own_catering(entry), |it| option_catering(venue, it)),
            lines,
            venue_total: money(venue.total),
            catering_total: money(catering_total),
            total: money(total),
            per_guest: money(per_guest(total, self.criteria.guests)),
            within_budget: self.criteria.affords(total),
            venue_deposit: money(share(venue.total, entry.deposit_rate_bps)),
            catering_deposit: money(share(catering_total, deposit_rate)),
            further_dates_count: i32::try_from(dates.len())
                .unwrap_or(i32::MAX)
                .saturating_sub(1),
            further_dates: dates.into_iter().skip(1).take(FURTHER_DATES).collect(),
        }
    }

    fn reasons(
        &self,
        venue: &VenueCandidate,
        caterer: Option<&CatererCandidate>,
        catering_total: Money,
    ) -> Vec<Reason> {
        let entry = &venue.listed.entry;
        let (cuisines, rating) = match (caterer.map(|it| it.listed), &entry.in_house) {
            (Some(it), _) => (
                (&it.cuisines, it.entry.cuisines.as_slice()),
                it.entry.rating,
            ),
            (None, Some(own)) => (
                (&venue.listed.cuisines, own.cuisines.as_slice()),
                entry.rating,
            ),
            (None, None) => ((&venue.listed.cuisines, &[][..]), entry.rating),
        };
        let venue_total = Money::new(venue.total, entry.currency);
        let yardstick = self.yardsticks.venue(entry.currency);
        let mut reasons = venue_reasons(self.criteria, venue.listed, venue_total, yardstick);
        let yardstick = self.yardsticks.catering(entry.currency);
        reasons.extend(catering_reasons(
            self.criteria,
            cuisines,
            rating,
            catering_total,
            yardstick,
        ));
        reasons
    }
}

/// What each constraint excluded, in the order in which they are looked at.
pub(super) fn exclusions(brief: &Brief, candidates: &Candidates) -> Vec<Exclusion> {
    let of = |side, tally: &Tally| {
        let list = tally.iter().map(move |(constraint, excluded)| Exclusion {
            side,
            constraint: *constraint,
            excluded: *excluded,
            detail: exclusion_detail(brief, side, *constraint, *excluded),
        });
        list.collect::<Vec<_>>()
    };
    let mut exclusions = of(Side::Venue, &candidates.excluded_venues);
    exclusions.extend(of(Side::Catering, &candidates.excluded_caterers));
    exclusions
}

/// The answer in a sentence or two.
pub(super) fn summary(brief: &Brief, options: &[PlanOption], changes: &[Change]) -> String {
    let guests = brief.number_of_guests;
    let place = place(brief);
    let Some(cheapest) = options
        .iter()
        .min_by_key(|option| (option.total.currency, option.total.amount))
    else {
        let advice = changes
            .first()
            .map(|change| format!(" {}", change.detail))
            .unwrap_or_default();
        return format!(
            "Nothing {place} {} fits {}.{advice}",
            when(brief),
            people(guests)
        );
    };
    let one_currency = options
        .iter()
        .all(|option| option.total.currency == cheapest.total.currency);
    let price = if one_currency {
        format!(", from {} ({} a head)", cheapest.total, cheapest.per_guest)
    } else {
        String::new()
    };
    let best = &options[0];
    let noun = if options.len() == 1 {
        "option"
    } else {
        "options"
    };
    format!(
        "{} {noun} {place} {} for {}{price}. Best: {} with {} on {}.",
        options.len(),
        when(brief),
        people(guests),
        best.venue.name,
        best.catering.name,
        long_date(best.date),
    )
}

fn place(brief: &Brief) -> String {
    match (&brief.location.city, brief.location.radius_km) {
        (Some(city), _) => format!("in {}", city.trim()),
        (None, Some(radius)) => format!("within {radius} km"),
        (None, None) => "anywhere".to_owned(),
    }
}

fn when(brief: &Brief) -> String {
    match brief.dates() {
        Some((from, to)) if from == to => format!("on {}", long_date(from)),
        Some((from, to)) => format!("from {} to {}", long_date(from), long_date(to)),
        None => "on no date".to_owned(),
    }
}

fn exclusion_detail(brief: &Brief, side: Side, constraint: Constraint, excluded: usize) -> String {
    let one = excluded == 1;
    let noun = match (side, one) {
        (Side::Venue, true) => "venue",
        (Side::Venue, false) => "venues",
        (Side::Catering, true) => "caterer",
        (Side::Catering, false) => "caterers",
    };
    let verb = |singular: &'static str, plural: &'static str| if one { singular } else { plural };
    let rest = match constraint {
        Constraint::Location => format!("{} not {}", verb("is", "are"), place(brief)),
        Constraint::Capacity => {
            format!(
                "{} fewer than {}",
                verb("holds", "hold"),
                people(brief.number_of_guests)
            )
        }
        Constraint::EventRoom => format!("{} no event room", verb("has", "have")),
        Constraint::Amenities => format!("{} a required amenity", verb("lacks", "lack")),
        Constraint::Guests => {
            format!(
                "{} not serve {}",
                verb("does", "do"),
                people(brief.number_of_guests)
            )
        }
        Constraint::Cuisine => format!("{} none of the cuisines", verb("offers", "offer")),
        Constraint::Dietary => format!("{} not meet every dietary requirement", verb("does", "do")),
        Constraint::Currency => format!("{} another currency", verb("asks for", "ask for")),
        Constraint::Budget => format!("alone {} more than the budget", verb("costs", "cost")),
        Constraint::Date => format!("{} free {}", verb("is not", "are not"), when(brief)),
        Constraint::Delivery => {
            format!("{} to none of the venues left", verb("delivers", "deliver"))
        }
    };
    format!("{excluded} {noun} {rest}.")
}

fn option_venue(criteria: &Criteria, venue: &VenueCandidate) -> OptionVenue {
    let entry = &venue.listed.entry;
    OptionVenue {
        id: entry.id,
        name: entry.name.clone(),
        city: entry.city.clone(),
        country: entry.country.clone(),
        capacity: entry.capacity,
        distance_metres: metres_away(criteria, venue.listed.place),
    }
}

fn option_catering(venue: &VenueCandidate, caterer: &CatererCandidate) -> OptionCatering {
    let entry = &caterer.listed.entry;
    OptionCatering {
        caterer_id: Some(entry.id),
        in_house: false,
        name: entry.name.clone(),
        cuisines: entry.cuisines.clone(),
        dietary_options: entry.dietary_options.clone(),
        distance_metres: Some(caterer.listed.place.metres(venue.listed.place)),
    }
}

fn own_catering(venue: &VenueEntry) -> OptionCatering {
    let in_house = venue.in_house.as_ref();
    OptionCatering {
        caterer_id: None,
        in_house: true,
        name: "the venue's own catering".to_owned(),
        cuisines: in_house.map(|it| it.cuisines.clone()).unwrap_or_default(),
        dietary_options: in_house
            .map(|it| it.dietary_options.clone())
            .unwrap_or_default(),
        distance_metres: None,
    }
}

/// The dates of a mask, earliest first.
fn dates(all: &[Date], mask: u128) -> impl Iterator<Item = Date> {
    all.iter()
        .enumerate()
        .filter(move |(number, _)| mask >> number & 1 == 1)
        .map(|(_, date)| *date)
}

fn later(instant: Timestamp, minutes: i32) -> Timestamp {
    let duration = SignedDuration::from_mins(i64::from(minutes));
    instant.checked_add(duration).unwrap_or(instant)
}
