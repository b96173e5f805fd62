//! Tasks shown as issues of a Linear team, where the organization has switched that on.

use std::time::Duration;

use mcp_kit::Code;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    TaskStatus,
    queries::mirror::{self as queries, Shown},
};
use crate::{
    integrations::Provider,
    jobs::{Done, Failure, Job, NewJob},
    organizations,
    problem::Problem,
    sidecars::{Errand, SidecarError},
    state::App,
    work::Work,
};

/// For all calls of a job.
const PATIENCE: Duration = Duration::from_secs(25);
/// Changes that come while the issue is written are followed at once, up to so many times.
const ROUNDS: usize = 4;

/// The payload of `linear.mirror_task`. What is shown is read when it is shown, so that it does not matter which of two
/// jobs comes first.
#[derive(Debug, Serialize, Deserialize)]
struct Mirror {
    task_id: Uuid,
}

#[derive(Deserialize)]
struct Written {
    issue: WrittenIssue,
    replayed: bool,
}

#[derive(Deserialize)]
struct WrittenIssue {
    id: String,
    state_type: String,
}

/// Leaves it to workers to show tasks as they are now, if the organization wants that.
pub async fn enqueue(work: &mut Work, task_ids: &[Uuid]) -> Result<(), Problem> {
    let organization_id = work.organization_id();
    if task_ids.is_empty()
        || organizations::linear_team(work, organization_id)
            .await?
            .is_none()
    {
        return Ok(());
    }
    for task_id in task_ids.iter().copied() {
        let job = NewJob::new("linear.mirror_task", &Mirror { task_id })?;
        work.enqueue(job.lane(Provider::Linear.as_str())).await?;
    }
    Ok(())
}

/// Leaves it to a worker to show what is open already: the organization has only now asked for it.
pub async fn enqueue_open(work: &mut Work) -> Result<(), Problem> {
    let job = NewJob::new("linear.mirror_open", &json!({}))?;
    work.enqueue(job.lane(Provider::Linear.as_str())).await?;
    Ok(())
}

/// That job.
pub async fn mirror_open(app: App, job: Job) -> Result<Done, Failure> {
    let mut work = Work::system(&app, job.organization_id).await?;
    let open = queries::open(&mut work, job.organization_id).await?;
    enqueue(&mut work, &open).await?;
    let done = job.settle(&mut work).await?;
    work.commit_silently().await?;
    Ok(done)
}

/// The job: one issue for a task, however often it changes, closed when the task is done, cancelled or removed.
pub async fn mirror(app: App, job: Job) -> Result<Done, Failure> {
    let Mirror { task_id } = job.read()?;
    let errand = Errand {
        // The task's own, so that another change of it finds the same issue.
        idempotency_key: format!("task/{task_id}"),
        ..job.errand(PATIENCE)
    };
    for _ in 0..ROUNDS {
        let mut db = app.db.acquire().await?;
        let Some(team) = organizations::linear_team(&mut db, job.organization_id).await? else {
            return Ok(Done::Finished);
        };
        let task = queries::shown(&mut db, job.organization_id, task_id).await?;
        let issue = queries::issue(&mut db, job.organization_id, task_id).await?;
        drop(db);
        match (&task, issue) {
            (None, None) => return Ok(Done::Finished),
            (None, Some(issue_id)) => {
                let closed = json!({ "state_type": "canceled" });
                update(&app, &errand, &issue_id, &closed).await?;
                queries::forget(&app.db, job.organization_id, task_id).await?;
                return Ok(Done::Finished);
            }
            (Some(task), issue) => show(&app, &errand, task_id, task, issue, &team).await?,
        }
        let mut db = app.db.acquire().await?;
        let now = queries::shown(&mut db, job.organization_id, task_id).await?;
        if now.map(|now| now.version) == task.map(|task| task.version) {
            return Ok(Done::Finished);
        }
    }
    Err(Failure::Retry {
        error: "the task changes faster than it can be shown".to_owned(),
        after: None,
    })
}

/// Makes the issue what the task is.
async fn show(
    app: &App,
    errand: &Errand,
    task_id: Uuid,
    task: &Shown,
    issue: Option<String>,
    team: &str,
) -> Result<(), Failure> {
    let mut fields = json!({
        "title": task.title, "description": task.description, "due_date": task.due_date.to_jiff().to_string(),
    });
    let issue_id = if let Some(issue_id) = issue {
        issue_id
    } else {
        fields["team"] = team.into();
        let linear = &app.sidecars.linear;
        let Written { issue, replayed } = linear.run(errand, "create_issue", &fields).await?;
        queries::keep(&app.db, errand.organization_id, task_id, &issue.id).await?;
        if !replayed && task.status.fits(&issue.state_type) {
            return Ok(());
        }
        issue.id
    };
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("team");
    }
    let state = update(app, errand, &issue_id, &fields).await?;
    if state.is_none_or(|state| task.status.fits(&state)) {
        return Ok(());
    }
    let change = json!({ "state_type": task.status.state_type() });
    update(app, errand, &issue_id, &change).await?;
    Ok(())
}

/// What the issue's state means now; none where somebody deleted the issue, which is left so.
async fn update(
    app: &App,
    errand: &Errand,
    issue_id: &str,
    fields: &Value,
) -> Result<Option<String>, Failure> {
    let mut arguments = fields.clone();
    arguments["issue"] = issue_id.into();
    let linear = &app.sidecars.linear;
    match linear
        .ask::<Written>(errand, "update_issue", &arguments)
        .await
    {
        Ok(written) => Ok(Some(written.issue.state_type)),
        Err(SidecarError::Refused(refusal)) if refusal.code == Code::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl TaskStatus {
    /// What the state of an issue means in Linear.
    fn state_type(self) -> &'static str {
        match self {
            Self::Open => "unstarted",
            Self::Done => "completed",
            Self::Cancelled => "canceled",
        }
    }

    /// Whether the issue may stay in its state: what is open, people in Linear move as they like.
    fn fits(self, state_type: &str) -> bool {
        match self {
            Self::Open => !matches!(state_type, "completed" | "canceled"),
            Self::Done | Self::Cancelled => state_type == self.state_type(),
        }
    }
}
