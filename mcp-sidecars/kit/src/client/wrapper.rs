//! The road over a sidecar's HTTP wrapper: the kit's provider client, and problem details read back.

use std::fmt::Write;

use bytes::Bytes;
use futures_util::Stream;
use reqwest::{Method, header::HeaderMap};
use rmcp::model::Tool as ToolDefinition;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{outcome, request::Request};
use crate::{
    auth::{PROVIDER_ACCOUNT, PROVIDER_TOKEN},
    error::ToolError,
    provider::{Incoming, Outgoing, Provider, Reply, retry_after},
};

/// What is read of a problem's body, in bytes.
const LONGEST_PROBLEM: usize = 64 * 1024;

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
        let outgoing = outgoing(Method::POST, &["mcp", "tools", &request.tool], request);
        let mut outgoing = outgoing.json(&request.arguments())?;
        if request.is_repeatable() {
            outgoing = outgoing.repeatable();
        }
        let reply = self.send(request.deadline, outgoing).await?;
        Ok(reply.json::<Answer>()?.result)
    }

    pub(super) async fn send_content(
        &self,
        request: &Request,
        media_type: &str,
        length: Option<u64>,
        pieces: impl Stream<Item = Result<Bytes, ToolError>> + Send + 'static,
    ) -> Result<Value, ToolError> {
        let outgoing = beside_content(Method::POST, request)?;
        let outgoing = outgoing.stream(media_type, length, pieces);
        let reply = self.send(request.deadline, outgoing).await?;
        Ok(reply.json::<Answer>()?.result)
    }

    pub(super) async fn fetch_content(
        &self,
        request: &Request,
        range: Option<&str>,
    ) -> Result<Incoming, ToolError> {
        let mut outgoing = beside_content(Method::GET, request)?;
        if let Some(range) = range {
            outgoing = outgoing.header("range", range);
        }
        let outgoing = self.as_us(outgoing).take_problems();
        let mut incoming = self.server.open_by(request.deadline, outgoing).await?;
        if incoming.status.is_success() {
            return Ok(incoming);
        }
        let (status, headers) = (incoming.status, incoming.headers.clone());
        let mut body = Vec::new();
        while body.len() < LONGEST_PROBLEM
            && let Some(piece) = incoming.chunk().await?
        {
            body.extend_from_slice(&piece);
        }
        Err(self.problem(status.as_u16(), &headers, &body))
    }

    fn as_us(&self, outgoing: Outgoing) -> Outgoing {
        match &self.token {
            Some(token) => outgoing.bearer(token),
            None => outgoing,
        }
    }

    async fn send(&self, deadline: Instant, outgoing: Outgoing) -> Result<Reply, ToolError> {
        let outgoing = self.as_us(outgoing).take_problems();
        let reply = self.server.send_by(deadline, outgoing).await?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        Err(self.problem(reply.status.as_u16(), &reply.headers, &reply.body))
    }

    fn problem(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> ToolError {
        let problem = serde_json::from_slice(body).unwrap_or_default();
        outcome::of_problem(self.name, status, problem, retry_after(headers))
    }
}

/// What every call says beside its arguments.
fn outgoing(method: Method, path: &[&str], request: &Request) -> Outgoing {
    let mut outgoing = Outgoing::new(method, path.iter().copied())
        .query("timeout_ms", request.timeout_ms().to_string());
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
    outgoing
}

/// A call whose arguments are in a header, because the body is for bytes.
fn beside_content(method: Method, request: &Request) -> Result<Outgoing, ToolError> {
    let arguments = serde_json::to_string(&request.arguments).map_err(ToolError::internal)?;
    let path = ["mcp", "tools", &request.tool, "content"];
    Ok(outgoing(method, &path, request).header("tool-arguments", in_ascii(&arguments)))
}

/// JSON in which everything but printable ASCII is escaped: it stands in a header as it is.
fn in_ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if matches!(letter, ' '..='~') {
            text.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_ascii_is_the_same_json() {
        let value = serde_json::json!({ "name": "Plänė \"\u{7f}\r\n 🎉\\" });
        let text = in_ascii(&value.to_string());
        assert!(
            text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value));
    }
}
