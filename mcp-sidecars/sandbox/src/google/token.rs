//! Google's OAuth 2.0 token endpoint (RFC 6749, RFC 7523), and what a token may do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Form, Json, Router,
    extract::{State as AxumState, rejection::FormRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{consent, error::Refusal, random, service_account};
use crate::world::World;

/// The OAuth client of development.
pub const CLIENT_ID: &str = "sandbox-client.apps.googleusercontent.com";
pub const CLIENT_SECRET: &str = "sandbox-google-client-secret-for-development-only";
/// What `PERSON` allowed that client, for as long as nobody takes it back: every scope of [`SCOPES`].
pub const REFRESH_TOKEN: &str = "sandbox-google-refresh-token-for-development-only";
/// Whose calendar and files the refresh token opens.
pub const PERSON: &str = "planner@sandbox.example";
/// The domain whose people the service account may act for.
pub const DOMAIN: &str = "@sandbox.example";

/// Every scope that this Google knows.
pub const SCOPES: [&str; 10] = [
    "https://www.googleapis.com/auth/calendar",
    "https://www.googleapis.com/auth/calendar.readonly",
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.events.readonly",
    "https://www.googleapis.com/auth/calendar.freebusy",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
    "https://www.googleapis.com/auth/drive",
    "https://www.googleapis.com/auth/drive.readonly",
    "https://www.googleapis.com/auth/drive.file",
    "https://www.googleapis.com/auth/drive.metadata.readonly",
];

const LIFETIME: SignedDuration = SignedDuration::from_secs(3599);

/// The access tokens that hold.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tokens(BTreeMap<String, Issued>);

#[derive(Debug, Serialize, Deserialize)]
struct Issued {
    identity: Identity,
    expires_at: Timestamp,
    /// The refresh token that it belongs to, where a person allowed it on the page.
    #[serde(default)]
    grant: Option<String>,
}

/// Who asks, and for what they may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The address of a person or a service account.
    pub(crate) account: String,
    pub(crate) scopes: BTreeSet<String>,
}

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new().route("/token", post(token))
}

/// Who holds the token of this request; it must carry at least one of the accepted scopes.
///
/// # Errors
/// 401 for no token or one that does not hold, 403 for one without such a scope.
pub(crate) fn authorized(
    headers: &HeaderMap,
    tokens: &Tokens,
    now: Timestamp,
    accepted: &[&str],
) -> Result<Identity, Refusal> {
    let given = headers.get(header::AUTHORIZATION);
    let given = given.ok_or_else(|| Refusal::unauthenticated(true))?;
    let token = given
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("Bearer "));
    let issued = token
        .and_then(|token| tokens.0.get(token))
        .filter(|issued| issued.expires_at > now)
        .ok_or_else(|| Refusal::unauthenticated(false))?;
    let is_allowed = accepted
        .iter()
        .any(|scope| issued.identity.scopes.contains(*scope));
    if !is_allowed {
        return Err(Refusal::insufficient_scopes(accepted));
    }
    Ok(issued.identity.clone())
}

impl Tokens {
    /// A new token, and the seconds that it holds.
    fn issue(
        &mut self,
        identity: Identity,
        grant: Option<String>,
        now: Timestamp,
    ) -> Option<String> {
        self.0.retain(|_, issued| issued.expires_at > now);
        let token = format!("ya29.sandbox-{:032x}", random().ok()?);
        let expires_at = now + LIFETIME;
        self.0.insert(
            token.clone(),
            Issued {
                identity,
                expires_at,
                grant,
            },
        );
        Some(token)
    }

    /// The refresh token that an access token belongs to.
    pub(super) fn grant_of(&self, token: &str) -> Option<String> {
        self.0.get(token)?.grant.clone()
    }

    /// Takes back this token and those of that grant; whether there were any.
    pub(super) fn take_back(&mut self, token: &str, grant: &str) -> bool {
        let before = self.0.len();
        self.0
            .retain(|known, issued| known != token && issued.grant.as_deref() != Some(grant));
        self.0.len() < before
    }
}

/// The endpoint's own form of no (RFC 6749, 5.2): status, code, words.
pub(super) struct Denial(
    pub(super) StatusCode,
    pub(super) &'static str,
    pub(super) String,
);

