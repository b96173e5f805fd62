//! `reactions.*`.

use serde_json::{Value, json};

use super::call::{Call, Refusal};

pub(super) fn add(call: &mut Call) -> Result<Value, Refusal> {
    let (channel, ts, name) = read(call)?;
    let user = call.grant.user.clone();
    let channel_is_archived = call.channel("channel")?.is_archived;
    if channel_is_archived {
        return Err(Refusal::new("is_archived"));
    }
    let message = call.state.message_mut(&channel, &ts);
    let message = message.ok_or_else(|| Refusal::new("message_not_found"))?;
    let users = message.reactions.entry(name).or_default();
    if users.contains(&user) {
        return Err(Refusal::new("already_reacted"));
    }
    users.push(user);
    Ok(json!({}))
}

pub(super) fn remove(call: &mut Call) -> Result<Value, Refusal> {
    let (channel, ts, name) = read(call)?;
    let user = call.grant.user.clone();
    let message = call.state.message_mut(&channel, &ts);
    let message = message.ok_or_else(|| Refusal::new("message_not_found"))?;
    let users = message.reactions.get_mut(&name);
    let users = users.filter(|users| users.contains(&user));
    let users = users.ok_or_else(|| Refusal::new("no_reaction"))?;
    users.retain(|one| *one != user);
    if users.is_empty() {
        message.reactions.remove(&name);
    }
    Ok(json!({}))
}

/// Channel, `ts` and the emoji's name, which has no colons.
fn read(call: &Call) -> Result<(String, String, String), Refusal> {
    let channel = call.channel("channel")?.id;
    let ts = call.arguments.text("timestamp");
    let ts = ts.ok_or_else(|| Refusal::new("no_item_specified"))?;
    if !ts.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(Refusal::new("bad_timestamp"));
    }
    let name = call.arguments.required("name")?;
    let is_plain =
        |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "_-+:'".contains(char);
    if !name.chars().all(is_plain) || name.starts_with(':') {
        return Err(Refusal::new("invalid_name"));
    }
    Ok((channel, ts, name))
}
