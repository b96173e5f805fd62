//! Things to do for an event, and the checklists that they come from.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json as Jsonb;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::{
    access::{Access, ReadEvents, WriteEvents},
    events::{self, Event, EventStatus},
    extract::{IfMatch, Json, MergePatch, Path},
    page::{List, Page},
    problem::{OnConstraint, Problem, kinds},
    state::App,
    work::{Answer, Work},
};

pub mod actions;
mod apply;
mod due;
mod mirror;
mod queries;
mod templates;
pub use due::{Due, DueChange, MovedTask, follow};
pub use mirror::{enqueue_open, mirror, mirror_open};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_tasks))
        .routes(routes!(get_task, update_task, delete_task))
        .routes(routes!(complete_task))
        .routes(routes!(reopen_task))
        .routes(routes!(create_event_task))
        .routes(routes!(apply::apply_checklist))
        .merge(templates::routes())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum TaskStatus {
    Open,
    Done,
    /// Its event was cancelled.
    Cancelled,
}

/// Something to do for an event.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Task {
    pub id: Uuid,
    pub event_id: Uuid,
    pub title: String,
    pub description: String,
    pub status: TaskStatus,
    /// The member who does it.
    pub assignee_id: Option<Uuid>,
    /// The day counted from the event's: the task moves when the event does. Null where `due_at` was given as such.
    #[schema(value_type = Option<Due>)]
    pub due: Option<Jsonb<Due>>,
    pub due_at: Timestamp,
    /// What `due` asks for had passed when it was planned, so it was made due that day.
    pub is_late: bool,
    /// The checklist that it came from, and
    pub checklist: Option<String>,
    /// which of its items.
    pub checklist_item: Option<String>,
    pub completed_at: Option<Timestamp>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What `NewTask` cannot set.
const READ_ONLY: &[&str] = &[
    "id",
    "event_id",
    "status",
    "is_late",
    "checklist",
    "checklist_item",
    "completed_at",
    "version",
    "created_at",
    "updated_at",
];

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = one_due))]
#[schema(example = json!({"title": "Order the cake", "due": {"days_before": 14, "time": "17:00"}}))]
pub struct NewTask {
    #[validate(length(min = 1, max = 200), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub title: String,
    #[serde(default)]
    #[validate(length(max = 10_000))]
    #[schema(max_length = 10_000, required = false)]
    pub description: String,
    /// The member who does it.
    pub assignee_id: Option<Uuid>,
    /// When it is due, counted from the event; or
    #[validate(nested)]
    pub due: Option<Due>,
    /// an instant that stays where it is. Exactly one of the two.
    pub due_at: Option<Timestamp>,
}

/// Which tasks a list shows.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TaskFilter {
    pub event_id: Option<Uuid>,
    pub status: Option<TaskStatus>,
    pub assignee_id: Option<Uuid>,
    /// Only tasks that are due before this instant.
    pub due_before: Option<Timestamp>,
    /// Only tasks that are due at this instant or later.
    pub due_after: Option<Timestamp>,
}

/// List tasks by when they are due.
#[utoipa::path(get, path = "/v1/tasks", params(TaskFilter), tag = "tasks",
    responses((status = 200, description = "One page.", body = Page<Task>)))]
async fn list_tasks(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<TaskFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let (after, limit) = (list.after()?, list.fetch());
    let tasks = queries::list(&app.db, organization_id, &list.filter, after, limit).await?;
    Ok(list.page(tasks, |task| (task.due_at, task.id)))
}

/// Get a task.
#[utoipa::path(get, path = "/v1/tasks/{task_id}", tag = "tasks",
    params(("task_id" = Uuid, Path, description = "The task.")),
    responses((status = 200, description = "The task.", body = Task)))]
async fn get_task(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let task = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(task.version, &task)
}

/// Create a task for an event.
#[utoipa::path(post, path = "/v1/events/{event_id}/tasks", request_body = NewTask, tag = "tasks",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 201, description = "The task.", body = Task)))]
async fn create_event_task(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(event_id): Path<Uuid>,
    Json(new): Json<NewTask>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    check_event(&event)?;
    let planned = planned(&new, &event, work.now)?;
    let (id, now) = (work.new_id(), work.now);
    let task = queries::insert(
        &mut work,
        organization_id,
        (event_id, id),
        &new,
        &planned,
        now,
    )
    .await
    .on_constraint(named)?;
    record(&mut work, "task.created", id, None, Some(&task)).await?;
    let location = format!("/v1/tasks/{id}");
    work.commit(Answer::created(location, task.version, &task)?)
        .await
}

