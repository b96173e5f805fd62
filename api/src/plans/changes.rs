//! The nearest changes of a brief that help, each tried before it is told.

use jiff::civil::Date;
use serde_json::{Value, json};
use validator::Validate;

use super::{
    availability::FreeDates,
    brief::Brief,
    candidates::Candidates,
    option::{Change, long_date, people},
    place::Place,
    ranking::{Matcher, Objective, Pair, Yardsticks},
    rules::{Area, Criteria},
    search::{ALL_DATES, count},
    snapshot::words::WordSet,
};
use crate::{
    money::Money,
    text::word_list,
};

/// The most changes told.
const MOST: usize = 8;
/// The most of a kind: cuisines to add, requirements to drop.
const MOST_OF_A_KIND: usize = 2;
/// The largest radius that a brief may have, in kilometres.
const LARGEST_RADIUS: i32 = 200;

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
    let mut attempts = Attempts { brief, criteria, free, found, changes: Vec::new() };
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

/// RFC 7396.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().and_then(|target| target.remove(name));
        } else {
            merge(&mut target[name], value);
        }
    }
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

    /// The nearest dates outside those of the brief.
    fn date(&mut self) {
        let Some((from, to)) = self.brief.dates() else {
            return;
        };
        let mut criteria = self.criteria.clone();
        criteria.dates.clone_from(&self.free.dates);
        let candidates = self.candidates(&criteria);
        let matcher = Matcher::new(&criteria, &candidates, &Yardsticks::none(), Objective::Any);
        let dates = criteria.dates.iter().zip(0..);
        let mut others: Vec<_> = dates.filter(|(date, _)| **date < from || **date > to).collect();
        others.sort_by_key(|(date, _)| days_apart(**date, from, to));
        let outside = others.iter().fold(0_u128, |mask, (_, number)| mask | 1 << number);
        if matcher.best(1, outside).is_empty() {
            return;
        }
        let nearest = others.iter().find(|(_, number)| !matcher.best(1, 1 << number).is_empty());
        if let Some(date) = nearest.map(|(date, _)| **date) {
            self.try_date(date);
        }
    }

    fn try_date(&mut self, date: Date) {
        let patch = match self.brief.date_window {
            None => json!({ "event_date": date }),
            Some(window) if date < window.from => json!({ "date_window": { "from": date } }),
            Some(_) => json!({ "date_window": { "to": date } }),
        };
        let day = long_date(date);
        let field = if self.brief.event_date.is_some() { "event_date" } else { "date_window" };
        self.verify(field, patch, &format!("On {day}"));
    }

    /// The smallest budgets that open one more option, and three.
    fn budget(&mut self) {
        let Some(budget) = self.brief.budget() else {
            return;
        };
        let mut criteria = self.criteria.clone();
        criteria.budget = None;
        let candidates = self.candidates(&criteria);
        let matcher = Matcher::new(&criteria, &candidates, &Yardsticks::none(), Objective::Cheapest);
        let most = (self.found + 3).min(self.criteria.limit);
        let pairs = matcher.best(most, ALL_DATES);
        let totals: Vec<_> = pairs.iter().map(|pair| total(&candidates, pair)).collect();
        let per_guest = self.brief.budget_per_guest.is_some();
        let parts = if per_guest { i64::from(self.brief.number_of_guests.max(1)) } else { 1 };
        let unit = 10_i64.pow(budget.currency.minor_digits());
        let mut tried = None;
        for needed in [totals.get(self.found), totals.last()].into_iter().flatten() {
            let amount = round_up(round_up(*needed, parts) / parts, unit);
            if tried.replace(amount) == Some(amount) {
                continue;
            }
            let money = Money::new(amount, budget.currency);
            if per_guest {
                let patch = json!({ "budget_per_guest": money });
                self.verify("budget_per_guest", patch, &format!("At {money} a head"));
            } else {
                let patch = json!({ "budget_total": money });
                self.verify("budget_total", patch, &format!("At {money} in all"));
            }
        }
    }

    /// The largest smaller number of guests that fits.
    fn guests(&mut self) {
        let mut relaxed = self.criteria.clone();
        (relaxed.any_size, relaxed.budget) = (true, None);
        if self.count(&relaxed) <= self.found {
            return;
        }
        let guests = self.brief.number_of_guests;
        let mut brief = self.brief.clone();
        brief.limit = self.brief.limit.min(i32::try_from(self.found + 1).unwrap_or(i32::MAX));
        let mut fits = |guests: i32| {
            brief.number_of_guests = guests;
            self.count(&self.criteria_of(&brief)) > self.found
        };
        let Some((mut fitting, mut too_many)) = fewer_guests(guests, &mut fits) else {
            return;
        };
        while too_many - fitting > 1 {
            let middle = fitting.midpoint(too_many);
            if fits(middle) { fitting = middle } else { too_many = middle }
        }
        let patch = json!({ "number_of_guests": fitting });
        self.verify("number_of_guests", patch, &format!("With {}", people(fitting)));
    }

    /// The smallest larger radius, or the nearest other city.
    fn location(&mut self) {
        match self.criteria.area.clone() {
            Area::Near { middle, radius_km } if radius_km < LARGEST_RADIUS => {
                self.radius(middle, radius_km);
            }
            Area::City(key) => self.city(key),
            _ => {}
        }
    }

    fn radius(&mut self, middle: Place, radius_km: i32) {
        let mut criteria = self.criteria.clone();
        criteria.area = Area::Near { middle, radius_km: LARGEST_RADIUS };
        let candidates = self.candidates(&criteria);
        let objective = Objective::NearestTo(middle);
        let matcher = Matcher::new(&criteria, &candidates, &Yardsticks::none(), objective);
        let pairs = matcher.best(self.found + 1, ALL_DATES);
        let Some(pair) = pairs.get(self.found) else {
            return;
        };
        // Metres are rounded; one more is certainly enough.
        let metres = middle.metres(candidates.venues[pair.venue].listed.place) + 1;
        let wanted = i32::try_from(round_up(metres, 1_000) / 1_000).unwrap_or(LARGEST_RADIUS);
        let wanted = wanted.clamp(radius_km + 1, LARGEST_RADIUS);
        let patch = json!({ "location": { "radius_km": wanted } });
        self.verify("location", patch, &format!("Within {wanted} km"));
    }

    fn city(&mut self, key: String) {
        let here = self.free.world.snapshot.venues.iter().filter(|venue| venue.entry.city_key == key);
        let middle = Place::middle(here.map(|venue| venue.place));
        let mut criteria = self.criteria.clone();
        criteria.area = Area::OutsideCity(key);
        let candidates = self.candidates(&criteria);
        let objective = middle.map_or(Objective::Cheapest, Objective::NearestTo);
        let matcher = Matcher::new(&criteria, &candidates, &Yardsticks::none(), objective);
        if let Some(pair) = matcher.best(1, ALL_DATES).first() {
            let city = &candidates.venues[pair.venue].listed.entry.city;
            let patch = json!({ "location": { "city": city } });
            self.verify("location", patch, &format!("In {city}"));
        }
    }

    /// Cuisines that would do if they were wanted as well.
    fn cuisine(&mut self) {
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
            self.verify("cuisine_preferences", patch, &format!("With {name} food as well"));
            if tried.len() == MOST_OF_A_KIND {
                return;
            }
        }
    }

    fn event_room(&mut self) {
        if self.brief.needs_event_room {
            let patch = json!({ "needs_event_room": false });
            self.verify("needs_event_room", patch, "Without an event room");
        }
    }

    /// The amenities that alone keep the most venues out.
    fn amenities(&mut self) {
        let mut relaxed = self.criteria.clone();
        relaxed.amenities = WordSet::default();
        let fitting = self.free.world.snapshot.venues.iter();
        let fitting = fitting.filter(|venue| relaxed.venue_fails(venue).is_none());
        let offered = fitting.map(|venue| venue.entry.amenities.as_slice());
        for word in obstacles(&word_list(&self.brief.required_amenities), offered) {
            let left = without(&self.brief.required_amenities, &word);
            let name = word.replace('_', " ");
            let patch = json!({ "required_amenities": left });
            self.verify("required_amenities", patch, &format!("Without \u{201c}{name}\u{201d}"));
        }
    }

    /// The dietary requirements that alone keep the most caterings out.
    fn dietary(&mut self) {
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
            self.verify("dietary_requirements", patch, &format!("Without \u{201c}{name}\u{201d}"));
        }
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

