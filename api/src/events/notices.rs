//! Who is told of a move: what the preview shows is what the live call queues.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::{Event, EventStatus};
use crate::{
    messages::{self, Channel, MessageStatus, Recipients, text_of, words_of},
    problem::Problem,
    state::App,
    work::Work,
};

const OWN_WORDS: &str = "{{event.title}} has moved: {{event.weekday}}, {{event.date}}, {{event.time}} ({{event.time_zone}}).";

/// Somebody to tell, and in which words.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"recipient": "CONTACT"}))]
pub struct Notify {
    pub recipient: Recipient,
    /// A message template: SMS for `CONTACT`, Slack for `TEAM`. Our own words when left out.
    pub template_id: Option<Uuid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Recipient {
    /// The event's contact, by text message.
    Contact,
    /// The team, in the installation's usual channel of Slack.
    Team,
}

/// A message that tells of a move.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MoveNotice {
    pub recipient: Recipient,
    pub channel: Channel,
    /// A number in E.164, or a channel of Slack.
    pub to: String,
    pub text: String,
    /// The template and its version that the text is made from; null for our own words.
    pub template_id: Option<Uuid>,
    pub template_version: Option<i64>,
    /// `QUEUED`, or `SKIPPED` where the contact has opted out.
    pub status: MessageStatus,
}

/// Queues a message for each of them, once for this move: its version of the event is what they are told of.
pub async fn queue(
    work: &mut Work,
    organization_id: Uuid,
    after: &Event,
    wanted: Option<&[Notify]>,
) -> Result<Vec<MoveNotice>, Problem> {
    let usual = usual(work.app(), after);
    let mut notices = Vec::new();
    for (index, notify) in wanted.unwrap_or(&usual).iter().enumerate() {
        let queued = queue_one(work, organization_id, after, notify).await;
        notices.extend(queued.map_err(|problem| at(index, problem))?);
    }
    Ok(notices)
}

/// Whoever can be told of what is more than a draft.
fn usual(app: &App, event: &Event) -> Vec<Notify> {
    let reached = [
        (
            Recipient::Contact,
            app.sidecars.twilio.is_set() && event.contact_phone.is_some(),
        ),
        (Recipient::Team, app.sidecars.slack.is_set()),
    ];
    let is_known = event.status != EventStatus::Draft;
    let told = reached
        .into_iter()
        .filter(|(_, is_reached)| *is_reached && is_known);
    let notify = |(recipient, _)| Notify {
        recipient,
        template_id: None,
    };
    told.map(notify).collect()
}

async fn queue_one(
    work: &mut Work,
    organization_id: Uuid,
    event: &Event,
    notify: &Notify,
) -> Result<Vec<MoveNotice>, Problem> {
    let channel = notify.recipient.channel();
    let usual = &work.settings().delivery.slack_channel;
    let recipients = Recipients::of(channel, &[], event, usual)?;
    let template_id = notify.template_id;
    let (text, template) = text_of(work, organization_id, channel, template_id, OWN_WORDS).await?;
    let text = words_of(work, organization_id, event, channel, &text).await?;
    let of = match template {
        Some((id, version)) => format!("moved:{}:template:{id}:{version}", event.version),
        None => format!("moved:{}", event.version),
    };
    let notice = messages::Notice {
        channel,
        of,
        template,
        reminder_id: None,
        text,
        expires_at: None,
        skipped: None,
    };
    let queued = messages::queue(work, organization_id, event.id, &notice, &recipients).await?;
    let notices = queued.into_iter().map(|message| MoveNotice {
        recipient: notify.recipient,
        channel,
        to: message.recipient,
        text: message.text,
        template_id: message.template_id,
        template_version: message.template_version,
        status: message.status,
    });
    Ok(notices.collect())
}

/// Faults of one of them, where the request has it.
fn at(index: usize, problem: Problem) -> Problem {
    let Problem::Invalid(mut errors) = problem else {
        return problem;
    };
    for error in &mut errors {
        let is_template = error.pointer.as_deref() == Some("#/template_id");
        let field = if is_template { "/template_id" } else { "" };
        error.pointer = Some(format!("#/notify/{index}{field}"));
    }
    Problem::Invalid(errors)
}

impl Recipient {
    fn channel(self) -> Channel {
        match self {
            Self::Contact => Channel::Sms,
            Self::Team => Channel::Slack,
        }
    }
}
