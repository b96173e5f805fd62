//! A run under its lock: what happened is written into it, `rules` say what that leads to, and all of it is saved in the
//! transaction of the caller, with the jobs that go on.

use std::time::Duration;

use jiff_sqlx::ToSqlx;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Orchestration, Priority, Row, Run, RunStatus, Subtask, SubtaskStatus, context, queries,
    rules::{self, Move, Node},
};
use crate::{
    agents::built_in_tool,
    jobs::NewJob,
    playbooks::{Step, references},
    problem::Problem,
    work::Work,
};

/// The kind of job that does a subtask, or undoes it.
pub const JOB: &str = "subtask.run";
/// Longest text that is kept of an error, in characters.
const LONGEST_ERROR: usize = 500;

/// What a job is about.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Payload {
    pub orchestration_id: Uuid,
    pub subtask_id: Uuid,
}

/// A run that nobody else changes until the transaction ends.
pub struct Locked {
    pub run: Run,
    /// By their position.
    pub rows: Vec<Row>,
    organization_id: Uuid,
    /// Its status when it was locked; none for a new one.
    before: Option<RunStatus>,
    changed: Vec<usize>,
}

impl Locked {
    pub async fn lock(work: &mut Work, organization_id: Uuid, id: Uuid) -> Result<Self, Problem> {
        let run = queries::lock(work, organization_id, id).await?;
        let rows = queries::subtasks(work, organization_id, id).await?;
        Ok(Self {
            before: Some(run.status),
            run,
            rows,
            organization_id,
            changed: Vec::new(),
        })
    }

    /// A run that has just been inserted.
    pub fn new(organization_id: Uuid, run: Run, rows: Vec<Row>) -> Self {
        Self {
            run,
            rows,
            organization_id,
            before: None,
            changed: Vec::new(),
        }
    }

    pub fn place(&self, subtask_id: Uuid) -> Option<usize> {
        self.rows.iter().position(|row| row.id == subtask_id)
    }

    pub fn step(&self, place: usize) -> &Step {
        self.run.step(&self.rows[place])
    }

    /// A subtask to change.
    pub fn change(&mut self, place: usize) -> &mut Row {
        if !self.changed.contains(&place) {
            self.changed.push(place);
        }
        &mut self.rows[place]
    }

    /// Ends a subtask, or what it was at, in a status that stays.
    pub fn end(&mut self, place: usize, status: SubtaskStatus, error: Option<String>, work: &Work) {
        let now = work.now.to_sqlx();
        let row = self.change(place);
        row.status = status;
        row.error = error.map(|error| shortened(&error));
        row.ended_at = Some(now);
    }

    /// False where there is nothing to cancel.
    pub fn cancel(&mut self) -> bool {
        let is_over = matches!(
            self.run.status,
            RunStatus::Cancelling | RunStatus::Cancelled | RunStatus::CompensationFailed
        );
        if !is_over {
            self.run.status = RunStatus::Cancelling;
        }
        !is_over
    }

    /// Puts a subtask, or undoing it, on the queue again with all its attempts.
    pub async fn again(&mut self, work: &mut Work, place: usize) -> Result<(), Problem> {
        let is_undoing = self.rows[place].status == SubtaskStatus::CompensationFailed;
        let row = self.change(place);
        row.status = if is_undoing {
            SubtaskStatus::Compensating
        } else {
            SubtaskStatus::Ready
        };
        (row.attempts, row.error, row.ended_at) = (0, None, None);
        if is_undoing {
            self.run.status = RunStatus::Cancelling;
        }
        self.enqueue(work, place).await
    }

    /// Makes every move that is due and writes it all down.
    pub async fn save(mut self, work: &mut Work) -> Result<Orchestration, Problem> {
        loop {
            let next = rules::next(self.run.status, &self.nodes());
            self.run.status = next.status;
            if next.moves.is_empty() {
                break;
            }
            for (place, due) in next.moves {
                self.make(work, place, due).await?;
            }
        }
        let now = work.now.to_sqlx();
        self.run.version += 1;
        self.run.updated_at = now;
        if self.run.status != RunStatus::Queued {
            self.run.started_at.get_or_insert(now);
        }
        self.run.ended_at = is_settled(self.run.status).then(|| self.run.ended_at.unwrap_or(now));
        for place in std::mem::take(&mut self.changed) {
            self.rows[place].changed_in = self.run.version;
            queries::update_subtask(work, self.organization_id, &self.rows[place]).await?;
            self.record_subtask(work, place).await?;
        }
        queries::update(work, self.organization_id, &self.run).await?;
        self.record(work).await?;
        Ok(Orchestration::new(self.run, &self.rows))
    }

    async fn make(&mut self, work: &mut Work, place: usize, due: Move) -> Result<(), Problem> {
        match due {
            Move::Run => {
                self.change(place).status = SubtaskStatus::Ready;
                self.enqueue(work, place).await
            }
            Move::AskForApproval => {
                self.change(place).status = SubtaskStatus::WaitingApproval;
                Ok(())
            }
            Move::Drop => {
                let why = Some("the run was cancelled".to_owned());
                self.end(place, SubtaskStatus::Skipped, why, work);
                Ok(())
            }
            Move::MarkForPerson => {
                let error = self.rows[place].error.clone().unwrap_or_default();
                let why = format!("nobody knows whether it was done ({error}): look, and undo it");
                self.end(place, SubtaskStatus::CompensationFailed, Some(why), work);
                Ok(())
            }
            Move::Compensate => self.compensate(work, place).await,
        }
    }

