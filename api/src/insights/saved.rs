//! Saved queries: questions that are asked again, with parameters by name.

use std::collections::{BTreeMap, HashSet};

use axum::{extract::State, http::HeaderMap, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json as Jsonb;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::{Question, answer, ask, queries};
use crate::{
    access::{Access, ReadInsights, WriteInsights},
    extract::{IfMatch, Json, MergePatch, Path},
    page::{List, NoFilter, Page},
    problem::{FieldError, OnConstraint, Problem, kinds},
    sidecars::postgres::QueryResult,
    state::App,
    strict,
    work::Answer,
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_saved_queries, create_saved_query))
        .routes(routes!(
            get_saved_query,
            update_saved_query,
            delete_saved_query
        ))
        .routes(routes!(run_saved_query))
}

/// A question that is asked again.
#[derive(Debug, Serialize, ToSchema)]
pub struct SavedQuery {
    pub id: Uuid,
    pub name: String,
    pub description: Option<String>,
    pub sql: String,
    #[schema(value_type = Vec<QueryParameter>)]
    pub parameters: Jsonb<Vec<QueryParameter>>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What `NewSavedQuery` cannot set.
const READ_ONLY: &[&str] = &["id", "version", "created_at", "updated_at"];

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Venues by city", "sql": "select city, count(*) from venues where capacity >= $1 group by city",
    "parameters": [{ "name": "seats", "default": 50 }]
}))]
pub struct NewSavedQuery {
    /// Once in an organization, whatever its case.
    #[validate(length(min = 1, max = 200), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub name: String,
    #[validate(length(max = 2000))]
    #[schema(max_length = 2000)]
    #[serde(default)]
    pub description: Option<String>,
    /// One SELECT over the reporting views; `$1`, `$2`, … stand for the parameters in their order. 8 KiB at most.
    #[validate(length(min = 1), custom(function = super::sql_length))]
    #[schema(min_length = 1, max_length = 8192)]
    pub sql: String,
    #[validate(length(max = 20), custom(function = distinct_names), nested)]
    #[schema(max_items = 20)]
    #[serde(default)]
    pub parameters: Vec<QueryParameter>,
}

/// A value that is given when the query runs.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryParameter {
    #[validate(length(min = 1, max = 40), custom(function = snake_case))]
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z][a-z0-9_]*$")]
    pub name: String,
    #[validate(length(max = 500))]
    #[schema(max_length = 500)]
    #[serde(default)]
    pub description: Option<String>,
    /// Taken where no value is given; without it, or null, a value must be given.
    #[serde(default)]
    pub default: Option<Value>,
}

/// The values for one run.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "parameters": { "seats": 120 } }))]
pub struct SavedQueryRun {
    /// A value for each parameter by name; null is SQL's null.
    #[serde(default)]
    pub parameters: BTreeMap<String, Value>,
    /// Rows at most.
    #[validate(range(min = 1, max = 1000))]
    #[schema(minimum = 1, maximum = 1000, default = 100)]
    #[serde(default = "super::default_limit")]
    pub limit: u16,
}

/// List the saved queries, oldest first.
#[utoipa::path(get, path = "/v1/insights/queries", tag = "insights",
    responses((status = 200, description = "One page.", body = Page<SavedQuery>)))]
async fn list_saved_queries(
    State(app): State<App>,
    access: Access<ReadInsights>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let saved = queries::list(&app.db, organization_id, list.after()?, list.fetch()).await?;
    Ok(list.page(saved, |query| query.id))
}

/// Save a query. It is not run: try it with `POST /v1/insights/query` first.
#[utoipa::path(post, path = "/v1/insights/queries", request_body = NewSavedQuery, tag = "insights",
    responses((status = 201, description = "The saved query.", body = SavedQuery)))]
async fn create_saved_query(
    State(app): State<App>,
    access: Access<WriteInsights>,
    Json(new): Json<NewSavedQuery>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let (id, now) = (work.new_id(), work.now);
    let saved = queries::insert(&mut work, organization_id, id, &new, now)
        .await
        .on_constraint(named)?;
    work.audit(
        "saved_query.created",
        ("saved_query", id),
        None::<&()>,
        Some(&saved),
    )
    .await?;
    let location = format!("/v1/insights/queries/{id}");
    work.commit(Answer::created(location, saved.version, &saved)?)
        .await
}

/// Get a saved query.
#[utoipa::path(get, path = "/v1/insights/queries/{query_id}", tag = "insights",
    params(("query_id" = Uuid, Path, description = "The saved query.")),
    responses((status = 200, description = "The saved query.", body = SavedQuery)))]
async fn get_saved_query(
    State(app): State<App>,
    access: Access<ReadInsights>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let saved = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(saved.version, &saved)
}

