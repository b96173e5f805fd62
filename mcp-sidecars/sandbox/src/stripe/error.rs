//! Refusals with the members of Stripe's error object.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::ledger::{Params, text};

/// Why a request was not done.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    error: Params,
    /// The effects so far stay: a declined card leaves its traces.
    pub(super) keeps_changes: bool,
}

impl ApiError {
    /// 400: the request cannot be done as it is.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            message.into(),
        )
    }

    /// 404 or, for an id in a parameter, 400.
    pub(super) fn missing(object: &str, id: &str, param: &str, status: StatusCode) -> Self {
        let name = object.rsplit('.').next().unwrap_or(object);
        let mut error = Self::invalid(format!("No such {name}: '{id}'"))
            .code("resource_missing")
            .param(param);
        error.status = status;
        error
    }

    /// 401: not a key of ours.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        let mut error = Self::invalid(message);
        error.status = StatusCode::UNAUTHORIZED;
        error
    }

    /// 402: the bank says no; what was tried is kept.
    pub(super) fn declined(decline_code: &str, intent: &Value) -> Self {
        let mut error = Self::new(
            StatusCode::PAYMENT_REQUIRED,
            "card_error",
            "The card was declined.".to_owned(),
        )
        .code("card_declined")
        .with("decline_code", decline_code.into())
        .with("charge", text(intent, "latest_charge").into())
        .with("payment_intent", intent.clone());
        error.keeps_changes = true;
        error
    }

    pub(super) fn new(status: StatusCode, kind: &str, message: String) -> Self {
        let mut error = Map::new();
        error.insert("type".to_owned(), kind.into());
        error.insert("message".to_owned(), message.into());
        Self {
            status,
            error,
            keeps_changes: false,
        }
    }

    pub(super) fn code(self, code: &str) -> Self {
        let page = format!(
            "https://stripe.com/docs/error-codes/{}",
            code.replace('_', "-")
        );
        self.with("code", code.into()).with("doc_url", page.into())
    }

    pub(super) fn param(self, param: &str) -> Self {
        self.with("param", param.into())
    }

    /// The body without the id of the request, which is in the header alone.
    pub(super) fn body(&self) -> Value {
        json!({ "error": self.error })
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.error.insert(name.to_owned(), value);
        self
    }
}
