//! `events`: one event at a time.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State as AxumState},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{
    CALENDAR, CALENDAR_READ, Calendar, EVENTS, EVENTS_READ, State,
    content::{Content, Status},
    etag,
    event::Event,
};
use crate::{
    google::{
        error::Refusal,
        params::{Params, Raw},
        random,
        token::{Identity, authorized},
    },
    world::World,
};

pub(super) const READ: [&str; 4] = [CALENDAR, CALENDAR_READ, EVENTS, EVENTS_READ];
const WRITE: [&str; 2] = [CALENDAR, EVENTS];
const WRITE_PARAMS: [&str; 3] = [
    "conferenceDataVersion",
    "sendUpdates",
    "supportsAttachments",
];

type Body = Json<Map<String, Value>>;
type Answer = Result<Response, Refusal>;

pub(super) async fn insert(
    AxumState(world): AxumState<Arc<World>>,
    Path(calendar_id): Path<String>,
    headers: HeaderMap,
    raw: Raw,
    body: Result<Body, axum::extract::rejection::JsonRejection>,
) -> Answer {
    let mut things = world.things();
    let google = &mut things.google;
    let identity = authorized(&headers, &google.tokens, world.now(), &WRITE)?;
    let options = Options::read(raw)?;
    let mut body = parsed(body)?;
    let id = given_id(&body)?;
    let ical_uid = body.remove("iCalUID");
    let state = &mut google.calendar;
    let version = state.next_change();
    let calendar = state.calendar(&identity.account, &calendar_id)?;
    if calendar.events.contains_key(&id) {
        let words = "The requested identifier already exists.";
        return Err(Refusal::new(StatusCode::CONFLICT, "duplicate", words));
    }
    options.conference(&mut body, None)?;
    let mut content = Content::read(body, &calendar.time_zone)?;
    may_invite(&identity, &content)?;
    content.sequence.get_or_insert(0);
    let now = world.now();
    let event = Event {
        ical_uid: ical_uid
            .and_then(|uid| uid.as_str().map(str::to_owned))
            .unwrap_or_else(|| format!("{id}@google.com")),
        id: id.clone(),
        content,
        created: now,
        updated: now,
        version,
        creator: identity.account,
        instance_of: None,
    };
    let shown = answered(&event, calendar, None);
    let calendar_id = calendar.id.clone();
    state.notify(&event, &options.send_updates, "Invitation");
    if let Some(calendar) = state.calendars.get_mut(&calendar_id) {
        calendar.events.insert(id, event);
    }
    Ok(shown)
}

pub(super) async fn get(
    AxumState(world): AxumState<Arc<World>>,
    Path((calendar_id, event_id)): Path<(String, String)>,
    headers: HeaderMap,
    raw: Raw,
) -> Answer {
    let mut things = world.things();
    let google = &mut things.google;
    let identity = authorized(&headers, &google.tokens, world.now(), &READ)?;
    let zone = Params::new(raw, &["timeZone"])?.zone("timeZone")?;
    let calendar = google.calendar.calendar(&identity.account, &calendar_id)?;
    let event = calendar.find(&event_id).ok_or_else(not_found)?;
    Ok(answered(&event, calendar, zone))
}

pub(super) async fn patch(
    AxumState(world): AxumState<Arc<World>>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    raw: Raw,
    body: Result<Body, axum::extract::rejection::JsonRejection>,
) -> Answer {
    change(&world, path, &headers, raw, body, true)
}

pub(super) async fn update(
    AxumState(world): AxumState<Arc<World>>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    raw: Raw,
    body: Result<Body, axum::extract::rejection::JsonRejection>,
) -> Answer {
    change(&world, path, &headers, raw, body, false)
}

