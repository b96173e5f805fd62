//! `conversations.*` but for what was said there.

use serde_json::{Value, json};

use super::{
    call::{Call, Refusal},
    things::{Channel, State},
};

const LONGEST_NAME: usize = 80;
const LONGEST_TOPIC: usize = 250;

/// A channel as `conversations.info` shows it to that user.
fn show(state: &State, channel: &Channel, user: &str) -> Value {
    let members = channel.members.iter();
    let people = members.filter(|id| state.user(id).is_some_and(|user| !user.is_bot));
    json!({
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": true,
        "is_group": false,
        "is_im": false,
        "is_mpim": false,
        "is_private": channel.is_private,
        "is_archived": channel.is_archived,
        "is_general": channel.is_general,
        "is_member": channel.members.iter().any(|id| id == user),
        "created": channel.created,
        "creator": channel.creator,
        "topic": { "value": channel.topic, "creator": "", "last_set": 0 },
        "purpose": { "value": channel.purpose, "creator": "", "last_set": 0 },
        "num_members": people.count(),
    })
}

fn read_scope(channel: &Channel) -> &'static str {
    if channel.is_private {
        "groups:read"
    } else {
        "channels:read"
    }
}

pub(super) fn list(call: &mut Call) -> Result<Value, Refusal> {
    list_where(call, |_| true)
}

pub(super) fn of_user(call: &mut Call) -> Result<Value, Refusal> {
    let user = call
        .arguments
        .text("user")
        .unwrap_or_else(|| call.grant.user.clone());
    list_where(call, |channel| channel.members.contains(&user))
}

fn list_where(call: &Call, is_wanted: impl Fn(&Channel) -> bool) -> Result<Value, Refusal> {
    let mut types = call.arguments.words("types");
    if types.is_empty() {
        types.push("public_channel".to_owned());
    }
    for kind in &types {
        match kind.as_str() {
            "public_channel" => call.need("channels:read")?,
            "private_channel" => call.need("groups:read")?,
            "im" => call.need("im:read")?,
            "mpim" => call.need("mpim:read")?,
            _ => return Err(Refusal::new("invalid_types")),
        }
    }
    let no_archived = call.arguments.flag("exclude_archived") == Some(true);
    let user = &call.grant.user;
    let wanted: Vec<&Channel> = call
        .state
        .channels
        .iter()
        .filter(|channel| {
            let kind = if channel.is_private {
                "private_channel"
            } else {
                "public_channel"
            };
            types.iter().any(|wanted| wanted == kind)
        })
        .filter(|channel| !channel.is_private || channel.members.contains(user))
        .filter(|channel| !(no_archived && channel.is_archived) && is_wanted(channel))
        .collect();
    let (page, next) = call.arguments.page(&wanted, 100, |channel| &channel.id)?;
    let shown: Vec<Value> = page
        .iter()
        .map(|channel| show(call.state, channel, user))
        .collect();
    Ok(json!({ "channels": shown, "response_metadata": { "next_cursor": next } }))
}

pub(super) fn info(call: &mut Call) -> Result<Value, Refusal> {
    let channel = call.channel("channel")?;
    call.need(read_scope(&channel))?;
    Ok(json!({ "channel": show(call.state, &channel, &call.grant.user) }))
}

pub(super) fn members(call: &mut Call) -> Result<Value, Refusal> {
    let channel = call.channel("channel")?;
    call.need(read_scope(&channel))?;
    let members: Vec<&String> = channel.members.iter().collect();
    let (page, next) = call.arguments.page(&members, 100, |id| id)?;
    Ok(json!({ "members": page, "response_metadata": { "next_cursor": next } }))
}

