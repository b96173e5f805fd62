//! Events as Google sends them, and as our tools show them.

use jiff::{Timestamp, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An event as Google has it: what we read of it, and its guests as they are, so that they can be sent back whole. Of a
/// cancelled one only the id is certain.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Resource {
    id: String,
    #[serde(default)]
    etag: String,
    #[serde(default = "confirmed")]
    status: String,
    #[serde(default)]
    summary: String,
    description: Option<String>,
    location: Option<String>,
    #[serde(default)]
    start: When,
    #[serde(default)]
    end: When,
    #[serde(default)]
    recurrence: Vec<String>,
    recurring_event_id: Option<String>,
    #[serde(default)]
    attendees: Vec<Value>,
    transparency: Option<String>,
    hangout_link: Option<String>,
    html_link: Option<String>,
    #[serde(default)]
    extended_properties: Extended,
}

fn confirmed() -> String {
    "confirmed".to_owned()
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct When {
    date: Option<String>,
    date_time: Option<String>,
    time_zone: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Extended {
    private: std::collections::BTreeMap<String, String>,
}

/// An event, whole.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Event {
    #[serde(flatten)]
    pub(crate) summary: EventSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// The lines of a series (RFC 5545); none for a single event.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) recurrence: Vec<String>,
    pub(crate) attendees: Vec<Attendee>,
    /// Where the video call is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) video_call: Option<String>,
    /// The event in Google Calendar's own pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
}

/// An event in a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct EventSummary {
    pub(crate) id: String,
    /// The version: pass it on to change the event only if nobody did meanwhile.
    pub(crate) etag: String,
    /// `confirmed`, `tentative` or `cancelled`.
    pub(crate) status: String,
    pub(crate) title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
    /// The time (RFC 3339, with the offset of `time_zone`), or a day such as `2027-06-12`.
    pub(crate) start: String,
    /// The same; an event that lasts whole days ends on the day after its last.
    pub(crate) end: String,
    /// IANA name; none for an event that lasts whole days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time_zone: Option<String>,
    /// The series that this is an instance of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recurring_event_id: Option<String>,
    pub(crate) is_series: bool,
    /// It does not block the time.
    pub(crate) shows_as_free: bool,
    pub(crate) attendee_count: usize,
}

/// A guest.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Attendee {
    pub(crate) email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// `needsAction`, `declined`, `tentative` or `accepted`.
    pub(crate) response: String,
}

impl Resource {
    pub(crate) fn etag(&self) -> &str {
        &self.etag
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.status == "cancelled"
    }

    pub(crate) fn attendees(&self) -> &[Value] {
        &self.attendees
    }

    /// One of the properties that only this account's applications see.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.extended_properties
            .private
            .get(name)
            .map(String::as_str)
    }

    pub(crate) fn to_summary(&self) -> EventSummary {
        let zone = self.start.time_zone.clone();
        EventSummary {
            id: self.id.clone(),
            etag: self.etag.clone(),
            status: self.status.clone(),
            title: self.summary.clone(),
            location: self.location.clone(),
            start: self.start.shown(),
            end: self.end.shown(),
            time_zone: zone.filter(|_| self.start.date.is_none()),
            recurring_event_id: self.recurring_event_id.clone(),
            is_series: !self.recurrence.is_empty(),
            shows_as_free: self.transparency.as_deref() == Some("transparent"),
            attendee_count: self.attendees.len(),
        }
    }

    pub(crate) fn to_event(&self) -> Event {
        Event {
            summary: self.to_summary(),
            description: self.description.clone(),
            recurrence: self.recurrence.clone(),
            attendees: self.attendees.iter().map(Attendee::of).collect(),
            video_call: self.hangout_link.clone(),
            link: self.html_link.clone(),
        }
    }
}

impl When {
    /// Google writes times with the offset of the calendar's zone; people expect that of the event's.
    fn shown(&self) -> String {
        if let Some(date) = &self.date {
            return date.clone();
        }
        let text = self.date_time.clone().unwrap_or_default();
        let zone = self.time_zone.as_deref().map(TimeZone::get);
        match (text.parse::<Timestamp>(), zone) {
            (Ok(instant), Some(Ok(zone))) => instant
                .to_zoned(zone)
                .strftime("%Y-%m-%dT%H:%M:%S%:z")
                .to_string(),
            _ => text,
        }
    }
}

impl Attendee {
    fn of(resource: &Value) -> Self {
        let text = |name: &str| {
            resource
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        Self {
            email: text("email").unwrap_or_default(),
            name: text("displayName"),
            response: text("responseStatus").unwrap_or_else(|| "needsAction".to_owned()),
        }
    }
}
