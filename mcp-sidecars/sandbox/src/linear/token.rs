//! Linear's OAuth 2.0: the page, tokens for a day with refresh tokens that rotate, and the way to take them back.

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
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::workspace::WORKSPACES;
use crate::{
    oauth::{Ask, Codes, Mismatch, secret},
    world::World,
};

/// The OAuth application of development.
pub const CLIENT_ID: &str = "sandbox-linear-client";
pub const CLIENT_SECRET: &str = "sandbox-linear-client-secret-for-development-only";
/// A person's own key, with every right in the first workspace. It has no `Bearer` before it.
pub const API_KEY: &str = "lin_api_sandbox-only-key-of-the-planner";
/// A key that may read only.
pub const READER_KEY: &str = "lin_api_sandbox-only-key-of-a-reader";

const SCOPES: [&str; 6] = [
    "read",
    "write",
    "issues:create",
    "comments:create",
    "timeSchedule:write",
    "admin",
];
const LIFETIME: SignedDuration = SignedDuration::from_secs(86_399);

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    codes: Codes,
    access: BTreeMap<String, Access>,
    /// By refresh token, each good once.
    refresh: BTreeMap<String, Who>,
    pub(super) refreshed: u64,
    pub(super) revoked: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Access {
    who: Who,
    refresh_token: String,
    expires_at: Timestamp,
}

/// In which workspace, and what they may.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Who {
    pub(super) workspace: usize,
    pub(super) scopes: BTreeSet<String>,
}

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/oauth/authorize", get(ask))
        .route("/oauth/approve", get(approve))
        .route("/oauth/token", post(token))
        .route("/oauth/revoke", post(revoke))
}

impl State {
    /// Whose `Authorization` that is.
    pub(super) fn who(&self, authorization: &str, now: Timestamp) -> Option<Who> {
        let of = |scopes: &[&str]| Who {
            workspace: 0,
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        };
        match authorization {
            API_KEY => return Some(of(&["read", "write"])),
            READER_KEY => return Some(of(&["read"])),
            _ => {}
        }
        let token = authorization.strip_prefix("Bearer ")?;
        let access = self.access.get(token)?;
        (access.expires_at > now).then(|| access.who.clone())
    }

    fn issue(&mut self, who: Who, now: Timestamp) -> Result<Response, Denial> {
        let (token, refresh_token) = secret("linear-access-token")
            .zip(secret("linear-refresh-token"))
            .ok_or(Denial("server_error", "no randomness"))?;
        self.access.retain(|_, access| access.expires_at > now);
        let scope = who.scopes.iter().map(String::as_str).collect::<Vec<_>>();
        let answer = json!({
            "access_token": token, "token_type": "Bearer", "expires_in": LIFETIME.as_secs(),
            "scope": scope.join(" "), "refresh_token": refresh_token,
        });
        self.refresh.insert(refresh_token.clone(), who.clone());
        let expires_at = now + LIFETIME;
        let access = Access {
            who,
            refresh_token,
            expires_at,
        };
        self.access.insert(token, access);
        Ok(Json(answer).into_response())
    }
}

pub(super) fn unauthenticated() -> Response {
    let words = "Authentication required, not authenticated";
    super::refusal(
        StatusCode::UNAUTHORIZED,
        "AUTHENTICATION_ERROR",
        "authentication error",
        words,
    )
}

async fn ask(Extract(world): Extract<Arc<World>>, Query(ask): Query<Ask>) -> Response {
    if let Err(words) = ask.check(CLIENT_ID, |scope| SCOPES.contains(&scope)) {
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    let names = WORKSPACES.map(|workspace| workspace.url_key);
    ask.page(
        "Linear",
        &names,
        &format!("{}/linear/oauth/approve", world.base_url),
    )
}

async fn approve(Extract(world): Extract<Arc<World>>, Query(mut ask): Query<Ask>) -> Response {
    ask.account
        .get_or_insert_with(|| WORKSPACES[0].url_key.to_owned());
    if let Err(words) = ask.check(CLIENT_ID, |scope| SCOPES.contains(&scope)) {
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    let now = world.now();
    world.things().linear.tokens.codes.approve(ask, now)
}

/// RFC 6749, 5.2: code and words.
struct Denial(&'static str, &'static str);

impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        let Self(code, words) = self;
        let status = match code {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let body = json!({ "error": code, "error_description": words });
        (status, Json(body)).into_response()
    }
}

type Fields = BTreeMap<String, String>;

async fn token(
    Extract(world): Extract<Arc<World>>,
    form: Result<Form<Fields>, FormRejection>,
) -> Result<Response, Denial> {
    let Ok(Form(fields)) = form else {
        return Err(Denial("invalid_request", "The body must be a form."));
    };
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    if field("client_id") != CLIENT_ID || field("client_secret") != CLIENT_SECRET {
        let words = "Invalid client: client is invalid";
        return Err(Denial("invalid_client", words));
    }
    let now = world.now();
    let tokens = &mut world.things().linear.tokens;
    let who = match field("grant_type") {
        "authorization_code" => {
            let verifier = fields.get("code_verifier").map(String::as_str);
            let (code, redirect_uri) = (field("code"), field("redirect_uri"));
            let redeemed = tokens.codes.redeem(code, redirect_uri, verifier, now);
            let ask = redeemed.map_err(|mismatch| match mismatch {
                Mismatch::Code => Denial("invalid_grant", "Invalid authorization code"),
                Mismatch::RedirectUri => Denial("invalid_grant", "Invalid redirect_uri"),
                Mismatch::Verifier => Denial("invalid_grant", "Invalid code_verifier"),
            })?;
            let names = WORKSPACES.map(|workspace| workspace.url_key);
            let chosen = ask.account.as_deref().unwrap_or_default();
            // `read` is always there.
            let scopes = ask.scopes().into_iter().chain(["read"]);
            Who {
                workspace: names
                    .iter()
                    .position(|name| *name == chosen)
                    .unwrap_or_default(),
                scopes: scopes.map(str::to_owned).collect(),
            }
        }
        "refresh_token" => {
            let who = tokens.refresh.remove(field("refresh_token"));
            let who = who.ok_or(Denial("invalid_grant", "Refresh token is invalid"))?;
            tokens.refreshed += 1;
            who
        }
        _ => return Err(Denial("unsupported_grant_type", "Unsupported grant type")),
    };
    tokens.issue(who, now)
}

/// Takes back an access or refresh token, with the other one of the two.
async fn revoke(
    Extract(world): Extract<Arc<World>>,
    form: Result<Form<Fields>, FormRejection>,
) -> Result<Response, Denial> {
    let fields = form.map(|Form(fields)| fields).unwrap_or_default();
    let token = fields.get("token").map(String::as_str).unwrap_or_default();
    let tokens = &mut world.things().linear.tokens;
    let mut pairs = tokens.access.iter();
    let pair = pairs.find(|(access, held)| *access == token || held.refresh_token == token);
    let pair = pair.map(|(access, held)| (access.clone(), held.refresh_token.clone()));
    let Some((access, refresh_token)) = pair else {
        return Err(Denial("invalid_request", "Unable to revoke token"));
    };
    tokens.access.remove(&access);
    tokens.refresh.remove(&refresh_token);
    tokens.revoked += 1;
    Ok(StatusCode::OK.into_response())
}
