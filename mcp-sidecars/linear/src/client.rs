//! Linear's GraphQL interface, and its errors in the words of our tools.

use std::{sync::Arc, time::Duration};

use mcp_kit::{Call, Caller, Metrics, Outgoing, Policy, Provider, Reply, Road, ToolError};
use reqwest::Method;
use secrecy::SecretString;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::settings::LinearSettings;

/// When to ask again if Linear does not say: its limits are counted by the hour and fill up steadily.
const RATE_LIMIT_PAUSE: Duration = Duration::from_mins(1);

/// The teams of an account. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    provider: Provider,
    key: Option<SecretString>,
    pub(crate) settings: Arc<LinearSettings>,
}

/// What Linear says no with.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Refusal {
    message: String,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Extensions {
    code: String,
    user_presentable_message: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Value>,
    #[serde(default)]
    errors: Vec<Refusal>,
}

impl Linear {
    pub(crate) fn new(settings: &LinearSettings, metrics: &Metrics) -> anyhow::Result<Self> {
        let policy = Policy::default();
        Ok(Self {
            provider: Provider::new("linear", &settings.linear_api_url, policy, metrics)?,
            key: settings.key()?,
            settings: Arc::new(settings.clone()),
        })
    }

    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        self.key.iter().cloned().collect()
    }

    /// What Linear answers to a document that may be sent twice: a query, or a mutation that is done once by its id.
    ///
    /// # Errors
    /// Linear's refusal in our words; as [`Provider::send`] if it does not answer.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        call: &Call,
        document: &str,
        variables: Value,
    ) -> Result<T, ToolError> {
        let answer = self.exchange(call, document, variables).await?;
        answer.map_err(|refusal| refusal.told(call))
    }

    /// As [`ask`](Self::ask), with Linear's own refusal where it says that the id is taken.
    pub(crate) async fn create<T: DeserializeOwned>(
        &self,
        call: &Call,
        document: &str,
        variables: Value,
    ) -> Result<Option<T>, ToolError> {
        match self.exchange(call, document, variables).await? {
            Ok(created) => Ok(Some(created)),
            Err(refusal) if refusal.is_taken() => Ok(None),
            Err(refusal) => Err(refusal.told(call)),
        }
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        call: &Call,
        document: &str,
        variables: Value,
    ) -> Result<Result<T, Refusal>, ToolError> {
        let request = Outgoing::new(Method::POST, ["graphql"]).repeatable();
        let request = match (&call.account, &self.key) {
            (Some(account), _) => request.bearer(&account.token),
            (None, Some(key)) => request.secret_header("authorization", key),
            (None, None) => {
                return Err(ToolError::refused(
                    "this server has no Linear credentials: set LINEAR_API_KEY, or send an account with the call",
                ));
            }
        };
        let body = json!({ "query": document, "variables": variables });
        let reply = self.provider.send(call, request.json(&body)?).await?;
        let answer: Answer = reply.json()?;
        if let Some(refusal) = answer.errors.into_iter().next() {
            if refusal.extensions.code == "RATELIMITED" {
                return Err(rate_limited(&reply));
            }
            return Ok(Err(refusal));
        }
        let data = answer.data.unwrap_or_default();
        let read = serde_json::from_value(data).map_err(|error| {
            let words = "linear answered with something that is not its interface";
            ToolError::unavailable(words, Duration::from_secs(5)).with_cause(error)
        });
        read.map(Ok)
    }

    /// Whether Linear is there and takes our key.
    pub(crate) async fn ready(self) -> anyhow::Result<()> {
        let mut call = Call::new(Arc::new(Caller::local()), Road::Stdio, "ready");
        call.deadline = Instant::now() + Duration::from_secs(2);
        let viewer = self.ask::<Value>(&call, "query { viewer { id } }", json!({}));
        let answer = viewer.await.map(|_| ());
        answer.map_err(|error| anyhow::anyhow!("{}: {}", error.code.as_str(), error.message))
    }
}

impl Refusal {
    /// Somebody has created an issue under this id: we, earlier.
    fn is_taken(&self) -> bool {
        self.extensions.code == "INPUT_ERROR" && self.message.starts_with("conflict on insert")
    }

    fn told(self, call: &Call) -> ToolError {
        let code = self.extensions.code;
        let words = self.extensions.user_presentable_message.unwrap_or_default();
        let details = json!({ "provider_code": code, "provider_message": words });
        let error = match code.as_str() {
            "AUTHENTICATION_ERROR" if call.account.is_some() => ToolError::refused(
                "Linear no longer takes the token of this account; connect the account anew",
            ),
            "AUTHENTICATION_ERROR" => {
                ToolError::refused("Linear does not take our key; check LINEAR_API_KEY")
            }
            "FORBIDDEN" => ToolError::refused(format!("Linear does not allow it: {words}")),
            "INPUT_ERROR" if self.message.starts_with("Entity not found") => {
                ToolError::not_found(format!("Linear does not know it: {words}"))
            }
            "INPUT_ERROR" => ToolError::refused(format!("Linear does not take it: {words}")),
            _ => {
                return ToolError::internal(anyhow::anyhow!(
                    "Linear says {code}: {}",
                    self.message
                ));
            }
        };
        error.with_details(details)
    }
}

fn rate_limited(reply: &Reply) -> ToolError {
    let wait = reply.headers.get("retry-after");
    let wait = wait.and_then(|wait| wait.to_str().ok()?.parse().ok());
    ToolError::rate_limited(wait.map_or(RATE_LIMIT_PAUSE, Duration::from_secs)).undone(true)
}
