//! Messages about events: text messages to people, posts in channels. A row of the ledger is written before anything is
//! sent, one for each notice and recipient, and a job sends it.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use crate::{
    access::{Access, ReadEvents, WriteEvents},
    extract::Path,
    page::{List, Page},
    problem::{Problem, kinds},
    state::App,
    work::{Answer, Work},
};

pub mod actions;
pub mod callbacks;
mod deliver;
mod fare;
mod opt_outs;
mod placeholders;
mod post;
mod queries;
mod queue;
mod recipients;
mod templates;

pub use deliver::{ATTEMPTS, deliver};
pub use fare::check;
pub use placeholders::known_placeholders;
pub use queue::{Notice, queue, withdraw, words_of};
pub use recipients::Recipients;
pub use templates::{text_of, text_or_template, usable as usable_template};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_messages))
        .routes(routes!(get_message))
        .routes(routes!(retry_message))
        .routes(routes!(post::create_event_messages))
        .merge(opt_outs::routes())
        .merge(templates::routes())
}

/// How a message reaches people.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    schemars::JsonSchema,
    sqlx::Type,
)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum Channel {
    /// A post in a channel of the team's Slack.
    Slack,
    /// A text message to a phone.
    Sms,
}

impl Channel {
    /// What its jobs need to be up.
    pub fn lane(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Sms => "twilio",
        }
    }

    /// The longest text, in characters.
    pub fn longest(self) -> usize {
        match self {
            Self::Slack => 4_000,
            Self::Sms => 1_600,
        }
    }
}

/// How far a message has come: `QUEUED → SENT → DELIVERED`, or it ended before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum MessageStatus {
    /// It will be sent.
    Queued,
    /// The provider has it.
    Sent,
    /// The recipient's phone has it.
    Delivered,
    /// `failure` says why; it can be retried.
    Failed,
    /// It will not be sent: the recipient has opted out, or it is too late.
    Skipped,
}

impl std::fmt::Display for MessageStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Queued => "QUEUED",
            Self::Sent => "SENT",
            Self::Delivered => "DELIVERED",
            Self::Failed => "FAILED",
            Self::Skipped => "SKIPPED",
        })
    }
}

/// One message to one recipient.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Message {
    pub id: Uuid,
    pub event_id: Uuid,
    pub channel: Channel,
    /// A number in E.164, or a channel of Slack.
    pub recipient: String,
    pub text: String,
    /// The template and its version that the text was made from, if it was.
    pub template_id: Option<Uuid>,
    pub template_version: Option<i64>,
    /// The reminder that it is, if it is one.
    pub reminder_id: Option<Uuid>,
    pub status: MessageStatus,
    /// Why it failed or was skipped.
    pub failure: Option<String>,
    /// What the provider knows it by: Twilio's message SID, or Slack's `ts`.
    pub provider_id: Option<String>,
    /// Slack's id of the channel it is in.
    #[serde(rename = "channel_id")]
    pub place: Option<String>,
    /// When the provider took it.
    pub sent_at: Option<Timestamp>,
    /// When it was taken back.
    pub retracted_at: Option<Timestamp>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(skip)]
    pub round: i32,
    #[serde(skip)]
    pub first_attempt_at: Option<Timestamp>,
    #[serde(skip)]
    pub expires_at: Option<Timestamp>,
}

impl Message {
    /// The key towards the provider: the same for every attempt of a round.
    pub fn key(&self) -> String {
        match self.round {
            1 => self.id.to_string(),
            round => format!("{}.{round}", self.id),
        }
    }
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessageFilter {
    /// Only messages about this event.
    pub event_id: Option<Uuid>,
    pub channel: Option<Channel>,
    pub status: Option<MessageStatus>,
    /// Only messages to this number or channel.
    #[validate(length(min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    pub recipient: Option<String>,
}

/// List messages, oldest first.
#[utoipa::path(get, path = "/v1/messages", params(MessageFilter), tag = "messages",
    responses((status = 200, description = "One page.", body = Page<Message>)))]
async fn list_messages(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<MessageFilter>,
) -> Result<Response, Problem> {
    let messages = queries::list(
        &app.db,
        access.organization_id(),
        &list.filter,
        list.after()?,
        list.fetch(),
    )
    .await?;
    Ok(list.page(messages, |message| message.id))
}

/// Get a message.
#[utoipa::path(get, path = "/v1/messages/{message_id}", tag = "messages",
    params(("message_id" = Uuid, Path, description = "The message.")),
    responses((status = 200, description = "The message.", body = Message)))]
async fn get_message(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let message = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(message.version, &message)
}

/// Send a failed message again. Needs an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/messages/{message_id}/retry", tag = "messages",
    params(("message_id" = Uuid, Path, description = "The message.")),
    responses((status = 200, description = "The message, queued again.", body = Message)))]
async fn retry_message(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if current.status != MessageStatus::Failed {
        let detail = format!(
            "the message is {}; only a FAILED one is retried",
            current.status
        );
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    queue::check_quota(&mut work, organization_id, 1).await?;
    let now = work.now;
    let message = queries::again(&mut work, organization_id, id, now).await?;
    queue::enqueue(&mut work, &message).await?;
    audit(&mut work, "message.retried", Some(&current), &message).await?;
    work.commit(Answer::ok(message.version, &message)?).await
}

async fn audit(
    work: &mut Work,
    action: &str,
    before: Option<&Message>,
    after: &Message,
) -> Result<(), Problem> {
    work.audit(action, ("message", after.id), before, Some(after))
        .await
}
