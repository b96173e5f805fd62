//! `messages.send`: hands a message to its provider, once for each round however often it is tried.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{Channel, Message, MessageStatus, audit, queries, queries::Outcome, queue};
use crate::{
    events::EventStatus,
    jobs::{Done, Failure, Job},
    problem::Problem,
    sidecars::{Errand, Refusal, SidecarError},
    state::App,
    work::Work,
};

/// Attempts that count before a message is given up; a provider that is away uses up none.
pub const ATTEMPTS: u32 = 12;
const CALL_TIMEOUT: Duration = Duration::from_secs(40);
const GIVEN_UP: &str = "it could not be sent in many attempts";

/// The provider's name for a message.
struct Sent {
    provider_id: String,
    place: Option<String>,
}

#[derive(Deserialize)]
struct Posted {
    channel_id: String,
    ts: String,
}

#[derive(Deserialize)]
struct Texted {
    message: TextMessage,
}

#[derive(Deserialize)]
struct TextMessage {
    id: String,
}

pub async fn deliver(app: App, job: Job) -> Result<Done, Failure> {
    let queue::Send { message_id } = job.read()?;
    let organization_id = job.organization_id;
    let mut work = Work::system(&app, organization_id).await?;
    let message = match queries::lock(&mut work, organization_id, message_id).await {
        Err(sqlx::Error::RowNotFound) => return Ok(Done::Finished),
        found => found?,
    };
    if message.status != MessageStatus::Queued {
        return Ok(Done::Finished);
    }
    if let Some(why) = obstacle(&mut work, &message).await? {
        queue::skip(&mut work, organization_id, &message, why).await?;
        let done = job.settle(&mut work).await?;
        work.commit_silently().await?;
        return Ok(done);
    }
    // The row is free while the provider is asked.
    drop(work);
    match attempt(&app, job.errand(CALL_TIMEOUT), &message).await {
        Ok(None) => Ok(Done::Finished),
        Ok(Some(said)) => conclude(&app, &job, message_id, &End::of(&message, &said)).await,
        Err(error) => {
            let failure = Failure::from(error);
            let is_last = u32::try_from(job.attempts).is_ok_and(|made| made >= ATTEMPTS);
            if !is_last || !matches!(failure, Failure::Retry { .. }) {
                return Err(failure);
            }
            conclude(&app, &job, message_id, &End::failed(GIVEN_UP)).await
        }
    }
}

/// Sends a message on somebody else's errand: for a step of an orchestration, which waits for what comes of it.
pub async fn send_now(app: &App, errand: &Errand, message: &Message) -> Result<Message, Failure> {
    let organization_id = errand.organization_id;
    let Some(said) = attempt(app, errand.clone(), message).await? else {
        return Ok(queries::get(&app.db, organization_id, message.id).await?);
    };
    let mut work = Work::system(app, organization_id).await?;
    let message = keep(&mut work, message.id, &End::of(message, &said)).await?;
    work.commit_silently().await?;
    Ok(message)
}

/// What has come up since it was queued.
async fn obstacle(work: &mut Work, message: &Message) -> Result<Option<&'static str>, Problem> {
    let (organization_id, now) = (work.organization_id(), work.now);
    if message.channel == Channel::Sms
        && queries::opt_outs::has_opted_out(work, organization_id, &message.recipient).await?
    {
        return Ok(Some(queue::OPTED_OUT));
    }
    if message
        .expires_at
        .is_some_and(|until| until.to_jiff() < now)
    {
        return Ok(Some("its time had passed before it could be sent"));
    }
    if message.reminder_id.is_none() {
        return Ok(None);
    }
    let event = queries::standing(work, organization_id, message).await?;
    Ok(match event.status {
        EventStatus::Cancelled => Some("the event was cancelled"),
        EventStatus::Completed => Some("the event was over"),
        _ if event.was_moved => Some("the event was moved"),
        _ => None,
    })
}

