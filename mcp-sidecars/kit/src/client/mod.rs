//! One client for the tools of a sidecar, or of any MCP server, by three roads: the sidecars' HTTP wrapper, MCP's
//! Streamable HTTP, and MCP over the standard streams of a process of our own.
//!
//! Whatever the road: every call ends at its deadline, failures in a row open a breaker, only what is safe is
//! repeated, and dropping a call cancels it over there. A tool's own error comes back as that tool gave it; why a
//! server cannot be reached is for the log only, because such texts hold internal addresses.

mod connection;
mod headers;
mod mcp;
mod outcome;
mod process;
mod request;
mod wrapper;

use anyhow::Context;
use bytes::Bytes;
use futures_util::Stream;
use rmcp::model::Tool as ToolDefinition;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

pub use process::Program;
pub use request::Request;

use crate::{
    error::ToolError,
    metrics::Metrics,
    provider::{Gate, Incoming, Policy, Provider, checked_url, http_client},
};
use mcp::{Link, Mcp};
use wrapper::Wrapper;

/// A client for one server. It connects when it is first needed, and again after the server went away. Dropping it
/// ends what it started.
pub struct Client(Road);

enum Road {
    Wrapper(Wrapper),
    Mcp(Mcp),
}

impl Client {
    /// The HTTP wrapper of a sidecar at `base_url` (`POST {base_url}/mcp/tools/{tool}`). `name` is for metrics and
    /// messages.
    ///
    /// # Errors
    /// An address that is not `http` or `https`.
    pub fn http(
        name: &'static str,
        base_url: &str,
        token: Option<SecretString>,
        policy: Policy,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let server = Provider::new(name, base_url, policy, metrics)?;
        Ok(Self(Road::Wrapper(Wrapper {
            name,
            server,
            token,
        })))
    }

    /// An MCP server's endpoint, such as `https://host/mcp`; both revisions of the protocol, the newer first.
    ///
    /// # Errors
    /// An address that is not `http` or `https`.
    pub fn mcp(
        name: &'static str,
        url: &str,
        token: Option<SecretString>,
        policy: Policy,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let client = http_client(Some(policy.attempt_timeout)).context("make an HTTP client")?;
        Self::mcp_over(client, name, url, token, policy, metrics)
    }

    /// The same, by an HTTP client of the caller's, which decides what may be connected to.
    ///
    /// # Errors
    /// As [`mcp`](Self::mcp).
    pub fn mcp_over(
        client: reqwest::Client,
        name: &'static str,
        url: &str,
        token: Option<SecretString>,
        policy: Policy,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let link = Link::Http {
            url: checked_url(name, url)?.as_str().into(),
            token,
            client,
        };
        let gate = Gate::new(name, policy, metrics);
        Ok(Self(Road::Mcp(Mcp::new(gate, link))))
    }

    /// An MCP server that we start ourselves, in a process group of its own, and start again when it dies.
    pub fn stdio(name: &'static str, program: Program, policy: Policy, metrics: &Metrics) -> Self {
        let gate = Gate::new(name, policy, metrics);
        Self(Road::Mcp(Mcp::new(gate, Link::Stdio(program.into()))))
    }

    /// The tools that we may call, with their schemas as the server shows them. A `$ref` to elsewhere is not followed.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn list_tools(&self, deadline: Instant) -> Result<Vec<ToolDefinition>, ToolError> {
        match &self.0 {
            Road::Wrapper(wrapper) => wrapper.list_tools(deadline).await,
            Road::Mcp(mcp) => mcp.list_tools(deadline).await,
        }
    }

    /// Calls a tool. The result is its structured content; of a server that has none, its text.
    ///
    /// # Errors
    /// The tool's own, with its code, message, details and wait. `UNAVAILABLE` when the server is away, full or left
    /// alone after failures; `TIMEOUT` at the deadline; `REFUSED` for a result over the limit; `INTERNAL`, with the
    /// cause for the log, when we are set up wrongly: a token that is not taken, a tool that is not there.
    pub async fn call(&self, request: &Request) -> Result<Value, ToolError> {
        match &self.0 {
            Road::Wrapper(wrapper) => wrapper.call(request).await,
            Road::Mcp(mcp) => mcp.call(request).await,
        }
    }

    /// Calls a tool that takes bytes beside its arguments, `length` of them if that is known. They pass piece by piece and are
    /// sent once, key or not: who repeats the call brings them anew. An error of the stream ends the call with it.
    ///
    /// # Errors
    /// As [`call`](Self::call); `INTERNAL` for a server that is no sidecar.
    pub async fn send_content(
        &self,
        request: &Request,
        media_type: &str,
        length: Option<u64>,
        pieces: impl Stream<Item = Result<Bytes, ToolError>> + Send + 'static,
    ) -> Result<Value, ToolError> {
        let wrapper = self.wrapper()?;
        wrapper
            .send_content(request, media_type, length, pieces)
            .await
    }

    /// Calls a tool that gives bytes, up to the headers of its answer. `range` is as in RFC 9110, such as `bytes=0-99`.
    ///
    /// # Errors
    /// As [`send_content`](Self::send_content).
    pub async fn fetch_content(
        &self,
        request: &Request,
        range: Option<&str>,
    ) -> Result<Incoming, ToolError> {
        self.wrapper()?.fetch_content(request, range).await
    }

    /// Bytes go over a sidecar's own routes only.
    fn wrapper(&self) -> Result<&Wrapper, ToolError> {
        match &self.0 {
            Road::Wrapper(wrapper) => Ok(wrapper),
            Road::Mcp(mcp) => {
                let cause =
                    anyhow::anyhow!("{} is reached by MCP, which has no streams", mcp.name());
                Err(ToolError::internal(cause))
            }
        }
    }

    /// [`call`](Self::call), with the result as a type; fields that it does not know are let be.
    ///
    /// # Errors
    /// Also `INTERNAL` if the result is not of that type.
    pub async fn call_as<T: DeserializeOwned>(&self, request: &Request) -> Result<T, ToolError> {
        let value = self.call(request).await?;
        serde_path_to_error::deserialize(value)
            .with_context(|| format!("the result of {} is not what we know", request.tool))
            .map_err(Into::into)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match &self.0 {
            Road::Wrapper(wrapper) => wrapper.name,
            Road::Mcp(mcp) => mcp.name(),
        };
        write!(f, "Client({name})")
    }
}