/// Change a task. To give an instant in place of a day counted from the event, clear `due`, and the other way round.
#[utoipa::path(patch, path = "/v1/tasks/{task_id}", tag = "tasks",
    params(("task_id" = Uuid, Path, description = "The task.")),
    request_body(content = NewTask, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The task as it is now.", body = Task)))]
async fn update_task(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let (event, current) = lock_with_event(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    let mut patched = serde_json::to_value(&current).map_err(anyhow::Error::from)?;
    if current.due.is_some() {
        // It follows from `due`, and is not given beside it.
        patched["due_at"] = Value::Null;
    }
    let new: NewTask = patch.apply(&patched, READ_ONLY)?;
    let (now, due) = (work.now, current.due.as_deref().copied());
    let planned = if new.due.is_some() && new.due == due {
        due::Planned {
            is_late: current.is_late,
            ..current.due_at.into()
        }
    } else {
        planned(&new, &event, now)?
    };
    let task = queries::update(&mut work, organization_id, id, &new, &planned, now)
        .await
        .on_constraint(named)?;
    record(&mut work, "task.updated", id, Some(&current), Some(&task)).await?;
    work.commit(Answer::ok(task.version, &task)?).await
}

/// Remove a task.
#[utoipa::path(delete, path = "/v1/tasks/{task_id}", tag = "tasks",
    params(("task_id" = Uuid, Path, description = "The task.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_task(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    queries::delete(&mut work, organization_id, &[id]).await?;
    record(&mut work, "task.deleted", id, Some(&current), None).await?;
    work.commit(Answer::no_content()).await
}

/// Complete an open task.
#[utoipa::path(post, path = "/v1/tasks/{task_id}/complete", tag = "tasks",
    params(("task_id" = Uuid, Path, description = "The task.")),
    responses((status = 200, description = "The task as it is now.", body = Task)))]
async fn complete_task(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if current.status != TaskStatus::Open {
        let detail = "only an OPEN task can be completed; reopen it first";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    let now = work.now;
    let task = queries::complete(&mut work, organization_id, id, now).await?;
    record(&mut work, "task.completed", id, Some(&current), Some(&task)).await?;
    work.commit(Answer::ok(task.version, &task)?).await
}

/// Open a task again that is done or cancelled. Its due time is counted anew from the event.
#[utoipa::path(post, path = "/v1/tasks/{task_id}/reopen", tag = "tasks",
    params(("task_id" = Uuid, Path, description = "The task.")),
    responses((status = 200, description = "The task as it is now.", body = Task)))]
async fn reopen_task(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let (event, current) = lock_with_event(&mut work, organization_id, id).await?;
    check_event(&event)?;
    if current.status == TaskStatus::Open {
        let detail = "the task is OPEN already";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    let now = work.now;
    let planned = match &current.due {
        Some(due) => due.planned(&event, now)?,
        None => current.due_at.into(),
    };
    let task = queries::reopen(&mut work, organization_id, id, &planned, now).await?;
    record(&mut work, "task.reopened", id, Some(&current), Some(&task)).await?;
    work.commit(Answer::ok(task.version, &task)?).await
}

/// Cancels what is still open for an event that is cancelled.
pub async fn cancel_open(
    work: &mut Work,
    organization_id: Uuid,
    event_id: Uuid,
) -> Result<(), Problem> {
    let open = queries::lock_open_of(work, organization_id, event_id).await?;
    let now = work.now;
    let cancelled = queries::cancel_open_of(work, organization_id, event_id, now).await?;
    let changes = cancelled.iter().map(|task| {
        let before = open.iter().find(|before| before.id == task.id);
        (task.id, before, Some(task))
    });
    record_all(work, "task.cancelled", &changes.collect::<Vec<_>>()).await
}

/// Removes all tasks of an event that is deleted. The database would do so, too, and tell nobody. The caller has locked the event.
pub async fn delete_all(
    work: &mut Work,
    organization_id: Uuid,
    event_id: Uuid,
) -> Result<(), Problem> {
    let tasks = queries::delete_of(work, organization_id, event_id).await?;
    let changes = tasks.iter().map(|task| (task.id, Some(task), None));
    record_all(work, "task.deleted", &changes.collect::<Vec<_>>()).await
}

/// What every change of a task leaves behind: the trail, and the issue that shows it.
async fn record(
    work: &mut Work,
    action: &'static str,
    id: Uuid,
    before: Option<&Task>,
    after: Option<&Task>,
) -> Result<(), Problem> {
    record_all(work, action, &[(id, before, after)]).await
}

/// The same, of changes that are made together: ids, and the tasks before and after.
async fn record_all(
    work: &mut Work,
    action: &'static str,
    changes: &[(Uuid, Option<&Task>, Option<&Task>)],
) -> Result<(), Problem> {
    for &(id, before, after) in changes {
        work.audit(action, ("task", id), before, after).await?;
    }
    let ids: Vec<_> = changes.iter().map(|(id, ..)| *id).collect();
    mirror::enqueue(work, &ids).await
}

/// The event first, as everything does that changes both: so nobody waits for each other in a circle.
async fn lock_with_event(
    work: &mut Work,
    organization_id: Uuid,
    id: Uuid,
) -> Result<(Event, Task), Problem> {
    let event_id = queries::event_of(work, organization_id, id).await?;
    let event = events::queries::lock(work, organization_id, event_id).await?;
    let task = queries::lock(work, organization_id, id).await?;
    Ok((event, task))
}

fn planned(new: &NewTask, event: &Event, now: jiff::Timestamp) -> Result<due::Planned, Problem> {
    match (&new.due, new.due_at) {
        (Some(due), _) => due.planned(event, now),
        (None, Some(due_at)) => due::check_instant(due_at).map(|()| due_at.into()),
        (None, None) => Err(Problem::field("/due", "required", "is required")),
    }
}

/// Nothing more is to be done for a cancelled event; after one that is over there may be.
fn check_event(event: &Event) -> Result<(), Problem> {
    if event.status != EventStatus::Cancelled {
        return Ok(());
    }
    let detail = "the event is CANCELLED; there is nothing more to do for it";
    Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail))
}

fn one_due(new: &NewTask) -> Result<(), ValidationError> {
    if new.due.is_some() != new.due_at.is_some() {
        return Ok(());
    }
    let message = "give exactly one of due and due_at; a patch clears the other with null";
    Err(ValidationError::new("conflict").with_message(message.into()))
}

fn named(constraint: &str) -> Option<Problem> {
    (constraint == "task_assignee")
        .then(|| Problem::field("/assignee_id", "unknown", "there is no such member"))
}
