//! Google's page where somebody allows an app, codes and refresh tokens for it, and the way to take them back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Form, Json, Router,
    extract::{Query, State as Extract, rejection::FormRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    service_account,
    token::{CLIENT_ID, Denial, Fields, Identity, PERSON, SCOPES, required},
};
use crate::{
    oauth::{Ask, Codes, Mismatch, secret},
    world::World,
};

/// Those who can be chosen on the page.
const PEOPLE: [&str; 2] = [PERSON, "assistant@sandbox.example"];
/// Who somebody is (OIDC), beside what they allow.
const IDENTITY_SCOPES: [&str; 2] = ["openid", "email"];
const EMAIL_SCOPE: &str = "https://www.googleapis.com/auth/userinfo.email";

/// What people have allowed.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    codes: Codes,
    /// By refresh token.
    grants: BTreeMap<String, Identity>,
    /// How often tokens were taken back.
    pub(super) revoked: u64,
    /// How often tokens were given for a refresh token of these.
    pub(super) refreshed: u64,
}

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/o/oauth2/v2/auth", get(ask))
        .route("/o/oauth2/v2/approve", get(approve))
        .route("/revoke", post(revoke))
}

async fn ask(Extract(world): Extract<Arc<World>>, Query(ask): Query<Ask>) -> Response {
    if let Err(words) = ask.check(CLIENT_ID, is_known) {
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    let approve = format!("{}/google/o/oauth2/v2/approve", world.base_url);
    ask.page("Google", &PEOPLE, &approve)
}

async fn approve(Extract(world): Extract<Arc<World>>, Query(mut ask): Query<Ask>) -> Response {
    let person = ask.account.get_or_insert_with(|| PERSON.to_owned());
    if !PEOPLE.contains(&person.as_str()) {
        return (StatusCode::BAD_REQUEST, "nobody of that address").into_response();
    }
    if let Err(words) = ask.check(CLIENT_ID, is_known) {
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    let now = world.now();
    world.things().google.consents.codes.approve(ask, now)
}

fn is_known(scope: &str) -> bool {
    SCOPES.contains(&scope) || IDENTITY_SCOPES.contains(&scope)
}

/// What a code gives: whose token, and the members of the answer beside it.
pub(super) fn redeemed(
    fields: &Fields,
    world: &World,
) -> Result<(Identity, Option<String>, Value), Denial> {
    let (code, redirect_uri) = (required(fields, "code")?, required(fields, "redirect_uri")?);
    let verifier = fields.get("code_verifier").map(String::as_str);
    let now = world.now();
    let consents = &mut world.things().google.consents;
    let redeemed = consents.codes.redeem(code, redirect_uri, verifier, now);
    let ask = redeemed.map_err(|mismatch| match mismatch {
        Mismatch::Code => Denial::bad("invalid_grant", "Malformed auth code."),
        Mismatch::RedirectUri => Denial::bad("redirect_uri_mismatch", "Bad Request"),
        Mismatch::Verifier => Denial::bad("invalid_grant", "Invalid code verifier."),
    })?;
    let account = ask.account.clone().unwrap_or_default();
    let mut scopes: BTreeSet<_> = ask.scopes().into_iter().map(str::to_owned).collect();
    if scopes.remove("email") {
        scopes.insert(EMAIL_SCOPE.to_owned());
    }
    let mut beside = json!({});
    if scopes.contains("openid") {
        let claims = json!({
            "iss": "https://accounts.google.com", "aud": CLIENT_ID, "azp": CLIENT_ID, "sub": subject(&account),
            "email": account, "email_verified": true, "iat": now.as_second(), "exp": now.as_second() + 3600,
        });
        beside["id_token"] = signed(&claims).into();
    }
    let identity = Identity { account, scopes };
    let mut refresh_token = None;
    if ask.access_type.as_deref() == Some("offline") {
        let token = secret("google-refresh-token").map(|token| format!("1//{token}"));
        if let Some(token) = token {
            consents.grants.insert(token.clone(), identity.clone());
            beside["refresh_token"] = token.clone().into();
            refresh_token = Some(token);
        }
    }
    Ok((identity, refresh_token, beside))
}

/// Whose refresh token that is, if it still holds.
pub(super) fn granted(token: &str, world: &World) -> Option<Identity> {
    let consents = &mut world.things().google.consents;
    let identity = consents.grants.get(token).cloned()?;
    consents.refreshed += 1;
    Some(identity)
}

/// `POST /revoke`: takes back a refresh token with its access tokens, or an access token with all of its grant.
async fn revoke(
    Extract(world): Extract<Arc<World>>,
    form: Result<Form<Fields>, FormRejection>,
) -> Result<Response, Denial> {
    let fields = form.map(|Form(fields)| fields).unwrap_or_default();
    let token = required(&fields, "token")?;
    let google = &mut world.things().google;
    let grant = google.tokens.grant_of(token);
    let refresh_token = grant.as_deref().unwrap_or(token);
    let is_known = google.consents.grants.remove(refresh_token).is_some();
    if !google.tokens.take_back(token, refresh_token) && !is_known {
        return Err(Denial::bad("invalid_token", "Token expired or revoked"));
    }
    google.consents.revoked += 1;
    Ok(Json(json!({})).into_response())
}

/// Google's number of a person.
fn subject(account: &str) -> String {
    let number = PEOPLE.iter().position(|person| *person == account);
    format!("1000000000000000000{:02}", number.unwrap_or_default())
}

/// A JSON Web Token (RFC 7519) with RS256.
fn signed(claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header = json!({ "alg": "RS256", "kid": "sandbox-key", "typ": "JWT" });
    let message = format!("{}.{}", part(&header), part(claims));
    let signature = service_account::sign(message.as_bytes()).unwrap_or_default();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
