//! Calls of Slack's Web API.

use std::time::Duration;

use mcp_kit::{Call, Metrics, Outgoing, Policy, Provider, Reply, ToolError};
use reqwest::{Method, Url};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    error::{explain, refused},
    settings::Settings,
};

/// An argument of a method.
pub(crate) type Argument = (&'static str, String);

/// The Web API and the place where files go, with the token of the call.
pub(crate) struct Client {
    api: Provider,
    files: Provider,
    files_url: Url,
    token: Option<SecretString>,
}

impl Client {
    pub fn new(settings: &Settings, metrics: &Metrics) -> anyhow::Result<Self> {
        let policy = Policy {
            explain: Some(explain),
            ..Policy::default()
        };
        let api = Provider::new("slack", &settings.slack_api_url, policy, metrics)?;
        let uploads = Policy {
            attempt_timeout: Duration::from_secs(25),
            at_once: 4,
            ..policy
        };
        Ok(Self {
            api,
            files: Provider::new("slack-files", &settings.slack_files_url, uploads, metrics)?,
            files_url: settings.slack_files_url.parse()?,
            token: settings.token()?,
        })
    }

    /// A method that changes nothing; repeated after failures.
    pub async fn read<T: DeserializeOwned>(
        &self,
        call: &Call,
        method: &'static str,
        arguments: Vec<Argument>,
    ) -> Result<T, ToolError> {
        let mut request = Outgoing::new(Method::GET, [method]);
        for (name, value) in arguments {
            request = request.query(name, value);
        }
        self.send(call, request).await
    }

    /// A method that changes something; repeated only if surely nothing happened.
    pub async fn write<T: DeserializeOwned>(
        &self,
        call: &Call,
        method: &'static str,
        arguments: Vec<Argument>,
    ) -> Result<T, ToolError> {
        let request = Outgoing::new(Method::POST, [method]).form(arguments);
        self.send(call, request).await
    }

    /// A method that changes something in a way that a second time changes nothing more; repeated after failures.
    pub async fn set<T: DeserializeOwned>(
        &self,
        call: &Call,
        method: &'static str,
        arguments: Vec<Argument>,
    ) -> Result<T, ToolError> {
        let request = Outgoing::new(Method::POST, [method]).form(arguments);
        self.send(call, request.repeatable()).await
    }

    /// Sends bytes to the address that Slack gave, if it is where files go. No token goes along.
    pub async fn upload(
        &self,
        call: &Call,
        address: &str,
        bytes: Vec<u8>,
    ) -> Result<(), ToolError> {
        let address: Url = address
            .parse()
            .map_err(|_| strange("an address that is none"))?;
        let base = self.files_url.path().trim_end_matches('/');
        let path = address.path().strip_prefix(base);
        let path = path.filter(|_| address.origin() == self.files_url.origin());
        let path =
            path.ok_or_else(|| strange("an address for uploads that is not SLACK_FILES_URL"))?;
        let mut request = Outgoing::new(
            Method::POST,
            path.split('/').filter(|part| !part.is_empty()),
        );
        for (name, value) in address.query_pairs() {
            request = request.query(&name, value);
        }
        let reply = self
            .files
            .send(call, request.bytes("application/octet-stream", bytes))
            .await?;
        if reply.status.is_success() {
            return Ok(());
        }
        let said = format!("Slack did not take the file ({})", reply.status.as_u16());
        Err(ToolError::refused(said))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        call: &Call,
        request: Outgoing,
    ) -> Result<T, ToolError> {
        let token = call.account.as_ref().map(|account| &account.token);
        let token = token.or(self.token.as_ref()).ok_or_else(|| {
            ToolError::refused(
                "set SLACK_BOT_TOKEN (or SLACK_BOT_TOKEN_FILE), or connect a Slack account",
            )
        })?;
        let reply = self.api.send(call, request.bearer(token)).await?;
        answer(&reply)
    }
}

/// Slack says in the body whether it worked; the status is 200 either way.
fn answer<T: DeserializeOwned>(reply: &Reply) -> Result<T, ToolError> {
    let answer: Value = reply.json()?;
    if answer["ok"] != true {
        return Err(refused(&answer));
    }
    reply.json()
}

/// Not what Slack would send; somebody in between may have answered, so that the outcome is unknown.
fn strange(what: &str) -> ToolError {
    ToolError::unavailable(format!("Slack gave {what}"), Duration::from_secs(5))
}
