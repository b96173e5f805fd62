//! Idempotency keys: one key, one effect, one answer, for a day.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::ApiError,
    ledger::{Ledger, Params},
};

const LONGEST_KEY: usize = 255;
const KEPT_SECONDS: i64 = 24 * 60 * 60;
/// Keys between two looks for old ones.
const TIDY_EVERY: usize = 256;

/// How a request was answered whose work had begun, well or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    path: String,
    params: Params,
    at: i64,
    pub(super) request_id: String,
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Record {
    pub(super) fn new(path: &str, params: &Params, at: i64, request_id: &str) -> Self {
        Self {
            path: path.to_owned(),
            params: params.clone(),
            at,
            request_id: request_id.to_owned(),
            status: 0,
            body: Value::Null,
        }
    }
}

/// The key of a request that has one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(header) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match header.to_str() {
        Ok(key) if (1..=LONGEST_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::invalid(format!(
            "Idempotency keys have 1 to {LONGEST_KEY} printable characters."
        ))),
    }
}

fn is_kept(record: &Record, request: &Record) -> bool {
    record.at + KEPT_SECONDS > request.at
}

/// The answer given before to the same key, if there is one.
pub(super) fn seen(
    ledger: &mut Ledger,
    key: &str,
    request: &Record,
) -> Result<Option<Record>, ApiError> {
    // Now and then: to look at every key for each request makes ten thousand of them crawl.
    if ledger.answered.len().is_multiple_of(TIDY_EVERY) {
        ledger.answered.retain(|_, record| is_kept(record, request));
    }
    let kept = ledger.answered.get(key);
    let Some(record) = kept.filter(|record| is_kept(record, request)) else {
        return Ok(None);
    };
    let what = if record.path != request.path {
        "endpoint"
    } else if record.params != request.params {
        "parameters"
    } else {
        return Ok(Some(record.clone()));
    };
    let message = format!(
        "An idempotency key belongs to the {what} of its first request; use another key than '{key}' for another request."
    );
    Err(ApiError::new(
        StatusCode::BAD_REQUEST,
        "idempotency_error",
        message,
    ))
}

/// Marks a key as in use until the request is done.
pub(super) fn take(in_use: &mut BTreeSet<String>, key: &str) -> Result<(), ApiError> {
    if in_use.insert(key.to_owned()) {
        return Ok(());
    }
    let message = format!("Another request with the idempotency key '{key}' is under way.");
    let error = ApiError::new(StatusCode::CONFLICT, "idempotency_error", message);
    Err(error.code("idempotency_key_in_use"))
}
