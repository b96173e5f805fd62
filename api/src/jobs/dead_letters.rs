//! Dead letters: jobs that were given up. Somebody looks, mends the cause, and replays or discards them.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use super::queries;
use crate::{
    access::{Access, ManageOrganization},
    extract::Path,
    page::{List, Page},
    problem::{OnConstraint, Problem, kinds},
    state::App,
    work::Answer,
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_dead_letters))
        .routes(routes!(discard_dead_letter))
        .routes(routes!(replay_dead_letter))
}

/// A job that was given up.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetter {
    pub id: Uuid,
    /// What was to be done, e.g. `webhook.deliver`.
    pub kind: String,
    /// The provider it needed; empty for none.
    pub lane: String,
    #[schema(value_type = Object)]
    pub payload: Value,
    pub attempts: i32,
    /// What went wrong the last time.
    pub error: Option<String>,
    pub died_at: Timestamp,
    pub created_at: Timestamp,
    /// `X-Request-Id` of the request that asked for it.
    pub request_id: Option<String>,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterFilter {
    /// Only this kind, e.g. `webhook.deliver`.
    #[validate(length(min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    pub kind: Option<String>,
}

/// List the dead letters, newest first.
#[utoipa::path(get, path = "/v1/dead-letters", params(DeadLetterFilter), tag = "jobs",
    responses((status = 200, description = "One page.", body = Page<DeadLetter>)))]
async fn list_dead_letters(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    list: List<DeadLetterFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let kind = list.filter.kind.as_deref();
    let dead = queries::list_dead(&app.db, organization_id, kind, list.after()?, list.fetch());
    let dead = dead.await?;
    Ok(list.page(dead, |letter| letter.id))
}

/// Try a dead letter again, with all its attempts and the same idempotency key towards its provider.
#[utoipa::path(post, path = "/v1/dead-letters/{job_id}/replay", tag = "jobs",
    params(("job_id" = Uuid, Path, description = "The dead letter.")),
    responses((status = 200, description = "It is on the queue again.", body = DeadLetter)))]
async fn replay_dead_letter(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let letter = queries::lock_dead(&mut work, organization_id, id).await?;
    queries::replay(&mut work, organization_id, id)
        .await
        .on_constraint(superseded)?;
    work.audit(
        "dead_letter.replayed",
        ("job", id),
        None::<&()>,
        Some(&letter),
    )
    .await?;
    work.commit(Answer::plain(&letter)?).await
}

/// Give a dead letter up for good. One that a run or a delivery waits for is replayed instead.
#[utoipa::path(delete, path = "/v1/dead-letters/{job_id}", tag = "jobs",
    params(("job_id" = Uuid, Path, description = "The dead letter.")),
    responses((status = 204, description = "Gone.")))]
async fn discard_dead_letter(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let letter = queries::lock_dead(&mut work, organization_id, id).await?;
    if WAITED_FOR.contains(&letter.kind.as_str()) {
        let detail = "what it is about would never end without it; replay it instead";
        return Err(Problem::conflict(&kinds::IN_USE, detail));
    }
    queries::discard(&mut work, organization_id, id).await?;
    work.audit(
        "dead_letter.discarded",
        ("job", id),
        Some(&letter),
        None::<&()>,
    )
    .await?;
    work.commit(Answer::no_content()).await
}

/// Kinds whose end is kept in a row of another table, which waits for it.
const WAITED_FOR: &[&str] = &["subtask.run", "webhook.deliver"];

/// A newer job stands for the same thing.
fn superseded(constraint: &str) -> Option<Problem> {
    let detail = "a newer job does the same; discard this one";
    (constraint == "job_once").then(|| Problem::conflict(&kinds::ALREADY_EXISTS, detail))
}
