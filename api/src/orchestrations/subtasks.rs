//! What people do with single subtasks: approve, retry, skip.

use axum::{extract::State, response::Response};
use uuid::Uuid;

use super::{Locked, Orchestration, RunStatus, SubtaskStatus};
use crate::{
    access::{Access, Role, WriteBookings},
    extract::{Path, Query, ValidateOnly},
    problem::{Problem, kinds},
    state::App,
    work::{Answer, Work},
};

/// Try a failed subtask again, with all of its attempts; or undoing it, where that failed.
#[utoipa::path(post, path = "/v1/orchestrations/{orchestration_id}/subtasks/{subtask_id}/retry", tag = "orchestrations",
    params(("orchestration_id" = Uuid, Path, description = "The run."),
        ("subtask_id" = Uuid, Path, description = "The subtask."), ValidateOnly),
    responses((status = 200, description = "The run as it is now.", body = Orchestration)))]
pub async fn retry_subtask(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path((id, subtask_id)): Path<(Uuid, Uuid)>,
    Query(query): Query<ValidateOnly>,
) -> Result<Response, Problem> {
    let mut work = access.begin(&app).await?.rehearse(query.validate_only);
    let (mut locked, place) = find(&mut work, id, subtask_id).await?;
    let is_undone = is_undone(locked.run.status);
    match locked.rows[place].status {
        SubtaskStatus::Failed if !is_undone => {}
        SubtaskStatus::CompensationFailed if by_a_tool(&locked, place) => {}
        status => return Err(refused(status, "be retried")),
    }
    locked.again(&mut work, place).await?;
    finish(work, locked, "subtask.retried", subtask_id).await
}

/// Leave a subtask out: one that failed, waits or has not begun. Where undoing it failed, this says that a person has
/// seen to it. What needs a role's approval is left out by that role only.
#[utoipa::path(post, path = "/v1/orchestrations/{orchestration_id}/subtasks/{subtask_id}/skip", tag = "orchestrations",
    params(("orchestration_id" = Uuid, Path, description = "The run."),
        ("subtask_id" = Uuid, Path, description = "The subtask."), ValidateOnly),
    responses((status = 200, description = "The run as it is now.", body = Orchestration)))]
pub async fn skip_subtask(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path((id, subtask_id)): Path<(Uuid, Uuid)>,
    Query(query): Query<ValidateOnly>,
) -> Result<Response, Problem> {
    let role = access.person.role;
    let mut work = access.begin(&app).await?.rehearse(query.validate_only);
    let (mut locked, place) = find(&mut work, id, subtask_id).await?;
    let status = match locked.rows[place].status {
        SubtaskStatus::Failed => SubtaskStatus::Skipped,
        SubtaskStatus::Pending | SubtaskStatus::Ready | SubtaskStatus::WaitingApproval => {
            may_decide(&locked, place, role)?;
            SubtaskStatus::Skipped
        }
        SubtaskStatus::CompensationFailed => SubtaskStatus::Compensated,
        status => return Err(refused(status, "be skipped")),
    };
    let why = match status {
        SubtaskStatus::Skipped => "a person left it out",
        _ => "a person saw to it",
    };
    locked.change(place).is_uncertain = false;
    locked.end(place, status, Some(why.to_owned()), &work);
    finish(work, locked, "subtask.left_out", subtask_id).await
}

/// Approve a subtask that waits for it. The step may ask for a role.
#[utoipa::path(post, path = "/v1/orchestrations/{orchestration_id}/subtasks/{subtask_id}/approve", tag = "orchestrations",
    params(("orchestration_id" = Uuid, Path, description = "The run."),
        ("subtask_id" = Uuid, Path, description = "The subtask."), ValidateOnly),
    responses((status = 200, description = "The run as it is now.", body = Orchestration)))]
pub async fn approve_subtask(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path((id, subtask_id)): Path<(Uuid, Uuid)>,
    Query(query): Query<ValidateOnly>,
) -> Result<Response, Problem> {
    let (role, member_id) = (access.person.role, access.person.member_id);
    let mut work = access.begin(&app).await?.rehearse(query.validate_only);
    let (mut locked, place) = find(&mut work, id, subtask_id).await?;
    let status = locked.rows[place].status;
    if status != SubtaskStatus::WaitingApproval {
        return Err(refused(status, "be approved"));
    }
    may_decide(&locked, place, role)?;
    locked.change(place).approved_by = Some(member_id);
    locked.again(&mut work, place).await?;
    finish(work, locked, "subtask.approved", subtask_id).await
}

/// 403 unless the step's approval, if it needs one, is this role's to give.
fn may_decide(locked: &Locked, place: usize, role: Role) -> Result<(), Problem> {
    if let Some(approval) = locked.step(place).approval
        && role < approval.role
    {
        let detail = format!("this step needs the approval of the role {}", approval.role);
        return Err(Problem::Forbidden(detail));
    }
    Ok(())
}

async fn find(work: &mut Work, id: Uuid, subtask_id: Uuid) -> Result<(Locked, usize), Problem> {
    let locked = Locked::lock(work, work.organization_id(), id).await?;
    let place = locked.place(subtask_id).ok_or(Problem::NotFound)?;
    Ok((locked, place))
}

async fn finish(
    mut work: Work,
    locked: Locked,
    action: &str,
    subtask_id: Uuid,
) -> Result<Response, Problem> {
    let orchestration = locked.save(&mut work).await?;
    let subtask = orchestration
        .subtasks
        .iter()
        .find(|subtask| subtask.id == subtask_id);
    let after = subtask.map(|subtask| {
        serde_json::json!({ "orchestration_id": orchestration.run.id, "step": subtask.step, "status": subtask.status })
    });
    work.audit(action, ("subtask", subtask_id), None::<&()>, after.as_ref())
        .await?;
    work.commit(Answer::ok(orchestration.run.version, &orchestration)?)
        .await
}

fn is_undone(status: RunStatus) -> bool {
    matches!(
        status,
        RunStatus::Cancelling | RunStatus::Cancelled | RunStatus::CompensationFailed
    )
}

/// Whether it succeeded and a tool can undo it: what a person has to undo, no retry does.
fn by_a_tool(locked: &Locked, place: usize) -> bool {
    let compensation = locked.step(place).compensate.as_ref();
    let has_tool = compensation.is_some_and(|compensation| compensation.tool.is_some());
    has_tool && locked.rows[place].output.is_some()
}

fn refused(status: SubtaskStatus, what: &str) -> Problem {
    let status = serde_json::to_value(status).unwrap_or_default();
    let status = status.as_str().unwrap_or_default();
    let detail = format!("the subtask is {status} and cannot {what}");
    Problem::conflict(&kinds::INVALID_TRANSITION, detail)
}
