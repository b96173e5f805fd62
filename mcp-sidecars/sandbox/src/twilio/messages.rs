//! `/2010-04-01/Accounts/{account}/Messages`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    ACCOUNT, MESSAGING_SERVICE, delivery,
    entry::Parameters,
    message::{Message, Status},
    numbers,
    refusal::Refusal,
    segments,
};
use crate::world::World;

const LONGEST_BODY: usize = 1600;
const SOONEST: SignedDuration = SignedDuration::from_mins(15);
const LATEST: SignedDuration = SignedDuration::from_hours(35 * 24);
const PARAMETERS: [&str; 11] = [
    "To",
    "From",
    "MessagingServiceSid",
    "Body",
    "MediaUrl",
    "StatusCallback",
    "ValidityPeriod",
    "ProvideFeedback",
    "RiskCheck",
    "ScheduleType",
    "SendAt",
];
/// `GET …/Accounts/{sid}.json`.
pub(super) async fn account(Path(account): Path<String>) -> Result<Json<Value>, Refusal> {
    json_name(&account)?;
    Ok(Json(json!({
        "sid": ACCOUNT,
        "owner_account_sid": ACCOUNT,
        "friendly_name": "Sandbox",
        "status": "active",
        "type": "Full",
        "auth_token": null,
        "date_created": "Thu, 01 Jan 2026 00:00:00 +0000",
        "date_updated": "Thu, 01 Jan 2026 00:00:00 +0000",
        "subresource_uris": { "messages": format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json") },
        "uri": format!("/2010-04-01/Accounts/{ACCOUNT}.json"),
    })))
}

pub(super) async fn create(
    State(world): State<Arc<World>>,
    parameters: Parameters,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let mut message = ordered(&parameters, world.now())?;
    {
        let twilio = &mut world.things().twilio;
        if twilio.opted_out.contains(&message.to) {
            return Err(numbers::opted_out());
        }
        message.sid = twilio.sid(if message.media.is_empty() { "SM" } else { "MM" });
        twilio.messages.push(message.clone());
    }
    delivery::begin(&world, message.sid.clone());
    Ok((StatusCode::CREATED, Json(message.json())))
}

/// The message that the parameters ask for, still without a SID.
fn ordered(parameters: &Parameters, now: Timestamp) -> Result<Message, Refusal> {
    parameters.only(&PARAMETERS)?;
    let to = parameters
        .filled("To")
        .ok_or_else(|| Refusal::bad(21604, "A 'To' phone number is required."))?;
    let service = parameters.filled("MessagingServiceSid");
    let from = parameters.filled("From");
    match (from, service) {
        (None, None) => {
            return Err(Refusal::bad(21603, "A 'From' phone number is required."));
        }
        (_, Some(service)) if service != MESSAGING_SERVICE => {
            let message =
                format!("The Messaging Service Sid {service} was not found on this account.");
            return Err(Refusal::bad(21701, message));
        }
        (Some(from), _) => numbers::sender(from)?,
        (None, Some(_)) => {}
    }
    numbers::recipient(to)?;
    let (body, media) = content(parameters)?;
    if let Some(period) = parameters.filled("ValidityPeriod")
        && !period
            .parse()
            .is_ok_and(|seconds| (1..=36_000).contains(&seconds))
    {
        let message = format!("The ValidityPeriod value {period} is not valid");
        return Err(Refusal::bad(21626, message));
    }
    let callback = parameters.filled("StatusCallback").map(str::to_owned);
    if let Some(url) = &callback
        && !reqwest::Url::parse(url)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    {
        let message = format!("The 'StatusCallback' URL {url} is not a valid URL");
        return Err(Refusal::bad(21609, message));
    }
    let send_at = scheduled(parameters, now)?;
    let status = match (send_at, service) {
        (Some(_), _) => Status::Scheduled,
        (None, Some(_)) => Status::Accepted,
        (None, None) => Status::Queued,
    };
    Ok(Message {
        sid: String::new(),
        status,
        is_inbound: false,
        from: from.map(str::to_owned),
        to: to.to_owned(),
        segments: segments::count(&body),
        body,
        service: service.map(str::to_owned),
        media,
        callback,
        created: now,
        updated: now,
        sent: None,
        send_at,
        error: None,
    })
}

fn content(parameters: &Parameters) -> Result<(String, Vec<String>), Refusal> {
    let body = parameters.get("Body").unwrap_or_default().to_owned();
    let media = parameters.all("MediaUrl");
    if body.is_empty() && media.is_empty() {
        return Err(Refusal::bad(21602, "Message body is required."));
    }
    if body.chars().count() > LONGEST_BODY {
        let message = "The concatenated message body exceeds the 1600 character limit";
        return Err(Refusal::bad(21617, message));
    }
    if media.len() > 10 || media.iter().any(|url| reqwest::Url::parse(url).is_err()) {
        return Err(Refusal::bad(21620, "Invalid media URL(s)"));
    }
    Ok((body, media))
}

/// When to send; scheduling needs a messaging service, and its parameters come together.
fn scheduled(parameters: &Parameters, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    let (kind, send_at) = (
        parameters.filled("ScheduleType"),
        parameters.filled("SendAt"),
    );
    if kind.is_none() && send_at.is_none() {
        return Ok(None);
    }
    if parameters.filled("MessagingServiceSid").is_none() {
        return Err(Refusal::bad(
            35118,
            "MessagingServiceSid is required to schedule a message",
        ));
    }
    if kind != Some("fixed") {
        return Err(Refusal::bad(35111, "ScheduleType value is invalid"));
    }
    let send_at = send_at.and_then(|text| text.parse::<Timestamp>().ok());
    let window = now + SOONEST..=now + LATEST;
    send_at
        .filter(|at| window.contains(at))
        .map(Some)
        .ok_or_else(|| {
            Refusal::bad(
                35114,
                "SendAt time must be between 15 minutes and 35 days in the future",
            )
        })
}

pub(super) async fn fetch(
    State(world): State<Arc<World>>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let sid = json_name(&name)?;
    let twilio = &world.things().twilio;
    let found = twilio.messages.iter().find(|message| message.sid == sid);
    found
        .map(|message| Json(message.json()))
        .ok_or_else(|| missing(&name))
}

/// Redacts the body (`Body=`) or cancels a scheduled message (`Status=canceled`).
pub(super) async fn update(
    State(world): State<Arc<World>>,
    Path((_, name)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<Value>, Refusal> {
    parameters.only(&["Body", "Status"])?;
    let sid = json_name(&name)?;
    let now = world.now();
    let twilio = &mut world.things().twilio;
    let message = twilio
        .messages
        .iter_mut()
        .find(|message| message.sid == sid)
        .ok_or_else(|| missing(&name))?;
    match (parameters.get("Status"), parameters.get("Body")) {
        (Some("canceled"), None) if message.status == Status::Scheduled => {
            message.status = Status::Canceled;
        }
        (Some("canceled"), None) => {
            let words = format!(
                "Cannot cancel the message: it is {}, not scheduled",
                message.status.as_str()
            );
            return Err(Refusal::bad(30409, words));
        }
        (None, Some("")) if message.status.is_under_way() => return Err(unfinished()),
        (None, Some("")) => message.body.clear(),
        _ => {
            return Err(Refusal::bad(
                20001,
                "Give Status=canceled, or an empty Body to redact",
            ));
        }
    }
    message.updated = now;
    Ok(Json(message.json()))
}

pub(super) async fn delete(
    State(world): State<Arc<World>>,
    Path((_, name)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let sid = json_name(&name)?;
    let twilio = &mut world.things().twilio;
    let index = twilio
        .messages
        .iter()
        .position(|message| message.sid == sid)
        .ok_or_else(|| missing(&name))?;
    if twilio.messages[index].status.is_under_way() {
        return Err(unfinished());
    }
    twilio.messages.remove(index);
    Ok(StatusCode::NO_CONTENT)
}

/// Without `.json` Twilio would answer in XML, which nobody here speaks.
fn json_name(name: &str) -> Result<&str, Refusal> {
    name.strip_suffix(".json").ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Refusal {
    Refusal::not_found(format!(
        "The requested resource /2010-04-01/Accounts/{ACCOUNT}/Messages/{name} was not found"
    ))
}

fn unfinished() -> Refusal {
    Refusal::new(
        StatusCode::CONFLICT,
        20009,
        "Cannot delete this resource before it is complete",
    )
}
