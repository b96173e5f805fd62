//! What orchestrations do with messages: each once for its errand's key, and written in the ledger like any other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Channel, Message, MessageStatus, Notice, Recipients, audit, deliver, queries, queue};
use crate::{events, jobs::Failure, problem::Problem, sidecars::Errand, state::App, work::Work};

/// A post in a channel of Slack.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnounceInput {
    /// Name or id of the channel, such as `#events`; the installation's usual one without it.
    #[serde(default)]
    pub channel: Option<String>,
    /// With placeholders such as `{{event.title}}`.
    pub text: String,
}

#[derive(Debug, Serialize)]
pub struct AnnounceOutput {
    pub message_id: Uuid,
    /// Slack's id of the channel.
    pub channel: String,
    /// What Slack knows the post by.
    pub ts: String,
}

/// Takes a post back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetractInput {
    #[schemars(with = "String")]
    pub message_id: Uuid,
    /// Say this in the post's thread instead of deleting it.
    #[serde(default)]
    pub text: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct RetractOutput {
    pub message_id: Uuid,
    /// False where there was nothing to take back.
    pub retracted: bool,
}

/// A text message to the event's contact.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextContactInput {
    /// With placeholders such as `{{event.title}}`.
    pub body: String,
}

#[derive(Debug, Serialize)]
pub struct TextContactOutput {
    pub message_id: Uuid,
    /// `SENT`, or `SKIPPED` where the contact has opted out or the event was moved or cancelled first.
    pub status: MessageStatus,
}

/// Posts in a channel. [`retract`] undoes it.
pub async fn announce(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    input: AnnounceInput,
) -> Result<AnnounceOutput, Failure> {
    let channels: Vec<String> = input.channel.into_iter().collect();
    let message = send(
        app,
        errand,
        event_id,
        Channel::Slack,
        &channels,
        &input.text,
    )
    .await?;
    match (message.place, message.provider_id) {
        (Some(channel), Some(ts)) => Ok(AnnounceOutput {
            message_id: message.id,
            channel,
            ts,
        }),
        _ => Err(Failure::Fatal(format!(
            "message {} is {} and has no place",
            message.id, message.status
        ))),
    }
}

/// Sends a text message to the event's contact. There is no way to undo it.
pub async fn text_contact(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    input: TextContactInput,
) -> Result<TextContactOutput, Failure> {
    let message = send(app, errand, event_id, Channel::Sms, &[], &input.body).await?;
    Ok(TextContactOutput {
        message_id: message.id,
        status: message.status,
    })
}

/// Deletes a post, or says in its thread that it no longer holds.
pub async fn retract(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    input: RetractInput,
) -> Result<RetractOutput, Failure> {
    let organization_id = errand.organization_id;
    let message = queries::get(&app.db, organization_id, input.message_id).await?;
    if message.event_id != event_id {
        return Err(Problem::NotFound.into());
    }
    if message.channel == Channel::Sms {
        return Err(Failure::Fatal("a text message cannot be taken back".into()));
    }
    let (Some(channel), Some(ts)) = (&message.place, &message.provider_id) else {
        return unsent(app, &message, organization_id).await;
    };
    if message.retracted_at.is_none() {
        let slack = &app.sidecars.slack;
        let _: Value = if let Some(text) = &input.text {
            let text = words(app, organization_id, event_id, text).await?;
            let reply = json!({ "channel": channel, "thread_ts": ts, "text": text });
            slack.run(errand, "reply_in_thread", &reply).await?
        } else {
            let post = json!({ "channel": channel, "ts": ts });
            slack.run(errand, "delete_message", &post).await?
        };
        let mut work = Work::system(app, organization_id).await?;
        let now = work.now;
        let retracted = queries::retracted(&mut work, organization_id, message.id, now).await?;
        audit(&mut work, "message.retracted", Some(&message), &retracted).await?;
        work.commit_silently().await?;
    }
    Ok(RetractOutput {
        message_id: message.id,
        retracted: true,
    })
}

/// A post that has not gone out shall not go out.
async fn unsent(
    app: &App,
    message: &Message,
    organization_id: Uuid,
) -> Result<RetractOutput, Failure> {
    let mut work = Work::system(app, organization_id).await?;
    let current = queries::lock(&mut work, organization_id, message.id).await?;
    if current.status == MessageStatus::Queued {
        queue::skip(&mut work, organization_id, &current, "it was taken back").await?;
        work.commit_silently().await?;
    }
    Ok(RetractOutput {
        message_id: message.id,
        retracted: false,
    })
}

async fn words(
    app: &App,
    organization_id: Uuid,
    event_id: Uuid,
    text: &str,
) -> Result<String, Failure> {
    let mut work = Work::system(app, organization_id).await?;
    let event = events::queries::get_in(&mut work, organization_id, event_id).await?;
    Ok(queue::words_of(&mut work, organization_id, &event, Channel::Slack, text).await?)
}

/// Writes the errand's row, once, and sends it. A row that is sent already is the answer; one that failed is sent anew, as
/// somebody asks for that.
async fn send(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    channel: Channel,
    recipients: &[String],
    text: &str,
) -> Result<Message, Failure> {
    let organization_id = errand.organization_id;
    let of = format!("action:{}", errand.idempotency_key);
    let known = queries::find_notice(&app.db, organization_id, event_id, &of).await?;
    let message = match known {
        Some(id) => waiting(app, organization_id, id).await?,
        None => {
            write(
                app,
                organization_id,
                event_id,
                channel,
                recipients,
                text,
                of,
            )
            .await?
        }
    };
    let message = match message.status {
        MessageStatus::Queued => deliver::send_now(app, errand, &message).await?,
        _ => message,
    };
    if message.status == MessageStatus::Failed {
        let why = message.failure.unwrap_or_default();
        return Err(Failure::Fatal(format!(
            "message {} failed: {why}",
            message.id
        )));
    }
    Ok(message)
}

/// A message of before.
async fn waiting(app: &App, organization_id: Uuid, id: Uuid) -> Result<Message, Failure> {
    let mut work = Work::system(app, organization_id).await?;
    let known = queries::lock(&mut work, organization_id, id).await?;
    if known.status != MessageStatus::Failed {
        return Ok(known);
    }
    let now = work.now;
    let message = queries::again(&mut work, organization_id, id, now).await?;
    audit(&mut work, "message.retried", Some(&known), &message).await?;
    work.commit_silently().await?;
    Ok(message)
}

async fn write(
    app: &App,
    organization_id: Uuid,
    event_id: Uuid,
    channel: Channel,
    recipients: &[String],
    text: &str,
    of: String,
) -> Result<Message, Failure> {
    let mut work = Work::system(app, organization_id).await?;
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    let usual = &app.settings.delivery.slack_channel;
    let recipients = Recipients::of(channel, recipients, &event, usual)?;
    let text = queue::words_of(&mut work, organization_id, &event, channel, text).await?;
    let notice = Notice {
        channel,
        of,
        template: None,
        reminder_id: None,
        text,
        expires_at: None,
        skipped: None,
    };
    let written = queue::write(&mut work, organization_id, event_id, &notice, &recipients).await;
    let written = written.map_err(|problem| match problem {
        Problem::TooManyRequests(_, seconds) => Failure::Retry {
            error: "the organization has sent as many messages as it may within an hour".into(),
            after: Some(std::time::Duration::from_secs(seconds)),
        },
        problem => problem.into(),
    })?;
    work.commit_silently().await?;
    let first = written.into_iter().next();
    first
        .map(|(message, _)| message)
        .ok_or_else(|| Failure::Fatal("there is nobody to tell".into()))
}
