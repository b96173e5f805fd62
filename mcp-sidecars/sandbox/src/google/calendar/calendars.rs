//! `calendars` and `calendarList`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State as AxumState, rejection::JsonRejection},
    http::{HeaderMap, StatusCode},
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    CALENDAR, CALENDAR_READ, Calendar, LIST_READ,
    content::{Content, When},
    etag,
};
use crate::{
    google::{
        error::Refusal,
        params::{Params, Raw},
        token::authorized,
    },
    world::World,
};

const LIST_SCOPES: [&str; 3] = [CALENDAR, CALENDAR_READ, LIST_READ];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewCalendar {
    summary: Option<String>,
    description: Option<String>,
    time_zone: Option<String>,
}

pub(super) async fn insert(
    AxumState(world): AxumState<Arc<World>>,
    headers: HeaderMap,
    raw: Raw,
    body: Result<Json<NewCalendar>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let mut things = world.things();
    let google = &mut things.google;
    let identity = authorized(&headers, &google.tokens, world.now(), &[CALENDAR])?;
    Params::new(raw, &[])?;
    let Json(new) =
        body.map_err(|error| Refusal::invalid(format!("Invalid JSON payload received. {error}")))?;
    let summary = new.summary.filter(|summary| !summary.is_empty());
    let summary = summary.ok_or_else(|| Refusal::required("Missing title."))?;
    let version = google.calendar.next_change();
    let id = format!("c_{version:026}@group.calendar.google.com");
    let mut calendar = Calendar::new(&id, &identity.account, &summary);
    if let Some(zone) = new.time_zone {
        TimeZone::get(&zone).map_err(|_| Refusal::invalid("Invalid time zone definition."))?;
        calendar.time_zone = zone;
    }
    calendar.description = new.description;
    calendar.version = version;
    let shown = calendar.to_json();
    google.calendar.calendars.insert(id, calendar);
    Ok(Json(shown))
}

pub(super) async fn get(
    AxumState(world): AxumState<Arc<World>>,
    Path(calendar_id): Path<String>,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Json<Value>, Refusal> {
    let mut things = world.things();
    let google = &mut things.google;
    let accepted = [CALENDAR, CALENDAR_READ];
    let identity = authorized(&headers, &google.tokens, world.now(), &accepted)?;
    Params::new(raw, &[])?;
    let calendar = google.calendar.calendar(&identity.account, &calendar_id)?;
    Ok(Json(calendar.to_json()))
}

pub(super) async fn delete(
    AxumState(world): AxumState<Arc<World>>,
    Path(calendar_id): Path<String>,
    headers: HeaderMap,
    raw: Raw,
) -> Result<StatusCode, Refusal> {
    let mut things = world.things();
    let google = &mut things.google;
    let identity = authorized(&headers, &google.tokens, world.now(), &[CALENDAR])?;
    Params::new(raw, &[])?;
    let id = google
        .calendar
        .calendar(&identity.account, &calendar_id)?
        .id
        .clone();
    if id == identity.account {
        let words = "Cannot delete the primary calendar.";
        return Err(
            Refusal::new(StatusCode::FORBIDDEN, "cannotDeletePrimaryCalendar", words)
                .domain("calendar"),
        );
    }
    google.calendar.calendars.remove(&id);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list(
    AxumState(world): AxumState<Arc<World>>,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Json<Value>, Refusal> {
    let mut things = world.things();
    let google = &mut things.google;
    let account = authorized(&headers, &google.tokens, world.now(), &LIST_SCOPES)?.account;
    let params = Params::new(
        raw,
        &["maxResults", "pageToken", "minAccessRole", "showHidden"],
    )?;
    let most = params.count("maxResults", 100, 250)?;
    google.calendar.calendar(&account, "primary")?;
    let all = google.calendar.calendars.values();
    let mut own: Vec<_> = all.filter(|calendar| calendar.owner == account).collect();
    own.sort_by_key(|calendar| calendar.id != account);
    let first = match params.get("pageToken") {
        None => 0,
        Some(token) => token
            .parse()
            .ok()
            .filter(|first| *first < own.len())
            .ok_or_else(|| Refusal::invalid_parameter("pageToken", token))?,
    };
    let items: Vec<_> = own
        .iter()
        .skip(first)
        .take(most)
        .map(|calendar| calendar.to_list_entry(&account))
        .collect();
    let mut page = json!({
        "kind": "calendar#calendarList",
        "etag": etag(google.calendar.changes),
        "items": items,
    });
    if first + most < own.len() {
        page["nextPageToken"] = (first + most).to_string().into();
    }
    Ok(Json(page))
}

pub(super) async fn list_get(
    AxumState(world): AxumState<Arc<World>>,
    Path(calendar_id): Path<String>,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Json<Value>, Refusal> {
    let mut things = world.things();
    let google = &mut things.google;
    let account = authorized(&headers, &google.tokens, world.now(), &LIST_SCOPES)?.account;
    Params::new(raw, &[])?;
    let calendar = google.calendar.calendar(&account, &calendar_id)?;
    Ok(Json(calendar.to_list_entry(&account)))
}

impl Calendar {
    pub(super) fn zone(&self) -> TimeZone {
        TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC)
    }

    /// From when to when an event lasts; a day is one in this calendar's zone.
    pub(super) fn span(&self, content: &Content) -> (Timestamp, Timestamp) {
        let at = |when: &When| {
            let day = when.date.and_then(|date| date.to_zoned(self.zone()).ok());
            day.map_or_else(|| when.instant(), |zoned| zoned.timestamp())
        };
        (at(&content.start), at(&content.end))
    }

    fn to_json(&self) -> Value {
        let mut shown = json!({
            "kind": "calendar#calendar",
            "etag": etag(self.version),
            "id": self.id,
            "summary": self.summary,
            "timeZone": self.time_zone,
            "conferenceProperties": { "allowedConferenceSolutionTypes": ["hangoutsMeet"] },
        });
        if let Some(description) = &self.description {
            shown["description"] = description.as_str().into();
        }
        shown
    }

    fn to_list_entry(&self, account: &str) -> Value {
        let mut shown = self.to_json();
        shown["kind"] = "calendar#calendarListEntry".into();
        shown["accessRole"] = "owner".into();
        shown["defaultReminders"] = json!([{ "method": "popup", "minutes": 10 }]);
        if self.id == account {
            shown["primary"] = true.into();
        }
        shown
    }
}
