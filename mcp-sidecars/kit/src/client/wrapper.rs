//! The road over a sidecar's HTTP wrapper: the kit's provider client, and problem details read back.

use reqwest::Method;
use rmcp::model::Tool as ToolDefinition;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{outcome, request::Request};
use crate::{
    auth::{PROVIDER_ACCOUNT, PROVIDER_TOKEN},
    error::ToolError,
    provider::{Outgoing, Provider, Reply, retry_after},
};

pub(super) struct Wrapper {
    pub(super) name: &'static str,
    pub(super) server: Provider,
    pub(super) token: Option<SecretString>,
}

#[derive(Deserialize)]
struct List {
    tools: Vec<ToolDefinition>,
}

#[derive(Deserialize)]
struct Answer {
    result: Value,
}

impl Wrapper {
    pub(super) async fn list_tools(
        &self,
        deadline: Instant,
    ) -> Result<Vec<ToolDefinition>, ToolError> {
        let outgoing = Outgoing::new(Method::GET, ["mcp", "tools"]);
        let reply = self.send(deadline, outgoing).await?;
        Ok(reply.json::<List>()?.tools)
    }

    pub(super) async fn call(&self, request: &Request) -> Result<Value, ToolError> {
        let mut outgoing = Outgoing::new(Method::POST, ["mcp", "tools", &request.tool])
            .query("timeout_ms", request.timeout_ms().to_string())
            .json(&request.arguments())?;
        for (name, value) in request.headers() {
            outgoing = outgoing.header(name, value);
        }
        if let Some(account) = &request.account {
            outgoing = outgoing
                .header(PROVIDER_ACCOUNT, &*account.id)
                .secret_header(PROVIDER_TOKEN, &account.token);
        }
        if let Some(key) = &request.idempotency_key {
            outgoing = outgoing.header("idempotency-key", key);
        }
        if request.is_repeatable() {
            outgoing = outgoing.repeatable();
        }
        let reply = self.send(request.deadline, outgoing).await?;
        Ok(reply.json::<Answer>()?.result)
    }

    async fn send(&self, deadline: Instant, mut outgoing: Outgoing) -> Result<Reply, ToolError> {
        if let Some(token) = &self.token {
            outgoing = outgoing.bearer(token);
        }
        let reply = self
            .server
            .send_by(deadline, outgoing.take_problems())
            .await?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        let problem = serde_json::from_slice(&reply.body).unwrap_or_default();
        let wait = retry_after(&reply.headers);
        Err(outcome::of_problem(
            self.name,
            reply.status.as_u16(),
            problem,
            wait,
        ))
    }
}
