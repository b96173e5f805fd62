//! What a run of steps can do with an event's tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{apply::apply, queries, record_all};
use crate::{events, jobs::Failure, sidecars::Errand, state::App, work::Work};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateChecklistInput {
    /// The key of the checklist; that for the event's type when left out.
    pub template: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct CreateChecklistOutput {
    /// The event's tasks of that checklist, whoever made them first.
    pub task_ids: Vec<Uuid>,
}

/// Gives the event the tasks of a checklist, once: each item is one task of the event, whichever errand asks.
pub async fn create_checklist(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    input: CreateChecklistInput,
) -> Result<CreateChecklistOutput, Failure> {
    let organization_id = errand.organization_id;
    let mut work = Work::system(app, organization_id).await?;
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    let template = input.template.as_deref();
    let applied = apply(&mut work, organization_id, &event, template).await?;
    work.commit_silently().await?;
    Ok(CreateChecklistOutput {
        task_ids: applied.tasks.iter().map(|task| task.id).collect(),
    })
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropOpenInput {
    /// Only these, from `create_checklist`; those of all checklists without it.
    #[serde(default)]
    pub task_ids: Option<Vec<Uuid>>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct DropOpenOutput {
    /// What was removed.
    pub task_ids: Vec<Uuid>,
}

/// Undoes `create_checklist`: removes the tasks of checklists that nobody has done. What people added stays.
pub async fn drop_open(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    input: DropOpenInput,
) -> Result<DropOpenOutput, Failure> {
    let organization_id = errand.organization_id;
    let mut work = Work::system(app, organization_id).await?;
    events::queries::lock(&mut work, organization_id, event_id).await?;
    let open = queries::lock_open_of(&mut work, organization_id, event_id).await?;
    let dropped: Vec<_> = open
        .into_iter()
        .filter(|task| task.checklist.is_some() && input.concerns(task.id))
        .collect();
    let task_ids: Vec<_> = dropped.iter().map(|task| task.id).collect();
    queries::delete(&mut work, organization_id, &task_ids).await?;
    let changes = dropped.iter().map(|task| (task.id, Some(task), None));
    record_all(&mut work, "task.deleted", &changes.collect::<Vec<_>>()).await?;
    work.commit_silently().await?;
    Ok(DropOpenOutput { task_ids })
}

impl DropOpenInput {
    fn concerns(&self, task_id: Uuid) -> bool {
        self.task_ids
            .as_ref()
            .is_none_or(|task_ids| task_ids.contains(&task_id))
    }
}
