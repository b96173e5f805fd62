//! Writing into the ledger: one row for each recipient of a notice, and a job for each new one.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Channel, Message, MessageStatus, Recipients, audit, placeholders::Facts, queries};
use crate::{events::Event, jobs::NewJob, organizations, problem::Problem, work::Work};

pub const OPTED_OUT: &str = "the recipient has opted out of text messages";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What is said, and what it is a notice of.
pub struct Notice {
    pub channel: Channel,
    /// Who has had a notice of this does not get it again.
    pub of: String,
    pub template: Option<(Uuid, i64)>,
    pub reminder_id: Option<Uuid>,
    pub text: String,
    /// Not sent later than this.
    pub expires_at: Option<Timestamp>,
    /// Why it is written down and not sent at all.
    pub skipped: Option<&'static str>,
}

/// The payload of `messages.send`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Send {
    pub message_id: Uuid,
}

/// Takes back what still waits to be sent about an event, because it is no longer so.
pub async fn withdraw(
    work: &mut Work,
    organization_id: Uuid,
    event_id: Uuid,
    why: &str,
) -> Result<(), Problem> {
    for message in queries::waiting(work, organization_id, event_id).await? {
        skip(work, organization_id, &message, why).await?;
    }
    Ok(())
}

/// A text with its placeholders filled in. 422 on `/text` where nothing is left of it, or it is longer than the channel
/// takes.
pub async fn words_of(
    work: &mut Work,
    organization_id: Uuid,
    event: &Event,
    channel: Channel,
    text: &str,
) -> Result<String, Problem> {
    let organization = organizations::name(work, organization_id).await?;
    let facts = Facts {
        organization: &organization,
        event,
    };
    let words = facts.fill(text);
    if words.trim().is_empty() {
        return Err(Problem::field(
            "/text",
            "blank",
            "is blank once its placeholders are filled in",
        ));
    }
    let (length, longest) = (words.chars().count(), channel.longest());
    if length > longest {
        let detail = format!(
            "has {length} characters once its placeholders are filled in, and {longest} are the most"
        );
        return Err(Problem::field("/text", "length", detail));
    }
    Ok(words)
}

/// Puts a notice to each recipient on its way. Who has had it keeps that message; who has opted out gets a row that says so.
/// 429 where the organization has sent as much as it may within an hour.
pub async fn queue(
    work: &mut Work,
    organization_id: Uuid,
    event_id: Uuid,
    notice: &Notice,
    recipients: &Recipients,
) -> Result<Vec<Message>, Problem> {
    let written = write(work, organization_id, event_id, notice, recipients).await?;
    let mut messages = Vec::with_capacity(written.len());
    for (message, is_new) in written {
        if is_new && message.status == MessageStatus::Queued {
            enqueue(work, &message).await?;
        }
        messages.push(message);
    }
    Ok(messages)
}

/// As `queue`, without jobs: each message, and whether it is new.
pub async fn write(
    work: &mut Work,
    organization_id: Uuid,
    event_id: Uuid,
    notice: &Notice,
    recipients: &Recipients,
) -> Result<Vec<(Message, bool)>, Problem> {
    queries::take_turn(work, organization_id).await?;
    let mut messages = Vec::new();
    for recipient in recipients.iter() {
        let has_opted_out = notice.channel == Channel::Sms
            && queries::opt_outs::has_opted_out(work, organization_id, recipient).await?;
        let failure = if has_opted_out {
            Some(OPTED_OUT)
        } else {
            notice.skipped
        };
        let status = match failure {
            Some(_) => MessageStatus::Skipped,
            None => MessageStatus::Queued,
        };
        let (id, now) = (work.new_id(), work.now);
        let new = queries::NewMessage {
            id,
            event_id,
            notice,
            recipient,
            status,
            failure,
        };
        let (message, is_new) = queries::insert(work, organization_id, &new, now).await?;
        if is_new {
            let action = match status {
                MessageStatus::Skipped => "message.skipped",
                _ => "message.queued",
            };
            audit(work, action, None, &message).await?;
        }
        messages.push((message, is_new));
    }
    check_quota(work, organization_id, 0).await?;
    Ok(messages)
}

/// 429 if `more` messages than were written in the last hour are too many.
pub async fn check_quota(work: &mut Work, organization_id: Uuid, more: i64) -> Result<(), Problem> {
    let now = work.now;
    let (count, oldest) = queries::in_last_hour(work, organization_id, now).await?;
    if count + more <= i64::from(work.settings().delivery.messages_per_hour) {
        return Ok(());
    }
    let free_at = oldest.map_or(now, jiff_sqlx::Timestamp::to_jiff) + HOUR;
    let wait = free_at.duration_since(now).as_secs().max(1);
    Err(Problem::TooManyRequests("messages", wait.unsigned_abs()))
}

/// The job that sends it.
pub async fn enqueue(work: &mut Work, message: &Message) -> Result<(), Problem> {
    let payload = Send {
        message_id: message.id,
    };
    let job = NewJob::new("messages.send", &payload)?;
    work.enqueue(job.lane(message.channel.lane()).once(message.key()))
        .await?;
    Ok(())
}

/// A message that is not sent after all, and why.
pub async fn skip(
    work: &mut Work,
    organization_id: Uuid,
    current: &Message,
    why: &str,
) -> Result<Message, Problem> {
    let outcome = queries::Outcome::without(MessageStatus::Skipped, why);
    let now = work.now;
    let message = queries::set(work, organization_id, current.id, &outcome, now).await?;
    audit(work, "message.skipped", Some(current), &message).await?;
    Ok(message)
}
