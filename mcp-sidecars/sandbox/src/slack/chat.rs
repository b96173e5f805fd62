//! `chat.*`: messages now.

use serde_json::{Value, json};

use super::{
    call::{Call, Refusal},
    seed::TEAM_DOMAIN,
    text::Draft,
    things::{Channel, Message},
};

pub(super) fn post(call: &mut Call) -> Result<Value, Refusal> {
    let channel = call.channel_to_write("channel")?;
    let mut message = compose(call, &channel)?;
    message.ts = call.state.next_ts(call.now);
    let shown = call.state.show(&message, true);
    let answer = json!({ "channel": channel.id, "ts": message.ts, "message": shown });
    call.state.messages.push(message);
    Ok(answer)
}

/// The message that the arguments describe, without a `ts`.
pub(super) fn compose(call: &Call, channel: &Channel) -> Result<Message, Refusal> {
    let arguments = &call.arguments;
    let draft = Draft::read(arguments)?;
    let thread_ts = arguments.text("thread_ts");
    if let Some(ts) = thread_ts.as_deref().filter(|ts| !is_ts(ts)) {
        let message = format!("[ERROR] {ts} is not a valid thread_ts");
        return Err(Refusal::new("invalid_thread_ts")
            .with("response_metadata", json!({ "messages": [message] })));
    }
    // Slack takes a reply's ts, too, and puts the message under its parent; under a ts that names no message, it takes the
    // reply and nobody ever sees it.
    let thread_ts = thread_ts.map(|ts| {
        let named = call.state.message(&channel.id, &ts);
        named
            .and_then(|named| named.thread_ts.clone())
            .unwrap_or(ts)
    });
    Ok(Message {
        channel: channel.id.clone(),
        user: call.grant.user.clone(),
        text: draft.text,
        is_broadcast: thread_ts.is_some() && arguments.flag("reply_broadcast") == Some(true),
        thread_ts,
        blocks: draft.blocks,
        metadata: draft.metadata,
        client_msg_id: arguments.text("client_msg_id"),
        unfurl_links: arguments.flag("unfurl_links"),
        unfurl_media: arguments.flag("unfurl_media"),
        ..Message::default()
    })
}

/// Seconds, a dot and six digits.
fn is_ts(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = text.split_once('.');
    parts.is_some_and(|(seconds, micros)| {
        is_number(seconds) && is_number(micros) && micros.len() == 6
    })
}

pub(super) fn update(call: &mut Call) -> Result<Value, Refusal> {
    let channel = call.channel("channel")?;
    let ts = call.arguments.required("ts")?;
    let draft = Draft::read_update(&call.arguments)?;
    let edited = call.now.as_second();
    let has_blocks = call.arguments.0.contains_key("blocks");
    let user = call.grant.user.clone();
    let message = call
        .state
        .message_mut(&channel.id, &ts)
        .ok_or_else(|| Refusal::new("message_not_found"))?;
    if message.user != user {
        return Err(Refusal::new("cant_update_message"));
    }
    if channel.is_archived {
        return Err(Refusal::new("is_inactive"));
    }
    message.text = draft.text;
    if has_blocks {
        message.blocks = draft.blocks;
    }
    if draft.metadata.is_some() {
        message.metadata = draft.metadata;
    }
    message.edited = Some(format!("{edited}.000000"));
    let message = message.clone();
    let shown = call.state.show(&message, true);
    Ok(json!({ "channel": channel.id, "ts": ts, "text": message.text, "message": shown }))
}

pub(super) fn delete(call: &mut Call) -> Result<Value, Refusal> {
    let channel = call.channel("channel")?;
    let ts = call.arguments.required("ts")?;
    let message = call
        .state
        .message(&channel.id, &ts)
        .ok_or_else(|| Refusal::new("message_not_found"))?;
    if message.user != call.grant.user {
        return Err(Refusal::new("cant_delete_message"));
    }
    call.state
        .messages
        .retain(|message| message.channel != channel.id || message.ts != ts);
    Ok(json!({ "channel": channel.id, "ts": ts }))
}

pub(super) fn permalink(call: &mut Call) -> Result<Value, Refusal> {
    let channel = call.channel("channel")?;
    let ts = call.arguments.required("message_ts")?;
    let message = call
        .state
        .message(&channel.id, &ts)
        .ok_or_else(|| Refusal::new("message_not_found"))?;
    let digits = message.ts.replace('.', "");
    let permalink = format!(
        "https://{TEAM_DOMAIN}.slack.com/archives/{}/p{digits}",
        channel.id
    );
    Ok(json!({ "channel": channel.id, "permalink": permalink }))
}
