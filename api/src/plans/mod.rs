//! Plans: a brief becomes ranked, priced options, kept so that one can be booked as shown.
//! The search itself is pure (`search.rs`); here are the routes and what it is fed.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::Serialize;
use sqlx::types::Json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    access::{Access, ReadEvents, WriteEvents},
    extract::{self, Path},
    page::{List, NoFilter, Page},
    problem::{FieldError, Problem},
    state::App,
    work::Answer,
};

pub mod availability;
mod book;
pub mod brief;
mod candidates;
mod catalogues;
mod changes;
mod index;
pub mod option;
#[cfg(test)]
mod oracle;
mod place;
mod points;
pub mod pricing;
pub mod queries;
mod ranking;
mod rules;
pub mod search;
pub mod snapshot;

use brief::Brief;
pub use catalogues::Catalogues;
use option::Outcome;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_plans, create_plan))
        .routes(routes!(get_plan))
        .routes(routes!(book::book_plan_option))
}

/// A brief and what was found for it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Plan {
    pub id: Uuid,
    /// Until when its options can be booked at the prices shown.
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    #[schema(value_type = Brief)]
    pub brief: Json<Brief>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A plan in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanSummary {
    pub id: Uuid,
    pub summary: String,
    /// How many options it has.
    pub options: i64,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
}

/// List plans, newest first.
#[utoipa::path(get, path = "/v1/plans", tag = "plans",
    responses((status = 200, description = "One page.", body = Page<PlanSummary>)))]
async fn list_plans(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let plans = queries::list(
        &app.db,
        access.organization_id(),
        list.after()?,
        list.fetch(),
    )
    .await?;
    Ok(list.page(plans, |plan| plan.id))
}

/// Plan: find the best venues and caterers for a brief, priced to the last line.
#[utoipa::path(post, path = "/v1/plans", request_body = Brief, tag = "plans",
    responses((status = 201, description = "The plan with its options.", body = Plan)))]
async fn create_plan(
    State(app): State<App>,
    access: Access<WriteEvents>,
    extract::Json(brief): extract::Json<Brief>,
) -> Result<Response, Problem> {
    let now = app.now();
    let faults = brief.check(now);
    if !faults.is_empty() {
        let error =
            |fault: brief::BriefFault| FieldError::new(fault.pointer, fault.code, fault.detail);
        return Err(Problem::Invalid(faults.into_iter().map(error).collect()));
    }
    let organization_id = access.organization_id();
    let catalogue = app.catalogues.current(&app, organization_id).await?;
    // A search may keep a core busy for some milliseconds: not on a thread that answers others.
    let searched = tokio::task::spawn_blocking(move || {
        let outcome = catalogue.search(&brief, now);
        (brief, outcome)
    });
    let (brief, outcome) = searched.await.map_err(anyhow::Error::from)?;
    let found = if outcome.options.is_empty() {
        "empty"
    } else {
        "found"
    };
    app.metrics.plans.with_label_values(&[found]).inc();

    let mut work = access.begin(&app).await?;
    let expires_at = now
        .checked_add(app.settings.plan_ttl)
        .map_err(anyhow::Error::from)?;
    let plan = Plan {
        id: work.new_id(),
        expires_at: expires_at.into(),
        created_at: now.into(),
        brief: Json(brief),
        outcome,
    };
    queries::insert(&mut work, organization_id, &plan).await?;
    let note = serde_json::json!({"summary": plan.outcome.summary, "brief": plan.brief});
    work.audit("plan.created", ("plan", plan.id), None::<&()>, Some(&note))
        .await?;
    work.commit(Answer::created(format!("/v1/plans/{}", plan.id), 1, &plan)?)
        .await
}

/// Get a plan with its options.
#[utoipa::path(get, path = "/v1/plans/{plan_id}", tag = "plans",
    params(("plan_id" = Uuid, Path, description = "The plan.")),
    responses((status = 200, description = "The plan with its options.", body = Plan)))]
async fn get_plan(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let plan = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(1, &plan)
}
