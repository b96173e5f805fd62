//! MCP servers that an organization registered: their addresses, their tools, and calls of them.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use mcp_kit::{Client, Code, Policy, Request, ToolError};
use reqwest::Url;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{CallError, Registered};
use crate::{jobs::Failure, sidecars::Errand, state::App};

/// Name of all of them in metrics; their own names are an organization's business.
const NAME: &str = "agent";
const RESULT_LIMIT: usize = 256 * 1024;

/// A tool as its server lists it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemoteTool {
    pub name: String,
    pub description: String,
    /// It takes an `idempotency_key`, or changes nothing: a call that broke off is repeated. Any other is left to a person
    /// then.
    pub is_repeatable: bool,
}

/// The tools of the agent.
pub async fn list_tools(
    app: &App,
    agent: &Registered,
    deadline: Instant,
) -> Result<Vec<RemoteTool>, ToolError> {
    let tools = client(app, agent)?.list_tools(deadline).await?;
    let tools = tools.into_iter().map(|tool| {
        let takes_key = takes_key(&tool.input_schema);
        let hints = tool.annotations.as_ref();
        let is_harmless = hints.is_some_and(|hints| {
            hints.read_only_hint == Some(true) || hints.idempotent_hint == Some(true)
        });
        RemoteTool {
            name: tool.name.into_owned(),
            description: tool.description.map(Into::into).unwrap_or_default(),
            is_repeatable: takes_key || is_harmless,
        }
    });
    Ok(tools.collect())
}

/// Calls a tool of the agent. `broke_off` says that an earlier attempt ended without a word.
pub async fn call(
    app: &App,
    agent: &Registered,
    tool: &str,
    errand: &Errand,
    input: &Value,
    broke_off: bool,
) -> Result<Value, CallError> {
    let client = client(app, agent).map_err(|error| failed(&error, false))?;
    let listed = client.list_tools(errand.deadline).await;
    let listed = listed.map_err(|error| failed(&error, true))?;
    let Some(listed) = listed.into_iter().find(|listed| listed.name == tool) else {
        let error = "the agent does not have this tool any more".to_owned();
        return Err(CallError::certain(Failure::Fatal(error)));
    };
    let takes_key = takes_key(&listed.input_schema);
    let is_harmless = listed.annotations.as_ref().is_some_and(|hints| {
        hints.read_only_hint == Some(true) || hints.idempotent_hint == Some(true)
    });
    let is_repeatable = takes_key || is_harmless;
    if broke_off && !is_repeatable {
        return Err(CallError::left_to_a_person());
    }
    let mut request =
        Request::new(tool, input, errand.deadline).map_err(|error| failed(&error, false))?;
    request.request_id = errand.request_id.as_deref().map(Into::into);
    if takes_key {
        request = request.with_idempotency_key(&errand.idempotency_key);
    } else if is_harmless {
        request = request.read_only();
    }
    match client.call(&request).await {
        Ok(value) => Ok(value),
        Err(error) if is_repeatable || error.is_undone => Err(failed(&error, true)),
        Err(error) if matches!(error.code, Code::Unavailable | Code::Timeout) => {
            Err(CallError::left_to_a_person())
        }
        Err(error) => Err(failed(&error, false)),
    }
}

