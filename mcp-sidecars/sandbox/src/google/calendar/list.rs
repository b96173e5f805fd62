//! `events.list` and `events.instances`: many events, in pages, or what changed since last time.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State as AxumState},
    http::{HeaderMap, StatusCode},
};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{Calendar, etag, event::Event, events::READ};
use crate::{
    google::{
        error::Refusal,
        params::{Params, Raw},
        token::authorized,
    },
    world::World,
};

const LIST_PARAMS: [&str; 12] = [
    "timeMin",
    "timeMax",
    "timeZone",
    "q",
    "iCalUID",
    "singleEvents",
    "orderBy",
    "showDeleted",
    "updatedMin",
    "maxResults",
    "pageToken",
    "syncToken",
];
/// What may not stand beside a sync token.
const NOT_IN_SYNC: [&str; 6] = [
    "timeMin",
    "timeMax",
    "q",
    "iCalUID",
    "orderBy",
    "updatedMin",
];
const INSTANCE_PARAMS: [&str; 7] = [
    "timeMin",
    "timeMax",
    "timeZone",
    "showDeleted",
    "originalStart",
    "maxResults",
    "pageToken",
];

pub(super) async fn list(
    AxumState(world): AxumState<Arc<World>>,
    Path(calendar_id): Path<String>,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Json<Value>, Refusal> {
    let mut things = world.things();
    let google = &mut things.google;
    let identity = authorized(&headers, &google.tokens, world.now(), &READ)?;
    let params = Params::new(raw, &LIST_PARAMS)?;
    let is_single = params.is_set("singleEvents")?;
    let since = synced(&params, is_single, google.calendar.changes)?;
    let latest = google.calendar.changes;
    let calendar = google.calendar.calendar(&identity.account, &calendar_id)?;
    let mut events: Vec<Event> = match since {
        Some(since) => changed(calendar, since, is_single),
        None => selected(calendar, &params, is_single)?,
    };
    match params.one_of("orderBy", &["startTime", "updated"])? {
        Some("startTime") if !is_single => {
            let words = "The requested ordering is not available for the particular query.";
            return Err(Refusal::invalid(words)
                .domain("calendar")
                .at("parameter", "orderBy"));
        }
        Some("startTime") => events.sort_by_key(|event| event.content.start.instant()),
        Some(_) => events.sort_by_key(|event| event.updated),
        None => {}
    }
    let mut page = page(calendar, &params, &events)?;
    let is_last = page.get("nextPageToken").is_none();
    let is_syncable = !["q", "iCalUID", "orderBy", "updatedMin"]
        .iter()
        .any(|name| params.get(name).is_some());
    if is_last && is_syncable {
        page["nextSyncToken"] = format!("sync-{latest}-{is_single}").into();
    }
    Ok(Json(page))
}

pub(super) async fn instances(
    AxumState(world): AxumState<Arc<World>>,
    Path((calendar_id, event_id)): Path<(String, String)>,
    headers: HeaderMap,
    raw: Raw,
) -> Result<Json<Value>, Refusal> {
    let mut things = world.things();
    let google = &mut things.google;
    let identity = authorized(&headers, &google.tokens, world.now(), &READ)?;
    let params = Params::new(raw, &INSTANCE_PARAMS)?;
    let (from, until) = (params.time("timeMin")?, params.time("timeMax")?);
    let original = params.time("originalStart")?;
    let shows_deleted = params.is_set("showDeleted")?;
    let calendar = google.calendar.calendar(&identity.account, &calendar_id)?;
    let series = calendar
        .find(&event_id)
        .ok_or_else(|| Refusal::not_found("Not Found"))?;
    let mut instances = calendar.instances(&series, until);
    instances.retain(|event| {
        let begins = event
            .instance_of
            .as_ref()
            .map(|series| series.original.instant());
        event.is_within(from, until)
            && (shows_deleted || !event.is_cancelled())
            && original.is_none_or(|original| begins == Some(original))
    });
    Ok(Json(page(calendar, &params, &instances)?))
}

/// The change after which the caller wants to know what happened; `None` for everything.
fn synced(params: &Params, is_single: bool, latest: u64) -> Result<Option<u64>, Refusal> {
    let Some(token) = params.get("syncToken") else {
        return Ok(None);
    };
    let forbidden = NOT_IN_SYNC.iter().find(|name| params.get(name).is_some());
    if forbidden.is_some() || params.get("showDeleted") == Some("false") {
        let words = "Sync token cannot be used with other query restrictions.";
        return Err(Refusal::invalid(words).at("parameter", "syncToken"));
    }
    let since = token.strip_prefix("sync-").and_then(|rest| {
        let (change, single) = rest.split_once('-')?;
        let is_same = single.parse() == Ok(is_single);
        change
            .parse()
            .ok()
            .filter(|change| is_same && *change <= latest)
    });
    since.map(Some).ok_or_else(full_sync_required)
}

pub(in crate::google) fn full_sync_required() -> Refusal {
    let words = "Sync token is no longer valid, a full sync is required.";
    Refusal::new(StatusCode::GONE, "fullSyncRequired", words)
        .domain("calendar")
        .at("parameter", "syncToken")
}

fn changed(calendar: &Calendar, since: u64, is_single: bool) -> Vec<Event> {
    let changed = calendar
        .events
        .values()
        .filter(|event| event.version > since);
    if !is_single {
        return changed.cloned().collect();
    }
    let spread = |event: &Event| {
        if event.is_recurring() && !event.is_cancelled() {
            calendar.instances(event, None)
        } else {
            vec![event.clone()]
        }
    };
    changed.flat_map(spread).collect()
}

fn selected(calendar: &Calendar, params: &Params, is_single: bool) -> Result<Vec<Event>, Refusal> {
    let (from, until) = (params.time("timeMin")?, params.time("timeMax")?);
    if from.zip(until).is_some_and(|(from, until)| until <= from) {
        let words = "The specified time range is empty.";
        return Err(
            Refusal::new(StatusCode::BAD_REQUEST, "timeRangeEmpty", words)
                .domain("calendar")
                .at("parameter", "timeMax"),
        );
    }
    let updated = params.time("updatedMin")?;
    let shows_deleted = params.is_set("showDeleted")? || updated.is_some();
    let words = params.get("q").map(str::to_lowercase);
    let ical_uid = params.get("iCalUID");
    let mut events = Vec::new();
    for event in calendar.events.values() {
        let is_wanted = ical_uid.is_none_or(|uid| uid == event.ical_uid)
            && updated.is_none_or(|updated| event.updated >= updated)
            && words.as_ref().is_none_or(|words| mentions(event, words));
        if !is_wanted || (event.is_cancelled() && !shows_deleted) {
            continue;
        }
        if !event.is_recurring() {
            // An instance that was changed comes with its series where instances are asked for.
            let comes_with_series = is_single && event.instance_of.is_some();
            if !comes_with_series && event.is_within(from, until) {
                events.push(event.clone());
            }
            continue;
        }
        let mut instances = calendar.instances(event, until);
        instances.retain(|instance| {
            instance.is_within(from, until) && (shows_deleted || !instance.is_cancelled())
        });
        match is_single {
            true => events.extend(instances),
            false if instances.is_empty() => {}
            false => events.push(event.clone()),
        }
    }
    Ok(events)
}

fn mentions(event: &Event, words: &str) -> bool {
    let content = &event.content;
    let texts = [&content.summary, &content.description, &content.location];
    let guests = content.attendees.iter().flatten();
    let names =
        guests.flat_map(|guest| [Some(guest.email.as_str()), guest.display_name.as_deref()]);
    texts
        .into_iter()
        .map(Option::as_deref)
        .chain(names)
        .flatten()
        .any(|text| text.to_lowercase().contains(words))
}

/// One page of events; page tokens are positions.
fn page(calendar: &Calendar, params: &Params, events: &[Event]) -> Result<Value, Refusal> {
    let most = params.count("maxResults", 250, 2500)?;
    let first = match params.get("pageToken") {
        None => 0,
        Some(token) => token
            .strip_prefix("page-")
            .and_then(|position| position.parse().ok())
            .filter(|position| *position < events.len())
            .ok_or_else(|| Refusal::invalid_parameter("pageToken", token))?,
    };
    let zone = params.zone("timeZone")?;
    let name = zone.as_ref().and_then(TimeZone::iana_name);
    let name = name.unwrap_or(&calendar.time_zone).to_owned();
    let zone = zone.unwrap_or_else(|| calendar.zone());
    let items: Vec<_> = events
        .iter()
        .skip(first)
        .take(most)
        .map(|event| event.to_json(calendar, &zone))
        .collect();
    let updated = calendar
        .events
        .values()
        .map(|event| event.updated)
        .max()
        .unwrap_or_default();
    let mut page = json!({
        "kind": "calendar#events",
        "etag": etag(calendar.version),
        "summary": calendar.summary,
        "timeZone": name,
        "accessRole": "owner",
        "updated": updated.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        "defaultReminders": [{ "method": "popup", "minutes": 10 }],
        "items": items,
    });
    let next = first + most;
    if next < events.len() {
        page["nextPageToken"] = format!("page-{next}").into();
    }
    Ok(page)
}
