//! Other dates, more money, fewer guests, another place.

use jiff::civil::Date;
use serde_json::json;

use super::Attempts;
use crate::{
    money::Money,
    plans::{
        candidates::Candidates,
        option::{long_date, people},
        place::Place,
        ranking::{Matcher, Objective, Pair, Yardsticks},
        rules::Area,
        search::ALL_DATES,
    },
};

/// The largest radius that a brief may have, in kilometres.
const LARGEST_RADIUS: i32 = 200;

impl Attempts<'_> {
    /// The nearest dates outside those of the brief.
    pub(super) fn date(&mut self) {
        let Some((from, to)) = self.brief.dates() else {
            return;
        };
        let mut criteria = self.criteria.clone();
        criteria.dates.clone_from(&self.free.dates);
        let candidates = self.candidates(&criteria);
        let matcher = Matcher::new(&criteria, &candidates, &Yardsticks::none(), Objective::Any);
        let dates = criteria.dates.iter().zip(0..);
        let mut others: Vec<_> = dates
            .filter(|(date, _)| **date < from || **date > to)
            .collect();
        others.sort_by_key(|(date, _)| days_apart(**date, from, to));
        let outside = others
            .iter()
            .fold(0_u128, |mask, (_, number)| mask | 1 << number);
        if matcher.best(1, outside).is_empty() {
            return;
        }
        let nearest = others
            .iter()
            .find(|(_, number)| !matcher.best(1, 1 << number).is_empty());
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
        let field = if self.brief.event_date.is_some() {
            "event_date"
        } else {
            "date_window"
        };
        self.verify(field, patch, &format!("On {day}"));
    }

    /// The smallest budgets that open one more option, and three.
    pub(super) fn budget(&mut self) {
        let Some(budget) = self.brief.budget() else {
            return;
        };
        let mut criteria = self.criteria.clone();
        criteria.budget = None;
        let candidates = self.candidates(&criteria);
        let matcher = Matcher::new(
            &criteria,
            &candidates,
            &Yardsticks::none(),
            Objective::Cheapest,
        );
        let most = (self.found + 3).min(self.criteria.limit);
        let pairs = matcher.best(most, ALL_DATES);
        let totals: Vec<_> = pairs.iter().map(|pair| total(&candidates, pair)).collect();
        let per_guest = self.brief.budget_per_guest.is_some();
        let parts = if per_guest {
            i64::from(self.brief.number_of_guests.max(1))
        } else {
            1
        };
        let unit = 10_i64.pow(budget.currency.minor_digits());
        let mut tried = None;
        for needed in [totals.get(self.found), totals.last()]
            .into_iter()
            .flatten()
        {
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
    pub(super) fn guests(&mut self) {
        let mut relaxed = self.criteria.clone();
        (relaxed.any_size, relaxed.budget) = (true, None);
        if self.count(&relaxed) <= self.found {
            return;
        }
        let guests = self.brief.number_of_guests;
        let mut brief = self.brief.clone();
        brief.limit = self
            .brief
            .limit
            .min(i32::try_from(self.found + 1).unwrap_or(i32::MAX));
        let mut fits = |guests: i32| {
            brief.number_of_guests = guests;
            self.count(&self.criteria_of(&brief)) > self.found
        };
        let Some((mut fitting, mut too_many)) = fewer_guests(guests, &mut fits) else {
            return;
        };
        while too_many - fitting > 1 {
            let middle = fitting.midpoint(too_many);
            if fits(middle) {
                fitting = middle;
            } else {
                too_many = middle;
            }
        }
        let patch = json!({ "number_of_guests": fitting });
        self.verify(
            "number_of_guests",
            patch,
            &format!("With {}", people(fitting)),
        );
    }

    /// The smallest larger radius, or the nearest other city.
    pub(super) fn location(&mut self) {
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
        criteria.area = Area::Near {
            middle,
            radius_km: LARGEST_RADIUS,
        };
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
        let here = self
            .free
            .world
            .snapshot
            .venues
            .iter()
            .filter(|venue| venue.entry.city_key == key);
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

fn total(candidates: &Candidates, pair: &Pair) -> i64 {
    let venue = &candidates.venues[pair.venue];
    let caterer = pair.caterer.map(|number| candidates.caterers[number].total);
    venue.total + caterer.or(venue.in_house).unwrap_or_default()
}

/// Days between a date and the nearest of a window.
fn days_apart(date: Date, from: Date, to: Date) -> i32 {
    let edge = if date < from { from } else { to };
    date.until(edge)
        .map_or(i32::MAX, |span| span.get_days().abs())
}

/// Up to the next multiple of `unit`.
fn round_up(number: i64, unit: i64) -> i64 {
    number.saturating_add(unit - 1) / unit * unit
}
