//! What goes round every call, on every road: authorize → validate → limit → deadline → catch → redact → record.

use std::{any::Any, borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use anyhow::anyhow;
use futures_util::FutureExt;
use rmcp::model::{CallToolResponse, JsonObject};
use serde_json::Value;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::{
    call::Call,
    content::Download,
    error::{Code, Failure, ToolError},
    limits::Limits,
    metrics::Metrics,
    record::Record,
    redact::Redactor,
    tool::{Answer, Running, Tool},
    tools::Registry,
};

/// Longest message that a caller sees, in characters.
const LONGEST_MESSAGE: usize = 500;

/// What holds for every call.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Longest time for a call; a tool's own takes its place, a caller's can only shorten it.
    pub timeout: Duration,
    /// Largest result, in bytes of JSON.
    pub result_limit: usize,
}

/// The tools behind their guard.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) registry: Registry,
    pub(crate) limits: Limits,
    pub(crate) bounds: Bounds,
    pub(crate) redactor: Redactor,
    pub(crate) metrics: Metrics,
}

/// A call that ended well.
#[derive(Debug)]
pub(crate) enum Success {
    /// A result and its JSON text.
    Value(Value, String),
    Mcp(Box<CallToolResponse>),
    /// Still to be sent, and recorded then.
    Content(Box<Download>),
}

impl Guard {
    /// Calls the tool of that name. Whatever happens inside, the answer comes before the deadline and is recorded.
    pub(crate) async fn call(
        &self,
        name: &str,
        mut call: Call,
        arguments: JsonObject,
    ) -> Result<Success, Failure> {
        let redactor = call
            .account
            .as_ref()
            .map_or(Cow::Borrowed(&self.redactor), |account| {
                Cow::Owned(self.redactor.and(&account.token))
            });
        let tool = self.registry.get(name);
        let label = tool.map_or(Cow::Borrowed("unknown"), |tool| {
            tool.definition.name.clone()
        });
        let mut record = Record::begin(
            self.registry.sidecar,
            label,
            &call,
            &arguments,
            &self.metrics,
        );
        let Some(tool) = tool else {
            return record.end(Err(Failure::UnknownTool), &redactor);
        };
        call.deadline = Instant::now() + self.timeout(tool, &call);
        let ended = self.admit(tool, &call, arguments);
        let ended = match ended {
            Ok((running, place)) => {
                let answer = run(running, &call).await;
                if let Ok(Answer::Content(download)) = answer {
                    let guarded = download.guarded(&call, place, record);
                    return Ok(Success::Content(Box::new(guarded)));
                }
                drop(place);
                answer.and_then(|answer| self.finish(answer, &redactor))
            }
            Err(failure) => Err(failure),
        };
        record.end(
            ended.map_err(|failure| clean(failure, &redactor)),
            &redactor,
        )
    }

    fn timeout(&self, tool: &Tool, call: &Call) -> Duration {
        let longest = tool.timeout.unwrap_or(self.bounds.timeout);
        call.timeout.map_or(longest, |asked| asked.min(longest))
    }

    /// Authorizes, validates and finds a place; nothing of the tool has run yet but the reading of its arguments.
    fn admit(
        &self,
        tool: &Tool,
        call: &Call,
        arguments: JsonObject,
    ) -> Result<(Running, OwnedSemaphorePermit), Failure> {
        if !call.caller.may(tool.scope) {
            // Once is enough: a call has one tool.
            let _ = call.missing_scope.set(tool.scope);
            return Err(Failure::Forbidden { scope: tool.scope });
        }
        let prepare = AssertUnwindSafe(|| tool.prepare(call.clone(), arguments));
        let running =
            std::panic::catch_unwind(prepare).map_err(|panic| panicked(panic.as_ref()))??;
        let place = self.limits.enter(&call.caller)?;
        Ok((running, place))
    }

    /// Caps the result's size and takes secrets out of it.
    fn finish(&self, answer: Answer, redactor: &Redactor) -> Result<Success, Failure> {
        let value = match answer {
            Answer::Mcp(response) => return Ok(Success::Mcp(response)),
            Answer::Value(value) => value,
            Answer::Content(download) => return Ok(Success::Content(download)),
        };
        let text = value.to_string();
        if text.len() > self.bounds.result_limit {
            let message = format!(
                "the result has {} bytes of {}; ask for less",
                text.len(),
                self.bounds.result_limit
            );
            return Err(ToolError::refused(message).into());
        }
        let shown = redactor.known(&text);
        if shown == text {
            return Ok(Success::Value(value, text));
        }
        let value = serde_json::from_str(&shown).map_err(ToolError::internal)?;
        Ok(Success::Value(value, shown.into_owned()))
    }
}

/// Redacts and shortens what the caller reads.
fn clean(failure: Failure, redactor: &Redactor) -> Failure {
    let Failure::Tool(mut error) = failure else {
        return failure;
    };
    let message = redactor.text(&error.message);
    error.message = message
        .chars()
        .take(LONGEST_MESSAGE)
        .collect::<String>()
        .into();
    if let Some(details) = &error.details {
        let shown = redactor.text(&details.to_string());
        error.details = serde_json::from_str(&shown).ok();
    }
    Failure::Tool(error)
}

/// Runs the work until it ends, panics, is too late or nobody waits for it.
async fn run(running: Running, call: &Call) -> Result<Answer, Failure> {
    let caught = AssertUnwindSafe(running).catch_unwind();
    tokio::select! {
        ended = tokio::time::timeout_at(call.deadline, caught) => match ended {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => Err(panicked(panic.as_ref())),
            Err(_) => Err(ToolError::timeout().into()),
        },
        () = call.cancelled.cancelled() => Err(Failure::Abandoned),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    ToolError::internal(anyhow!("panic: {}", words.unwrap_or("without words"))).into()
}

impl Failure {
    /// For metrics and the audit line.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::UnknownTool => "unknown_tool",
            Self::Forbidden { .. } => "forbidden",
            Self::NeedsMcp => "refused",
            Self::Abandoned => "abandoned",
            Self::Protocol(_) => "protocol_error",
            Self::Tool(error) => error.outcome(),
        }
    }
}

impl ToolError {
    /// For metrics and the audit line.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.code {
            Code::Invalid => "invalid",
            Code::Refused => "refused",
            Code::NotFound => "not_found",
            Code::RateLimited => "rate_limited",
            Code::Unavailable => "unavailable",
            Code::Timeout => "timeout",
            Code::Internal => "internal",
        }
    }
}

/// Shared by all roads.
pub(crate) type SharedGuard = Arc<Guard>;
