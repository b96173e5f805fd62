//! The one error type at the edge: RFC 9457 problem details, with the request id as `instance`.

use std::{borrow::Cow, sync::Arc};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::work::Answer;

pub mod kinds;
pub use kinds::{KINDS, Kind};

/// Why a request was not done as asked. A variant exists only where a client acts differently.
#[derive(Debug)]
pub enum Problem {
    /// 400: the request cannot be read.
    Malformed(&'static Kind, String, Vec<FieldError>),
    /// 401: no credential, or none that is valid.
    Unauthenticated,
    /// 403: known, but not allowed; the text names the missing right.
    Forbidden(String),
    /// 404: unknown, or another organization's.
    NotFound,
    /// 405; axum adds `Allow`.
    MethodNotAllowed,
    /// 406: nothing that we have is in `Accept`.
    NotAcceptable,
    /// 409: the state of things is against it. The map adds members to the body.
    Conflict(&'static Kind, String, Map<String, Value>),
    /// 412: `If-Match` names another version.
    PreconditionFailed,
    /// 413: body over the limit.
    PayloadTooLarge,
    /// 415: the media type that would be understood.
    UnsupportedMediaType(&'static str),
    /// 416: `Range` begins after the end; how many bytes there are, if that is known.
    RangeNotSatisfiable(Option<u64>),
    /// 422: readable, but it does not hold; a pointer per field.
    Invalid(Vec<FieldError>),
    /// 422: the idempotency key was used for another request.
    IdempotencyKeyReused,
    /// 428: `If-Match` is missing.
    PreconditionRequired,
    /// 429: the policy whose quota is used up, and seconds until the next request is taken.
    TooManyRequests(&'static str, u64),
    /// 500: a defect; the chain is logged, never shown.
    Internal(anyhow::Error),
    /// 503: something we need is away, or we are full; try again.
    Unavailable(Cow<'static, str>),
    /// 504: it took too long.
    Timeout,
    /// 501, 503 or 504: a sidecar is not set up, away or late; seconds until it may be tried again.
    Sidecar(&'static Kind, String, Option<u64>),
    /// Not a failure: the stored answer to the same idempotency key, which ends the handler early.
    Replay(Box<Answer>),
}

/// One field that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) in URI fragment form to the field of the body, e.g. `#/number_of_guests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The query parameter or header, when it is not in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Machine-readable reason, e.g. `range`.
    pub code: Cow<'static, str>,
    /// For people, e.g. `must be at least 1`.
    pub detail: String,
}

impl FieldError {
    /// An error on a field of the body; `pointer` is like `/number_of_guests`.
    pub fn new(pointer: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            pointer: Some(format!("#{pointer}")),
            parameter: None,
            code: code.into(),
            detail: detail.into(),
        }
    }

    /// An error on a query parameter or header.
    pub fn parameter(name: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            pointer: None,
            parameter: Some(name.to_owned()),
            code: code.into(),
            detail: detail.into(),
        }
    }
}

/// The body of every error: `application/problem+json` (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Address of the page that explains this kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short name of the kind.
    pub title: &'static str,
    pub status: u16,
    /// What happened this time, for people.
    pub detail: String,
    /// The id of the request, as in `X-Request-Id`.
    pub instance: String,
    /// The kind for machines.
    pub code: &'static str,
    /// The fields that do not hold, if it is about fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
    /// Members that belong to this kind, such as `conflicts`.
    #[serde(flatten)]
    #[schema(value_type = Object, additional_properties = true)]
    pub extra: Map<String, Value>,
}

/// What a handler's problem leaves in the response for `render`, which knows the request id.
#[derive(Clone)]
pub struct Pending(Arc<Parts>);

struct Parts {
    kind: &'static Kind,
    detail: String,
    errors: Vec<FieldError>,
    extra: Map<String, Value>,
    cause: Option<String>,
}

impl Problem {
    /// 400 on a query parameter or header.
    pub fn parameter(name: &str, code: &'static str, detail: impl Into<String>) -> Self {
        let error = FieldError::parameter(name, code, detail);
        Self::Malformed(
            &kinds::MALFORMED_REQUEST,
            format!("{name}: {}", error.detail),
            vec![error],
        )
    }

    /// 422 on one field of the body; `pointer` is like `/capacity`.
    pub fn field(pointer: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, code, detail)])
    }

    /// 409 without further members.
    pub fn conflict(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self::Conflict(kind, detail.into(), Map::new())
    }

    /// What happened, for the log and for operators: the cause where there is one.
    pub fn into_words(self) -> String {
        let parts = self.parts();
        parts.cause.unwrap_or(parts.detail)
    }

    fn parts(self) -> Parts {
        let (kind, detail, errors, extra, cause) = match self {
            Self::Malformed(kind, detail, errors) => (kind, detail, errors, Map::new(), None),
            Self::Conflict(kind, detail, extra) => (kind, detail, Vec::new(), extra, None),
            Self::Sidecar(kind, detail, _) => plain(kind, detail),
            Self::Forbidden(detail) => plain(&kinds::FORBIDDEN, detail),
            Self::Unavailable(detail) => plain(&kinds::UNAVAILABLE, detail.into_owned()),
            Self::UnsupportedMediaType(wanted) => plain(
                &kinds::UNSUPPORTED_MEDIA_TYPE,
                format!("send the body as {wanted}"),
            ),
            Self::Invalid(errors) => {
                let detail = match errors.as_slice() {
                    [one] => format!("{}: {}", one.pointer.as_deref().unwrap_or("#"), one.detail),
                    many => format!("{} fields do not hold; see errors", many.len()),
                };
                (&kinds::INVALID_FIELDS, detail, errors, Map::new(), None)
            }
            Self::TooManyRequests(policy, seconds) => {
                let extra =
                    Map::from_iter([("violated-policies".into(), serde_json::json!([policy]))]);
                let detail = format!("the next request is taken in {seconds} s");
                (&kinds::QUOTA_EXCEEDED, detail, Vec::new(), extra, None)
            }
            Self::Internal(error) => {
                let chain = format!("{error:#}");
                (
                    &kinds::INTERNAL,
                    kinds::INTERNAL.detail(),
                    Vec::new(),
                    Map::new(),
                    Some(chain),
                )
            }
            Self::Unauthenticated => plain_kind(&kinds::UNAUTHENTICATED),
            Self::NotFound => plain_kind(&kinds::NOT_FOUND),
            Self::MethodNotAllowed => plain_kind(&kinds::METHOD_NOT_ALLOWED),
            Self::NotAcceptable => plain_kind(&kinds::NOT_ACCEPTABLE),
            Self::PreconditionFailed => plain_kind(&kinds::PRECONDITION_FAILED),
            Self::PayloadTooLarge => plain_kind(&kinds::PAYLOAD_TOO_LARGE),
            Self::RangeNotSatisfiable(_) => plain_kind(&kinds::RANGE_NOT_SATISFIABLE),
            Self::IdempotencyKeyReused => plain_kind(&kinds::IDEMPOTENCY_KEY_REUSED),
            Self::PreconditionRequired => plain_kind(&kinds::PRECONDITION_REQUIRED),
            Self::Timeout | Self::Replay(_) => plain_kind(&kinds::TIMEOUT),
        };
        Parts {
            kind,
            detail,
            errors,
            extra,
            cause,
        }
    }
}

