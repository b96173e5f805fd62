//! The job that does a subtask or undoes it. Three parts, each of which may be the last before a crash: a transaction that
//! says it has begun, the effect under the subtask's own key, and a transaction that keeps what came of it together with
//! the end of the job and the jobs that follow.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Locked, SubtaskStatus, context,
    engine::{Payload, shortened},
};
use crate::{
    agents::{CallError, Directory, Found, Registered, remote, tools::Tool},
    jobs::{Done, Failure, Job},
    playbooks::references,
    sidecars::Errand,
    state::App,
    work::Work,
};

/// Attempts that may break off without a word, beyond those that a step has.
const CRASHES: i32 = 5;
/// Longest result that is kept, in bytes of JSON.
const LONGEST_OUTPUT: usize = 256 * 1024;

/// Does or undoes the subtask of the payload, unless that is no longer wanted.
pub async fn run_subtask(app: App, job: Job) -> Result<Done, Failure> {
    let payload: Payload = job.read()?;
    let call = match begin(&app, &job, payload).await? {
        Begun::Call(call) => call,
        Begun::Ended(done) => return Ok(done),
    };
    let result = call.make(&app, &job).await;
    end(&app, &job, payload, &call, result).await
}

enum Begun {
    Call(Box<Call>),
    /// There is nothing to do, and the job is settled.
    Ended(Done),
}

/// An effect to be made.
struct Call {
    target: Target,
    tool: String,
    input: Map<String, Value>,
    key: String,
    event_id: Option<Uuid>,
    requested_by: Option<Uuid>,
    timeout: std::time::Duration,
    most_attempts: i32,
    is_undoing: bool,
    /// An attempt before this one ended without a word.
    broke_off: bool,
}

