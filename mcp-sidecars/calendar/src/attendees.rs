//! `add_attendees` and `remove_attendees`: the guest list is read, changed and written under its version.

use mcp_kit::{Call, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use validator::Validate;

use crate::{
    client::{Calendar, Outcome, stale},
    event::Resource,
    write::{SendUpdates, Written, check_count, check_emails, messages},
};

/// So often the list is read anew when others write at the same time.
const TRIES: usize = 5;

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeAttendees {
    /// Not needed: a guest is added or removed once, however often it is asked for.
    #[validate(length(min = 1, max = 255))]
    idempotency_key: Option<String>,
    /// Id of the calendar; `primary` if left out.
    #[validate(length(min = 1, max = 255))]
    calendar: Option<String>,
    #[validate(length(min = 1, max = 1100))]
    event_id: String,
    /// E-mail addresses.
    #[validate(length(min = 1, max = 200))]
    attendees: Vec<String>,
    /// The version that was read: the change is refused if somebody else changed the event since.
    #[validate(length(min = 1, max = 128))]
    etag: Option<String>,
    /// Who gets a message.
    #[serde(default)]
    send_updates: SendUpdates,
    /// Check only, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn add_attendees(
    calendar: Calendar,
    call: Call,
    arguments: ChangeAttendees,
) -> Result<Written, ToolError> {
    let most = calendar.settings.max_attendees;
    change(calendar, call, arguments, |event, wished| {
        let mut list = event.attendees().to_vec();
        for email in wished {
            if !list.iter().any(|guest| is_of(guest, email)) {
                list.push(json!({ "email": email }));
            }
        }
        check_count(list.len(), most)?;
        Ok(list)
    })
    .await
}

pub(crate) async fn remove_attendees(
    calendar: Calendar,
    call: Call,
    arguments: ChangeAttendees,
) -> Result<Written, ToolError> {
    change(calendar, call, arguments, |event, unwished| {
        let mut list = event.attendees().to_vec();
        list.retain(|guest| !unwished.iter().any(|email| is_of(guest, email)));
        Ok(list)
    })
    .await
}

async fn change(
    calendar: Calendar,
    call: Call,
    arguments: ChangeAttendees,
    changed: impl Fn(&Resource, &[String]) -> Result<Vec<Value>, ToolError>,
) -> Result<Written, ToolError> {
    let place = calendar.allowed(arguments.calendar.as_deref())?;
    check_emails(&arguments.attendees)?;
    let id = arguments.event_id.as_str();
    let updates = arguments.send_updates;
    let mut event = calendar.event(&call, &place, id).await?;
    for _ in 0..TRIES {
        if event.is_cancelled() {
            return Err(ToolError::refused(
                "the event is cancelled; create a new one",
            ));
        }
        let list = changed(&event, &arguments.attendees)?;
        if list == event.attendees() {
            return Ok(Written::replayed(&event));
        }
        if arguments
            .etag
            .as_deref()
            .is_some_and(|etag| etag != event.etag())
        {
            return Err(stale(&event));
        }
        if arguments.dry_run {
            let (before, after) = (event.attendees().len(), list.len());
            let told = messages(updates, after);
            let what = format!("change the guest list from {before} to {after} people, {told}");
            return Ok(Written::would(what, Some(&event)));
        }
        let version = (id, Some(event.etag()));
        let body = json!({ "attendees": list });
        match calendar
            .patch(&call, &place, version, &body, updates.as_str())
            .await?
        {
            Outcome::Done(event) => return Ok(Written::done(&event)),
            Outcome::Stale => event = calendar.event(&call, &place, id).await?,
        }
    }
    Err(stale(&event))
}

fn is_of(guest: &Value, email: &str) -> bool {
    let held = guest
        .get("email")
        .and_then(Value::as_str)
        .unwrap_or_default();
    held.eq_ignore_ascii_case(email)
}
