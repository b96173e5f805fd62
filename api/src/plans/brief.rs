//! The brief: what somebody wants to plan, as it comes in.

use std::borrow::Cow;

use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::{Offset, TimeZone},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use crate::{
    catalogue, civil,
    money::{Currency, Money},
};

/// The longest window of dates searched in one go.
pub const MAX_WINDOW_DAYS: i32 = 92;

/// What is wanted. Everything but the fields described as preferences must be met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Brief {
    /// The one date that will do. Exactly one of `event_date` and `date_window` is given.
    #[serde(
        default,
        deserialize_with = "civil::optional_date",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = "2026-09-15")]
    pub event_date: Option<Date>,
    /// Any date of this window will do; an option is offered for its earliest free date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_window: Option<DateWindow>,
    /// Wall time at which the event starts. A date on which a clock change skips this time is
    /// ruled out; where it happens twice, the first is meant (RFC 5545, 3.3.5).
    #[serde(deserialize_with = "civil::time")]
    #[schema(value_type = String, pattern = r"^([01]\d|2[0-3]):[0-5]\d(:00)?$", example = "18:00")]
    pub start_time: Time,
    /// Length of the event in minutes, without setting up and clearing away.
    #[validate(range(min = 15, max = 1440))]
    #[schema(minimum = 15, maximum = 1440, example = 240)]
    pub duration_minutes: i32,
    /// IANA name of the zone of `start_time` and of the dates. Left out: each venue's own zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 64), custom(function = catalogue::time_zone))]
    #[schema(max_length = 64, example = "America/Los_Angeles")]
    pub time_zone: Option<String>,
    #[validate(nested)]
    pub location: Location,
    #[validate(range(min = 1, max = 100_000))]
    #[schema(minimum = 1, maximum = 100_000, example = 120)]
    pub number_of_guests: i32,
    /// One of these is enough, more score higher. Empty: anything.
    #[serde(default)]
    #[validate(length(max = 10), custom(function = words))]
    #[schema(max_items = 10, example = json!(["italian", "indian"]))]
    pub cuisine_preferences: Vec<String>,
    /// All of these must be catered for.
    #[serde(default)]
    #[validate(length(max = 10), custom(function = words))]
    #[schema(max_items = 10, example = json!(["vegan"]))]
    pub dietary_requirements: Vec<String>,
    /// The most that one guest may cost, everything included. At most one of the two budgets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub budget_per_guest: Option<Money>,
    /// The most that the whole event may cost. At most one of the two budgets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub budget_total: Option<Money>,
    /// Only offers in this currency; a budget says so already. Nothing is ever converted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<EventType>,
    /// Whether a separate event room must be hired.
    #[serde(default)]
    pub needs_event_room: bool,
    /// The venue must have all of these.
    #[serde(default)]
    #[validate(length(max = 20), custom(function = words))]
    #[schema(max_items = 20, example = json!(["projector"]))]
    pub required_amenities: Vec<String>,
    /// Kept with the plan for people to read; not interpreted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 2000))]
    #[schema(max_length = 2000)]
    pub special_requirements: Option<String>,
    /// The most options wanted.
    #[serde(default = "default_limit")]
    #[validate(range(min = 1, max = 20))]
    #[schema(minimum = 1, maximum = 20, default = 5)]
    pub limit: i32,
}

impl Brief {
    /// What validation by field cannot see: fields that exclude or need each other, and dates
    /// that are over everywhere in `time_zone` (without one: everywhere on Earth) at `now`.
    pub fn check(&self, now: Timestamp) -> Vec<BriefFault> {
        let mut faults = self.date_faults(now);
        if self.budget_per_guest.is_some() && self.budget_total.is_some() {
            let detail = "give budget_per_guest or budget_total, not both";
            faults.push(BriefFault::new("/budget_total", "conflict", detail));
        }
        if self.currency.is_some() && self.budget().is_some() {
            let detail = "the budget names the currency already";
            faults.push(BriefFault::new("/currency", "conflict", detail));
        }
        if self.start_time.second() != 0 || self.start_time.subsec_nanosecond() != 0 {
            faults.push(BriefFault::new(
                "/start_time",
                "range",
                "must be a whole minute",
            ));
        }
        faults.extend(self.location.fault());
        faults
    }

    /// The first and the last date that will do.
    pub fn dates(&self) -> Option<(Date, Date)> {
        match (self.event_date, &self.date_window) {
            (Some(date), None) => Some((date, date)),
            (None, Some(window)) => Some((window.from, window.to)),
            _ => None,
        }
    }

