//! Access tokens: fetched when needed, kept until shortly before they end, fetched once for everybody who waits.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use mcp_kit::{Call, Metrics, Outgoing, Policy, Provider, Reply, ToolError};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    assertion::{assertion, key},
    settings::{GoogleSettings, Grant},
};

/// So long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_mins(1);
/// So long nobody asks again after Google refused our credentials.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// Our credentials at Google, for fixed scopes. Cheap to clone; clones share the token.
#[derive(Debug, Clone)]
pub struct Credentials(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    provider: Provider,
    grant: Option<Grant>,
    /// Separated by spaces.
    scopes: String,
    /// Locked while a token is fetched, so that everybody else waits for that one.
    kept: Mutex<Option<Kept>>,
}

/// What the token endpoint said last, and until when that holds.
#[derive(Debug)]
struct Kept {
    until: Instant,
    answer: Result<SecretString, Denied>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    expires_in: u64,
}

/// What the token endpoint says of a refusal.
#[derive(Debug, Clone, Deserialize)]
struct Denied {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Denied {
    fn details(&self) -> Value {
        json!({ "provider_code": self.error, "provider_message": self.error_description })
    }
}

impl Credentials {
    /// # Errors
    /// An address that is none, or credentials that are incomplete or cannot be read.
    pub fn new(
        settings: &GoogleSettings,
        scopes: &[&str],
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let policy = Policy {
            explain: Some(|reply| reply.json::<Denied>().ok().map(|denied| denied.details())),
            ..Policy::default()
        };
        let provider = Provider::new("google_oauth", &settings.google_token_url, policy, metrics)?;
        let grant = settings.grant()?;
        if let Some(Grant::ServiceAccount { account, .. }) = &grant {
            key(account)?;
        }
        Ok(Self(Arc::new(Inner {
            provider,
            grant,
            scopes: scopes.join(" "),
            kept: Mutex::default(),
        })))
    }

    /// The token of the call's account, else ours.
    ///
    /// # Errors
    /// `REFUSED` without credentials or if Google does not take them; as [`Provider::send`] if it does not answer.
    pub async fn token(&self, call: &Call) -> Result<SecretString, ToolError> {
        if let Some(account) = &call.account {
            return Ok(account.token.clone());
        }
        let grant = self.0.grant.as_ref().ok_or_else(|| {
            ToolError::refused(
                "this server has no Google credentials: set GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET and GOOGLE_REFRESH_TOKEN, or GOOGLE_SERVICE_ACCOUNT_FILE, or send an account with the call",
            )
        })?;
        let mut kept = self.0.kept.lock().await;
        let current = kept.as_ref().filter(|kept| Instant::now() < kept.until);
        if let Some(current) = current {
            return current.answer.clone().map_err(|denied| refusal(&denied));
        }
        let fetched = self.0.fetch(call, grant).await?;
        let answer = fetched.answer.clone();
        *kept = Some(fetched);
        answer.map_err(|denied| refusal(&denied))
    }

    /// Google no longer takes this token: the next call fetches another, once.
    pub async fn refused(&self, token: &SecretString) {
        let mut kept = self.0.kept.lock().await;
        let is_same = kept.as_ref().is_some_and(|kept| {
            let answer = kept.answer.as_ref();
            answer.is_ok_and(|held| held.expose_secret() == token.expose_secret())
        });
        if is_same {
            *kept = None;
        }
    }
}

impl Inner {
    async fn fetch(&self, call: &Call, grant: &Grant) -> Result<Kept, ToolError> {
        let request = Outgoing::new(Method::POST, Vec::<String>::new()).repeatable();
        let request = match grant {
            Grant::RefreshToken {
                client_id,
                client_secret,
                refresh_token,
            } => request.form([
                ("grant_type", "refresh_token"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose_secret()),
                ("refresh_token", refresh_token.expose_secret()),
            ]),
            Grant::ServiceAccount { account, person } => {
                let signed = assertion(account, person.as_deref(), &self.scopes, now())?;
                request.form([
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", signed.expose_secret()),
                ])
            }
        };
        let reply = self.provider.send(call, request).await?;
        read(&reply)
    }
}

fn read(reply: &Reply) -> Result<Kept, ToolError> {
    let now = Instant::now();
    if !reply.status.is_success() {
        let denied = reply.json().unwrap_or_else(|_| Denied {
            error: reply.status.as_u16().to_string(),
            error_description: String::new(),
        });
        let until = now + REFUSED_FOR;
        return Ok(Kept {
            until,
            answer: Err(denied),
        });
    }
    let granted: Granted = reply.json()?;
    let lifetime = Duration::from_secs(granted.expires_in);
    Ok(Kept {
        until: now + lifetime.saturating_sub(MARGIN),
        answer: Ok(granted.access_token),
    })
}

fn refusal(denied: &Denied) -> ToolError {
    let what = match denied.error.as_str() {
        "invalid_client" => "the OAuth client: check GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET",
        "invalid_grant" => {
            "the refresh token or the service account's key: it was taken back, has ended, or the clock is wrong"
        }
        "unauthorized_client" => {
            "that the service account acts for GOOGLE_IMPERSONATE: allow its scopes in the Admin console"
        }
        _ => "our credentials",
    };
    ToolError::refused(format!("Google does not take {what}")).with_details(denied.details())
}

#[expect(
    clippy::disallowed_methods,
    reason = "Google holds an assertion against its own clock"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use mcp_kit::Reply;
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;

    fn reply(status: StatusCode, body: &str) -> Reply {
        let (headers, body) = (HeaderMap::new(), body.into());
        Reply {
            provider: "google",
            status,
            headers,
            body,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_used_until_a_minute_before_its_end() {
        let body = r#"{"access_token":"a-token","expires_in":3599,"token_type":"Bearer"}"#;
        let kept = read(&reply(StatusCode::OK, body)).unwrap();
        assert_eq!(kept.until - Instant::now(), Duration::from_secs(3539));
        assert_eq!(kept.answer.unwrap().expose_secret(), "a-token");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_kept_for_seconds_only() {
        let body = r#"{"error":"invalid_grant","error_description":"Token has been revoked."}"#;
        let kept = read(&reply(StatusCode::BAD_REQUEST, body)).unwrap();
        assert_eq!(kept.until - Instant::now(), Duration::from_secs(10));
        assert_eq!(kept.answer.unwrap_err().error, "invalid_grant");
    }
}
