//! A new run of a playbook: its subtasks, its estimates, and what whoever starts it should know.

use std::collections::BTreeSet;

use jiff_sqlx::ToSqlx;
use sqlx::types::Json;
use uuid::Uuid;

use super::{
    Facts, Locked, Orchestration, Priority, Row, Run, RunStatus, SubtaskStatus, context, queries,
};
use crate::{
    agents::built_in_tool,
    events::Event,
    playbooks::{Playbook, Step, check},
    problem::Problem,
    work::Work,
};

/// Characters of English or JSON for one token of a language model, roughly.
const CHARACTERS_A_TOKEN: usize = 4;

/// What is to be run, and why.
pub struct Draft<'a> {
    pub playbook: &'a Playbook,
    pub event: Option<&'a Event>,
    pub is_booking_run: bool,
    pub description: String,
    pub facts: Facts,
    pub priority: Priority,
    pub notes: Vec<String>,
    pub requested_by: Option<Uuid>,
}

impl Draft<'_> {
    /// Writes the run down and puts what can begin on the queue.
    pub async fn start(self, work: &mut Work) -> Result<Orchestration, Problem> {
        let organization_id = work.organization_id();
        let run = self.run(work);
        queries::insert(work, organization_id, &run).await?;
        let mut rows = Vec::with_capacity(run.definition.steps.len());
        for (position, step) in run.definition.steps.iter().enumerate() {
            let row = self.row(work.new_id(), position, step);
            queries::insert_subtask(work, organization_id, run.id, &row).await?;
            rows.push(row);
        }
        Locked::new(organization_id, run, rows).save(work).await
    }

    fn run(&self, work: &Work) -> Run {
        let definition = &self.playbook.definition;
        let now = work.now.to_sqlx();
        let mut notes = self.notes.clone();
        let missing = definition.steps.iter().filter_map(|step| {
            let tool = built_in_tool(&step.agent_type, &step.tool)?;
            if tool.needs_event && self.event.is_none() {
                return Some("is about an event, and the run has none".to_owned());
            }
            tool.missing(work.app())
        });
        let missing: BTreeSet<_> = missing.collect();
        notes.extend(missing.into_iter().map(|what| format!("a step {what}")));
        Run {
            id: work.new_id(),
            event_id: self.event.map(|event| event.id),
            is_booking_run: self.is_booking_run,
            playbook: definition.name.clone(),
            playbook_version: self.playbook.version,
            description: self.description.clone(),
            facts: Json(self.facts.clone()),
            notes,
            priority: self.priority,
            status: RunStatus::Queued,
            requested_by: self.requested_by,
            estimated_tokens: estimated_tokens(&self.description, &definition.steps),
            estimated_duration_minutes: longest_chain(&definition.steps),
            definition: Json(definition.clone()),
            // Saving makes it 1.
            version: 0,
            created_at: now,
            updated_at: now,
            started_at: None,
            ended_at: None,
        }
    }

    fn row(&self, id: Uuid, position: usize, step: &Step) -> Row {
        let due_at = self
            .event
            .zip(step.deadline())
            .and_then(|(event, deadline)| context::due_at(event, deadline));
        Row {
            id,
            position: i16::try_from(position).unwrap_or(i16::MAX),
            status: SubtaskStatus::Pending,
            attempts: 0,
            is_uncertain: false,
            approved_by: None,
            input: None,
            output: None,
            error: None,
            due_at: due_at.map(ToSqlx::to_sqlx),
            started_at: None,
            ended_at: None,
            changed_in: 1,
        }
    }
}

/// What a language model would read and write to do this by itself: the description and each step once, and the schema of
/// each step's tool; a token for every four characters.
fn estimated_tokens(description: &str, steps: &[Step]) -> i32 {
    let of_step = |step: &Step| {
        let own = serde_json::to_string(step).map_or(0, |text| text.len());
        let schema = built_in_tool(&step.agent_type, &step.tool)
            .map_or(0, |tool| tool.input_schema.to_string().len());
        own + schema + description.len()
    };
    let characters: usize = steps.iter().map(of_step).sum();
    i32::try_from(characters.div_ceil(CHARACTERS_A_TOKEN)).unwrap_or(i32::MAX)
}

/// Minutes along the chain of steps that takes longest.
fn longest_chain(steps: &[Step]) -> i32 {
    let mut ends = vec![0; steps.len()];
    for position in check::layers(steps)
        .unwrap_or_default()
        .into_iter()
        .flatten()
    {
        let step = &steps[position];
        let before = steps.iter().zip(&ends);
        let begins = before
            .filter(|(other, _)| step.depends_on.contains(&other.id))
            .map(|(_, end)| *end)
            .max()
            .unwrap_or_default();
        ends[position] = i32::saturating_add(begins, step.estimated_minutes);
    }
    ends.into_iter().max().unwrap_or_default()
}
