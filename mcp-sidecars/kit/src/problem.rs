//! Errors over HTTP outside `/mcp`: RFC 9457 problem details with the request id as `instance`.

use std::sync::Arc;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use crate::error::{Code, Failure, ToolError};

/// One error answer.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    request_id: Arc<str>,
    retry_after: Option<u64>,
    details: Option<Box<Value>>,
}

impl Problem {
    /// `code` is for machines, `detail` for people.
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<String>,
        request_id: &str,
    ) -> Self {
        let (detail, request_id) = (detail.into(), request_id.into());
        Self {
            status,
            code,
            detail,
            request_id,
            retry_after: None,
            details: None,
        }
    }

    /// 401: no token, or none that is valid.
    pub(crate) fn unauthenticated(request_id: &str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            "send a valid bearer token",
            request_id,
        )
    }

    /// The answer to a call that did not end well.
    pub(crate) fn of(failure: Failure, request_id: &str) -> Self {
        match failure {
            Failure::UnknownTool => Self::new(
                StatusCode::NOT_FOUND,
                "UNKNOWN_TOOL",
                "there is no tool of that name",
                request_id,
            ),
            Failure::Forbidden { scope } => {
                let detail = format!("the token lacks the scope {scope}");
                Self::new(
                    StatusCode::FORBIDDEN,
                    "INSUFFICIENT_SCOPE",
                    detail,
                    request_id,
                )
            }
            Failure::NeedsMcp => {
                let detail = "this tool asks back and needs an MCP client: call it through /mcp";
                Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    Code::Refused.as_str(),
                    detail,
                    request_id,
                )
            }
            Failure::Abandoned => {
                let detail = "the call was cancelled";
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    Code::Unavailable.as_str(),
                    detail,
                    request_id,
                )
            }
            Failure::Protocol(error) => {
                let (status, detail) = (StatusCode::UNPROCESSABLE_ENTITY, error.message);
                Self::new(status, Code::Refused.as_str(), detail, request_id)
            }
            Failure::Tool(error) => Self::of_tool(error, request_id),
        }
    }

    fn of_tool(error: ToolError, request_id: &str) -> Self {
        let status = match error.code {
            Code::Invalid | Code::Refused | Code::NotFound => StatusCode::UNPROCESSABLE_ENTITY,
            Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let retry_after = error.retry_after_seconds();
        let mut problem = Self::new(status, error.code.as_str(), error.message, request_id);
        problem.retry_after = retry_after;
        problem.details = error.details.map(Box::new);
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = match self.details.map(|details| *details) {
            Some(Value::Object(details)) => details,
            _ => Map::new(),
        };
        let members = [
            ("type", json!("about:blank")),
            ("title", json!(self.status.canonical_reason())),
            ("status", json!(self.status.as_u16())),
            ("detail", json!(self.detail)),
            ("instance", json!(&*self.request_id)),
            ("code", json!(self.code)),
        ];
        body.extend(members.map(|(name, value)| (name.to_owned(), value)));
        let text = Value::Object(body).to_string();
        let mut response = (self.status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
