//! MCP servers that an organization registered: their addresses, their tools, and calls of them.

use std::time::Duration;

use mcp_kit::{Client, Code, Policy, Request, ToolAnnotations, ToolError};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{CallError, Registered};
use crate::{jobs::Failure, sidecars::Errand, state::App};

/// Name of all of them in metrics; their own names are an organization's business.
const NAME: &str = "agent";
const RESULT_LIMIT: usize = 256 * 1024;
/// Before a token is looked at again that lacks its key: the operator has to do something.
const SETTING_WAIT: Duration = Duration::from_mins(1);

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
        let is_repeatable = takes_key(&tool.input_schema) || is_harmless(tool.annotations.as_ref());
        RemoteTool {
            name: tool.name.into_owned(),
            description: tool.description.map(Into::into).unwrap_or_default(),
            is_repeatable,
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
    let is_harmless = is_harmless(listed.annotations.as_ref());
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
        Err(error) if is_repeatable || error.is_undone => {
            let told = failed(&error, true);
            // What the agent says of itself comes without a cause; a lost connection says nothing.
            let is_lost = error.code == Code::Unavailable && error.cause.is_some();
            Err(CallError {
                is_uncertain: told.is_uncertain || (is_lost && !error.is_undone),
                ..told
            })
        }
        Err(error) if matches!(error.code, Code::Unavailable | Code::Timeout) => {
            Err(CallError::left_to_a_person())
        }
        Err(error) => Err(failed(&error, false)),
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
    let to = app.agent_outbound.to(&agent.url);
    let (http, url) = to.map_err(|refused| ToolError::refused(format!("the address {refused}")))?;
    let token = agent.token.as_ref();
    let token = token.map(|token| token.open(app.keys.get())).transpose();
    let token = token.map_err(|error| {
        ToolError::unavailable("its token cannot be opened", SETTING_WAIT).with_cause(error)
    })?;
    let metrics = &app.metrics.sidecars;
    Client::mcp_over(http.clone(), NAME, url.as_str(), token, policy, metrics)
        .map_err(ToolError::internal)
}

fn takes_key(schema: &serde_json::Map<String, Value>) -> bool {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.is_some_and(|properties| properties.contains_key("idempotency_key"))
}

/// Whether the tool says that asking for it again does no harm.
fn is_harmless(hints: Option<&ToolAnnotations>) -> bool {
    hints.is_some_and(|hints| {
        hints.read_only_hint == Some(true) || hints.idempotent_hint == Some(true)
    })
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
