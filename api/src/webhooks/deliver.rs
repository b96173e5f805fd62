//! The job `webhook.deliver`: one attempt to deliver one message.

use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use reqwest::{StatusCode, header};
use uuid::Uuid;

use super::{
    deliveries::{
        DeliveryStatus,
        queries::{self, Due},
    },
    message::{Data, Message},
    queries as endpoints,
    secret::Secrets,
};
use crate::{
    jobs::{Done, Failure, Job, pause_lane},
    problem::Problem,
    state::App,
    work::Work,
};

/// Longest time for a whole attempt.
const TIMEOUT: Duration = Duration::from_secs(15);
/// An endpoint for which one attempt takes this long holds a worker up: its other messages wait a little.
const SLOW: Duration = Duration::from_secs(10);
/// A receiver may ask for more time, up to this.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// An endpoint that has failed for this long is disabled.
const FAILING_DAYS: i64 = 5;
/// What an attempt waits for after the one before; the queue adds jitter.
const WAITS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// What an attempt came to.
#[derive(Debug)]
pub struct Outcome {
    pub status: DeliveryStatus,
    pub status_code: Option<i16>,
    /// One coarse word, which does not tell a closed port from a forbidden address; none where it succeeded.
    pub reason: Option<&'static str>,
}

impl Outcome {
    /// For the metrics.
    fn as_str(&self) -> &'static str {
        match self.status {
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Pending => "retry",
            DeliveryStatus::Failed => "failed",
        }
    }
}

/// Delivers the message of this job, or says when to try again.
pub async fn deliver(app: App, job: Job) -> Result<Done, Failure> {
    let due = queries::due(&app.db, job.organization_id, job.id).await?;
    let Some(mut due) = due.filter(|due| due.status == DeliveryStatus::Pending) else {
        return Ok(Done::Finished);
    };
    if !due.enabled {
        let outcome = failed(DeliveryStatus::Failed, None, "DISABLED");
        return end(&app, &job, &outcome).await;
    }
    let answer = attempt(&app, &job, &mut due).await?;
    let wait = usize::try_from(due.attempts)
        .ok()
        .and_then(|made| WAITS.get(made).copied());
    let outcome = outcome(&answer, wait.is_some());
    let done = end(&app, &job, &outcome).await?;
    let attempts = &app.metrics.jobs.webhooks;
    attempts.with_label_values(&[outcome.as_str()]).inc();
    if let Some(reason) = reason_to_disable(&outcome, &due, app.now()) {
        disable(&app, job.organization_id, due.endpoint_id, reason).await?;
    }
    if outcome.status != DeliveryStatus::Pending {
        return Ok(done);
    }
    let asked = answer.retry_after.unwrap_or_default().min(LONGEST_WAIT);
    Err(Failure::Retry {
        error: outcome.reason.unwrap_or_default().to_owned(),
        after: Some(wait.unwrap_or_default().max(asked)),
    })
}

/// What the endpoint answered, if it did.
#[derive(Default)]
struct Answer {
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
}

async fn attempt(app: &App, job: &Job, due: &mut Due) -> Result<Answer, Failure> {
    // The rules may have become stricter since the address was stored.
    let Ok((client, url)) = app.outbound.to(&due.url) else {
        return Ok(Answer::default());
    };
    let body = body(job, due)?;
    let (id, now) = (job.id.to_string(), app.now());
    let secrets = due.secrets(job.organization_id).open(app.keys.get());
    let secrets = secrets.map_err(Problem::from)?;
    let signatures = signatures(due, &secrets, &id, now, &body).map_err(Problem::from)?;
    let request = client
        .post(url)
        .timeout(TIMEOUT)
        .header(header::CONTENT_TYPE, "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", now.as_second())
        .header("webhook-signature", signatures)
        .body(body);
    let begun = std::time::Instant::now();
    let sent = request.send().await;
    if begun.elapsed() >= SLOW {
        pause_lane(app, &job.lane).await?;
    }
    Ok(sent.map_or_else(
        |_| Answer::default(),
        |response| Answer {
            status: Some(response.status()),
            retry_after: retry_after(&response),
        },
    ))
}

