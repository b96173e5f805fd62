//! Insights: read-only SQL over the organization's own reporting views, by way of the Postgres sidecar.

use axum::{Json as JsonAnswer, extract::State, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::{
    access::{Access, ReadInsights},
    extract::{Json, Path},
    problem::Problem,
    state::App,
};

pub mod queries;
mod result;
mod saved;
pub use result::QueryResult;

/// The sidecar's own limit, in bytes.
const LONGEST_SQL: usize = 8 * 1024;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_views))
        .routes(routes!(get_view))
        .routes(routes!(run_query))
        .merge(saved::routes())
}

/// A question in SQL.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sql": "select status, count(*) from events where starts_at >= $1 group by status", "params": ["2027-01-01T00:00:00Z"]}))]
pub struct Question {
    /// One SELECT over the reporting views; `$1`, `$2`, … stand for `params`. 8 KiB at most.
    #[validate(length(min = 1), custom(function = sql_length))]
    #[schema(min_length = 1, max_length = 8192)]
    pub sql: String,
    /// The values of `$1`, `$2`, …
    #[validate(length(max = 100))]
    #[schema(max_items = 100, value_type = Vec<Value>)]
    #[serde(default)]
    pub params: Vec<Value>,
    /// Rows at most.
    #[validate(range(min = 1, max = 1000))]
    #[schema(minimum = 1, maximum = 1000, default = 100)]
    #[serde(default = "default_limit")]
    pub limit: u32,
}