fn change(
    world: &World,
    (calendar_id, event_id): (String, String),
    headers: &HeaderMap,
    raw: Raw,
    body: Result<Body, axum::extract::rejection::JsonRejection>,
    is_patch: bool,
) -> Answer {
    let mut things = world.things();
    let google = &mut things.google;
    let identity = authorized(headers, &google.tokens, world.now(), &WRITE)?;
    let options = Options::read(raw)?;
    let mut body = parsed(body)?;
    let state = &mut google.calendar;
    let version = state.next_change();
    let calendar = state.calendar(&identity.account, &calendar_id)?;
    let before = calendar.find(&event_id).ok_or_else(not_found)?;
    check_condition(headers, &before)?;
    options.conference(&mut body, before.content.conference_data.as_ref())?;
    let wanted = body.get("sequence").and_then(Value::as_u64);
    let mut content = if is_patch {
        before.content.patched(body, &calendar.time_zone)?
    } else {
        Content::read(body, &calendar.time_zone)?
    };
    may_invite(&identity, &content)?;
    content.sequence = Some(next_sequence(&before.content, &content, wanted)?);
    let mut event = Event { content, ..before };
    event.updated = world.now();
    event.version = version;
    let shown = answered(&event, calendar, None);
    let calendar_id = calendar.id.clone();
    state.notify(&event, &options.send_updates, "Update");
    state.keep(&calendar_id, event);
    Ok(shown)
}

pub(super) async fn delete(
    AxumState(world): AxumState<Arc<World>>,
    Path((calendar_id, event_id)): Path<(String, String)>,
    headers: HeaderMap,
    raw: Raw,
) -> Result<StatusCode, Refusal> {
    let mut things = world.things();
    let google = &mut things.google;
    let identity = authorized(&headers, &google.tokens, world.now(), &WRITE)?;
    let params = Params::new(raw, &["sendUpdates"])?;
    let updates = params.one_of("sendUpdates", &["all", "externalOnly", "none"])?;
    let state = &mut google.calendar;
    let version = state.next_change();
    let calendar = state.calendar(&identity.account, &calendar_id)?;
    let mut event = calendar.find(&event_id).ok_or_else(not_found)?;
    if event.is_cancelled() {
        let words = "Resource has been deleted";
        return Err(Refusal::new(StatusCode::GONE, "deleted", words));
    }
    check_condition(&headers, &event)?;
    event.content.status = Some(Status::Cancelled);
    event.updated = world.now();
    event.version = version;
    let calendar_id = calendar.id.clone();
    state.notify(&event, updates.unwrap_or("none"), "Cancelled");
    state.keep(&calendar_id, event);
    Ok(StatusCode::NO_CONTENT)
}

impl State {
    fn keep(&mut self, calendar_id: &str, event: Event) {
        if let Some(calendar) = self.calendars.get_mut(calendar_id) {
            calendar.events.insert(event.id.clone(), event);
        }
    }
}

/// What a write may be told besides its body.
struct Options {
    send_updates: String,
    has_conference: bool,
}

impl Options {
    fn read(raw: Raw) -> Result<Self, Refusal> {
        let params = Params::new(raw, &WRITE_PARAMS)?;
        params.is_set("supportsAttachments")?;
        let updates = params.one_of("sendUpdates", &["all", "externalOnly", "none"])?;
        let version = params.one_of("conferenceDataVersion", &["0", "1"])?;
        Ok(Self {
            send_updates: updates.unwrap_or("none").to_owned(),
            has_conference: version == Some("1"),
        })
    }

