//! Texts that are used again, with placeholders.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::{Channel, known_placeholders, queue::words_of};
use crate::{
    access::{Access, ReadEvents, WriteEvents},
    events,
    extract::{IfMatch, Json, MergePatch, Path},
    page::{List, NoFilter, Page},
    problem::{OnConstraint, Problem, kinds},
    state::App,
    work::{Answer, Work},
};

mod queries;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_message_templates, create_message_template))
        .routes(routes!(
            get_message_template,
            update_message_template,
            delete_message_template
        ))
        .routes(routes!(preview_message_template))
}

/// A text that is used again. Each change makes a new version, and a new version may be sent to those who have had the last.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageTemplate {
    pub id: Uuid,
    pub name: String,
    pub channel: Channel,
    pub text: String,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What `NewMessageTemplate` cannot set.
const READ_ONLY: &[&str] = &["id", "version", "created_at", "updated_at"];

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Directions", "channel": "SMS", "text": "{{event.title}} begins at {{event.time}} on {{event.date}}."}))]
pub struct NewMessageTemplate {
    /// Once in an organization, whatever its case.
    #[validate(length(min = 1, max = 200), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub name: String,
    pub channel: Channel,
    /// Placeholders: `{{event.title}}`, `event.date`, `event.weekday`, `event.time`, `event.end_date`, `event.end_time`,
    /// `event.time_zone`, `event.capacity`, `event.contact_name`, `organization.name`. Times are those of the event's zone.
    #[validate(length(min = 1, max = 4000), custom(function = crate::text::not_blank), custom(function = known_placeholders))]
    #[schema(min_length = 1, max_length = 4000, pattern = r"\S")]
    pub text: String,
}

/// The event to try a template with.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewOf {
    pub event_id: Uuid,
}

/// What recipients would read.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    pub text: String,
    pub characters: usize,
}

/// A template for a message through this channel; 422 on `/template_id`.
pub async fn usable(
    work: &mut Work,
    organization_id: Uuid,
    id: Uuid,
    channel: Channel,
) -> Result<MessageTemplate, Problem> {
    let wrong = |code, detail: &str| Problem::field("/template_id", code, detail);
    let template = match queries::lock(work, organization_id, id).await {
        Err(sqlx::Error::RowNotFound) => return Err(wrong("unknown", "there is no such template")),
        found => found?,
    };
    if template.channel != channel {
        return Err(wrong("channel", "is a template for another channel"));
    }
    Ok(template)
}

/// Whether there is a text of one's own or a template, and not both.
pub fn text_or_template(
    text: Option<&str>,
    template_id: Option<Uuid>,
) -> Result<(), ValidationError> {
    if template_id.is_some() != text.is_some() {
        return Ok(());
    }
    Err(ValidationError::new("one_of").with_message("give text or template_id, one of them".into()))
}

/// A template's text, with its id and version; without a template `own`. Placeholders are still to be filled in.
pub async fn text_of(
    work: &mut Work,
    organization_id: Uuid,
    channel: Channel,
    template_id: Option<Uuid>,
    own: &str,
) -> Result<(String, Option<(Uuid, i64)>), Problem> {
    let Some(id) = template_id else {
        return Ok((own.to_owned(), None));
    };
    let template = usable(work, organization_id, id, channel).await?;
    Ok((template.text, Some((id, template.version))))
}

/// List the message templates, oldest first.
#[utoipa::path(get, path = "/v1/message-templates", tag = "messages",
    responses((status = 200, description = "One page.", body = Page<MessageTemplate>)))]
async fn list_message_templates(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let templates = queries::list(&app.db, organization_id, list.after()?, list.fetch()).await?;
    Ok(list.page(templates, |template| template.id))
}

/// Make a message template.
#[utoipa::path(post, path = "/v1/message-templates", request_body = NewMessageTemplate, tag = "messages",
    responses((status = 201, description = "The template.", body = MessageTemplate)))]
async fn create_message_template(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Json(new): Json<NewMessageTemplate>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let (id, now) = (work.new_id(), work.now);
    let template = queries::insert(&mut work, organization_id, id, &new, now)
        .await
        .on_constraint(named)?;
    let subject = ("message_template", id);
    work.audit(
        "message_template.created",
        subject,
        None::<&()>,
        Some(&template),
    )
    .await?;
    let location = format!("/v1/message-templates/{id}");
    work.commit(Answer::created(location, template.version, &template)?)
        .await
}

/// Get a message template.
#[utoipa::path(get, path = "/v1/message-templates/{template_id}", tag = "messages",
    params(("template_id" = Uuid, Path, description = "The template.")),
    responses((status = 200, description = "The template.", body = MessageTemplate)))]
async fn get_message_template(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let template = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(template.version, &template)
}

/// Change a message template.
#[utoipa::path(patch, path = "/v1/message-templates/{template_id}", tag = "messages",
    params(("template_id" = Uuid, Path, description = "The template.")),
    request_body(content = NewMessageTemplate, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The template as it is now.", body = MessageTemplate)))]
async fn update_message_template(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    let new: NewMessageTemplate = patch.apply(&current, READ_ONLY)?;
    let now = work.now;
    let template = queries::update(&mut work, organization_id, id, &new, now)
        .await
        .on_constraint(named)?;
    let subject = ("message_template", id);
    work.audit(
        "message_template.updated",
        subject,
        Some(&current),
        Some(&template),
    )
    .await?;
    work.commit(Answer::ok(template.version, &template)?).await
}

/// Remove a message template. What was sent with it stays in the ledger.
#[utoipa::path(delete, path = "/v1/message-templates/{template_id}", tag = "messages",
    params(("template_id" = Uuid, Path, description = "The template.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_message_template(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    queries::delete(&mut work, organization_id, id)
        .await
        .on_constraint(|name| {
            let detail = "reminders use it; change or remove those first";
            (name == "reminder_template").then(|| Problem::conflict(&kinds::IN_USE, detail))
        })?;
    let subject = ("message_template", id);
    work.audit(
        "message_template.deleted",
        subject,
        Some(&current),
        None::<&()>,
    )
    .await?;
    work.commit(Answer::no_content()).await
}

/// See what recipients would read about an event. Nothing is sent.
#[utoipa::path(post, path = "/v1/message-templates/{template_id}/preview", request_body = PreviewOf, tag = "messages",
    params(("template_id" = Uuid, Path, description = "The template.")),
    responses((status = 200, description = "The text.", body = Preview)))]
async fn preview_message_template(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
    Json(of): Json<PreviewOf>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let template = queries::get(&mut *work, organization_id, id).await?;
    let event = match events::queries::get_in(&mut work, organization_id, of.event_id).await {
        Err(sqlx::Error::RowNotFound) => {
            return Err(Problem::field(
                "/event_id",
                "unknown",
                "there is no such event",
            ));
        }
        found => found?,
    };
    let text = words_of(
        &mut work,
        organization_id,
        &event,
        template.channel,
        &template.text,
    )
    .await?;
    let characters = text.chars().count();
    work.commit(Answer::plain(&Preview { text, characters })?)
        .await
}

fn named(constraint: &str) -> Option<Problem> {
    let taken = "another message template has this name";
    (constraint == "message_template_name_once")
        .then(|| Problem::conflict(&kinds::ALREADY_EXISTS, taken))
}
