//! Orchestrations: durable runs of a playbook's steps. They outlive crashes, wait for people, and undo what they did when
//! they are cancelled.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, types::Json as Jsonb};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use crate::{
    access::{Access, ReadEvents, Role, WriteBookings},
    extract::{Path, Query, ValidateOnly},
    page::{List, Page},
    playbooks::{Definition, Step, check},
    problem::{Problem, kinds},
    state::App,
    work::Answer,
};

pub mod booking;
mod context;
mod draft;
mod engine;
mod matching;
mod perform;
mod planner;
mod queries;
pub mod rules;
mod settings;
mod start;
mod stream;
mod subtasks;
pub use engine::Locked;
pub use matching::Facts;
pub use perform::run_subtask;
pub use planner::{Kind as PlannerKind, Planner};
pub use queries::count_open;
pub use settings::Orchestrations;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_orchestrations, start::create_orchestration))
        .routes(routes!(start::orchestrate))
        .routes(routes!(get_orchestration))
        .routes(routes!(stream::watch_orchestration))
        .routes(routes!(cancel_orchestration))
        .routes(routes!(subtasks::retry_subtask))
        .routes(routes!(subtasks::skip_subtask))
        .routes(routes!(subtasks::approve_subtask))
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunStatus {
    /// Nothing has begun.
    Queued,
    Running,
    /// Nothing goes on until a person approves a subtask.
    Waiting,
    Succeeded,
    /// Nothing goes on until a person retries or skips what failed.
    Failed,
    /// What was done is being undone.
    Cancelling,
    /// Everything that can be undone is.
    Cancelled,
    /// Marked for a person: something could not be undone, or is a person's to undo.
    CompensationFailed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SubtaskStatus {
    /// Others come before it.
    Pending,
    /// On the queue.
    Ready,
    Running,
    WaitingApproval,
    Succeeded,
    Failed,
    /// Optional, and could not be done; or a person, or cancelling, left it out.
    Skipped,
    Compensating,
    Compensated,
    /// A person has to look.
    CompensationFailed,
}

/// Which runs go first where many wait.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type,
)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

/// A run, without its subtasks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Run {
    pub id: Uuid,
    pub event_id: Option<Uuid>,
    /// It was started because the event was booked, and is undone when the event is cancelled.
    pub is_booking_run: bool,
    /// The playbook that it follows, as it was when the run began; `planner` for steps that a language model proposed.
    pub playbook: String,
    /// Null for a shipped playbook.
    pub playbook_version: Option<i64>,
    #[serde(skip)]
    #[schema(ignore)]
    pub definition: Jsonb<Definition>,
    pub description: String,
    /// What was understood of the description.
    #[schema(value_type = Facts)]
    pub facts: Jsonb<Facts>,
    /// What whoever started it should know.
    pub notes: Vec<String>,
    pub priority: Priority,
    pub status: RunStatus,
    /// The member who started it; null when we did.
    pub requested_by: Option<Uuid>,
    /// An estimate of the tokens that a language model would read and write for it; see docs/orchestrations.md.
    pub estimated_tokens: i32,
    #[serde(skip)]
    #[schema(ignore)]
    pub estimated_duration_minutes: i32,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

/// A subtask as the database has it; the rest is in the definition.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: Uuid,
    pub position: i16,
    pub status: SubtaskStatus,
    pub attempts: i32,
    pub is_uncertain: bool,
    pub approved_by: Option<Uuid>,
    pub input: Option<Value>,
    pub output: Option<Value>,
    pub error: Option<String>,
    pub due_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub changed_in: i64,
}

/// One step of a run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Subtask {
    /// Also the idempotency key of what it does.
    pub id: Uuid,
    /// The id of the step in the playbook.
    pub step: String,
    pub agent_type: String,
    pub tool: String,
    pub description: String,
    pub status: SubtaskStatus,
    /// Subtasks that come before it.
    pub depends_on: Vec<Uuid>,
    /// It may be left out.
    pub is_optional: bool,
    /// The role that has to approve it; null for nobody.
    pub approval_role: Option<Role>,
    pub approved_by: Option<Uuid>,
    /// Of what it is at: the step, or undoing it.
    pub attempts: i32,
    /// What the tool was given; null before it began.
    #[schema(value_type = Option<Value>)]
    pub input: Option<Value>,
    /// What the tool gave.
    #[schema(value_type = Option<Value>)]
    pub output: Option<Value>,
    /// Why it failed, was skipped, is tried again, or what a person has to do.
    pub error: Option<String>,
    /// When it should be done.
    pub due_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// The version of the run in which it last changed.
    #[serde(skip)]
    #[schema(ignore)]
    changed_in: i64,
}

