//! Durable work. A job is enqueued in the transaction of the change that needs it ([`Work::enqueue`]), and a worker
//! runs it at least once, always with the same idempotency key, until it is done or given up as a dead letter.

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    problem::Problem,
    sidecars::{Errand, SidecarError},
    state::App,
    work::Work,
};

mod dead_letters;
mod handlers;
mod measure;
mod queries;
mod settle;
mod worker;

pub use dead_letters::routes;
pub use handlers::HANDLERS;
pub use queries::release_deliveries;
pub use worker::{Options, Worker};

/// Lets the jobs of a lane wait for some seconds, longer with each time in a row.
pub async fn pause_lane(app: &App, lane: &str) -> sqlx::Result<()> {
    queries::pause_lane(&app.db, lane, Duration::ZERO, false).await?;
    Ok(())
}

/// A kind of job and how it is done.
#[derive(Clone, Copy)]
pub struct Handler {
    /// As in `jobs.kind`, e.g. `webhook.deliver`.
    pub kind: &'static str,
    /// Attempts before it becomes a dead letter.
    pub attempts: u32,
    /// Longest time for one attempt.
    pub timeout: Duration,
    /// Housekeeping that is done again and again: one job of the nil organization, for ever.
    pub every: Option<Duration>,
    pub run: fn(App, Job) -> BoxFuture<'static, Result<Done, Failure>>,
}

/// Attempts that may break off without a word, beyond those that a job has.
const CRASHES: u32 = 10;

impl Handler {
    /// Whether attempts at the job keep taking their worker down with them.
    fn is_hopeless(&self, job: &Job) -> bool {
        let begun = u32::try_from(job.attempts).unwrap_or_default();
        self.every.is_none() && begun > self.attempts + CRASHES
    }
}

/// A job that was claimed.
#[derive(Debug, Clone)]
pub struct Job {
    pub organization_id: Uuid,
    pub id: Uuid,
    pub kind: String,
    pub payload: Value,
    /// What its provider is called.
    pub lane: String,
    /// This one included.
    pub attempts: i32,
    /// Number of the claim.
    pub fence: i64,
    /// Of the request that asked for it.
    pub request_id: Option<String>,
}

impl Job {
    /// The payload as what it was enqueued as.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let read = serde_json::from_value(self.payload.clone());
        read.map_err(|error| Failure::Fatal(format!("the payload is not readable: {error}")))
    }

    /// The same for every attempt and every replay: towards providers and in our own tables.
    pub fn idempotency_key(&self) -> String {
        self.id.to_string()
    }

    /// A call of a sidecar as part of this job, for one effect of it.
    pub fn errand(&self, timeout: Duration) -> Errand {
        Errand {
            organization_id: self.organization_id,
            member_id: None,
            request_id: self.request_id.clone(),
            idempotency_key: self.idempotency_key(),
            account: None,
            deadline: Instant::now() + timeout,
        }
    }

    /// Makes sure that the job is still ours until `work` ends.
    ///
    /// # Errors
    /// [`Failure::Lost`]: somebody else has it, and nothing of this attempt may be kept.
    pub async fn keep(&self, work: &mut Work) -> Result<(), Failure> {
        if queries::lock(work, self).await? {
            return Ok(());
        }
        Err(Failure::Lost)
    }

    /// Ends the job in the transaction of what it did: `work` then commits both or neither.
    pub async fn settle(&self, work: &mut Work) -> Result<Done, Failure> {
        if queries::settle(work, self).await? {
            return Ok(Done::Settled);
        }
        Err(Failure::Lost)
    }
}

/// How a job ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The worker takes it off the queue.
    Finished,
    /// [`Job::settle`] has done so already, within the job's own transaction.
    Settled,
}

/// How a job did not end well. The text is for people who look at dead letters: no secrets, no personal data.
#[derive(Debug)]
pub enum Failure {
    /// Try again; not before `after`, if that is known.
    Retry {
        error: String,
        after: Option<Duration>,
    },
    /// What it needs is away: everything in its lane waits, and the attempt does not count.
    Away {
        error: String,
        after: Option<Duration>,
    },
    /// Trying again is of no use.
    Fatal(String),
    /// The lease ended meanwhile and somebody else has the job: nothing that we did may be kept.
    Lost,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Problem::from(error).into()
    }
}

/// A provider that is away holds up its lane, and no attempt is lost; one that says no is not asked again.
impl From<SidecarError> for Failure {
    fn from(error: SidecarError) -> Self {
        match error {
            SidecarError::Refused(refusal) => Self::Fatal(refusal.message),
            // Only this job has something to find out, or only this organization trouble.
            SidecarError::Unknown(problem) | SidecarError::Own(problem) => match *problem {
                Problem::Sidecar(_, error, after) => Self::Retry {
                    error,
                    after: after.map(Duration::from_secs),
                },
                problem => problem.into(),
            },
            SidecarError::Problem(problem) => match *problem {
                Problem::Sidecar(_, error, after) => Self::Away {
                    error,
                    after: after.map(Duration::from_secs),
                },
                problem => problem.into(),
            },
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let passes = matches!(
            problem,
            Problem::Internal(_)
                | Problem::Unavailable(_)
                | Problem::Timeout
                | Problem::Conflict(..)
        );
        let error = problem.into_words();
        if passes {
            Self::Retry { error, after: None }
        } else {
            Self::Fatal(error)
        }
    }
}

/// A job to enqueue.
#[derive(Debug)]
pub struct NewJob {
    kind: &'static str,
    payload: Value,
    lane: String,
    unique_key: Option<String>,
    due: Option<Timestamp>,
    head_start: Duration,
}

impl NewJob {
    /// # Errors
    /// INTERNAL if the payload has no JSON form.
    pub fn new(kind: &'static str, payload: &impl Serialize) -> Result<Self, Problem> {
        let payload = serde_json::to_value(payload).map_err(anyhow::Error::from)?;
        Ok(Self {
            kind,
            payload,
            lane: String::new(),
            unique_key: None,
            due: None,
            head_start: Duration::ZERO,
        })
    }

    /// It needs this to be up, e.g. `slack`.
    #[must_use]
    pub fn lane(mut self, lane: impl Into<String>) -> Self {
        self.lane = lane.into();
        self
    }

    /// Only if no live job of this kind has the key.
    #[must_use]
    pub fn once(mut self, unique_key: impl Into<String>) -> Self {
        self.unique_key = Some(unique_key.into());
        self
    }

    /// Not before.
    #[must_use]
    pub fn due(mut self, due: Timestamp) -> Self {
        self.due = Some(due);
        self
    }

    /// It goes before what was queued up to so much earlier.
    #[must_use]
    pub fn head_start(mut self, head_start: Duration) -> Self {
        self.head_start = head_start;
        self
    }
}

impl Work {
    /// Leaves a job behind: it exists when this change does. Answers its id, which an earlier job of the same unique
    /// key keeps.
    pub async fn enqueue(&mut self, job: NewJob) -> Result<Uuid, Problem> {
        let id = self.new_id();
        let (organization_id, request_id) = (self.organization_id(), self.request_id().to_owned());
        Ok(queries::enqueue(self, organization_id, id, &job, &request_id).await?)
    }
}
