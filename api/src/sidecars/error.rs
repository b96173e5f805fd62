//! Why a sidecar did not do what was asked: for a slice to give a meaning, or for the client as it is.

use std::borrow::Cow;

use mcp_kit::{Code, ToolError};
use serde_json::Value;

use crate::problem::{FieldError, Kind, Problem, kinds};

/// Why there is no result.
#[derive(Debug)]
pub enum SidecarError {
    /// The tool does not take these arguments, or will not do it: the slice knows which of its fields they came from.
    Refused(Refusal),
    /// Nothing that the client's input could change, and surely nothing was done.
    Problem(Box<Problem>),
    /// The same, but it may have been done: the same call with its key finds out.
    Unknown(Box<Problem>),
    /// Nothing was done because of the organization's own account: it says nothing about calls for others.
    Own(Box<Problem>),
}

/// A tool's words about its arguments.
#[derive(Debug)]
pub struct Refusal {
    /// INVALID, REFUSED or `NOT_FOUND`.
    pub code: Code,
    pub message: String,
    /// The arguments that do not hold, by pointers into them.
    pub errors: Vec<FieldError>,
    /// What else the tool says of it; null for nothing.
    pub details: Value,
}

impl Refusal {
    /// 422 on the fields of the body that the arguments came from, where both have the same names; without any, on the
    /// field at `pointer`, such as `/sql`.
    pub fn at(self, pointer: &str) -> Problem {
        if !self.errors.is_empty() {
            return Problem::Invalid(self.errors);
        }
        let code = match self.code {
            Code::NotFound => "not_found",
            Code::Refused => "refused",
            _ => "invalid",
        };
        Problem::Invalid(vec![FieldError::new(pointer, code, self.message)])
    }
}

impl SidecarError {
    pub(super) fn problem(kind: &'static Kind, detail: String, retry_after: Option<u64>) -> Self {
        Self::Problem(Box::new(Problem::Sidecar(kind, detail, retry_after)))
    }

    /// The error of a call; its cause is logged here, under the request's id, when the client is not at fault.
    pub(super) fn of(error: ToolError, sidecar: &'static str, request_id: &str) -> Self {
        let code = error.code;
        let wait = error.retry_after_seconds();
        if matches!(code, Code::Unavailable | Code::RateLimited | Code::Timeout) {
            let cause = error.cause.as_ref().map(|cause| format!("{cause:#}"));
            let (code, message) = (code.as_str(), &*error.message);
            tracing::warn!(
                sidecar,
                request.id = request_id,
                code,
                message,
                cause,
                "sidecar"
            );
        }
        let is_unknown = may_be_done(&error);
        let told = match code {
            Code::Invalid | Code::Refused | Code::NotFound => Self::Refused(Refusal {
                code,
                errors: field_errors(error.details.as_ref()),
                message: error.message.into_owned(),
                details: error.details.unwrap_or_default(),
            }),
            Code::Unavailable | Code::RateLimited => {
                let detail = format!("{sidecar}: {}", error.message);
                Self::problem(&kinds::SIDECAR_UNAVAILABLE, detail, wait.or(Some(1)))
            }
            Code::Timeout => {
                let detail = format!("{sidecar}: {}", error.message);
                Self::problem(&kinds::SIDECAR_TIMEOUT, detail, None)
            }
            Code::Internal => {
                let cause = error
                    .cause
                    .unwrap_or_else(|| anyhow::anyhow!("no cause given"));
                let cause = cause.context(format!("{sidecar} failed"));
                Self::Problem(Box::new(Problem::Internal(cause)))
            }
        };
        match told {
            Self::Problem(problem) if is_unknown => Self::Unknown(problem),
            told => told,
        }
    }
}

/// Whether the tool may have done it although there is no result: the connection was lost, the time was up, or the tool
/// itself says that it does not know.
fn may_be_done(error: &ToolError) -> bool {
    let says_so = error
        .details
        .as_ref()
        .is_some_and(|details| details["outcome"] == "unknown");
    match error.code {
        Code::Timeout | Code::Internal => !error.is_undone,
        // What the tool tells of itself comes without a cause.
        Code::Unavailable => says_so || (!error.is_undone && error.cause.is_some()),
        Code::Invalid | Code::Refused | Code::NotFound | Code::RateLimited => false,
    }
}

impl From<Problem> for SidecarError {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

/// What a client reads when the slice has nothing better to say.
impl From<SidecarError> for Problem {
    fn from(error: SidecarError) -> Self {
        match error {
            SidecarError::Refused(refusal) => refusal.at(""),
            SidecarError::Problem(problem)
            | SidecarError::Unknown(problem)
            | SidecarError::Own(problem) => *problem,
        }
    }
}

/// `errors` of the tool's details, as the kit writes them.
fn field_errors(details: Option<&Value>) -> Vec<FieldError> {
    let errors = details
        .and_then(|details| details["errors"].as_array())
        .map(Vec::as_slice);
    let text = |error: &Value, name: &str| error[name].as_str().map(str::to_owned);
    let field = |error: &Value| {
        Some(FieldError {
            pointer: Some(text(error, "pointer")?),
            parameter: None,
            code: text(error, "code").map_or(Cow::Borrowed("invalid"), Cow::Owned),
            detail: text(error, "detail")?,
        })
    };
    errors
        .unwrap_or_default()
        .iter()
        .filter_map(field)
        .collect()
}