impl Denial {
    /// 400 with that code.
    pub(super) fn bad(code: &'static str, words: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, code, words.into())
    }
}

impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        let Self(status, code, words) = self;
        let body = Json(json!({ "error": code, "error_description": words }));
        (status, body).into_response()
    }
}

pub(super) type Fields = BTreeMap<String, String>;

async fn token(
    AxumState(world): AxumState<Arc<World>>,
    form: Result<Form<Fields>, FormRejection>,
) -> Result<Response, Denial> {
    // What is no form has no field for Google, either.
    let fields = form.map(|Form(fields)| fields).unwrap_or_default();
    let mut beside = json!({});
    let mut grant = None;
    let identity = match required(&fields, "grant_type")? {
        "refresh_token" => {
            let token = required(&fields, "refresh_token")?;
            grant = Some(token.to_owned()).filter(|token| token != REFRESH_TOKEN);
            refreshed(&fields, &world)?
        }
        "authorization_code" => {
            known_client(&fields)?;
            let (identity, refresh_token, members) = consent::redeemed(&fields, &world)?;
            (grant, beside) = (refresh_token, members);
            identity
        }
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            let assertion = required(&fields, "assertion")?;
            service_account::asserted(assertion, &world)?
        }
        other => {
            let words = format!("Invalid grant_type: {other}");
            return Err(Denial::bad("unsupported_grant_type", words));
        }
    };
    let scopes: Vec<_> = identity.scopes.iter().map(String::as_str).collect();
    let scope = scopes.join(" ");
    let issued = world
        .things()
        .google
        .tokens
        .issue(identity, grant, world.now());
    let token = issued.ok_or_else(|| {
        let words = "no randomness".to_owned();
        Denial(StatusCode::INTERNAL_SERVER_ERROR, "internal_failure", words)
    })?;
    let mut body = json!({
        "access_token": token, "expires_in": LIFETIME.as_secs(), "scope": scope, "token_type": "Bearer",
    });
    if let (Some(body), Some(beside)) = (body.as_object_mut(), beside.as_object_mut()) {
        body.append(beside);
    }
    let no_store = [(header::CACHE_CONTROL, "no-cache, no-store, max-age=0")];
    Ok((no_store, Json(body)).into_response())
}

pub(super) fn required<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, Denial> {
    let value = fields.get(name).filter(|value| !value.is_empty());
    value.map(String::as_str).ok_or_else(|| {
        Denial::bad(
            "invalid_request",
            format!("Required parameter is missing: {name}"),
        )
    })
}

fn known_client(fields: &Fields) -> Result<(), Denial> {
    if required(fields, "client_id")? != CLIENT_ID {
        let words = "The OAuth client was not found.".to_owned();
        return Err(Denial(StatusCode::UNAUTHORIZED, "invalid_client", words));
    }
    if required(fields, "client_secret")? != CLIENT_SECRET {
        let words = "The provided client secret is invalid.".to_owned();
        return Err(Denial(StatusCode::UNAUTHORIZED, "invalid_client", words));
    }
    Ok(())
}

fn refreshed(fields: &Fields, world: &World) -> Result<Identity, Denial> {
    known_client(fields)?;
    let token = required(fields, "refresh_token")?;
    if let Some(identity) = consent::granted(token, world) {
        return Ok(identity);
    }
    if token != REFRESH_TOKEN {
        return Err(Denial::bad(
            "invalid_grant",
            "Token has been expired or revoked.",
        ));
    }
    let wished = fields.get("scope").filter(|scope| !scope.is_empty());
    let scopes = wished.map_or_else(|| SCOPES.join(" "), Clone::clone);
    Ok(Identity {
        account: PERSON.to_owned(),
        scopes: known_scopes(&scopes)?,
    })
}

/// The scopes of a list separated by spaces; never more than this Google knows.
pub(super) fn known_scopes(list: &str) -> Result<BTreeSet<String>, Denial> {
    let scopes: BTreeSet<_> = list.split_whitespace().map(str::to_owned).collect();
    let is_known = |scope: &String| SCOPES.contains(&scope.as_str());
    if scopes.is_empty() || !scopes.iter().all(is_known) {
        let words = "Invalid OAuth scope or ID token audience provided.";
        return Err(Denial::bad("invalid_scope", words));
    }
    Ok(scopes)
}