type Plain = (
    &'static Kind,
    String,
    Vec<FieldError>,
    Map<String, Value>,
    Option<String>,
);

fn plain(kind: &'static Kind, detail: String) -> Plain {
    (kind, detail, Vec::new(), Map::new(), None)
}

fn plain_kind(kind: &'static Kind) -> Plain {
    plain(kind, kind.detail())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let header = match &self {
            Self::Unauthenticated => Some((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"event-planner\""),
            )),
            Self::UnsupportedMediaType(wanted) if wanted.contains("patch") => Some((
                header::HeaderName::from_static("accept-patch"),
                HeaderValue::from_static(wanted),
            )),
            Self::TooManyRequests(_, seconds) | Self::Sidecar(_, _, Some(seconds)) => {
                Some((header::RETRY_AFTER, HeaderValue::from(*seconds)))
            }
            Self::RangeNotSatisfiable(Some(bytes)) => {
                HeaderValue::try_from(format!("bytes */{bytes}"))
                    .ok()
                    .map(|range| (header::CONTENT_RANGE, range))
            }
            Self::Unavailable(_) => Some((header::RETRY_AFTER, HeaderValue::from(1_u64))),
            _ => None,
        };
        if let Self::Replay(answer) = self {
            return answer.replayed();
        }
        let parts = self.parts();
        let mut response = parts.kind.status().into_response();
        response.headers_mut().extend(header);
        response.extensions_mut().insert(Pending(Arc::new(parts)));
        response
    }
}

