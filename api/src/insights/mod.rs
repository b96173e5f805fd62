//! Insights: read-only SQL over the organization's own reporting views, by way of the Postgres sidecar.

use std::fmt::Write;

use axum::{extract::State, http::HeaderMap, response::Response};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::{
    access::{Access, ReadInsights},
    extract::Json,
    problem::Problem,
    sidecars::{
        Refusal, SidecarError,
        postgres::{QueryResult, TableColumns},
    },
    state::App,
    work::Answer,
};

mod answer;
pub mod queries;
mod saved;

/// The sidecar's own limits: bytes of SQL, and values.
const LONGEST_SQL: usize = 8 * 1024;
const DEFAULT_LIMIT: u16 = 100;
/// Views that are described at once.
const AT_ONCE: usize = 4;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get_views))
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
    pub limit: u16,
}

/// Everything that can be asked about.
#[derive(Debug, Serialize, ToSchema)]
pub struct Views {
    pub items: Vec<TableColumns>,
}

fn default_limit() -> u16 {
    DEFAULT_LIMIT
}

fn sql_length(sql: &str) -> Result<(), ValidationError> {
    if sql.len() <= LONGEST_SQL {
        return Ok(());
    }
    let message = format!("must have at most {LONGEST_SQL} bytes");
    Err(ValidationError::new("length").with_message(message.into()))
}

/// Get the reporting views with their columns: what a query can ask about.
#[utoipa::path(get, path = "/v1/insights/views", tag = "insights",
    responses((status = 200, description = "The views.", body = Views)))]
async fn get_views(
    State(app): State<App>,
    access: Access<ReadInsights>,
) -> Result<Answer, Problem> {
    let postgres = &app.sidecars.postgres;
    let tables = postgres.list_tables(&access).await?;
    let described = stream::iter(tables).map(|table| {
        let access = &access;
        async move { postgres.describe_table(access, &table.name).await }
    });
    let items = described.buffered(AT_ONCE).try_collect().await?;
    Answer::plain(&Views { items })
}

/// Ask a question in SQL: one SELECT over the reporting views, which show the organization's own rows and no personal
/// data. It is audited, cannot change anything, and ends after two seconds. `Accept: text/csv` gives CSV.
#[utoipa::path(post, path = "/v1/insights/query", request_body = Question, tag = "insights",
    responses((status = 200, description = "The rows; CSV where `Accept` prefers `text/csv`.",
        content((QueryResult = "application/json"), (String = "text/csv")))))]
async fn run_query(
    State(app): State<App>,
    access: Access<ReadInsights>,
    headers: HeaderMap,
    Json(question): Json<Question>,
) -> Result<Response, Problem> {
    let id = app.new_id();
    let result = ask(&app, access, ("insights_query", id), &question).await?;
    answer::respond(result, &headers)
}

/// Asks the sidecar; first the question is counted and audited, whatever comes of it.
async fn ask(
    app: &App,
    access: Access<ReadInsights>,
    subject: (&str, Uuid),
    question: &Question,
) -> Result<QueryResult, Problem> {
    let organization_id = access.organization_id();
    let key = format!("organization:{organization_id}");
    app.insights_limiter.admit(app, &key).await?;
    access
        .audit(app, "insights.queried", subject, question)
        .await?;

    let (sql, params) = (&question.sql, &question.params);
    let postgres = &app.sidecars.postgres;
    match postgres.query(&access, sql, params, question.limit).await {
        Ok(result) => Ok(result),
        Err(SidecarError::Refused(refusal)) => Err(in_our_words(refusal).at("/sql")),
        Err(error) => Err(error.into()),
    }
}

/// Where the fault is and what helps, for somebody who has no tools but our routes.
fn in_our_words(mut refusal: Refusal) -> Refusal {
    if let Some(position) = refusal.details["position"].as_u64() {
        let _ = write!(refusal.message, " (at character {position})");
    }
    if let Some(hint) = refusal.details["hint"].as_str() {
        let _ = write!(refusal.message, "; {hint}");
    }
    for tools in [
        "list_tables and describe_table show",
        "list_tables shows",
        "describe_table shows",
    ] {
        refusal.message = refusal
            .message
            .replace(tools, "GET /v1/insights/views shows");
    }
    refusal
}