/// Change a saved query.
#[utoipa::path(patch, path = "/v1/insights/queries/{query_id}", tag = "insights",
    params(("query_id" = Uuid, Path, description = "The saved query.")),
    request_body(content = NewSavedQuery, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The saved query as it is now.", body = SavedQuery)))]
async fn update_saved_query(
    State(app): State<App>,
    access: Access<WriteInsights>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    let new: NewSavedQuery = patch.apply(&current, READ_ONLY)?;
    let now = work.now;
    let saved = queries::update(&mut work, organization_id, id, &new, now)
        .await
        .on_constraint(named)?;
    work.audit(
        "saved_query.updated",
        ("saved_query", id),
        Some(&current),
        Some(&saved),
    )
    .await?;
    work.commit(Answer::ok(saved.version, &saved)?).await
}

/// Remove a saved query.
#[utoipa::path(delete, path = "/v1/insights/queries/{query_id}", tag = "insights",
    params(("query_id" = Uuid, Path, description = "The saved query.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_saved_query(
    State(app): State<App>,
    access: Access<WriteInsights>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    queries::delete(&mut work, organization_id, id).await?;
    work.audit(
        "saved_query.deleted",
        ("saved_query", id),
        Some(&current),
        None::<&()>,
    )
    .await?;
    work.commit(Answer::no_content()).await
}

/// Run a saved query. As `POST /v1/insights/query`, with parameters by name.
#[utoipa::path(post, path = "/v1/insights/queries/{query_id}/run", request_body = SavedQueryRun, tag = "insights",
    params(("query_id" = Uuid, Path, description = "The saved query.")),
    responses((status = 200, description = "The rows; CSV where `Accept` asks for `text/csv`.",
        content((QueryResult = "application/json"), (String = "text/csv")))))]
async fn run_saved_query(
    State(app): State<App>,
    access: Access<ReadInsights>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Json(run): Json<SavedQueryRun>,
) -> Result<Response, Problem> {
    let saved = queries::get(&app.db, access.organization_id(), id).await?;
    let params = values(&saved.parameters, run.parameters)?;
    let question = Question {
        sql: saved.sql,
        params,
        limit: run.limit,
    };
    let result = ask(&app, access, ("saved_query", id), &question).await;
    let result = result.map_err(|problem| by_name(problem, &saved.parameters))?;
    answer::respond(result, &headers)
}

/// The values in the order of the parameters.
fn values(
    parameters: &[QueryParameter],
    mut given: BTreeMap<String, Value>,
) -> Result<Vec<Value>, Problem> {
    let mut values = Vec::with_capacity(parameters.len());
    let mut faults = Vec::new();
    for parameter in parameters {
        match given
            .remove(&parameter.name)
            .or_else(|| parameter.default.clone())
        {
            Some(value) => values.push(value),
            None => faults.push(FieldError::new(
                &pointer(&parameter.name),
                "required",
                "is required",
            )),
        }
    }
    faults.extend(given.keys().map(|name| {
        FieldError::new(
            &pointer(name),
            "unknown_field",
            "the query has no such parameter",
        )
    }));
    if faults.is_empty() {
        Ok(values)
    } else {
        Err(Problem::Invalid(faults))
    }
}

/// Faults at `/params/0` are the parameter's, and the caller knows it by name.
fn by_name(problem: Problem, parameters: &[QueryParameter]) -> Problem {
    let Problem::Invalid(mut faults) = problem else {
        return problem;
    };
    for fault in &mut faults {
        let index = fault
            .pointer
            .as_deref()
            .and_then(|pointer| pointer.strip_prefix("#/params/"));
        let parameter = index.and_then(|index| parameters.get(index.parse::<usize>().ok()?));
        if let Some(parameter) = parameter {
            fault.pointer = Some(format!("#{}", pointer(&parameter.name)));
        }
    }
    Problem::Invalid(faults)
}

fn pointer(name: &str) -> String {
    format!("/parameters/{}", strict::escape(name))
}

fn distinct_names(parameters: &[QueryParameter]) -> Result<(), ValidationError> {
    let mut seen = HashSet::new();
    if parameters
        .iter()
        .all(|parameter| seen.insert(&parameter.name))
    {
        return Ok(());
    }
    Err(ValidationError::new("distinct").with_message("must have different names".into()))
}

fn snake_case(name: &str) -> Result<(), ValidationError> {
    let is_plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    if name.starts_with(|first: char| first.is_ascii_lowercase()) && name.chars().all(is_plain) {
        return Ok(());
    }
    let message = "must be snake_case: a letter, then letters, digits and underscores";
    Err(ValidationError::new("pattern").with_message(message.into()))
}

fn named(constraint: &str) -> Option<Problem> {
    let taken = "another saved query has this name";
    (constraint == "saved_query_name_once")
        .then(|| Problem::conflict(&kinds::ALREADY_EXISTS, taken))
}
