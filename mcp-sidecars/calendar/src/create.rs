//! `create_event`.

use mcp_kit::{Call, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use validator::Validate;

use crate::{
    client::Calendar,
    time::{check_recurrence, span},
    write::{SendUpdates, Written, check_count, check_emails, digest, marked, messages},
};

/// Where the digest of the request stands in the event, so that its repetition is told from another request.
const MARK: &str = "eventPlannerCreated";

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateEvent {
    /// Any text that is new for each event, such as a UUID: the same key again finds the event instead of creating another.
    #[validate(length(min = 1, max = 255))]
    idempotency_key: String,
    /// Id of the calendar, as `list_calendars` gives it; `primary` if left out.
    #[validate(length(min = 1, max = 255))]
    calendar: Option<String>,
    #[validate(length(min = 1, max = 1000))]
    title: String,
    /// Wall time in `time_zone`, such as `2027-06-12T18:00`; or a day such as `2027-06-12` for whole days.
    #[validate(length(min = 1, max = 25))]
    start: String,
    /// The same; whole days end on the day after the last.
    #[validate(length(min = 1, max = 25))]
    end: String,
    /// IANA name such as `Europe/Zurich`; needed with times.
    #[validate(length(min = 1, max = 64))]
    time_zone: Option<String>,
    #[validate(length(max = 8192))]
    description: Option<String>,
    #[validate(length(max = 1024))]
    location: Option<String>,
    /// Lines of RFC 5545 for a series, such as `RRULE:FREQ=WEEKLY;COUNT=4`.
    #[serde(default)]
    recurrence: Vec<String>,
    /// E-mail addresses of the guests.
    #[serde(default)]
    attendees: Vec<String>,
    /// Who gets a message.
    #[serde(default)]
    send_updates: SendUpdates,
    /// Does not block the time.
    #[serde(default)]
    shows_as_free: bool,
    /// Add a video call.
    #[serde(default)]
    video_call: bool,
    /// Check only, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn create_event(
    calendar: Calendar,
    call: Call,
    arguments: CreateEvent,
) -> Result<Written, ToolError> {
    let place = calendar.allowed(arguments.calendar.as_deref())?;
    check_emails(&arguments.attendees)?;
    check_count(arguments.attendees.len(), calendar.settings.max_attendees)?;
    let updates = arguments.send_updates;
    let id = digest(&[
        call.organization().unwrap_or_default(),
        place.id(),
        &arguments.idempotency_key,
    ]);
    let body = body(&arguments, &id)?;
    if arguments.dry_run {
        let what = format!(
            "create “{}” in {} from {} to {}, {}",
            arguments.title,
            place.id(),
            arguments.start,
            arguments.end,
            messages(updates, arguments.attendees.len())
        );
        return Ok(Written::would(what, None));
    }
    let mark = digest(&[&body.to_string()]);
    let body = marked(body, MARK, &mark);
    if let Some(created) = calendar
        .insert(&call, &place, &body, updates.as_str())
        .await?
    {
        return Ok(Written::done(&created));
    }
    let there = calendar.event(&call, &place, &id).await?;
    if there.property(MARK) == Some(mark.as_str()) {
        return Ok(Written::replayed(&there));
    }
    let words = "this idempotency_key was used for another event: take a new one";
    Err(ToolError::refused(words).with_details(json!({ "event_id": id })))
}

fn body(arguments: &CreateEvent, id: &str) -> Result<Value, ToolError> {
    check_recurrence(&arguments.recurrence)?;
    let zone = arguments.time_zone.as_deref();
    let (start, end) = span(&arguments.start, &arguments.end, zone)?;
    let mut body = json!({
        "id": id,
        "summary": arguments.title,
        "description": arguments.description,
        "location": arguments.location,
        "start": start,
        "end": end,
        "recurrence": arguments.recurrence,
        "attendees": arguments.attendees.iter().map(|email| json!({ "email": email })).collect::<Vec<_>>(),
        "transparency": if arguments.shows_as_free { "transparent" } else { "opaque" },
    });
    if arguments.video_call {
        body["conferenceData"] = json!({
            "createRequest": { "requestId": id, "conferenceSolutionKey": { "type": "hangoutsMeet" } },
        });
    }
    Ok(body)
}