/// Gives every error response its body, also those that axum or a layer made itself.
/// Returns the inner cause, to be logged.
pub fn render(response: &mut Response, base_url: &str, request_id: &str) -> Option<String> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let pending = response.extensions_mut().remove::<Pending>();
    let parts = pending.map_or_else(|| Arc::new(foreign(status)), |pending| pending.0);
    let body = ProblemBody {
        kind: parts.kind.address(base_url),
        title: parts.kind.title,
        status: parts.kind.status,
        detail: parts.detail.clone(),
        instance: request_id.to_owned(),
        code: parts.kind.code,
        errors: parts.errors.clone(),
        extra: parts.extra.clone(),
    };
    *response.status_mut() = parts.kind.status();
    let bytes = serde_json::to_vec(&body).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    *response.body_mut() = bytes.into();
    parts.cause.clone()
}

/// The kind for an error response that did not come from a `Problem`.
fn foreign(status: StatusCode) -> Parts {
    let kind = KINDS
        .iter()
        .copied()
        .find(|kind| kind.status == status.as_u16())
        .unwrap_or(if status.is_client_error() {
            &kinds::MALFORMED_REQUEST
        } else {
            &kinds::INTERNAL
        });
    Parts {
        kind,
        detail: kind.detail(),
        errors: Vec::new(),
        extra: Map::new(),
        cause: None,
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_) => {
                tracing::warn!(%error, "the database is away");
                Self::Unavailable("the database is not reachable right now".into())
            }
            sqlx::Error::Database(database) => match database.code().as_deref() {
                // Text that Postgres cannot hold: NUL, in a value or in JSON.
                Some("22021" | "22P05") => Self::Malformed(
                    &kinds::MALFORMED_REQUEST,
                    "text must not contain the character U+0000".into(),
                    Vec::new(),
                ),
                // A time beyond those that Postgres knows.
                Some("22008") => Self::Malformed(
                    &kinds::MALFORMED_REQUEST,
                    "a time is too far in the past or in the future".into(),
                    Vec::new(),
                ),
                // Deadlock or serialization failure: nothing was done, and trying again may work.
                Some("40001" | "40P01") => Self::conflict(
                    &kinds::CONCURRENT_CHANGE,
                    "another request changed the same things at the same time; try again",
                ),
                Some("57014") => Self::Timeout,
                Some(code)
                    if code.starts_with("08")
                        || code.starts_with("53")
                        || code.starts_with("57P") =>
                {
                    tracing::warn!(%error, "the database refuses");
                    Self::Unavailable("the database is not reachable right now".into())
                }
                _ => Self::Internal(error.into()),
            },
            _ => Self::Internal(error.into()),
        }
    }
}

/// Turns a violated constraint into the problem that it means: the database decides, code names it.
pub trait OnConstraint<T> {
    /// `name` maps a constraint's name to its problem; `None` leaves the error as it is.
    fn on_constraint(self, name: impl FnOnce(&str) -> Option<Problem>) -> Result<T, Problem>;
}

impl<T> OnConstraint<T> for Result<T, sqlx::Error> {
    fn on_constraint(self, name: impl FnOnce(&str) -> Option<Problem>) -> Result<T, Problem> {
        self.map_err(|error| {
            let violated = error
                .as_database_error()
                .and_then(|error| error.constraint());
            violated.and_then(name).unwrap_or_else(|| error.into())
        })
    }
}
