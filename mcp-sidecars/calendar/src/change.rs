//! `update_event` and `cancel_event`.

use event_planner_google::failure;
use mcp_kit::{Call, ToolError};
use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use validator::Validate;

use crate::{
    client::{Calendar, Outcome, stale},
    time::{check_recurrence, span},
    write::{SendUpdates, Written, digest, marked, messages},
};

/// Where the digest of the last change stands in the event.
const MARK: &str = "eventPlannerChanged";

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateEvent {
    /// Any text that is new for each change; tells a repetition from another change of the same kind.
    #[validate(length(min = 1, max = 255))]
    idempotency_key: Option<String>,
    /// Id of the calendar; `primary` if left out.
    #[validate(length(min = 1, max = 255))]
    calendar: Option<String>,
    #[validate(length(min = 1, max = 1100))]
    event_id: String,
    /// The version that was read: the change is refused if somebody else changed the event since.
    #[validate(length(min = 1, max = 128))]
    etag: Option<String>,
    #[validate(length(min = 1, max = 1000))]
    title: Option<String>,
    /// Wall time in `time_zone` such as `2027-06-12T18:00`, or a day; comes together with `end`.
    #[validate(length(min = 1, max = 25))]
    start: Option<String>,
    /// The same; whole days end on the day after the last.
    #[validate(length(min = 1, max = 25))]
    end: Option<String>,
    /// IANA name such as `Europe/Zurich`; needed with times.
    #[validate(length(min = 1, max = 64))]
    time_zone: Option<String>,
    /// Empty text removes it.
    #[validate(length(max = 8192))]
    description: Option<String>,
    /// Empty text removes it.
    #[validate(length(max = 1024))]
    location: Option<String>,
    /// Lines of RFC 5545; an empty list makes a series a single event.
    recurrence: Option<Vec<String>>,
    /// Does not block the time.
    shows_as_free: Option<bool>,
    /// Who gets a message.
    #[serde(default)]
    send_updates: SendUpdates,
    /// Check only, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn update_event(
    calendar: Calendar,
    call: Call,
    arguments: UpdateEvent,
) -> Result<Written, ToolError> {
    let place = calendar.allowed(arguments.calendar.as_deref())?;
    let body = changes(&arguments)?;
    let (id, etag) = (arguments.event_id.as_str(), arguments.etag.as_deref());
    let updates = arguments.send_updates;
    let key = arguments.idempotency_key.as_deref().unwrap_or_default();
    let mark = digest(&[key, etag.unwrap_or_default(), &body.to_string()]);
    let before = calendar.event(&call, &place, id).await?;
    // Known by its key only: without one, the same change may be wanted again after others.
    let is_repeated = before.property(MARK) == Some(mark.as_str());
    if is_repeated && !(key.is_empty() && etag.is_none()) {
        return Ok(Written::replayed(&before));
    }
    if before.is_cancelled() {
        return Err(ToolError::refused(
            "the event is cancelled; create a new one",
        ));
    }
    if etag.is_some_and(|etag| etag != before.etag()) {
        return Err(stale(&before));
    }
    if arguments.dry_run {
        let names: Vec<_> = body
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect();
        let told = messages(updates, before.attendees().len());
        let what = format!("change {} of the event, {told}", names.join(", "));
        return Ok(Written::would(what, Some(&before)));
    }
    let body = marked(body, MARK, &mark);
    match calendar
        .patch(&call, &place, (id, etag), &body, updates.as_str())
        .await?
    {
        Outcome::Done(event) => Ok(Written::done(&event)),
        Outcome::Stale => {
            // The answer to our own first attempt may have been lost.
            let current = calendar.event(&call, &place, id).await?;
            if current.property(MARK) == Some(mark.as_str()) {
                return Ok(Written::replayed(&current));
            }
            Err(stale(&current))
        }
    }
}

fn changes(arguments: &UpdateEvent) -> Result<Value, ToolError> {
    let mut body = Map::new();
    let or_none = |text: &String| {
        if text.is_empty() {
            Value::Null
        } else {
            json!(text)
        }
    };
    let texts = [
        ("summary", &arguments.title),
        ("description", &arguments.description),
        ("location", &arguments.location),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            body.insert(name.to_owned(), or_none(text));
        }
    }
    match (&arguments.start, &arguments.end) {
        (Some(start), Some(end)) => {
            let (start, end) = span(start, end, arguments.time_zone.as_deref())?;
            body.insert("start".to_owned(), start);
            body.insert("end".to_owned(), end);
        }
        (None, None) if arguments.time_zone.is_none() => {}
        _ => {
            let words = "start and end come together, with time_zone for times";
            return Err(ToolError::field("/start", "together", words));
        }
    }
    if let Some(lines) = &arguments.recurrence {
        check_recurrence(lines)?;
        body.insert("recurrence".to_owned(), json!(lines));
    }
    if let Some(is_free) = arguments.shows_as_free {
        let text = if is_free { "transparent" } else { "opaque" };
        body.insert("transparency".to_owned(), text.into());
    }
    if body.is_empty() {
        return Err(ToolError::invalid(
            "say what to change: title, start and end, location, …",
        ));
    }
    Ok(body.into())
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelEvent {
    /// Not needed: an event is cancelled once, however often it is asked for.
    #[validate(length(min = 1, max = 255))]
    idempotency_key: Option<String>,
    /// Id of the calendar; `primary` if left out.
    #[validate(length(min = 1, max = 255))]
    calendar: Option<String>,
    #[validate(length(min = 1, max = 1100))]
    event_id: String,
    /// The version that was read: nothing is cancelled if somebody else changed the event since.
    #[validate(length(min = 1, max = 128))]
    etag: Option<String>,
    /// Who gets a message.
    #[serde(default)]
    send_updates: SendUpdates,
    /// Check only, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn cancel_event(
    calendar: Calendar,
    call: Call,
    arguments: CancelEvent,
) -> Result<Written, ToolError> {
    let place = calendar.allowed(arguments.calendar.as_deref())?;
    let (id, etag) = (arguments.event_id.as_str(), arguments.etag.as_deref());
    let updates = arguments.send_updates;
    let cancelled = |replayed| Written {
        event: None,
        replayed,
        would: None,
    };
    if arguments.dry_run {
        let before = calendar.event(&call, &place, id).await?;
        if etag.is_some_and(|etag| etag != before.etag()) {
            return Err(stale(&before));
        }
        let told = messages(updates, before.attendees().len());
        return Ok(Written::would(
            format!("cancel the event, {told}"),
            Some(&before),
        ));
    }
    let reply = calendar
        .delete(&call, &place, (id, etag), updates.as_str())
        .await?;
    match reply.status {
        StatusCode::GONE => Ok(cancelled(true)),
        StatusCode::PRECONDITION_FAILED => {
            let current = calendar.event(&call, &place, id).await?;
            if current.is_cancelled() {
                Ok(cancelled(true))
            } else {
                Err(stale(&current))
            }
        }
        status if status.is_success() => Ok(cancelled(false)),
        _ => Err(failure(&reply)),
    }
}
