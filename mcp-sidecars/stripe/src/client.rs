//! The way to Stripe: whose key, which mode, and what its refusals mean.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use mcp_kit::{Account, Call, Caller, Metrics, Outgoing, Policy, Provider, Reply, Road, ToolError};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{limits::Limits, settings::StripeSettings};

/// The version of Stripe's interface that the types here are written for.
pub(crate) const API_VERSION: &str = "2026-10-28.endive";
const READY_WITHIN: Duration = Duration::from_secs(2);
/// What Stripe says of itself stays short.
const LONGEST_MESSAGE: usize = 300;
const IN_USE_RETRY: Duration = Duration::from_secs(1);

/// Stripe as one caller's call reaches it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Stripe(Arc<Inner>);

struct Inner {
    provider: Provider,
    key: Option<SecretString>,
    live_mode: bool,
    limits: Limits,
}

/// What a write came to.
pub(crate) struct Done<T> {
    pub(crate) value: T,
    /// Stripe had done it before under this key.
    pub(crate) replayed: bool,
}

pub(crate) type Form = Vec<(String, String)>;

impl Stripe {
    pub(crate) fn new(settings: &StripeSettings, metrics: &Metrics) -> anyhow::Result<Self> {
        let key = mcp_kit::settings::secret(
            settings.stripe_secret_key.as_ref(),
            settings.stripe_secret_key_file.as_deref(),
        )?;
        if let Some(key) = &key {
            let fault = mode_fault(key, settings.live_mode);
            ensure!(
                fault.is_none(),
                "STRIPE_SECRET_KEY: {}",
                fault.unwrap_or_default()
            );
        }
        let provider = Provider::new(
            "stripe",
            &settings.stripe_base_url,
            Policy {
                explain: Some(explain),
                ..Policy::default()
            },
            metrics,
        )?;
        let (live_mode, limits) = (settings.live_mode, Limits::new(settings)?);
        Ok(Self(Arc::new(Inner {
            provider,
            key,
            live_mode,
            limits,
        })))
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn secrets(&self) -> Option<SecretString> {
        self.0.key.clone()
    }

    /// Whether Stripe is there and takes our key.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let mut call = Call::new(Arc::new(Caller::local()), Road::Http, "ready");
        call.deadline = tokio::time::Instant::now() + READY_WITHIN;
        let answer: Result<Value, ToolError> = self.get(&call, &["balance"], &[]).await;
        answer
            .map(|_| ())
            .map_err(|error| anyhow::anyhow!("{}", error.message))
    }

    /// Reads; `segments` are those below `/v1`.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        call: &Call,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, ToolError> {
        let mut request = outgoing(Method::GET, segments);
        for (name, value) in query {
            request = request.query(name, value.as_str());
        }
        let reply = self.send(call, request).await?;
        self.read(&reply)
    }

    /// Writes under an idempotency key, so that it may be repeated safely.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        call: &Call,
        segments: &[&str],
        form: Form,
        key: &str,
    ) -> Result<Done<T>, ToolError> {
        let request = outgoing(Method::POST, segments)
            .form(form)
            .header("idempotency-key", scoped(call, key))
            .repeatable();
        let reply = self.send(call, request).await?;
        let replayed = reply
            .headers
            .get("idempotent-replayed")
            .is_some_and(|value| value == "true");
        Ok(Done {
            value: self.read(&reply)?,
            replayed,
        })
    }

    /// Refuses before anything is asked of Stripe; for dry runs, too.
    pub(crate) fn authorize(&self, call: &Call) -> Result<SecretString, ToolError> {
        let key = match &call.account {
            Some(Account { token, .. }) => token.clone(),
            None => self.0.key.clone().ok_or_else(|| {
                ToolError::refused("no Stripe key: set STRIPE_SECRET_KEY (or STRIPE_SECRET_KEY_FILE), or connect an account")
            })?,
        };
        match mode_fault(&key, self.0.live_mode) {
            Some(fault) => Err(ToolError::refused(fault)),
            None => Ok(key),
        }
    }

    async fn send(&self, call: &Call, request: Outgoing) -> Result<Reply, ToolError> {
        let key = self.authorize(call)?;
        let request = request.bearer(&key).header("stripe-version", API_VERSION);
        let reply = self.0.provider.send(call, request).await?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        Err(refusal(&reply))
    }

    /// The object or the list, all of our mode.
    fn read<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T, ToolError> {
        let value: Value = reply.json()?;
        let is_other = |object: &Value| {
            let livemode = object["livemode"].as_bool();
            livemode.is_some_and(|live| live != self.0.live_mode)
        };
        let listed = value["data"].as_array();
        if is_other(&value) || listed.is_some_and(|listed| listed.iter().any(is_other)) {
            return Err(ToolError::refused(
                "Stripe answered with an object of the other mode; check the key and LIVE_MODE",
            ));
        }
        reply.json()
    }
}