pub(super) fn create(call: &mut Call) -> Result<Value, Refusal> {
    let is_private = call.arguments.flag("is_private") == Some(true);
    call.need(if is_private {
        "groups:write"
    } else {
        "channels:manage"
    })?;
    let name = call
        .arguments
        .text("name")
        .ok_or_else(|| Refusal::new("invalid_name_required"))?;
    if name.chars().count() > LONGEST_NAME {
        return Err(Refusal::new("invalid_name_maxlength"));
    }
    let is_plain =
        |char: char| char.is_alphanumeric() && !char.is_uppercase() || matches!(char, '-' | '_');
    if !name.chars().all(is_plain) {
        return Err(Refusal::new("invalid_name_specials"));
    }
    if !name.chars().any(char::is_alphanumeric) {
        return Err(Refusal::new("invalid_name_punctuation"));
    }
    if call
        .state
        .channels
        .iter()
        .any(|channel| channel.name == name)
    {
        return Err(Refusal::new("name_taken"));
    }
    let channel = Channel {
        id: call.state.next_id("C"),
        name,
        is_general: false,
        is_private,
        is_archived: false,
        created: call.now.as_second(),
        creator: call.grant.user.clone(),
        topic: String::new(),
        purpose: String::new(),
        members: vec![call.grant.user.clone()],
    };
    let shown = show(call.state, &channel, &call.grant.user);
    call.state.channels.push(channel);
    Ok(json!({ "channel": shown }))
}

pub(super) fn join(call: &mut Call) -> Result<Value, Refusal> {
    let channel = call.channel("channel")?;
    if channel.is_archived {
        return Err(Refusal::new("is_archived"));
    }
    if channel.is_private {
        return Err(Refusal::new("method_not_supported_for_channel_type"));
    }
    let user = call.grant.user.clone();
    let channel = change(call, &channel.id, |channel| {
        if !channel.members.contains(&user) {
            channel.members.push(user);
        }
    })?;
    Ok(json!({ "channel": show(call.state, &channel, &call.grant.user) }))
}

pub(super) fn invite(call: &mut Call) -> Result<Value, Refusal> {
    let channel = call.channel_to_write("channel")?;
    let users = call.arguments.words("users");
    if users.is_empty() {
        return Err(Refusal::new("no_user"));
    }
    for user in &users {
        if *user == call.grant.user {
            return Err(Refusal::new("cant_invite_self"));
        }
        if call.state.user(user).is_none_or(|user| user.deleted) {
            return Err(Refusal::new("user_not_found"));
        }
        if channel.members.contains(user) {
            return Err(Refusal::new("already_in_channel"));
        }
    }
    let channel = change(call, &channel.id, |channel| channel.members.extend(users))?;
    Ok(json!({ "channel": show(call.state, &channel, &call.grant.user) }))
}

pub(super) fn archive(call: &mut Call) -> Result<Value, Refusal> {
    let channel = call.channel("channel")?;
    if channel.is_archived {
        return Err(Refusal::new("already_archived"));
    }
    if channel.is_general {
        return Err(Refusal::new("cant_archive_general"));
    }
    if !channel.members.contains(&call.grant.user) {
        return Err(Refusal::new("not_in_channel"));
    }
    change(call, &channel.id, |channel| channel.is_archived = true)?;
    Ok(json!({}))
}

pub(super) fn set_topic(call: &mut Call) -> Result<Value, Refusal> {
    let channel = call.channel_to_write("channel")?;
    let topic = call.arguments.text("topic").unwrap_or_default();
    if topic.chars().count() > LONGEST_TOPIC {
        return Err(Refusal::new("too_long"));
    }
    let channel = change(call, &channel.id, |channel| channel.topic = topic)?;
    Ok(json!({ "channel": show(call.state, &channel, &call.grant.user) }))
}

fn change(
    call: &mut Call,
    id: &str,
    change: impl FnOnce(&mut Channel),
) -> Result<Channel, Refusal> {
    let mut channels = call.state.channels.iter_mut();
    let channel = channels.find(|channel| channel.id == id);
    let channel = channel.ok_or_else(|| Refusal::new("channel_not_found"))?;
    change(channel);
    Ok(channel.clone())
}
