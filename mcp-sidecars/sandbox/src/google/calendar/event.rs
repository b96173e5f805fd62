//! An event as Calendar keeps and shows it, and the instances of a recurring one.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Calendar,
    content::{Content, Status, When},
    etag, recurrence,
};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) ical_uid: String,
    pub(super) content: Content,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    /// Number of the change that made it what it is.
    pub(super) version: u64,
    pub(super) creator: String,
    pub(super) instance_of: Option<InstanceOf>,
}

/// The series that an instance belongs to, and when it would begin by its rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InstanceOf {
    pub(super) id: String,
    pub(super) original: When,
}

impl Event {
    pub(super) fn is_cancelled(&self) -> bool {
        self.content.status == Some(Status::Cancelled)
    }

    pub(super) fn is_recurring(&self) -> bool {
        self.content
            .recurrence
            .as_ref()
            .is_some_and(|lines| !lines.is_empty())
    }

    /// Whether it touches that span of time.
    pub(super) fn is_within(&self, from: Option<Timestamp>, until: Option<Timestamp>) -> bool {
        let (start, end) = (self.content.start.instant(), self.content.end.instant());
        let begins = until.is_none_or(|until| start < until);
        let ends = from.is_none_or(|from| end > from || (start == end && start >= from));
        begins && ends
    }

    /// As answers have it, times in `zone`.
    pub(super) fn to_json(&self, calendar: &Calendar, zone: &TimeZone) -> Value {
        let mut content = self.content.clone();
        content.start = content.start.shown_in(zone);
        content.end = content.end.shown_in(zone);
        content.status.get_or_insert(Status::Confirmed);
        let mut shown = content.to_json();
        let owner = json!({ "email": calendar.owner, "self": true });
        let own = json!({
            "kind": "calendar#event",
            "etag": etag(self.version),
            "id": self.id,
            "iCalUID": self.ical_uid,
            "eventType": "default",
            "created": self.created.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string(),
            "updated": self.updated.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
            "creator": { "email": self.creator, "self": true },
            "organizer": owner,
            "htmlLink": format!("https://www.google.com/calendar/event?eid={}", self.id),
            "sequence": self.content.sequence.unwrap_or_default(),
        });
        if let Value::Object(own) = own {
            shown.extend(own);
        }
        let meeting = shown
            .get("conferenceData")
            .and_then(|data| data.pointer("/entryPoints/0/uri"));
        if let Some(link) = meeting.cloned() {
            shown.insert("hangoutLink".to_owned(), link);
        }
        if let Some(series) = &self.instance_of {
            shown.remove("recurrence");
            shown.insert("recurringEventId".to_owned(), series.id.clone().into());
            let original = series.original.shown_in(zone);
            shown.insert("originalStartTime".to_owned(), json!(original));
        }
        Value::Object(shown)
    }

    /// The instance of this series that begins then by its rule.
    fn instance(&self, start: Timestamp) -> Self {
        let length = self.content.end.instant() - self.content.start.instant();
        let mut instance = self.clone();
        let original = self.content.start.moved_to(start);
        instance.content.end = self.content.end.moved_to(start + length);
        instance.content.start = original.clone();
        instance.content.recurrence = None;
        let place = if original.date.is_some() {
            "%Y%m%d"
        } else {
            "%Y%m%dT%H%M%SZ"
        };
        instance.id = format!("{}_{}", self.id, start.strftime(place));
        instance.instance_of = Some(InstanceOf {
            id: self.id.clone(),
            original,
        });
        instance
    }
}

impl Calendar {
    /// The instances of a series in order, those that were changed one by one included, cancelled ones too.
    pub(super) fn instances(&self, series: &Event, until: Option<Timestamp>) -> Vec<Event> {
        let lines = series.content.recurrence.clone().unwrap_or_default();
        let starts = recurrence::starts(&series.content.start, &lines, until);
        let instances = starts.into_iter().map(|start| series.instance(start));
        instances
            .map(|instance| self.events.get(&instance.id).cloned().unwrap_or(instance))
            .collect()
    }

    /// An event or one instance of a series, by its id.
    pub(super) fn find(&self, id: &str) -> Option<Event> {
        if let Some(event) = self.events.get(id) {
            return Some(event.clone());
        }
        let (series, _) = id.rsplit_once('_')?;
        let series = self
            .events
            .get(series)
            .filter(|event| event.is_recurring())?;
        let mut instances = self.instances(series, None).into_iter();
        instances.find(|instance| instance.id == id)
    }
}
