//! A planner's task as an issue of a Linear team.

use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Provider;
use crate::{
    jobs::{Done, Failure, Job, NewJob},
    problem::Problem,
    sidecars::Errand,
    state::App,
    work::Work,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A task to be shown in Linear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorTask {
    pub task_id: Uuid,
    /// Key or id of the team.
    pub team: String,
    pub title: String,
    /// Markdown.
    pub description: Option<String>,
    pub due: Option<Date>,
}

/// Where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirroredTask {
    pub issue_id: String,
    /// Such as `EVT-12`.
    pub identifier: String,
    pub url: String,
}

#[derive(Deserialize)]
struct Written {
    issue: Issue,
    replayed: bool,
}

#[derive(Deserialize)]
struct Issue {
    id: String,
    identifier: String,
    url: String,
}

/// Shows a task as an issue: created once for the task, however often it is mirrored, and brought up to date after that.
///
/// # Errors
/// As the sidecar says: away, or a team that is none.
pub async fn mirror_task(
    app: &App,
    errand: &Errand,
    task: &MirrorTask,
) -> Result<MirroredTask, Failure> {
    let errand = Errand {
        // The task's own, so that another change of it finds the same issue.
        idempotency_key: format!("task/{}", task.task_id),
        ..errand.clone()
    };
    let mut arguments = json!({ "team": task.team, "title": task.title });
    if let Some(description) = &task.description {
        arguments["description"] = description.as_str().into();
    }
    if let Some(due) = task.due {
        arguments["due_date"] = due.to_string().into();
    }
    let linear = &app.sidecars.linear;
    let written: Written = linear.run(&errand, "create_issue", &arguments).await?;
    let issue = written.issue;
    if written.replayed {
        let due = task.due.map(|due| due.to_string());
        let arguments = json!({
            "issue": issue.id, "title": task.title,
            "description": task.description.as_deref().unwrap_or_default(), "due_date": due.unwrap_or_default(),
        });
        linear
            .ask::<serde_json::Value>(&errand, "update_issue", &arguments)
            .await?;
    }
    Ok(MirroredTask {
        issue_id: issue.id,
        identifier: issue.identifier,
        url: issue.url,
    })
}

impl Work {
    /// Leaves the mirroring of a task to a worker.
    pub async fn mirror_task(&mut self, task: &MirrorTask) -> Result<Uuid, Problem> {
        let job = NewJob::new("linear.mirror_task", task)?;
        self.enqueue(job.lane(Provider::Linear.as_str())).await
    }
}

/// The job.
pub async fn mirror(app: App, job: Job) -> Result<Done, Failure> {
    let task: MirrorTask = job.read()?;
    mirror_task(&app, &job.errand(PATIENCE), &task).await?;
    Ok(Done::Finished)
}