    /// Without `conferenceDataVersion=1` what the body says of a conference is ignored; with it, a conference is made.
    fn conference(
        &self,
        body: &mut Map<String, Value>,
        before: Option<&Value>,
    ) -> Result<(), Refusal> {
        if !self.has_conference {
            body.remove("conferenceData");
            return Ok(());
        }
        let Some(request) = body
            .get("conferenceData")
            .and_then(|data| data.get("createRequest"))
        else {
            return Ok(());
        };
        let id = request
            .get("requestId")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let kind = request
            .pointer("/conferenceSolutionKey/type")
            .and_then(Value::as_str);
        if id.is_empty() || kind.is_some_and(|kind| kind != "hangoutsMeet") {
            return Err(Refusal::invalid("Invalid conference type value."));
        }
        let is_same =
            before.and_then(|data| data.pointer("/createRequest/requestId")) == Some(&json!(id));
        if let Some(before) = before.filter(|_| is_same) {
            body.insert("conferenceData".to_owned(), before.clone());
            return Ok(());
        }
        let code = random_id()?;
        let made = json!({
            "createRequest": {
                "requestId": id,
                "conferenceSolutionKey": { "type": "hangoutsMeet" },
                "status": { "statusCode": "success" },
            },
            "entryPoints": [{ "entryPointType": "video", "uri": format!("https://meet.google.com/{code}") }],
            "conferenceSolution": { "key": { "type": "hangoutsMeet" }, "name": "Google Meet" },
            "conferenceId": code,
        });
        body.insert("conferenceData".to_owned(), made);
        Ok(())
    }
}

fn parsed(
    body: Result<Body, axum::extract::rejection::JsonRejection>,
) -> Result<Map<String, Value>, Refusal> {
    body.map(|Json(body)| body)
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "parseError", "Parse Error"))
}

/// The id that the client chose, else one of ours: 5 to 1,024 characters of base32hex.
fn given_id(body: &Map<String, Value>) -> Result<String, Refusal> {
    let Some(id) = body.get("id").filter(|id| !id.is_null()) else {
        return random_id();
    };
    let is_right = |id: &&str| {
        (5..=1024).contains(&id.len())
            && id
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'v' | b'0'..=b'9'))
    };
    id.as_str()
        .filter(is_right)
        .map(str::to_owned)
        .ok_or_else(|| Refusal::invalid("Invalid resource id value."))
}

fn random_id() -> Result<String, Refusal> {
    let random = random().map_err(|_| Refusal::trouble(StatusCode::INTERNAL_SERVER_ERROR))?;
    Ok(format!("{random:032x}"))
}

fn not_found() -> Refusal {
    Refusal::not_found("Not Found")
}

fn check_condition(headers: &HeaderMap, event: &Event) -> Result<(), Refusal> {
    let Some(wanted) = headers.get(header::IF_MATCH) else {
        return Ok(());
    };
    let is_met = wanted == "*" || wanted.as_bytes() == etag(event.version).as_bytes();
    if is_met {
        Ok(())
    } else {
        Err(Refusal::condition_not_met())
    }
}

/// A service account that acts for nobody cannot invite.
fn may_invite(identity: &Identity, content: &Content) -> Result<(), Refusal> {
    let invites = content
        .attendees
        .as_ref()
        .is_some_and(|guests| !guests.is_empty());
    if invites && identity.account.ends_with(".gserviceaccount.com") {
        let words =
            "Service accounts cannot invite attendees without Domain-Wide Delegation of Authority.";
        let refusal = Refusal::new(StatusCode::FORBIDDEN, "forbiddenForServiceAccounts", words);
        return Err(refusal.domain("calendar"));
    }
    Ok(())
}

/// One more when the time, the place or the rule changes (RFC 5545, 3.8.7.4).
fn next_sequence(before: &Content, after: &Content, wanted: Option<u64>) -> Result<u64, Refusal> {
    let held = before.sequence.unwrap_or_default();
    if wanted.is_some_and(|wanted| wanted < held) {
        return Err(Refusal::invalid(
            "Invalid sequence value. The specified sequence number is below the current sequence number of the resource. Re-fetch the resource and use its sequence number on the following request.",
        ));
    }
    let key = |content: &Content| {
        (
            content.start.clone(),
            content.end.clone(),
            content.recurrence.clone(),
            content.location.clone(),
        )
    };
    let is_moved = key(before) != key(after);
    Ok(wanted.unwrap_or(held).max(held + u64::from(is_moved)))
}

fn answered(event: &Event, calendar: &Calendar, zone: Option<TimeZone>) -> Response {
    let zone = zone.unwrap_or_else(|| calendar.zone());
    let tag = [(header::ETAG, etag(event.version))];
    (tag, Json(event.to_json(calendar, &zone))).into_response()
}
