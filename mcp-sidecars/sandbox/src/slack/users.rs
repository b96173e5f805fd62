//! `auth.test`, `team.info` and `users.*`.

use serde_json::{Value, json};

use super::{
    call::{Call, Refusal},
    seed::{BOT_ID, TEAM_DOMAIN, TEAM_ID, TEAM_NAME},
    things::User,
};

pub(super) fn test(call: &mut Call) -> Result<Value, Refusal> {
    let user = call.state.user(&call.grant.user);
    let user = user.ok_or_else(|| Refusal::new("account_inactive"))?;
    Ok(json!({
        "url": format!("https://{TEAM_DOMAIN}.slack.com/"),
        "team": TEAM_NAME,
        "team_id": TEAM_ID,
        "user": user.name,
        "user_id": user.id,
        "bot_id": BOT_ID,
        "is_enterprise_install": false,
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of every method")]
pub(super) fn team(_: &mut Call) -> Result<Value, Refusal> {
    Ok(json!({ "team": { "id": TEAM_ID, "name": TEAM_NAME, "domain": TEAM_DOMAIN } }))
}

pub(super) fn list(call: &mut Call) -> Result<Value, Refusal> {
    let users: Vec<&User> = call.state.users.iter().collect();
    let (page, next) = call.arguments.page(&users, 200, |user| &user.id)?;
    let shown: Vec<Value> = page.iter().map(|user| show(call, user)).collect();
    Ok(json!({
        "members": shown,
        "cache_ts": call.now.as_second(),
        "response_metadata": { "next_cursor": next },
    }))
}

pub(super) fn info(call: &mut Call) -> Result<Value, Refusal> {
    let id = call.arguments.required("user")?;
    let user = call.state.user(&id);
    let user = user.ok_or_else(|| Refusal::new("user_not_found"))?;
    Ok(json!({ "user": show(call, user) }))
}

pub(super) fn by_email(call: &mut Call) -> Result<Value, Refusal> {
    let email = call.arguments.required("email")?;
    let mut users = call.state.users.iter();
    let user = users.find(|user| {
        let own = user.email.as_deref().unwrap_or_default();
        !user.deleted && own.eq_ignore_ascii_case(&email)
    });
    let user = user.ok_or_else(|| Refusal::new("users_not_found"))?;
    Ok(json!({ "user": show(call, user) }))
}

/// The address is shown only with its own scope.
fn show(call: &Call, user: &User) -> Value {
    let mut profile = json!({
        "real_name": user.real_name,
        "real_name_normalized": user.real_name,
        "display_name": user.name,
        "display_name_normalized": user.name,
        "team": TEAM_ID,
    });
    if let Some(email) = user
        .email
        .as_ref()
        .filter(|_| call.need("users:read.email").is_ok())
    {
        profile["email"] = json!(email);
    }
    json!({
        "id": user.id,
        "team_id": TEAM_ID,
        "name": user.name,
        "real_name": user.real_name,
        "deleted": user.deleted,
        "is_bot": user.is_bot,
        "is_app_user": false,
        "tz": user.tz,
        "updated": 0,
        "profile": profile,
    })
}