enum Target {
    BuiltIn(&'static Tool),
    Registered(Registered),
}

async fn begin(app: &App, job: &Job, payload: Payload) -> Result<Begun, Failure> {
    let organization_id = job.organization_id;
    let mut work = Work::system(app, organization_id).await?;
    let locked = Locked::lock(&mut work, organization_id, payload.orchestration_id).await;
    let mut locked = locked.map_err(Failure::from)?;
    job.keep(&mut work).await?;
    let Some(place) = locked.place(payload.subtask_id) else {
        return Err(Failure::Fatal("its subtask is gone".to_owned()));
    };
    let status = locked.rows[place].status;
    let is_undoing = status == SubtaskStatus::Compensating;
    if !is_undoing && !matches!(status, SubtaskStatus::Ready | SubtaskStatus::Running) {
        // Somebody skipped it or cancelled the run.
        let done = job.settle(&mut work).await?;
        work.commit_silently().await?;
        return Ok(Begun::Ended(done));
    }
    if status == SubtaskStatus::Running {
        // The attempt before this one broke off, perhaps after its effect.
        locked.change(place).is_uncertain = true;
    }
    let call = match prepare(app, &mut work, &locked, place).await? {
        Ok(call) => call,
        Err(why) => {
            let done = job.settle(&mut work).await?;
            give_up(&mut locked, place, &why, &work);
            locked.save(&mut work).await?;
            work.commit_silently().await?;
            return Ok(Begun::Ended(done));
        }
    };
    let row = locked.change(place);
    row.attempts += 1;
    if is_undoing {
        // Should this attempt break off, the next must not take the error before it for its end.
        row.error = None;
    } else {
        let now = jiff_sqlx::ToSqlx::to_sqlx(work.now);
        row.status = SubtaskStatus::Running;
        row.input = Some(Value::Object(call.input.clone()));
        row.started_at.get_or_insert(now);
    }
    locked.save(&mut work).await?;
    work.commit_silently().await?;
    Ok(Begun::Call(Box::new(call)))
}

/// What is to be called with what; or why it cannot be.
async fn prepare(
    app: &App,
    work: &mut Work,
    locked: &Locked,
    place: usize,
) -> Result<Result<Call, String>, Failure> {
    let (row, step) = (&locked.rows[place], locked.step(place));
    let is_undoing = row.status == SubtaskStatus::Compensating;
    let most_attempts = i32::from(step.attempts);
    if row.attempts >= most_attempts + CRASHES {
        let why = format!(
            "it was begun {} times and never came to an end",
            row.attempts
        );
        return Ok(Err(why));
    }
    let undo = step.compensate.as_ref().filter(|_| is_undoing);
    let (tool, inputs) = match undo {
        Some(undo) => (undo.tool.as_ref().unwrap_or(&step.tool), &undo.inputs),
        None => (&step.tool, &step.inputs),
    };
    let organization_id = work.organization_id();
    let directory = Directory::load(work, organization_id).await?;
    let has_event = locked.run.event_id.is_some();
    let target = match target(app, &directory, &step.agent_type, tool, has_event) {
        Ok(target) => target,
        Err(why) => return Ok(Err(why)),
    };
    let context = if is_undoing {
        context::of_undoing(work, locked, place).await?
    } else {
        context::of_step(work, locked).await?
    };
    let input = match references::resolve(inputs, &context) {
        Ok(input) => input,
        Err(why) => return Ok(Err(why)),
    };
    Ok(Ok(Call {
        target,
        tool: tool.clone(),
        input,
        key: if is_undoing {
            format!("{}:undo", row.id)
        } else {
            row.id.to_string()
        },
        event_id: locked.run.event_id,
        requested_by: locked.run.requested_by,
        timeout: step.longest_attempt(),
        most_attempts,
        is_undoing,
        broke_off: if is_undoing {
            row.attempts > 0 && row.error.is_none()
        } else {
            row.status == SubtaskStatus::Running
        },
    }))
}

/// Who does it; or why nobody can.
fn target(
    app: &App,
    directory: &Directory,
    agent_type: &str,
    tool: &str,
    has_event: bool,
) -> Result<Target, String> {
    match directory.find(agent_type, tool) {
        Ok(Found::BuiltIn(tool)) => match tool.missing(app) {
            Some(missing) => Err(format!("it {missing}")),
            None if tool.needs_event && !has_event => {
                Err("it is about an event, and the run has none".to_owned())
            }
            None => Ok(Target::BuiltIn(tool)),
        },
        Ok(Found::Registered(agent)) => Ok(Target::Registered(agent.clone())),
        Err(_) => Err(format!("the agent {agent_type} or its tool {tool} is gone")),
    }
}

impl Call {
    async fn make(&self, app: &App, job: &Job) -> Result<Value, CallError> {
        let errand = Errand {
            idempotency_key: self.key.clone(),
            member_id: self.requested_by,
            ..job.errand(self.timeout)
        };
        let input = Value::Object(self.input.clone());
        let made = async {
            match &self.target {
                Target::BuiltIn(tool) => tool.call(app, &errand, self.event_id, input).await,
                Target::Registered(agent) => {
                    remote::call(app, agent, &self.tool, &errand, &input, self.broke_off).await
                }
            }
        };
        // Whoever is called keeps to the deadline; should one not, this does.
        let late = errand.deadline + std::time::Duration::from_secs(2);
        tokio::time::timeout_at(late, made)
            .await
            .unwrap_or_else(|_| Err(CallError::of(took_too_long(), true)))
    }
}

/// Keeps what came of it. A worker that has lost its lease meanwhile keeps nothing.
async fn end(
    app: &App,
    job: &Job,
    payload: Payload,
    call: &Call,
    result: Result<Value, CallError>,
) -> Result<Done, Failure> {
    let organization_id = job.organization_id;
    let mut work = Work::system(app, organization_id).await?;
    let locked = Locked::lock(&mut work, organization_id, payload.orchestration_id).await;
    let mut locked = locked.map_err(Failure::from)?;
    let Some(place) = locked.place(payload.subtask_id) else {
        return Err(Failure::Lost);
    };
    let wanted = if call.is_undoing {
        SubtaskStatus::Compensating
    } else {
        SubtaskStatus::Running
    };
    if locked.rows[place].status != wanted {
        return Err(Failure::Lost);
    }
    let row = locked.change(place);
    let ended = match result {
        Ok(output) => {
            row.is_uncertain = false;
            succeed(&mut locked, place, call, output, &work);
            Ok(job.settle(&mut work).await?)
        }
        Err(error) => {
            row.is_uncertain |= error.is_uncertain && !call.is_undoing;
            match error.failure {
                Failure::Lost => return Err(Failure::Lost),
                Failure::Away { error, after } => {
                    // It was not even an attempt.
                    row.attempts = (row.attempts - 1).max(0);
                    wait(row, &error, call.is_undoing);
                    Err(Failure::Away { error, after })
                }
                Failure::Retry { error, after } if row.attempts < call.most_attempts => {
                    wait(row, &error, call.is_undoing);
                    Err(Failure::Retry { error, after })
                }
                Failure::Retry { error, .. } | Failure::Fatal(error) => {
                    give_up(&mut locked, place, &error, &work);
                    Ok(job.settle(&mut work).await?)
                }
            }
        }
    };
    if ended.is_err() {
        // Only what was settled is known to be ours.
        job.keep(&mut work).await?;
    }
    locked.save(&mut work).await?;
    work.commit_silently().await?;
    ended
}

fn succeed(locked: &mut Locked, place: usize, call: &Call, output: Value, work: &Work) {
    let status = if call.is_undoing {
        SubtaskStatus::Compensated
    } else {
        locked.change(place).output = Some(kept(output));
        SubtaskStatus::Succeeded
    };
    locked.end(place, status, None, work);
}

/// It stays on the queue; people see why.
fn wait(row: &mut super::Row, error: &str, is_undoing: bool) {
    row.error = Some(shortened(error));
    if !is_undoing {
        row.status = SubtaskStatus::Ready;
    }
}

/// It is over, and not well.
fn give_up(locked: &mut Locked, place: usize, why: &str, work: &Work) {
    let status = match locked.rows[place].status {
        SubtaskStatus::Compensating => SubtaskStatus::CompensationFailed,
        _ if locked.step(place).optional => SubtaskStatus::Skipped,
        _ => SubtaskStatus::Failed,
    };
    locked.end(place, status, Some(why.to_owned()), work);
}

/// A result that the database takes; a long one is only said to have been long.
fn kept(output: Value) -> Value {
    let length = output.to_string().len();
    if length > LONGEST_OUTPUT {
        return serde_json::json!({ "too_long_to_keep": length });
    }
    without_nul(output)
}

fn without_nul(value: Value) -> Value {
    let plain = |text: String| text.replace('\0', "");
    match value {
        Value::String(text) => Value::String(plain(text)),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, field)| (plain(name), without_nul(field)))
            .collect(),
        other => other,
    }
}

fn took_too_long() -> Failure {
    Failure::Retry {
        error: "it took too long".to_owned(),
        after: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_has_no_nul_and_all_else() {
        let output = json!({ "a\0": ["x\0y", 1, null, { "b": "\\u0000" }] });
        assert_eq!(
            kept(output),
            json!({ "a": ["xy", 1, null, { "b": "\\u0000" }] })
        );
        let long = kept(json!("x".repeat(LONGEST_OUTPUT)));
        assert!(long["too_long_to_keep"].is_number());
    }
}