/// One attempt, and what the provider says to it; none where the message no longer waits to be sent. That it may have come
/// through is kept before, and taken back only if it surely has not.
async fn attempt(
    app: &App,
    errand: Errand,
    message: &Message,
) -> Result<Option<Result<Sent, Refusal>>, SidecarError> {
    let (organization_id, id) = (errand.organization_id, message.id);
    let kept = |error: sqlx::Error| SidecarError::Problem(Box::new(error.into()));
    let begins = queries::attempt_begins(&app.db, organization_id, id).await;
    if !begins.map_err(kept)? {
        return Ok(None);
    }
    let ended = call(app, errand, message).await;
    let is_undone = matches!(ended, Err(SidecarError::Problem(_) | SidecarError::Own(_)));
    if is_undone && message.first_attempt_at.is_none() {
        queries::attempt_undone(&app.db, organization_id, id)
            .await
            .map_err(kept)?;
    }
    match ended {
        Ok(sent) => Ok(Some(Ok(sent))),
        Err(SidecarError::Refused(refusal)) => Ok(Some(Err(refusal))),
        Err(error) => Err(error),
    }
}

async fn call(app: &App, mut errand: Errand, message: &Message) -> Result<Sent, SidecarError> {
    errand.idempotency_key = message.key();
    match message.channel {
        Channel::Slack => {
            let arguments = json!({ "channel": message.recipient, "text": message.text });
            let posted: Posted = app
                .sidecars
                .slack
                .run(&errand, "post_message", &arguments)
                .await?;
            Ok(Sent {
                provider_id: posted.ts,
                place: Some(posted.channel_id),
            })
        }
        Channel::Sms => {
            let mut arguments = json!({ "to": message.recipient, "body": message.text });
            if let Some(first) = message.first_attempt_at {
                // The sidecar may have forgotten an attempt that came through.
                arguments["first_attempt_at"] = json!(first);
            }
            let texted: Texted = app
                .sidecars
                .twilio
                .run(&errand, "send_sms", &arguments)
                .await?;
            Ok(Sent {
                provider_id: texted.message.id,
                place: None,
            })
        }
    }
}

/// What an attempt came to, for the ledger.
struct End<'a> {
    outcome: Outcome<'a>,
    has_opted_out: bool,
}

impl<'a> End<'a> {
    fn of(message: &Message, said: &'a Result<Sent, Refusal>) -> Self {
        match said {
            Ok(sent) => Self::sent(sent),
            Err(refusal) => Self::refused(message, refusal),
        }
    }

    fn sent(sent: &'a Sent) -> Self {
        let outcome = Outcome {
            status: MessageStatus::Sent,
            failure: None,
            provider_id: Some(&sent.provider_id),
            place: sent.place.as_deref(),
        };
        Self {
            outcome,
            has_opted_out: false,
        }
    }

    fn refused(message: &Message, refusal: &'a Refusal) -> Self {
        // Twilio's 21610: the sidecar says that it is for good.
        if message.channel == Channel::Sms && refusal.details["final"] == true {
            let outcome = Outcome::without(MessageStatus::Skipped, queue::OPTED_OUT);
            return Self {
                outcome,
                has_opted_out: true,
            };
        }
        Self::failed(&refusal.message)
    }

    fn failed(why: &'a str) -> Self {
        Self {
            outcome: Outcome::without(MessageStatus::Failed, why),
            has_opted_out: false,
        }
    }
}

/// Keeps what came of an attempt, in one transaction with the end of the job.
async fn conclude(app: &App, job: &Job, id: Uuid, end: &End<'_>) -> Result<Done, Failure> {
    let mut work = Work::system(app, job.organization_id).await?;
    keep(&mut work, id, end).await?;
    let done = job.settle(&mut work).await?;
    work.commit_silently().await?;
    Ok(done)
}

async fn keep(work: &mut Work, id: Uuid, end: &End<'_>) -> Result<Message, Failure> {
    let (organization_id, now) = (work.organization_id(), work.now);
    let current = queries::lock(work, organization_id, id).await?;
    if end.has_opted_out {
        queries::opt_outs::insert(work, organization_id, &current.recipient, now).await?;
    }
    let ended = queries::set(work, organization_id, id, &end.outcome, now).await?;
    let action = match end.outcome.status {
        MessageStatus::Sent => "message.sent",
        MessageStatus::Skipped => "message.skipped",
        _ => "message.failed",
    };
    audit(work, action, Some(&current), &ended).await?;
    Ok(ended)
}
