//! OAuth v2: the page where somebody allows the app, and `oauth.v2.access` with token rotation.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Query, State as Extract},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    CLIENT_ID, CLIENT_SECRET,
    call::{Call, Refusal},
    seed::{APP_ID, BOT_USER, SCOPES, TEAM_ID, TEAM_NAME},
    things::{Code, Grant},
};
use crate::{page::html, world::World};

/// Ten minutes.
const CODE_LIFE: i64 = 600;
/// Twelve hours.
const TOKEN_LIFE: i64 = 12 * 3600;

/// What an app asks for; other parameters are not looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Ask {
    client_id: String,
    scope: String,
    redirect_uri: String,
    #[serde(default)]
    state: String,
}

#[derive(Template)]
#[template(path = "slack-authorize.html")]
struct Page<'a> {
    team: &'a str,
    scopes: Vec<&'a str>,
    allow: String,
    deny: String,
}

/// The page that asks.
pub(super) async fn ask(Extract(world): Extract<Arc<World>>, Query(ask): Query<Ask>) -> Response {
    if let Err(words) = ask.check() {
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &ask.client_id)
        .append_pair("scope", &ask.scope)
        .append_pair("redirect_uri", &ask.redirect_uri)
        .append_pair("state", &ask.state)
        .finish();
    let page = Page {
        team: TEAM_NAME,
        scopes: ask.scope.split([',', ' ']).collect(),
        allow: format!("{}/slack/oauth/v2/approve?{query}", world.base_url),
        deny: ask.back("error", "access_denied"),
    };
    html(page.render())
}

/// Where "Allow" leads: back to the app, with a code.
pub(super) async fn approve(
    Extract(world): Extract<Arc<World>>,
    Query(ask): Query<Ask>,
) -> Response {
    if let Err(words) = ask.check() {
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    let now = world.now().as_second();
    let state = &mut world.things().slack;
    state.made += 1;
    let code = format!("sandbox-code-{}", state.made);
    state.codes.push(Code {
        value: code.clone(),
        redirect_uri: ask.redirect_uri.clone(),
        scopes: ask.scope.split([',', ' ']).map(ToOwned::to_owned).collect(),
        expires_at: now + CODE_LIFE,
    });
    Redirect::to(&ask.back("code", &code)).into_response()
}

impl Ask {
    fn check(&self) -> Result<(), &'static str> {
        if self.client_id != CLIENT_ID {
            return Err("invalid_client_id: the sandbox knows one app only");
        }
        if !self.redirect_uri.starts_with("https://") && !self.redirect_uri.starts_with("http://") {
            return Err("bad_redirect_uri");
        }
        let mut scopes = self.scope.split([',', ' ']);
        if scopes.all(|scope| SCOPES.contains(&scope)) {
            Ok(())
        } else {
            Err("invalid_scope")
        }
    }

    fn back(&self, name: &str, value: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair(name, value)
            .append_pair("state", &self.state)
            .finish();
        let joint = if self.redirect_uri.contains('?') {
            '&'
        } else {
            '?'
        };
        format!("{}{joint}{query}", self.redirect_uri)
    }
}

pub(super) fn access(call: &mut Call) -> Result<Value, Refusal> {
    if call.arguments.text("client_id").as_deref() != Some(CLIENT_ID) {
        return Err(Refusal::new("invalid_client_id"));
    }
    if call.arguments.text("client_secret").as_deref() != Some(CLIENT_SECRET) {
        return Err(Refusal::new("bad_client_secret"));
    }
    let grant_type = call.arguments.text("grant_type");
    let scopes = match grant_type.as_deref().unwrap_or("authorization_code") {
        "authorization_code" => redeem_code(call)?,
        "refresh_token" => redeem_refresh_token(call)?,
        _ => return Err(Refusal::new("invalid_grant_type")),
    };
    call.state.made += 1;
    let made = call.state.made;
    let grant = Grant {
        token: format!("xoxe.xoxb-1-sandbox-only-access-token-{made:08}"),
        user: BOT_USER.to_owned(),
        scopes,
        expires_at: Some(call.now.as_second() + TOKEN_LIFE),
        refresh_token: Some(format!("xoxe-1-sandbox-only-refresh-token-{made:08}")),
        is_revoked: false,
    };
    let answer = json!({
        "access_token": grant.token,
        "token_type": "bot",
        "scope": grant.scopes.join(","),
        "expires_in": TOKEN_LIFE,
        "refresh_token": grant.refresh_token,
        "bot_user_id": BOT_USER,
        "app_id": APP_ID,
        "team": { "id": TEAM_ID, "name": TEAM_NAME },
        "enterprise": null,
        "is_enterprise_install": false,
        "authed_user": { "id": "U0SANDBOX02" },
    });
    call.state.grants.push(grant);
    Ok(answer)
}

/// A code is good once.
fn redeem_code(call: &mut Call) -> Result<Vec<String>, Refusal> {
    let code = call.arguments.text("code").unwrap_or_default();
    let mut codes = call.state.codes.iter();
    let index = codes.position(|known| known.value == code);
    let index = index.ok_or_else(|| Refusal::new("invalid_code"))?;
    let known = call.state.codes.remove(index);
    if known.expires_at <= call.now.as_second() {
        return Err(Refusal::new("invalid_code"));
    }
    let redirect_uri = call.arguments.text("redirect_uri");
    if redirect_uri.is_some_and(|given| given != known.redirect_uri) {
        return Err(Refusal::new("bad_redirect_uri"));
    }
    Ok(known.scopes)
}

/// A refresh token is good once, too; the access token that came with it ends.
fn redeem_refresh_token(call: &mut Call) -> Result<Vec<String>, Refusal> {
    let token = call.arguments.text("refresh_token");
    let mut grants = call.state.grants.iter_mut();
    let grant =
        grants.find(|grant| token.is_some() && grant.refresh_token == token && !grant.is_revoked);
    let grant = grant.ok_or_else(|| Refusal::new("invalid_refresh_token"))?;
    grant.is_revoked = true;
    Ok(grant.scopes.clone())
}

pub(super) fn revoke(call: &mut Call) -> Result<Value, Refusal> {
    if call.arguments.flag("test") == Some(true) {
        return Ok(json!({ "revoked": false }));
    }
    let token = &call.grant.token;
    let mut grants = call.state.grants.iter_mut();
    let grant = grants.find(|grant| grant.token == *token);
    grant
        .ok_or_else(|| Refusal::new("invalid_auth"))?
        .is_revoked = true;
    Ok(json!({ "revoked": true }))
}