/// In which order subtasks are done, and how long that takes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RoutingPlan {
    /// Groups of subtasks: those of a group need only groups before it, so they may be done side by side.
    pub execution_order: Vec<Vec<Uuid>>,
    /// Along the longest chain of subtasks, by the playbook's estimates.
    pub estimated_duration_minutes: i32,
}

/// A run with all of its subtasks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Orchestration {
    /// The same as `id`.
    pub task_id: Uuid,
    #[serde(flatten)]
    pub run: Run,
    pub subtasks: Vec<Subtask>,
    pub routing_plan: RoutingPlan,
}

/// Which runs a list shows.
#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrchestrationFilter {
    pub status: Option<RunStatus>,
    pub event_id: Option<Uuid>,
}

/// List runs, newest first.
#[utoipa::path(get, path = "/v1/orchestrations", params(OrchestrationFilter), tag = "orchestrations",
    responses((status = 200, description = "One page.", body = Page<Run>)))]
async fn list_orchestrations(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<OrchestrationFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let (filter, after) = (&list.filter, list.after()?);
    let runs = queries::list(&app.db, organization_id, filter, after, list.fetch()).await?;
    Ok(list.page(runs, |run| run.id))
}

/// Get a run with its subtasks.
#[utoipa::path(get, path = "/v1/orchestrations/{orchestration_id}", tag = "orchestrations",
    params(("orchestration_id" = Uuid, Path, description = "The run.")),
    responses((status = 200, description = "The run.", body = Orchestration)))]
async fn get_orchestration(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let mut db = app.db.acquire().await?;
    let found = load(&mut db, access.organization_id(), id).await?;
    Answer::ok(found.run.version, &found)
}

/// Cancel a run, also one that has succeeded: what it did is undone, what came last first.
#[utoipa::path(post, path = "/v1/orchestrations/{orchestration_id}/cancel", tag = "orchestrations",
    params(("orchestration_id" = Uuid, Path, description = "The run."), ValidateOnly),
    responses((status = 200, description = "The run as it is now.", body = Orchestration)))]
async fn cancel_orchestration(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?.rehearse(query.validate_only);
    let mut locked = Locked::lock(&mut work, organization_id, id).await?;
    if !locked.cancel() {
        let status = serde_json::to_value(locked.run.status).unwrap_or_default();
        let detail = format!("the run is {} already", status.as_str().unwrap_or_default());
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    let orchestration = locked.save(&mut work).await?;
    work.commit(Answer::ok(orchestration.run.version, &orchestration)?)
        .await
}

/// A run with its subtasks.
async fn load(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Orchestration> {
    // The run first: subtasks that are newer than its version are told again with the next one, none is left out.
    let run = queries::get(db, organization_id, id).await?;
    let rows = queries::subtasks(db, organization_id, id).await?;
    Ok(Orchestration::new(run, &rows))
}

impl Orchestration {
    fn new(run: Run, rows: &[Row]) -> Self {
        let subtasks = rows.iter().map(|row| Subtask::new(&run, rows, row));
        let layers = check::layers(&run.definition.steps).unwrap_or_default();
        let ids = |layer: &Vec<usize>| layer.iter().map(|position| rows[*position].id).collect();
        Self {
            task_id: run.id,
            routing_plan: RoutingPlan {
                execution_order: layers.iter().map(ids).collect(),
                estimated_duration_minutes: run.estimated_duration_minutes,
            },
            subtasks: subtasks.collect(),
            run,
        }
    }
}

impl Subtask {
    /// `rows` are all of the run's, by their position.
    fn new(run: &Run, rows: &[Row], row: &Row) -> Self {
        let step = run.step(row);
        Self {
            id: row.id,
            step: step.id.clone(),
            agent_type: step.agent_type.clone(),
            tool: step.tool.clone(),
            description: step.description.clone(),
            status: row.status,
            depends_on: run.before(step).map(|place| rows[place].id).collect(),
            is_optional: step.optional,
            approval_role: step.approval.map(|approval| approval.role),
            approved_by: row.approved_by,
            attempts: row.attempts,
            input: row.input.clone(),
            output: row.output.clone(),
            error: row.error.clone(),
            due_at: row.due_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
            changed_in: row.changed_in,
        }
    }
}

impl Run {
    /// The step of a subtask. There are as many subtasks as steps: both are written once, together.
    fn step(&self, row: &Row) -> &Step {
        &self.definition.steps[usize::try_from(row.position).unwrap_or_default()]
    }

    /// The positions of the steps that come directly before it.
    fn before<'a>(&'a self, step: &'a Step) -> impl Iterator<Item = usize> + 'a {
        let steps = &self.definition.steps;
        let place = |name: &String| steps.iter().position(|step| step.id == *name);
        step.depends_on.iter().filter_map(place)
    }
}