    /// The most that the whole event may cost, in minor units.
    pub fn budget(&self) -> Option<Money> {
        let per_guest = self.budget_per_guest.map(|budget| {
            let guests = i64::from(self.number_of_guests);
            Money::new(budget.amount.saturating_mul(guests), budget.currency)
        });
        per_guest.or(self.budget_total)
    }

    fn date_faults(&self, now: Timestamp) -> Vec<BriefFault> {
        let Some((from, to)) = self.dates() else {
            let detail = "give exactly one of event_date and date_window";
            return vec![BriefFault::new("/event_date", "conflict", detail)];
        };
        let (first, last) = match self.event_date {
            Some(_) => ("/event_date", "/event_date"),
            None => ("/date_window/from", "/date_window/to"),
        };
        let mut faults = Vec::new();
        if to < from {
            faults.push(BriefFault::new(
                last,
                "range",
                "must not be before the window begins",
            ));
        } else if from
            .until(to)
            .is_ok_and(|span| span.get_days() >= MAX_WINDOW_DAYS)
        {
            let detail =
                format!("must be less than {MAX_WINDOW_DAYS} days after the window begins");
            faults.push(BriefFault::new(last, "range", detail));
        }
        let today = self.today(now);
        if from < today {
            faults.push(BriefFault::new(
                first,
                "past",
                format!("must not be before {today}"),
            ));
        }
        faults
    }

    /// Today in the brief's zone; without one, the date where it is earliest (UTC−12).
    fn today(&self, now: Timestamp) -> Date {
        let zone = self
            .time_zone
            .as_deref()
            .and_then(|name| TimeZone::get(name).ok());
        zone.unwrap_or_else(|| TimeZone::fixed(Offset::constant(-12)))
            .to_datetime(now)
            .date()
    }
}

/// Something about a brief that does not hold, for a 422 answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BriefFault {
    /// JSON pointer into the brief, like `/date_window/to`.
    pub pointer: &'static str,
    /// For programs: `conflict`, `range`, `past` or `required`.
    pub code: &'static str,
    /// For people.
    pub detail: Cow<'static, str>,
}

impl BriefFault {
    fn new(
        pointer: &'static str,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            pointer,
            code,
            detail: detail.into(),
        }
    }
}

/// Dates from `from` to `to`, both included, at most 92.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DateWindow {
    #[serde(deserialize_with = "civil::date")]
    #[schema(example = "2026-09-01")]
    pub from: Date,
    #[serde(deserialize_with = "civil::date")]
    #[schema(example = "2026-09-30")]
    pub to: Date,
}

/// Where: either `city`, or `near` with `radius_km`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// Name of the city, without regard to case, accents and spacing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 120))]
    #[schema(min_length = 1, max_length = 120, example = "San Francisco")]
    pub city: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub near: Option<Point>,
    /// Kilometres around `near`, as the crow flies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 200))]
    #[schema(minimum = 1, maximum = 200)]
    pub radius_km: Option<i32>,
}

impl Location {
    fn fault(&self) -> Option<BriefFault> {
        let (pointer, code) = match (&self.city, &self.near, self.radius_km) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => return None,
            (None, Some(_), None) => ("/location/radius_km", "required"),
            (None, None, Some(_)) => ("/location/near", "required"),
            (None, None, None) => ("/location", "required"),
            (Some(_), ..) => ("/location/city", "conflict"),
        };
        Some(BriefFault::new(
            pointer,
            code,
            "give either city, or near and radius_km",
        ))
    }
}

/// A place on Earth in degrees (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    #[validate(range(min = -90.0, max = 90.0))]
    #[schema(minimum = -90, maximum = 90, example = 37.7749)]
    pub latitude: f64,
    #[validate(range(min = -180.0, max = 180.0))]
    #[schema(minimum = -180, maximum = 180, example = -122.4194)]
    pub longitude: f64,
}

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum EventType {
    Offsite,
    Conference,
    Wedding,
    Meetup,
    Launch,
    Dinner,
    Other,
}

fn default_limit() -> i32 {
    5
}

fn words(words: &[String]) -> Result<(), ValidationError> {
    if words
        .iter()
        .all(|word| !word.trim().is_empty() && word.chars().count() <= 60)
    {
        return Ok(());
    }
    Err(ValidationError::new("length").with_message("each must have 1 to 60 characters".into()))
}