/// Refuses an address that is no public one, unless the operator allows its network (`AGENT_ALLOWED_NETWORKS`). Names are
/// not resolved here.
pub fn check_address(url: &str, allowed: &[IpNet]) -> Result<(), String> {
    let url: Url = url
        .parse()
        .map_err(|_| "must be an address such as https://agents.example/mcp".to_owned())?;
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if !matches!(url.scheme(), "https" | "http") || host.is_empty() {
        return Err("must be an http or https address".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(
            "must have no user, password or fragment; give the token as `token`".to_owned(),
        );
    }
    let inner = "must be a public address, or in a network of AGENT_ALLOWED_NETWORKS".to_owned();
    let Ok(address) = host.parse::<IpAddr>() else {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let is_inner = !name.contains('.')
            || [".localhost", ".local", ".internal", ".home.arpa"]
                .iter()
                .any(|end| name.ends_with(end));
        return if is_inner { Err(inner) } else { secure(&url) };
    };
    let address = address.to_canonical();
    if allowed.iter().any(|network| network.contains(&address)) {
        return Ok(());
    }
    if is_public(address) {
        secure(&url)
    } else {
        Err(inner)
    }
}

/// Over the public network a token goes encrypted or not at all.
fn secure(url: &Url) -> Result<(), String> {
    if url.scheme() == "https" {
        return Ok(());
    }
    Err("must be an https address".to_owned())
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_special =
                a == 0 || a >= 240 || (a, b, c) == (192, 0, 0) || (a == 198 && b & 0xfe == 18);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || is_shared
                || is_special)
        }
        // What is in use of the global unicast addresses, without documentation, 6to4 and Teredo.
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            let is_special = a == 0x2002 || (a == 0x2001 && (b == 0 || b == 0xdb8));
            a & 0xe000 == 0x2000 && !is_special
        }
    }
}

fn client(app: &App, agent: &Registered) -> Result<Client, ToolError> {
    let policy = Policy {
        // The run's own attempts are enough, and each ends in a state that it keeps.
        attempts: 1,
        attempt_timeout: Duration::from_mins(5),
        response_limit: RESULT_LIMIT,
        ..Policy::default()
    };
    // The networks that are allowed may have changed since it was registered.
    check_address(&agent.url, &app.orchestrations.agent_networks).map_err(ToolError::refused)?;
    let metrics = &app.metrics.sidecars;
    Client::mcp(NAME, &agent.url, agent.token.clone(), policy, metrics).map_err(ToolError::internal)
}

fn takes_key(schema: &serde_json::Map<String, Value>) -> bool {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.is_some_and(|properties| properties.contains_key("idempotency_key"))
}

/// What a failed call means for its job.
fn failed(error: &ToolError, is_repeatable: bool) -> CallError {
    let words = error.message.to_string();
    let failure = match error.code {
        Code::Unavailable | Code::RateLimited => Failure::Away {
            error: words,
            after: error.retry_after,
        },
        Code::Timeout if is_repeatable => Failure::Retry {
            error: words,
            after: None,
        },
        Code::Internal => Failure::Fatal(
            "the agent does not take our token, does not know the tool, or answers what is no MCP"
                .to_owned(),
        ),
        _ => Failure::Fatal(words),
    };
    CallError::of(failure, error.code == Code::Timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_taken() {
        for right in [
            "https://agents.example/mcp",
            "https://93.184.216.34/mcp",
            "https://[2606:4700::1111]/mcp",
        ] {
            assert_eq!(check_address(right, &[]), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "agents.example",
            "ftp://agents.example",
            "https://u:p@agents.example",
            "http://agents.example/mcp",
            "https://localhost/mcp",
            "https://mcp-postgres:3000",
            "https://x.internal",
            "https://127.0.0.1",
            "https://127.1",
            "https://2130706433",
            "https://0x7f000001",
            "https://10.1.2.3",
            "https://100.64.0.1",
            "https://169.254.169.254",
            "https://192.168.0.1",
            "https://172.16.0.1",
            "https://0.0.0.0",
            "https://[::1]",
            "https://[::ffff:127.0.0.1]",
            "https://[fd00::1]",
            "https://[fe80::1]",
            "https://[2002:7f00:1::]",
            "https://224.0.0.1",
            "https://localhost.",
        ] {
            assert!(check_address(wrong, &[]).is_err(), "{wrong}");
        }
        let allowed = ["127.0.0.0/8".parse().unwrap()];
        assert_eq!(check_address("http://127.0.0.1:9000/mcp", &allowed), Ok(()));
        assert!(check_address("http://10.0.0.1/mcp", &allowed).is_err());
    }
}
