//! The assertion of a service account: a JSON Web Token (RFC 7519), signed with RS256 as RFC 7523 has it.

use anyhow::{Context, anyhow};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::settings::ServiceAccount;

/// Whom assertions are for: Google's name for its endpoint, wherever `GOOGLE_TOKEN_URL` leads.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
/// Google takes an hour at most.
const LIFETIME: i64 = 3600;

/// The assertion for those scopes, on behalf of `person` if there is one; it holds for an hour.
pub(crate) fn assertion(
    account: &ServiceAccount,
    person: Option<&str>,
    scopes: &str,
    now: Timestamp,
) -> anyhow::Result<SecretString> {
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": account.private_key_id });
    let mut claims = json!({
        "iss": account.client_email,
        "scope": scopes,
        "aud": AUDIENCE,
        "iat": now.as_second(),
        "exp": now.as_second() + LIFETIME,
    });
    if let Some(person) = person {
        claims["sub"] = person.into();
    }
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = format!("{header}.{claims}");
    let key = key(account)?;
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .map_err(|_| anyhow!("sign an assertion"))?;
    let signature = URL_SAFE_NO_PAD.encode(signature);
    Ok(format!("{message}.{signature}").into())
}

/// The key of the account. No error quotes it.
pub(crate) fn key(account: &ServiceAccount) -> anyhow::Result<RsaKeyPair> {
    let pem = account.private_key.expose_secret();
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes());
    let der = der.map_err(|_| anyhow!("the service account's private_key is no PEM (PKCS #8)"))?;
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())
        .map_err(|error| anyhow!("{error}"))
        .context("the service account's private_key is no RSA key of 2048 bits or more")
}
