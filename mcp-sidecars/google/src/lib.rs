//! Google for the sidecars of Drive and Calendar: access tokens kept fresh, one way to send, and Google's errors in
//! the words of our tools.

mod assertion;
mod credentials;
mod failure;
mod settings;

pub use credentials::Credentials;
pub use failure::{GoogleError, failure};
pub use settings::GoogleSettings;

use std::{sync::Arc, time::Duration};

use mcp_kit::{
    Call, Caller, Incoming, Metrics, Outgoing, Policy, Provider, Reply, Road, ToolError,
};
use reqwest::StatusCode;
use tokio::time::Instant;

/// One of Google's interfaces, with a token on every request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Google {
    provider: Provider,
    credentials: Credentials,
}

impl Google {
    /// A client of the interface below `GOOGLE_BASE_URL`; `name` labels the metrics, such as `google_calendar`.
    /// Without credentials it is made all the same, and calls without an account of their own are refused.
    ///
    /// # Errors
    /// An address that is none, or credentials that are incomplete or cannot be read.
    pub fn new(
        name: &'static str,
        settings: &GoogleSettings,
        scopes: &[&str],
        policy: Policy,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let policy = Policy {
            explain: Some(GoogleError::explain),
            ..policy
        };
        Ok(Self {
            provider: Provider::new(name, &settings.google_base_url, policy, metrics)?,
            credentials: Credentials::new(settings, scopes, metrics)?,
        })
    }

    /// Google's answer with any status but 401, 408, 429 and 5xx. A token that is no longer taken is replaced once.
    ///
    /// # Errors
    /// As [`Credentials::token`] and [`Provider::send`]; `REFUSED` if Google takes no token of ours.
    pub async fn exchange(&self, call: &Call, request: Outgoing) -> Result<Reply, ToolError> {
        let token = self.credentials.token(call).await?;
        let reply = self
            .provider
            .send(call, request.clone().bearer(&token))
            .await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return Ok(reply);
        }
        if call.account.is_some() {
            return Err(unauthorized(call, &reply));
        }
        self.credentials.refused(&token).await;
        let token = self.credentials.token(call).await?;
        let reply = self.provider.send(call, request.bearer(&token)).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            return Err(unauthorized(call, &reply));
        }
        Ok(reply)
    }

    /// Google's answer to read piece by piece, if it is a good one.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn open(&self, call: &Call, request: Outgoing) -> Result<Incoming, ToolError> {
        let token = self.credentials.token(call).await?;
        let first = request.clone().bearer(&token);
        let mut incoming = self.provider.open(call, first).await?;
        if incoming.status == StatusCode::UNAUTHORIZED && call.account.is_none() {
            self.credentials.refused(&token).await;
            let token = self.credentials.token(call).await?;
            incoming = self.provider.open(call, request.bearer(&token)).await?;
        }
        if incoming.status.is_success() {
            return Ok(incoming);
        }
        let reply = incoming.whole().await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            return Err(unauthorized(call, &reply));
        }
        Err(failure(&reply))
    }

    /// Google's answer if it is a good one.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange), and Google's own refusal as [`failure()`] says it.
    pub async fn send(&self, call: &Call, request: Outgoing) -> Result<Reply, ToolError> {
        let reply = self.exchange(call, request).await?;
        if reply.status.is_success() {
            Ok(reply)
        } else {
            Err(failure(&reply))
        }
    }

    /// Whether Google is there and takes our credentials, by a request that changes nothing.
    ///
    /// # Errors
    /// Why not.
    pub async fn ready(&self, request: Outgoing) -> anyhow::Result<()> {
        let mut call = Call::new(Arc::new(Caller::local()), Road::Stdio, "ready");
        call.deadline = Instant::now() + Duration::from_secs(2);
        let answer = self.send(&call, request).await;
        answer
            .map(|_| ())
            .map_err(|error| anyhow::anyhow!("{}: {}", error.code.as_str(), error.message))
    }
}

/// Google takes no token for this call.
fn unauthorized(call: &Call, reply: &Reply) -> ToolError {
    let words = if call.account.is_some() {
        "Google no longer takes the token of this account; connect the account anew"
    } else {
        "Google does not take our tokens; check the credentials of this server"
    };
    ToolError::refused(words).with_details(GoogleError::of(reply).details())
}
