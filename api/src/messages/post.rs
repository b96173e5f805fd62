//! `POST /v1/events/{event_id}/messages`.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::{
    Channel, Message, Notice, Recipients, known_placeholders,
    queue::{queue, words_of},
    text_of, text_or_template,
};
use crate::{
    access::{Access, WriteEvents},
    events,
    extract::{Json, Path, Query, ValidateOnly},
    problem::Problem,
    state::App,
    work::{Answer, Work},
};

/// What to say to whom.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = one_text))]
#[schema(example = json!({"channel": "SLACK", "text": "{{event.title}} is booked: {{event.weekday}}, {{event.date}}, {{event.time}}."}))]
pub struct NewMessages {
    pub channel: Channel,
    /// A template of this channel. Who has had this version of it about this event is not told again.
    #[serde(default)]
    pub template_id: Option<Uuid>,
    /// The text itself, with placeholders such as `{{event.title}}`; give it or `template_id`.
    #[serde(default)]
    #[validate(length(min = 1, max = 4000), custom(function = crate::text::not_blank), custom(function = known_placeholders))]
    #[schema(min_length = 1, max_length = 4000, pattern = r"\S")]
    pub text: Option<String>,
    /// SMS: `CONTACT` or numbers in E.164, the event's contact when left out. Slack: channels, such as `#events`, the
    /// installation's usual one when left out.
    #[serde(default)]
    #[validate(length(max = 100))]
    #[schema(max_items = 100)]
    pub recipients: Vec<String>,
}

/// A message for each recipient: the new one, or the one that they have had.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueuedMessages {
    pub items: Vec<Message>,
}

fn one_text(new: &NewMessages) -> Result<(), ValidationError> {
    text_or_template(new.text.as_deref(), new.template_id)
}

/// Send messages about an event. Needs an `Idempotency-Key`. They are queued; `GET /v1/messages/{id}` tells how they fare.
#[utoipa::path(post, path = "/v1/events/{event_id}/messages", request_body = NewMessages, tag = "messages",
    params(("event_id" = Uuid, Path, description = "The event."), ValidateOnly),
    responses((status = 202, description = "The messages.", body = QueuedMessages)))]
pub async fn create_event_messages(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(event_id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
    Json(new): Json<NewMessages>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    let usual = &app.settings.delivery.slack_channel;
    let recipients = Recipients::of(new.channel, &new.recipients, &event, usual)?;
    let notice = notice_of(&mut work, organization_id, &event, &new).await?;
    let items = queue(&mut work, organization_id, event_id, &notice, &recipients).await?;
    let answer = Answer::plain(&QueuedMessages { items })?;
    work.commit(Answer {
        status: StatusCode::ACCEPTED,
        ..answer
    })
    .await
}

async fn notice_of(
    work: &mut Work,
    organization_id: Uuid,
    event: &events::Event,
    new: &NewMessages,
) -> Result<Notice, Problem> {
    let own = new.text.as_deref().unwrap_or_default();
    let (text, template) =
        text_of(work, organization_id, new.channel, new.template_id, own).await?;
    let text = words_of(work, organization_id, event, new.channel, &text).await?;
    let of = match template {
        Some((id, version)) => format!("template:{id}:{version}"),
        // Its key makes the request happen once; another request says something else.
        None => format!("request:{}", work.new_id()),
    };
    Ok(Notice {
        channel: new.channel,
        of,
        template,
        reminder_id: None,
        text,
        expires_at: None,
        skipped: None,
    })
}
