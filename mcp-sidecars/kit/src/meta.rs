//! What travels in `_meta` of an MCP request between our own processes.

use std::time::Duration;

use axum::http::HeaderValue;
use rmcp::model::{JsonObject, MetaObject};
use serde_json::Value;

pub(crate) const REQUEST_ID: &str = "x-request-id";
pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const ON_BEHALF_OF: &str = "on-behalf-of";
const TIMEOUT_MS: &str = "event-planner/timeout-ms";

/// Names in `_meta`, where there are no headers (standard input), and the headers they stand for.
pub(crate) const HEADERS: [(&str, &str); 3] = [
    ("event-planner/request-id", REQUEST_ID),
    // As MCP names it itself (SEP-414).
    ("traceparent", TRACEPARENT),
    ("event-planner/on-behalf-of", ON_BEHALF_OF),
];

/// What `_meta` says in place of this header.
pub(crate) fn header(meta: &MetaObject, name: &str) -> Option<HeaderValue> {
    let (key, _) = HEADERS.iter().find(|(_, header)| *header == name)?;
    HeaderValue::from_str(meta.get(*key)?.as_str()?).ok()
}

/// The end that the caller asks for; a tool's own, if earlier, holds.
pub(crate) fn timeout(meta: &MetaObject) -> Option<Duration> {
    meta.get(TIMEOUT_MS)
        .and_then(Value::as_u64)
        .map(Duration::from_millis)
}

/// `_meta` that asks for that end.
pub(crate) fn with_timeout(milliseconds: u64) -> JsonObject {
    JsonObject::from_iter([(TIMEOUT_MS.to_owned(), milliseconds.into())])
}

/// Says in `_meta` what that header would say.
pub(crate) fn insert(meta: &mut JsonObject, name: &str, value: &str) {
    if let Some((key, _)) = HEADERS.iter().find(|(_, header)| *header == name) {
        meta.insert((*key).to_owned(), value.into());
    }
}
