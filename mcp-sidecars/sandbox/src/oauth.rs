//! What OAuth 2.0 with PKCE (RFC 6749, RFC 7636) has in common at the providers: the page that asks, and codes that are good once.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::page::html;

const CODE_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// What an app asks a person for; other parameters are not looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) client_id: String,
    redirect_uri: String,
    response_type: String,
    pub(crate) scope: String,
    #[serde(default)]
    state: String,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    /// As `offline` at Google.
    pub(crate) access_type: Option<String>,
    /// Whose account the person chose: on the way back from the page only.
    pub(crate) account: Option<String>,
}

/// Codes that nobody has redeemed yet.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Codes(BTreeMap<String, Code>);

#[derive(Debug, Serialize, Deserialize)]
struct Code {
    ask: Ask,
    expires_at: Timestamp,
}

/// Why a code is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    Code,
    RedirectUri,
    Verifier,
}

#[derive(Template)]
#[template(path = "authorize.html")]
struct Page<'a> {
    provider: &'a str,
    scopes: Vec<&'a str>,
    /// Each with where "Allow" leads for it.
    accounts: Vec<(&'a str, String)>,
    deny: String,
}

impl Ask {
    /// What does not hold of it, in the provider's word.
    pub(crate) fn check(
        &self,
        client_id: &str,
        knows: impl Fn(&str) -> bool,
    ) -> Result<(), &'static str> {
        if self.client_id != client_id {
            return Err("invalid_client: the sandbox knows one app only");
        }
        if !self.redirect_uri.starts_with("https://") && !self.redirect_uri.starts_with("http://") {
            return Err("redirect_uri_mismatch");
        }
        if self.response_type != "code" {
            return Err("unsupported_response_type");
        }
        if self.scopes().is_empty() || !self.scopes().into_iter().all(knows) {
            return Err("invalid_scope");
        }
        match (&self.code_challenge, self.code_challenge_method.as_deref()) {
            (None, None) | (Some(_), Some("S256" | "plain")) => Ok(()),
            _ => Err("invalid_request: code_challenge goes with the method S256 or plain"),
        }
    }

    pub(crate) fn scopes(&self) -> Vec<&str> {
        let words = self.scope.split([' ', ',']);
        words.filter(|word| !word.is_empty()).collect()
    }

    /// The page that asks; `approve` is where "Allow" leads, for each of these accounts.
    pub(crate) fn page(&self, provider: &str, accounts: &[&str], approve: &str) -> Response {
        let accounts = accounts.iter().map(|account| {
            let chosen = Self {
                account: Some((*account).to_owned()),
                ..self.clone()
            };
            (*account, format!("{approve}?{}", chosen.query()))
        });
        html(
            Page {
                provider,
                scopes: self.scopes(),
                accounts: accounts.collect(),
                deny: self.back("error", "access_denied"),
            }
            .render(),
        )
    }

    fn query(&self) -> String {
        let fields = serde_json::to_value(self).unwrap_or_default();
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields.as_object().into_iter().flatten() {
            if let Some(value) = value.as_str() {
                query.append_pair(name, value);
            }
        }
        query.finish()
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

impl Codes {
    /// Where "Allow" leads: back to the app, with a code.
    pub(crate) fn approve(&mut self, ask: Ask, now: Timestamp) -> Response {
        let Some(code) = secret("code") else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let back = ask.back("code", &code);
        let expires_at = now + CODE_LIFE;
        self.0.retain(|_, code| code.expires_at > now);
        self.0.insert(code, Code { ask, expires_at });
        Redirect::to(&back).into_response()
    }

    /// What was allowed, once.
    pub(crate) fn redeem(
        &mut self,
        code: &str,
        redirect_uri: &str,
        verifier: Option<&str>,
        now: Timestamp,
    ) -> Result<Ask, Mismatch> {
        let code = self.0.remove(code).filter(|code| code.expires_at > now);
        let ask = code.ok_or(Mismatch::Code)?.ask;
        if ask.redirect_uri != redirect_uri {
            return Err(Mismatch::RedirectUri);
        }
        let answered = verifier.map(|verifier| match ask.code_challenge_method.as_deref() {
            Some("S256") => URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)),
            _ => verifier.to_owned(),
        });
        if ask.code_challenge != answered {
            return Err(Mismatch::Verifier);
        }
        Ok(ask)
    }
}

/// Something that nobody can guess and that says where it comes from.
pub(crate) fn secret(kind: &str) -> Option<String> {
    let bytes: [u8; 24] = ring::rand::generate(&SystemRandom::new()).ok()?.expose();
    Some(format!("sandbox-{kind}-{}", URL_SAFE_NO_PAD.encode(bytes)))
}