fn body(job: &Job, due: &Due) -> Result<Vec<u8>, Failure> {
    let data = Data {
        organization_id: job.organization_id,
        subject_type: &due.subject_type,
        id: due.subject_id,
        object: due.object.as_ref(),
        truncated: false,
    };
    let message = Message {
        event_type: &due.event_type,
        timestamp: due.occurred_at.to_jiff(),
        data,
    };
    message
        .into_body()
        .map_err(|error| Failure::Fatal(error.to_string()))
}

/// By the current secret, and by the one before until it expires.
fn signatures(
    due: &Due,
    secrets: &Secrets,
    id: &str,
    now: Timestamp,
    body: &[u8],
) -> anyhow::Result<String> {
    let seconds = now.as_second();
    let mut signatures = secrets.current.sign(id, seconds, body)?;
    let expires = due.old_secret_expires_at.map(jiff_sqlx::Timestamp::to_jiff);
    if let Some(old) = secrets.old.as_ref().filter(|_| expires > Some(now)) {
        let old = old.sign(id, seconds, body)?;
        signatures = format!("{signatures} {old}");
    }
    Ok(signatures)
}

fn outcome(answer: &Answer, may_try_again: bool) -> Outcome {
    let Some(status) = answer.status else {
        return failed(again(may_try_again), None, "UNREACHABLE");
    };
    let code = i16::try_from(status.as_u16()).ok();
    if status.is_success() {
        return Outcome {
            status: DeliveryStatus::Delivered,
            status_code: code,
            reason: None,
        };
    }
    let may_try_again = may_try_again && status != StatusCode::GONE;
    failed(again(may_try_again), code, "STATUS")
}

fn again(may_try_again: bool) -> DeliveryStatus {
    if may_try_again {
        DeliveryStatus::Pending
    } else {
        DeliveryStatus::Failed
    }
}

fn failed(status: DeliveryStatus, status_code: Option<i16>, reason: &'static str) -> Outcome {
    Outcome {
        status,
        status_code,
        reason: Some(reason),
    }
}

/// Writes the attempt down, unless somebody else has the job by now.
async fn end(app: &App, job: &Job, outcome: &Outcome) -> Result<Done, Failure> {
    if queries::record(&app.db, job, app.new_id(), outcome, app.now()).await? {
        Ok(Done::Settled)
    } else {
        Err(Failure::Lost)
    }
}

fn reason_to_disable(outcome: &Outcome, due: &Due, now: Timestamp) -> Option<&'static str> {
    if outcome.status_code == Some(410) {
        return Some("GONE");
    }
    let since = due.failing_since.map(jiff_sqlx::Timestamp::to_jiff)?;
    let long_ago = now.checked_sub((FAILING_DAYS * 24).hours()).ok()?;
    (outcome.reason.is_some() && since < long_ago).then_some("FAILING")
}

async fn disable(
    app: &App,
    organization_id: Uuid,
    id: Uuid,
    reason: &'static str,
) -> Result<(), Problem> {
    let mut work = Work::system(app, organization_id).await?;
    let current = match endpoints::lock(&mut work, organization_id, id).await {
        Ok(current) if current.enabled => current,
        // Disabled or removed meanwhile.
        Ok(_) | Err(sqlx::Error::RowNotFound) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let now = work.now;
    let endpoint = endpoints::disable(&mut work, organization_id, id, reason, now).await?;
    work.audit(
        "webhook_endpoint.disabled",
        ("webhook_endpoint", id),
        Some(&current),
        Some(&endpoint),
    )
    .await?;
    tracing::warn!(organization.id = %organization_id, endpoint.id = %id, reason, "webhook endpoint disabled");
    work.commit_silently().await
}

/// Seconds only: a date depends on the receiver's clock.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}