/// The key that Stripe sees: many organizations may share one account of Stripe, each with keys of its own.
fn scoped(call: &Call, key: &str) -> String {
    let account = call.account.as_ref().map(|account| &*account.id);
    let scope = json!([account, call.organization(), key]).to_string();
    hex::encode(Sha256::digest(scope))
}

fn outgoing(method: Method, segments: &[&str]) -> Outgoing {
    Outgoing::new(
        method,
        std::iter::once("v1").chain(segments.iter().copied()),
    )
}

/// Why a key must not be used in this mode.
fn mode_fault(key: &SecretString, live_mode: bool) -> Option<&'static str> {
    let key = key.expose_secret();
    let is = |prefixes: [&str; 2]| prefixes.iter().any(|prefix| key.starts_with(prefix));
    match (
        is(["sk_live_", "rk_live_"]),
        is(["sk_test_", "rk_test_"]),
        live_mode,
    ) {
        (true, _, true) | (_, true, false) => None,
        (true, _, false) => Some("a live key moves real money; set LIVE_MODE=true to allow it"),
        (_, true, true) => Some("a test key does not work with LIVE_MODE=true"),
        _ => Some("not a Stripe secret or restricted key (sk_test_, rk_test_, sk_live_, rk_live_)"),
    }
}

/// Stripe's refusal in the kit's words, with its own code beside them.
fn refusal(reply: &Reply) -> ToolError {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let error = &body["error"];
    let (code, kind) = (error["code"].as_str(), error["type"].as_str());
    let words = words(error);
    let mut details = details(reply, error);
    let refused = match reply.status {
        StatusCode::UNAUTHORIZED => {
            // Its words hold a part of the key.
            details["provider_message"] = "the key is not taken".into();
            ToolError::refused(
                "Stripe does not take the key: set a valid STRIPE_SECRET_KEY, or connect the account again",
            )
        }
        StatusCode::FORBIDDEN => ToolError::refused(
            "the Stripe key lacks a permission; docs/providers/stripe.md lists what is needed",
        ),
        StatusCode::CONFLICT => ToolError::unavailable(
            "the same idempotency_key is being worked on; try again",
            IN_USE_RETRY,
        ),
        _ if code == Some("resource_missing") || reply.status == StatusCode::NOT_FOUND => {
            ToolError::not_found(words)
        }
        _ if kind == Some("idempotency_error") => {
            ToolError::invalid("this idempotency_key was used for other arguments; take a new one")
        }
        status if status.is_redirection() => {
            ToolError::refused("Stripe answered with a redirect; check STRIPE_BASE_URL")
        }
        _ if error["param"].is_string() => ToolError::invalid(words),
        _ => ToolError::refused(words),
    };
    refused.with_details(details)
}

/// What Stripe says of a failure of its own.
fn explain(reply: &Reply) -> Option<Value> {
    let body: Value = reply.json().ok()?;
    let error = body.get("error").filter(|error| error.is_object())?;
    Some(details(reply, error))
}

fn details(reply: &Reply, error: &Value) -> Value {
    let code = ["code", "decline_code", "type"]
        .iter()
        .find_map(|name| error[name].as_str());
    let request_id = reply
        .headers
        .get("request-id")
        .and_then(|id| id.to_str().ok());
    json!({
        "provider_code": code,
        "provider_message": words(error),
        "provider_request_id": request_id,
        "provider_status": reply.status.as_u16(),
    })
}

fn words(error: &Value) -> String {
    let words = error["message"].as_str();
    let words = words.unwrap_or("Stripe refused without words");
    words.chars().take(LONGEST_MESSAGE).collect()
}
