//! Google's errors in the words of our tools.

use std::time::Duration;

use mcp_kit::{Reply, ToolError};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

/// What Google says of itself stays short.
const LONGEST_MESSAGE: usize = 300;

/// Google's own account of a refusal.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct GoogleError {
    /// Such as `notFound`, `rateLimitExceeded`; empty if the answer has none.
    pub reason: String,
    pub message: String,
}

#[derive(Deserialize)]
struct Body {
    error: Inner,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
}

impl GoogleError {
    /// What the answer says; empty where it is not Google's JSON.
    pub fn of(reply: &Reply) -> Self {
        let Ok(Body { error }) = serde_json::from_slice(&reply.body) else {
            return Self::default();
        };
        let first = error.errors.into_iter().next();
        Self {
            reason: first.map(|cause| cause.reason).unwrap_or_default(),
            message: error.message.chars().take(LONGEST_MESSAGE).collect(),
        }
    }

    /// What Google says of a failure of its own, for [`Policy::explain`](mcp_kit::Policy::explain).
    pub fn explain(reply: &Reply) -> Option<Value> {
        let said = Self::of(reply);
        (said != Self::default()).then(|| said.details())
    }

    /// For the details of a tool's error.
    pub fn details(&self) -> Value {
        json!({ "provider_code": self.reason, "provider_message": self.message })
    }
}

/// The tool's error for an answer that is no success.
pub fn failure(reply: &Reply) -> ToolError {
    let said = GoogleError::of(reply);
    let details = said.details();
    let error = match reply.status {
        StatusCode::BAD_REQUEST => {
            ToolError::invalid(format!("Google does not take this: {}", said.message))
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            ToolError::not_found("Google has no such thing, or not for this account")
        }
        StatusCode::FORBIDDEN => forbidden(&said),
        StatusCode::PRECONDITION_FAILED => {
            ToolError::refused("it was changed meanwhile: read it again, then decide anew")
        }
        StatusCode::CONFLICT => ToolError::refused("Google has another thing under this id"),
        status => ToolError::refused(format!("Google answered {}", status.as_u16())),
    };
    error.with_details(details)
}

fn forbidden(said: &GoogleError) -> ToolError {
    match said.reason.as_str() {
        "rateLimitExceeded" | "userRateLimitExceeded" | "sharingRateLimitExceeded" => {
            ToolError::rate_limited(Duration::from_secs(1))
        }
        "quotaExceeded" | "dailyLimitExceeded" => ToolError::rate_limited(Duration::from_hours(1)),
        "insufficientPermissions" => ToolError::refused(
            "the Google account did not allow this: its token lacks a scope that the call needs",
        ),
        _ => ToolError::refused(format!("Google refuses: {}", said.message)),
    }
}
