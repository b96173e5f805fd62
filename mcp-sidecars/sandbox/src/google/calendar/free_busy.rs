//! `freebusy.query`: when people are busy, and nothing else.

use std::sync::Arc;

use axum::{
    Json,
    extract::{State as AxumState, rejection::JsonRejection},
    http::{HeaderMap, StatusCode},
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    CALENDAR, CALENDAR_READ, Calendar, FREE_BUSY, State,
    content::{Transparency, written},
};
use crate::{
    google::{
        error::Refusal,
        params::{Params, Raw},
        token::{DOMAIN, authorized},
    },
    world::World,
};

const MOST_CALENDARS: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    time_min: Option<Timestamp>,
    time_max: Option<Timestamp>,
    time_zone: Option<String>,
    calendar_expansion_max: Option<usize>,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    id: String,
}

pub(super) async fn query(
    AxumState(world): AxumState<Arc<World>>,
    headers: HeaderMap,
    raw: Raw,
    body: Result<Json<Request>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let mut things = world.things();
    let google = &mut things.google;
    let accepted = [CALENDAR, CALENDAR_READ, FREE_BUSY];
    let identity = authorized(&headers, &google.tokens, world.now(), &accepted)?;
    Params::new(raw, &[])?;
    let Json(request) =
        body.map_err(|error| Refusal::invalid(format!("Invalid JSON payload received. {error}")))?;
    let (from, until, zone) = request.checked()?;
    let shown = |at: Timestamp| written(at, &zone);
    let mut calendars = Map::new();
    for Item { id } in request.items {
        let answer = match google.calendar.visible(&identity.account, &id) {
            None => json!({ "errors": [{ "domain": "global", "reason": "notFound" }], "busy": [] }),
            Some(calendar) => {
                let spans = busy(calendar, from, until).into_iter();
                let spans: Vec<_> = spans
                    .map(|(start, end)| json!({ "start": shown(start), "end": shown(end) }))
                    .collect();
                json!({ "busy": spans })
            }
        };
        calendars.insert(id, answer);
    }
    Ok(Json(json!({
        "kind": "calendar#freeBusy",
        "timeMin": shown(from),
        "timeMax": shown(until),
        "calendars": calendars,
    })))
}

impl Request {
    /// The span and the zone, once the whole request holds.
    fn checked(&self) -> Result<(Timestamp, Timestamp, TimeZone), Refusal> {
        let missing = |name: &'static str| {
            Refusal::required(format!("Missing {name}.")).at("parameter", name)
        };
        let from = self.time_min.ok_or_else(|| missing("timeMin"))?;
        let until = self.time_max.ok_or_else(|| missing("timeMax"))?;
        if until <= from {
            let words = "The specified time range is empty.";
            return Err(
                Refusal::new(StatusCode::BAD_REQUEST, "timeRangeEmpty", words).domain("calendar"),
            );
        }
        let most = self.calendar_expansion_max.unwrap_or(MOST_CALENDARS);
        if self.items.len() > most.min(MOST_CALENDARS) {
            let words = "Too many calendars were requested.";
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "tooManyCalendarsRequested",
                words,
            ));
        }
        let zone = match self.time_zone.as_deref() {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name)
                .map_err(|_| Refusal::invalid("Invalid time zone definition."))?,
        };
        Ok((from, until, zone))
    }
}

impl State {
    /// A calendar whose free and busy times the account may see: its own, and those of people of the same domain.
    fn visible(&mut self, account: &str, id: &str) -> Option<&Calendar> {
        let is_colleague = account.ends_with(DOMAIN) && id.ends_with(DOMAIN);
        let owner = if is_colleague { id } else { account };
        self.calendar(owner, id).ok().map(|calendar| &*calendar)
    }
}

/// The busy spans in order, joined where they touch, cut to the time asked for.
fn busy(calendar: &Calendar, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let mut spans = Vec::new();
    for event in calendar.events.values() {
        let instances = if event.is_recurring() {
            calendar.instances(event, Some(until))
        } else if event.instance_of.is_some() {
            continue;
        } else {
            vec![event.clone()]
        };
        let blocks = instances.into_iter().filter(|instance| {
            let is_opaque = instance.content.transparency != Some(Transparency::Transparent);
            is_opaque && !event.is_cancelled() && !instance.is_cancelled()
        });
        spans.extend(blocks.map(|instance| calendar.span(&instance.content)));
    }
    spans.retain(|(start, end)| *start < until && *end > from);
    spans.sort();
    let mut joined: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (start, end) in spans {
        let (start, end) = (start.max(from), end.min(until));
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}
