//! The service account of development: its key, and the assertions that it signs (RFC 7523 with RS256).
//!
//! The key is public, being part of the source; only the sandbox takes it.

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::token::{DOMAIN, Denial, Identity, known_scopes};
use crate::world::World;

/// The address of the service account.
pub const SERVICE_ACCOUNT: &str = "planner@sandbox-project.iam.gserviceaccount.com";

const KEY: &[u8] = include_bytes!("../../assets/google-service-account.pk8");
const KEY_ID: &str = "sandbox-key";
/// Whom an assertion is for, wherever the endpoint is reached; some clients name the key file's `token_uri` instead.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
/// How far a caller's clock may be off, in seconds.
const SKEW: i64 = 300;
const LONGEST: i64 = 3600;

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new().route("/service-account.json", get(key_file))
}

/// The file that Google's console hands out once, with the token endpoint of this sandbox.
async fn key_file(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({
        "type": "service_account",
        "project_id": "sandbox-project",
        "private_key_id": KEY_ID,
        "private_key": pem(),
        "client_email": SERVICE_ACCOUNT,
        "client_id": "100000000000000000000",
        "token_uri": token_uri(&world),
        "universe_domain": "googleapis.com",
    }))
}

fn pem() -> String {
    let text = STANDARD.encode(KEY);
    let lines: String = text
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line) + "\n")
        .collect();
    let label = "PRIVATE KEY";
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

fn token_uri(world: &World) -> String {
    format!("{}/google/token", world.base_url)
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    scope: String,
    aud: String,
    iat: i64,
    exp: i64,
    /// The person whom the service account acts for (domain-wide delegation).
    sub: Option<String>,
}

/// Who an assertion speaks for.
pub(super) fn asserted(assertion: &str, world: &World) -> Result<Identity, Denial> {
    let refused = |words: &str| Denial::bad("invalid_grant", words);
    let claims = verified(assertion)?;
    if claims.iss != SERVICE_ACCOUNT {
        return Err(refused("Invalid grant: account not found"));
    }
    if claims.aud != AUDIENCE && claims.aud != token_uri(world) {
        let words = format!("Invalid JWT: Failed audience check. The right audience is {AUDIENCE}");
        return Err(refused(&words));
    }
    let now = world.now().as_second();
    let is_short = claims.exp > claims.iat && claims.exp - claims.iat <= LONGEST;
    let is_current = claims.iat <= now + SKEW && claims.exp > now - SKEW;
    if !is_short || !is_current {
        return Err(refused(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
        ));
    }
    let account = match claims.sub {
        Some(person) if person != SERVICE_ACCOUNT && !person.ends_with(DOMAIN) => {
            let words = "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.";
            return Err(Denial(
                StatusCode::UNAUTHORIZED,
                "unauthorized_client",
                words.to_owned(),
            ));
        }
        Some(person) => person,
        None => claims.iss,
    };
    Ok(Identity {
        account,
        scopes: known_scopes(&claims.scope)?,
    })
}

/// Signs as Google's own key would.
pub(super) fn sign(message: &[u8]) -> Option<Vec<u8>> {
    let key = RsaKeyPair::from_pkcs8(KEY).ok()?;
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    let signed = key.sign(
        &ring::signature::RSA_PKCS1_SHA256,
        &random,
        message,
        &mut signature,
    );
    signed.ok().map(|()| signature)
}

fn verified(assertion: &str) -> Result<Claims, Denial> {
    let malformed = || Denial::bad("invalid_grant", "Invalid JWT: Malformed JWT");
    let (message, signature) = assertion.rsplit_once('.').ok_or_else(malformed)?;
    let (header, claims) = message.split_once('.').ok_or_else(malformed)?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
    let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| malformed())?;
    let claims: Claims = serde_json::from_slice(&decoded(claims)?).map_err(|_| malformed())?;
    let is_ours = header.alg == "RS256" && header.kid.is_none_or(|id| id == KEY_ID);
    let key = RsaKeyPair::from_pkcs8(KEY).ok().filter(|_| is_ours);
    let is_signed = key.is_some_and(|key| {
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public());
        decoded(signature)
            .is_ok_and(|signature| public.verify(message.as_bytes(), &signature).is_ok())
    });
    if !is_signed {
        return Err(Denial::bad("invalid_grant", "Invalid JWT Signature."));
    }
    Ok(claims)
}
