//! A checklist becomes the tasks of an event, back-scheduled from its date.

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::{Task, check_event, queries, record_all, templates};
use crate::{
    access::{Access, WriteEvents},
    events::{self, Event},
    extract::{Json, Path, Query, ValidateOnly},
    problem::Problem,
    state::App,
    work::{Answer, Work},
};

/// Which checklist an event gets.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"template": "wedding"}))]
pub struct NewChecklist {
    /// The key of the checklist; that for the event's type when left out.
    #[validate(length(min = 1, max = 50))]
    #[schema(min_length = 1, max_length = 50)]
    pub template: Option<String>,
}

/// An event's tasks of a checklist.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppliedChecklist {
    pub template: String,
    /// How many of them are new: none when the checklist was applied before.
    pub created_count: usize,
    /// By when they are due.
    pub tasks: Vec<Task>,
}

/// Give an event the tasks of a checklist, back-scheduled from its date. What is there already stays as it is, so that
/// doing it again makes nothing twice.
#[utoipa::path(post, path = "/v1/events/{event_id}/checklist", request_body = NewChecklist, tag = "tasks",
    params(("event_id" = Uuid, Path, description = "The event."), ValidateOnly),
    responses((status = 200, description = "The event's tasks of the checklist.", body = AppliedChecklist)))]
pub async fn apply_checklist(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(event_id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
    Json(new): Json<NewChecklist>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?.rehearse(query.validate_only);
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    let applied = apply(&mut work, organization_id, &event, new.template.as_deref()).await?;
    work.commit(Answer::plain(&applied)?).await
}

/// The same within a change. The caller has locked the event.
pub async fn apply(
    work: &mut Work,
    organization_id: Uuid,
    event: &Event,
    template: Option<&str>,
) -> Result<AppliedChecklist, Problem> {
    check_event(event)?;
    let key = template.unwrap_or_else(|| templates::key_for(event.event_type));
    let template = templates::find(work, organization_id, key).await?;
    let unknown = || Problem::field("/template", "unknown", "there is no such checklist");
    let template = template.ok_or_else(unknown)?;
    let now = work.now;
    let mut new = queries::NewItems::default();
    for item in template.items.iter() {
        new.push(work.new_id(), item, &item.due.planned(event, now)?);
    }
    let created =
        queries::insert_items(work, organization_id, event.id, &template.key, &new, now).await?;
    let changes = created.iter().map(|task| (task.id, None, Some(task)));
    record_all(work, "task.created", &changes.collect::<Vec<_>>()).await?;
    let tasks = queries::of_checklist(work, organization_id, event.id, &template.key).await?;
    Ok(AppliedChecklist {
        template: template.key,
        created_count: created.len(),
        tasks,
    })
}
