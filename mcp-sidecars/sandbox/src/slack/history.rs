//! `conversations.history` and `conversations.replies`.

use serde_json::{Value, json};

use super::{
    call::{Call, Refusal},
    things::{Channel, Message},
};

/// Newest first.
pub(super) fn history(call: &mut Call) -> Result<Value, Refusal> {
    let channel = readable(call)?;
    let mut messages = within(call, &channel, |message| {
        message.thread_ts.is_none() || message.is_broadcast
    })?;
    messages.reverse();
    answer(call, &messages)
}

/// The parent, then the replies, oldest first.
pub(super) fn replies(call: &mut Call) -> Result<Value, Refusal> {
    let channel = readable(call)?;
    let ts = call.arguments.required("ts")?;
    let asked = call.state.message(&channel.id, &ts);
    let asked = asked.ok_or_else(|| Refusal::new("thread_not_found"))?;
    let parent = asked.thread_ts.clone().unwrap_or(ts);
    let parent = call.state.message(&channel.id, &parent);
    let parent = parent.ok_or_else(|| Refusal::new("thread_not_found"))?;
    let mut thread = vec![parent];
    thread.extend(within(call, &channel, |message| {
        message.thread_ts.as_ref() == Some(&parent.ts)
    })?);
    answer(call, &thread)
}

fn readable(call: &Call) -> Result<Channel, Refusal> {
    let channel = call.channel("channel")?;
    call.need(if channel.is_private {
        "groups:history"
    } else {
        "channels:history"
    })?;
    if channel.members.contains(&call.grant.user) {
        Ok(channel)
    } else {
        Err(Refusal::new("not_in_channel"))
    }
}

/// The channel's messages between `oldest` and `latest`, without these bounds unless `inclusive`; oldest first.
fn within<'a>(
    call: &'a Call,
    channel: &Channel,
    is_wanted: impl Fn(&Message) -> bool,
) -> Result<Vec<&'a Message>, Refusal> {
    let bound = |name, error| match call.arguments.text(name) {
        None => Ok(None),
        Some(text) => micros(&text).map(Some).ok_or_else(|| Refusal::new(error)),
    };
    let oldest = bound("oldest", "invalid_ts_oldest")?;
    let latest = bound("latest", "invalid_ts_latest")?;
    let inclusive = i64::from(call.arguments.flag("inclusive") == Some(true));
    let is_within = |message: &&Message| {
        let at = micros(&message.ts).unwrap_or_default();
        oldest.is_none_or(|oldest| at > oldest - inclusive)
            && latest.is_none_or(|latest| at < latest + inclusive)
    };
    Ok(call
        .state
        .messages
        .iter()
        .filter(|message| message.channel == channel.id && is_wanted(message))
        .filter(is_within)
        .collect())
}

fn answer(call: &Call, messages: &[&Message]) -> Result<Value, Refusal> {
    let (page, next) = call.arguments.page(messages, 100, |message| &message.ts)?;
    let with_metadata = call.arguments.flag("include_all_metadata") == Some(true);
    if with_metadata {
        call.need("metadata.message:read")?;
    }
    let shown: Vec<Value> = page
        .iter()
        .map(|message| call.state.show(message, with_metadata))
        .collect();
    Ok(json!({
        "messages": shown,
        "has_more": !next.is_empty(),
        "response_metadata": { "next_cursor": next },
    }))
}

/// `1503435956.000247` in microseconds; fewer digits, or none, behind the dot are fine.
fn micros(ts: &str) -> Option<i64> {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, ""));
    let fraction = format!("{fraction:0<6}");
    let micros: i64 = fraction.get(..6)?.parse().ok()?;
    seconds
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(micros)
}
