//! What people write into an event, read and checked as Google does.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use jiff::{Timestamp, civil, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::recurrence;
use crate::google::error::Refusal;

/// Fields that clients send back but cannot change.
const READ_ONLY: [&str; 16] = [
    "kind",
    "etag",
    "id",
    "iCalUID",
    "created",
    "updated",
    "creator",
    "organizer",
    "htmlLink",
    "hangoutLink",
    "recurringEventId",
    "originalStartTime",
    "attendeesOmitted",
    "endTimeUnspecified",
    "eventType",
    "locked",
];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Content {
    pub(super) summary: Option<String>,
    pub(super) description: Option<String>,
    pub(super) location: Option<String>,
    pub(super) color_id: Option<String>,
    pub(super) status: Option<Status>,
    pub(super) start: When,
    pub(super) end: When,
    pub(super) recurrence: Option<Vec<String>>,
    pub(super) attendees: Option<Vec<Attendee>>,
    pub(super) transparency: Option<Transparency>,
    pub(super) visibility: Option<Visibility>,
    pub(super) reminders: Option<Reminders>,
    pub(super) guests_can_invite_others: Option<bool>,
    pub(super) guests_can_modify: Option<bool>,
    pub(super) guests_can_see_other_guests: Option<bool>,
    pub(super) anyone_can_add_self: Option<bool>,
    pub(super) extended_properties: Option<ExtendedProperties>,
    pub(super) conference_data: Option<Value>,
    pub(super) source: Option<Source>,
    pub(super) sequence: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Confirmed,
    Tentative,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Transparency {
    Opaque,
    Transparent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Visibility {
    Default,
    Public,
    Private,
    Confidential,
}

/// A day, or a time in a zone. Once checked, a time always has its zone and the zone's offset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct When {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) date: Option<civil::Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) date_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time_zone: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Attendee {
    #[serde(default)]
    pub(super) email: String,
    pub(super) id: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) optional: Option<bool>,
    pub(super) organizer: Option<bool>,
    pub(super) resource: Option<bool>,
    #[serde(rename = "self")]
    pub(super) is_self: Option<bool>,
    pub(super) additional_guests: Option<u32>,
    pub(super) response_status: Option<ResponseStatus>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ResponseStatus {
    NeedsAction,
    Declined,
    Tentative,
    Accepted,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Reminders {
    #[serde(default)]
    use_default: bool,
    overrides: Option<Vec<Reminder>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reminder {
    method: String,
    minutes: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtendedProperties {
    pub(super) private: Option<BTreeMap<String, String>>,
    pub(super) shared: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    url: String,
    title: Option<String>,
}

impl Content {
    /// Reads and checks a whole event, for a calendar in `zone`.
    pub(super) fn read(mut body: Map<String, Value>, zone: &str) -> Result<Self, Refusal> {
        body.retain(|name, _| !READ_ONLY.contains(&name.as_str()));
        for (name, words) in [
            ("start", "Missing start time."),
            ("end", "Missing end time."),
        ] {
            if body.get(name).is_none_or(Value::is_null) {
                return Err(Refusal::required(words));
            }
        }
        let mut content: Self = serde_json::from_value(Value::Object(body))
            .map_err(|error| Refusal::invalid(format!("Invalid JSON payload received. {error}")))?;
        let is_recurring = content
            .recurrence
            .as_ref()
            .is_some_and(|lines| !lines.is_empty());
        content.start.settle("start", is_recurring, zone)?;
        content.end.settle("end", is_recurring, zone)?;
        content.check_range()?;
        content.check_attendees()?;
        content.check_reminders()?;
        if let Some(lines) = &content.recurrence {
            recurrence::check(&content.start, lines)?;
        }
        Ok(content)
    }

    /// Changed by a merge patch (RFC 7396), and checked.
    pub(super) fn patched(&self, patch: Map<String, Value>, zone: &str) -> Result<Self, Refusal> {
        let mut whole = self.to_json();
        merge(&mut whole, patch);
        Self::read(whole, zone)
    }

    pub(super) fn to_json(&self) -> Map<String, Value> {
        match serde_json::to_value(self).map(without_nulls) {
            Ok(Value::Object(object)) => object,
            _ => Map::new(),
        }
    }

    fn check_range(&self) -> Result<(), Refusal> {
        let empty = || {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                "timeRangeEmpty",
                "The specified time range is empty.",
            )
            .domain("calendar")
        };
        match (self.start.date, self.end.date) {
            (Some(start), Some(end)) if end <= start => Err(empty()),
            (None, None) if self.end.instant() < self.start.instant() => Err(empty()),
            (Some(_), Some(_)) | (None, None) => Ok(()),
            _ => Err(Refusal::invalid(
                "Start and end times must either both be date or both be dateTime.",
            )),
        }
    }

    fn check_attendees(&mut self) -> Result<(), Refusal> {
        let Some(attendees) = &mut self.attendees else {
            return Ok(());
        };
        let mut seen = Vec::new();
        for attendee in attendees.iter_mut() {
            let (name, domain) = attendee.email.split_once('@').unwrap_or_default();
            let is_plain = !attendee.email.contains(char::is_whitespace) && !domain.contains('@');
            if name.is_empty() || !domain.contains('.') || !is_plain {
                return Err(Refusal::invalid("Invalid attendee email."));
            }
            attendee
                .response_status
                .get_or_insert(ResponseStatus::NeedsAction);
        }
        attendees.retain(|attendee| {
            let email = attendee.email.to_lowercase();
            let is_new = !seen.contains(&email);
            seen.push(email);
            is_new
        });
        Ok(())
    }

    fn check_reminders(&self) -> Result<(), Refusal> {
        let Some(Reminders {
            use_default,
            overrides,
        }) = &self.reminders
        else {
            return Ok(());
        };
        let overrides = overrides.as_deref().unwrap_or_default();
        if *use_default && !overrides.is_empty() {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "cannotUseDefaultRemindersAndSpecifyOverride",
                "Cannot specify both default reminders and overrides at the same time.",
            )
            .domain("calendar"));
        }
        let is_right = |reminder: &Reminder| {
            matches!(reminder.method.as_str(), "email" | "popup") && reminder.minutes <= 40_320
        };
        if overrides.len() > 5 || !overrides.iter().all(is_right) {
            return Err(Refusal::invalid("Invalid reminder override."));
        }
        Ok(())
    }
}

impl When {
    /// For people: the day, or day and time.
    pub(super) fn text(&self) -> String {
        let day = || self.date.map(|date| date.to_string()).unwrap_or_default();
        let time = self.date_time.as_ref();
        time.map_or_else(day, |time| time.replacen('T', " ", 1))
    }

    /// Checks it, and writes a time with its zone and the zone's offset.
    fn settle(&mut self, which: &str, is_recurring: bool, default: &str) -> Result<(), Refusal> {
        let no_zone =
            || Refusal::required(format!("Missing time zone definition for {which} time."));
        let text = match (&self.date, self.date_time.take()) {
            (Some(_), None) => return Ok(()),
            (None, Some(text)) => text,
            _ => return Err(Refusal::invalid(format!("Invalid {which} time."))),
        };
        let invalid = || Refusal::invalid(format!("Invalid value for: Invalid format: \"{text}\""));
        if is_recurring && self.time_zone.is_none() {
            return Err(no_zone());
        }
        let instant = text.parse::<Timestamp>();
        if instant.is_err() && self.time_zone.is_none() {
            let local = text.parse::<civil::DateTime>();
            return Err(if local.is_ok() { no_zone() } else { invalid() });
        }
        let name = self.time_zone.get_or_insert_with(|| default.to_owned());
        let zone = TimeZone::get(name)
            .map_err(|_| Refusal::invalid(format!("Invalid time zone definition: {name}")))?;
        let instant = instant.or_else(|_| {
            let local = text.parse::<civil::DateTime>();
            local
                .and_then(|local| zone.to_timestamp(local))
                .map_err(|_| invalid())
        })?;
        self.date_time = Some(written(instant, &zone));
        Ok(())
    }

    /// When it begins: a day begins at midnight UTC here, which is how Google compares days with times.
    pub(super) fn instant(&self) -> Timestamp {
        if let Some(date) = self.date {
            return date
                .to_zoned(TimeZone::UTC)
                .map_or(Timestamp::MIN, |zoned| zoned.timestamp());
        }
        let text = self.date_time.as_deref().unwrap_or_default();
        text.parse().unwrap_or(Timestamp::MIN)
    }

    pub(super) fn zone(&self) -> TimeZone {
        let name = self.time_zone.as_deref().unwrap_or("UTC");
        TimeZone::get(name).unwrap_or(TimeZone::UTC)
    }

    /// The same point in time as `instant`, of the same kind as this one.
    pub(super) fn moved_to(&self, instant: Timestamp) -> Self {
        if self.date.is_some() {
            let date = Some(instant.to_zoned(TimeZone::UTC).date());
            return Self {
                date,
                ..Self::default()
            };
        }
        let date_time = Some(written(instant, &self.zone()));
        Self {
            date: None,
            date_time,
            time_zone: self.time_zone.clone(),
        }
    }

    /// As answers have it: with the offset of the zone that was asked for.
    pub(super) fn shown_in(&self, zone: &TimeZone) -> Self {
        let mut shown = self.clone();
        if shown.date_time.is_some() {
            shown.date_time = Some(written(self.instant(), zone));
        }
        shown
    }
}

/// RFC 3339 with the zone's offset, `Z` for none.
pub(super) fn written(instant: Timestamp, zone: &TimeZone) -> String {
    let text = instant
        .to_zoned(zone.clone())
        .strftime("%Y-%m-%dT%H:%M:%S%:z")
        .to_string();
    text.replace("+00:00", "Z")
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn merge(whole: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                whole.remove(&name);
            }
            Value::Object(inner) => {
                let held = whole.entry(name).or_insert_with(|| Map::new().into());
                if !held.is_object() {
                    *held = Map::new().into();
                }
                if let Value::Object(held) = held {
                    merge(held, inner);
                }
            }
            other => {
                whole.insert(name, other);
            }
        }
    }
}
