//! Google Calendar, version 3.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{
    Router,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{error::Refusal, token::DOMAIN};
use crate::world::World;

mod calendars;
mod content;
mod event;
mod events;
mod free_busy;
mod list;
mod recurrence;

use content::Status;
use event::Event;
pub(super) use list::full_sync_required;

const CALENDAR: &str = "https://www.googleapis.com/auth/calendar";
const CALENDAR_READ: &str = "https://www.googleapis.com/auth/calendar.readonly";
const EVENTS: &str = "https://www.googleapis.com/auth/calendar.events";
const EVENTS_READ: &str = "https://www.googleapis.com/auth/calendar.events.readonly";
const FREE_BUSY: &str = "https://www.googleapis.com/auth/calendar.freebusy";
const LIST_READ: &str = "https://www.googleapis.com/auth/calendar.calendarlist.readonly";

const DEFAULT_ZONE: &str = "Europe/Zurich";

/// What Calendar keeps.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    calendars: BTreeMap<String, Calendar>,
    /// How many changes there were; the number of the last one is the version of what it changed.
    changes: u64,
    invitations: Vec<Invitation>,
}

/// A calendar with its events.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Calendar {
    id: String,
    owner: String,
    summary: String,
    description: Option<String>,
    time_zone: String,
    version: u64,
    events: BTreeMap<String, Event>,
}

/// A message that Google would have sent to a guest.
#[derive(Debug, Serialize, Deserialize)]
struct Invitation {
    to: String,
    what: String,
}

impl State {
    /// How much of each thing there is.
    pub(crate) fn counts(&self) -> Value {
        let events = || {
            self.calendars
                .values()
                .flat_map(|calendar| calendar.events.values())
        };
        let cancelled = events().filter(|event| event.is_cancelled()).count();
        json!({
            "calendars": self.calendars.len(),
            "events": events().count() - cancelled,
            "cancelled": cancelled,
            "invitations": self.invitations.len(),
        })
    }

    /// What a person would see there: HTML for the page.
    pub(crate) fn view(&self) -> Result<String, askama::Error> {
        let calendars = self.calendars.values().map(Shown::of).collect();
        let page = Page {
            calendars,
            invitations: &self.invitations,
        };
        page.render()
    }

    /// A calendar by its id or as `primary`, for somebody who owns it. A person's own is made at first sight.
    fn calendar(&mut self, account: &str, id: &str) -> Result<&mut Calendar, Refusal> {
        let id = if id == "primary" { account } else { id };
        if id == account {
            let own = || Calendar::new(account, account, account);
            return Ok(self.calendars.entry(account.to_owned()).or_insert_with(own));
        }
        let found = self.calendars.get_mut(id);
        found
            .filter(|calendar| calendar.owner == account)
            .ok_or_else(|| Refusal::not_found("Not Found"))
    }

    /// The number of the next change.
    fn next_change(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    /// Notes the messages that `sendUpdates` asks for.
    fn notify(&mut self, event: &Event, updates: &str, verb: &str) {
        let what = format!(
            "{verb}: {}",
            event.content.summary.as_deref().unwrap_or("(no title)")
        );
        let guests = event.content.attendees.iter().flatten();
        let told = guests.filter(|guest| match updates {
            "all" => true,
            "externalOnly" => !guest.email.ends_with(DOMAIN),
            _ => false,
        });
        self.invitations.extend(told.map(|guest| Invitation {
            to: guest.email.clone(),
            what: what.clone(),
        }));
    }
}

impl Calendar {
    fn new(id: &str, owner: &str, summary: &str) -> Self {
        Self {
            id: id.to_owned(),
            owner: owner.to_owned(),
            summary: summary.to_owned(),
            description: None,
            time_zone: DEFAULT_ZONE.to_owned(),
            version: 0,
            events: BTreeMap::new(),
        }
    }
}

pub(crate) fn routes() -> Router<Arc<World>> {
    let calendar = "/calendar/v3/calendars/{calendar_id}";
    let list = "/calendar/v3/users/me/calendarList";
    Router::new()
        .route("/calendar/v3/calendars", post(calendars::insert))
        .route(calendar, get(calendars::get).delete(calendars::delete))
        .route(
            &format!("{calendar}/events"),
            get(list::list).post(events::insert),
        )
        .route(
            &format!("{calendar}/events/{{event_id}}"),
            get(events::get)
                .patch(events::patch)
                .put(events::update)
                .delete(events::delete),
        )
        .route(
            &format!("{calendar}/events/{{event_id}}/instances"),
            get(list::instances),
        )
        .route(list, get(calendars::list))
        .route(&format!("{list}/{{calendar_id}}"), get(calendars::list_get))
        .route("/calendar/v3/freeBusy", post(free_busy::query))
}

/// How Google writes the version of a thing, in `etag` and `If-Match`.
fn etag(version: u64) -> String {
    format!("\"{version:016}\"")
}

#[derive(Template)]
#[template(path = "google-calendar.html")]
struct Page<'a> {
    calendars: Vec<Shown<'a>>,
    invitations: &'a [Invitation],
}

struct Shown<'a> {
    summary: &'a str,
    time_zone: &'a str,
    events: Vec<ShownEvent<'a>>,
}

struct ShownEvent<'a> {
    summary: &'a str,
    start: String,
    end: String,
    location: &'a str,
    recurrence: String,
    guests: String,
    status: &'static str,
}

impl<'a> Shown<'a> {
    fn of(calendar: &'a Calendar) -> Self {
        let mut events: Vec<_> = calendar.events.values().map(ShownEvent::of).collect();
        events.sort_by(|a, b| a.start.cmp(&b.start));
        Self {
            summary: &calendar.summary,
            time_zone: &calendar.time_zone,
            events,
        }
    }
}

impl<'a> ShownEvent<'a> {
    fn of(event: &'a Event) -> Self {
        let content = &event.content;
        let guests = content.attendees.iter().flatten();
        Self {
            summary: content.summary.as_deref().unwrap_or("(no title)"),
            start: content.start.text(),
            end: content.end.text(),
            location: content.location.as_deref().unwrap_or_default(),
            recurrence: content.recurrence.clone().unwrap_or_default().join(" "),
            guests: guests
                .map(|guest| guest.email.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            status: match content.status {
                Some(Status::Cancelled) => "cancelled",
                Some(Status::Tentative) => "tentative",
                _ => "confirmed",
            },
        }
    }
}