    async fn compensate(&mut self, work: &mut Work, place: usize) -> Result<(), Problem> {
        let person = self.step(place).compensate.as_ref();
        let person = person.and_then(|compensation| compensation.person.clone());
        if let Some(text) = person {
            let context = context::of_undoing(work, self, place).await?;
            let told = references::resolve_text(&text, &context);
            let told = told.unwrap_or_else(|why| Value::String(format!("{text} ({why})")));
            let told = told
                .as_str()
                .map_or_else(|| told.to_string(), str::to_owned);
            self.end(place, SubtaskStatus::CompensationFailed, Some(told), work);
            return Ok(());
        }
        let row = self.change(place);
        row.status = SubtaskStatus::Compensating;
        (row.attempts, row.error, row.ended_at) = (0, None, None);
        self.enqueue(work, place).await
    }

    /// The job waits in the lane of whatever the tool needs.
    async fn enqueue(&mut self, work: &mut Work, place: usize) -> Result<(), Problem> {
        let step = self.step(place);
        let row = &self.rows[place];
        let tool = match (row.status, step.compensate.as_ref()) {
            (SubtaskStatus::Compensating, Some(undo)) => undo.tool.as_ref().unwrap_or(&step.tool),
            _ => &step.tool,
        };
        // An organization's own agent has a lane of its own, whatever its tools are called: what it says is about nobody else.
        let lane = built_in_tool(&step.agent_type, tool).map_or_else(
            || format!("{}:{}", self.organization_id.simple(), step.agent_type),
            |tool| tool.lane.to_owned(),
        );
        let payload = Payload {
            orchestration_id: self.run.id,
            subtask_id: row.id,
        };
        let job = NewJob::new(JOB, &payload)?
            .lane(lane)
            .head_start(self.run.priority.head_start());
        work.enqueue(job).await?;
        Ok(())
    }

    fn nodes(&self) -> Vec<Node> {
        let node = |row: &Row| {
            let step = self.run.step(row);
            Node {
                status: row.status,
                depends_on: self.run.before(step).collect(),
                needs_approval: step.approval.is_some() && row.approved_by.is_none(),
                is_compensable: step.compensate.is_some(),
                is_uncertain: row.is_uncertain,
            }
        };
        self.rows.iter().map(node).collect()
    }

    async fn record(&mut self, work: &mut Work) -> Result<(), Problem> {
        if self.before == Some(self.run.status) {
            return Ok(());
        }
        let action = match self.run.status {
            RunStatus::Queued => "orchestration.queued",
            RunStatus::Running => "orchestration.started",
            RunStatus::Waiting => "orchestration.paused",
            RunStatus::Succeeded => "orchestration.succeeded",
            RunStatus::Failed => "orchestration.failed",
            RunStatus::Cancelling => "orchestration.cancel_requested",
            RunStatus::Cancelled => "orchestration.cancelled",
            RunStatus::CompensationFailed => "orchestration.compensation_failed",
        };
        let before = self.before.map(|status| json!({ "status": status }));
        work.audit(
            action,
            ("orchestration", self.run.id),
            before.as_ref(),
            Some(&self.run),
        )
        .await
    }

    /// What ended is told, without what went in and came out: that may be personal.
    async fn record_subtask(&self, work: &mut Work, place: usize) -> Result<(), Problem> {
        let row = &self.rows[place];
        let action = match row.status {
            SubtaskStatus::WaitingApproval => "subtask.approval_requested",
            SubtaskStatus::Succeeded => "subtask.succeeded",
            SubtaskStatus::Failed => "subtask.failed",
            SubtaskStatus::Skipped => "subtask.skipped",
            SubtaskStatus::Compensated => "subtask.compensated",
            SubtaskStatus::CompensationFailed => "subtask.compensation_failed",
            _ => return Ok(()),
        };
        let mut subtask = serde_json::to_value(Subtask::new(&self.run, &self.rows, row))
            .map_err(anyhow::Error::from)?;
        subtask["orchestration_id"] = json!(self.run.id);
        if let Some(fields) = subtask.as_object_mut() {
            fields.retain(|name, _| name != "input" && name != "output");
        }
        work.audit(action, ("subtask", row.id), None::<&()>, Some(&subtask))
            .await
    }
}

impl Priority {
    /// How much later something may be queued and still come after.
    fn head_start(self) -> Duration {
        match self {
            Self::Low => Duration::ZERO,
            Self::Normal => Duration::from_secs(10),
            Self::High => Duration::from_secs(30),
        }
    }
}

/// Nothing goes on by itself.
pub fn is_settled(status: RunStatus) -> bool {
    matches!(
        status,
        RunStatus::Succeeded
            | RunStatus::Failed
            | RunStatus::Cancelled
            | RunStatus::CompensationFailed
    )
}

/// Text that the database takes: short enough, and without U+0000.
pub fn shortened(text: &str) -> String {
    let kept = text.chars().filter(|char| *char != '\0');
    kept.take(LONGEST_ERROR).collect()
}
