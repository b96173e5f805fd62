//! How Google says no: the JSON error that `www.googleapis.com` answers with.

use std::borrow::Cow;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// A refused request. What Google calls `reason` is what clients act on.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    domain: &'static str,
    reason: &'static str,
    /// Of the one error in the list; `headline` above it, where the two differ.
    message: Cow<'static, str>,
    headline: Option<&'static str>,
    location: Option<(&'static str, Cow<'static, str>)>,
    /// The name of the status at Google's newer front end (`google.rpc.Code`), which checks tokens and scopes.
    canonical: Option<&'static str>,
    details: Option<Value>,
    challenge: Option<String>,
}

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        reason: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            status,
            domain: "global",
            reason,
            message: message.into(),
            headline: None,
            location: None,
            canonical: None,
            details: None,
            challenge: None,
        }))
    }

    /// 400 for a parameter or a field; `kind` is `parameter` or `other`.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    /// 400 for a query parameter whose value does not hold.
    pub(crate) fn invalid_parameter(name: &str, value: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalidParameter",
            format!("Invalid value '{value}' for parameter {name}."),
        )
        .at("parameter", name.to_owned())
    }

    pub(crate) fn required(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "required", message)
    }

    pub(crate) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "notFound", message)
    }

    /// 412: `If-Match` names another version.
    pub(crate) fn condition_not_met() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "conditionNotMet",
            "Precondition Failed",
        )
        .at("header", "If-Match")
    }

    /// Where the fault is: `parameter`, `header` or `other`, and its name.
    #[must_use]
    pub(crate) fn at(mut self, kind: &'static str, name: impl Into<Cow<'static, str>>) -> Self {
        self.0.location = Some((kind, name.into()));
        self
    }

    /// `calendar` and `usageLimits` instead of `global`.
    #[must_use]
    pub(crate) fn domain(mut self, domain: &'static str) -> Self {
        self.0.domain = domain;
        self
    }

    /// 401: no token, or none that holds.
    pub(super) fn unauthenticated(is_missing: bool) -> Self {
        let (reason, message, headline, error) = if is_missing {
            (
                "required",
                "Login Required.",
                "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
                "",
            )
        } else {
            (
                "authError",
                "Invalid Credentials",
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
                ", error=\"invalid_token\"",
            )
        };
        let mut refusal =
            Self::new(StatusCode::UNAUTHORIZED, reason, message).at("header", "Authorization");
        refusal.0.headline = Some(headline);
        refusal.0.canonical = Some("UNAUTHENTICATED");
        refusal.0.challenge = Some(format!(
            "Bearer realm=\"https://accounts.google.com/\"{error}"
        ));
        refusal
    }

    /// 403: the token holds, but for something else.
    pub(super) fn insufficient_scopes(accepted: &[&str]) -> Self {
        let mut refusal = Self::new(
            StatusCode::FORBIDDEN,
            "insufficientPermissions",
            "Insufficient Permission",
        );
        refusal.0.headline = Some("Request had insufficient authentication scopes.");
        refusal.0.canonical = Some("PERMISSION_DENIED");
        refusal.0.details = Some(json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            "domain": "googleapis.com",
            "metadata": { "service": "www.googleapis.com" },
        }]));
        refusal.0.challenge = Some(format!(
            "Bearer realm=\"https://accounts.google.com/\", error=\"insufficient_scope\", scope=\"{}\"",
            accepted.join(" ")
        ));
        refusal
    }

    /// Google's own words for a status that a switch asks for.
    pub(super) fn trouble(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::unauthenticated(false),
            403 => Self::new(status, "userRateLimitExceeded", "User Rate Limit Exceeded")
                .domain("usageLimits"),
            429 => {
                Self::new(status, "rateLimitExceeded", "Rate Limit Exceeded").domain("usageLimits")
            }
            404 => Self::not_found("Not Found"),
            412 => Self::condition_not_met(),
            503 => Self::new(
                status,
                "backendError",
                "The service is currently unavailable.",
            ),
            500.. => Self::new(status, "backendError", "Backend Error"),
            _ => Self::new(
                status,
                "badRequest",
                status.canonical_reason().unwrap_or("Bad Request"),
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let inner = *self.0;
        let mut error =
            json!({ "domain": inner.domain, "reason": inner.reason, "message": inner.message });
        if let Some((kind, name)) = inner.location {
            error["locationType"] = kind.into();
            error["location"] = name.into();
        }
        let headline = inner.headline.unwrap_or(&inner.message);
        let mut body = json!({
            "code": inner.status.as_u16(), "message": headline, "errors": [error],
        });
        if let Some(canonical) = inner.canonical {
            body["status"] = canonical.into();
        }
        if let Some(details) = inner.details {
            body["details"] = details;
        }
        let mut response = (inner.status, Json(json!({ "error": body }))).into_response();
        let challenge = inner
            .challenge
            .and_then(|text| HeaderValue::try_from(text).ok());
        if let Some(challenge) = challenge {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