/// A smaller number of guests that fits, and a larger one that does not, by steps that double.
fn fewer_guests(guests: i32, fits: &mut impl FnMut(i32) -> bool) -> Option<(i32, i32)> {
    let mut too_many = guests;
    let mut step = 1;
    while too_many > 1 {
        let fewer = (guests - step).max(1);
        if fits(fewer) {
            return Some((fewer, too_many));
        }
        too_many = fewer;
        step *= 2;
    }
    None
}

/// Which of the `wanted` words are the only one that an offer lacks, the most frequent first.
fn obstacles<'a>(
    wanted: &[String],
    offered: impl Iterator<Item = &'a [String]>,
) -> Vec<String> {
    let mut counts = vec![0; wanted.len()];
    for words in offered {
        let mut missing = (0..wanted.len()).filter(|number| !words.contains(&wanted[*number]));
        if let (Some(only), None) = (missing.next(), missing.next()) {
            counts[only] += 1;
        }
    }
    let mut order: Vec<_> = (0..wanted.len()).filter(|number| counts[*number] > 0).collect();
    order.sort_by_key(|number| std::cmp::Reverse(counts[*number]));
    order.into_iter().take(MOST_OF_A_KIND).map(|number| wanted[number].clone()).collect()
}

/// The words as they were written, without one.
fn without(words: &[String], dropped: &str) -> Vec<String> {
    let same = |word: &String| word_list(std::slice::from_ref(word)).iter().any(|it| it == dropped);
    words.iter().filter(|word| !same(word)).cloned().collect()
}

fn total(candidates: &Candidates, pair: &Pair) -> i64 {
    let venue = &candidates.venues[pair.venue];
    let caterer = pair.caterer.map(|number| candidates.caterers[number].total);
    venue.total + caterer.or(venue.in_house).unwrap_or_default()
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

/// Days between a date and the nearest of a window.
fn days_apart(date: Date, from: Date, to: Date) -> i32 {
    let edge = if date < from { from } else { to };
    date.until(edge).map_or(i32::MAX, |span| span.get_days().abs())
}

/// Up to the next multiple of `unit`.
fn round_up(number: i64, unit: i64) -> i64 {
    number.saturating_add(unit - 1) / unit * unit
}

/// `At 92.00 USD a head three options open.`
fn detail(lead: &str, opens: usize, found: usize) -> String {
    let words = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let number = words.get(opens).map_or_else(|| opens.to_string(), |word| (*word).to_owned());
    match (found, opens) {
        (0, 1) => format!("{lead} one option opens."),
        (0, _) => format!("{lead} {number} options open."),
        _ => format!("{lead} there are {number} options instead of {found}."),
    }
}
