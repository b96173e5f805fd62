//! `chat.scheduleMessage` and what belongs to it.

use serde_json::{Value, json};

use super::{
    call::{Call, Refusal},
    chat::compose,
    things::Scheduled,
};

/// 120 days.
const FURTHEST: i64 = 120 * 24 * 3600;
/// No more than 30 of a channel within five minutes.
const MOST_AT_ONCE: usize = 30;
const AT_ONCE: i64 = 300;
/// In the last minute it is too late to take a message back.
const LAST_MINUTE: i64 = 60;

pub(super) fn schedule(call: &mut Call) -> Result<Value, Refusal> {
    let channel = call.channel_to_write("channel")?;
    call.arguments.required("post_at")?;
    let post_at = call.arguments.integer("post_at").and_then(Result::ok);
    let post_at = post_at.ok_or_else(|| Refusal::new("invalid_time"))?;
    let now = call.now.as_second();
    if post_at <= now {
        return Err(Refusal::new("time_in_past"));
    }
    if post_at > now + FURTHEST {
        return Err(Refusal::new("time_too_far"));
    }
    let beside =
        call.state.scheduled.iter().filter(|one| {
            one.message.channel == channel.id && (one.post_at - post_at).abs() < AT_ONCE
        });
    if beside.count() >= MOST_AT_ONCE {
        return Err(Refusal::new("restricted_too_many"));
    }
    let message = compose(call, &channel)?;
    let id = call.state.next_id("Q");
    let shown = call.state.show(&message, true);
    call.state.scheduled.push(Scheduled {
        id: id.clone(),
        post_at,
        date_created: now,
        message,
    });
    Ok(json!({
        "channel": channel.id,
        "scheduled_message_id": id,
        "post_at": post_at,
        "message": shown,
    }))
}

pub(super) fn list(call: &mut Call) -> Result<Value, Refusal> {
    let arguments = &call.arguments;
    let channel = match arguments.text("channel") {
        None => None,
        Some(_) => Some(
            call.channel("channel")
                .map_err(|_| Refusal::new("invalid_channel"))?
                .id,
        ),
    };
    let bound = |name| match arguments.integer(name) {
        None => Ok(None),
        Some(Ok(second)) => Ok(Some(second)),
        Some(Err(_)) => Err(Refusal::new("invalid_arguments")),
    };
    let (oldest, latest) = (bound("oldest")?, bound("latest")?);
    let wanted: Vec<&Scheduled> = call
        .state
        .scheduled
        .iter()
        .filter(|one| channel.as_ref().is_none_or(|id| one.message.channel == *id))
        .filter(|one| oldest.is_none_or(|oldest| one.post_at >= oldest))
        .filter(|one| latest.is_none_or(|latest| one.post_at <= latest))
        .collect();
    let (page, next) = arguments.page(&wanted, 100, |one| &one.id)?;
    let shown: Vec<Value> = page
        .iter()
        .map(|one| {
            json!({
                "id": one.id,
                "channel_id": one.message.channel,
                "post_at": one.post_at,
                "date_created": one.date_created,
                "text": one.message.text,
            })
        })
        .collect();
    Ok(json!({ "scheduled_messages": shown, "response_metadata": { "next_cursor": next } }))
}

pub(super) fn delete(call: &mut Call) -> Result<Value, Refusal> {
    let channel = call.channel("channel")?;
    let id = call.arguments.required("scheduled_message_id")?;
    let latest = call.now.as_second() + LAST_MINUTE;
    let before = call.state.scheduled.len();
    call.state
        .scheduled
        .retain(|one| one.id != id || one.message.channel != channel.id || one.post_at <= latest);
    if call.state.scheduled.len() == before {
        return Err(Refusal::new("invalid_scheduled_message_id"));
    }
    Ok(json!({}))
}
