//! Reminders: messages that go out some time before an event's start, wherever that start is moved to.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::{
    access::{Access, ReadEvents, WriteEvents},
    events::{self, Event},
    extract::{IfMatch, Json, MergePatch, Path},
    messages::{Channel, Recipients, known_placeholders, text_or_template, usable_template},
    page::{List, NoFilter, Page},
    problem::{Problem, kinds},
    state::App,
    work::{Answer, Work},
};

mod moment;
mod moved;
mod queries;
mod sweep;

use moment::Lead;
pub use moved::{MovedReminder, moved};
pub use sweep::send_due;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_event_reminders, create_event_reminder))
        .routes(routes!(
            get_event_reminder,
            update_event_reminder,
            delete_event_reminder
        ))
}

/// A message that goes out before an event's start.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reminder {
    pub id: Uuid,
    pub event_id: Uuid,
    pub offset: String,
    pub local_time: Option<String>,
    pub channel: Channel,
    pub template_id: Option<Uuid>,
    pub text: Option<String>,
    pub recipients: Vec<String>,
    /// When it is due, by the event's present start.
    pub due_at: Option<Timestamp>,
    /// The start of the event for which it was sent, or skipped because its time had passed. While that is the event's start
    /// it is not due again.
    pub handled_for: Option<Timestamp>,
    /// Why nobody could be told for that start.
    pub failure: Option<String>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What `NewReminder` cannot set.
const READ_ONLY: &[&str] = &[
    "id",
    "event_id",
    "due_at",
    "handled_for",
    "failure",
    "version",
    "created_at",
    "updated_at",
];

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = one_text))]
#[schema(example = json!({"offset": "P1D", "local_time": "09:00", "channel": "SMS", "text": "Tomorrow at {{event.time}}: {{event.title}}."}))]
pub struct NewReminder {
    /// How long before the start, as an ISO 8601 duration of weeks or days, hours and minutes: `P7D`, `PT2H`, `P1DT12H`. Days
    /// are calendar days in the event's zone. A year at most.
    #[validate(custom(function = plain_offset))]
    #[schema(pattern = r"^P(\d+W)?(\d+D)?(T(\d+H)?(\d+M)?)?$", max_length = 40)]
    pub offset: String,
    /// Wall time in the event's zone, on the day that the offset leads to; at the start's own wall time when left out.
    #[serde(default)]
    #[validate(custom(function = plain_time))]
    #[schema(pattern = r"^\d{2}:\d{2}(:\d{2})?$")]
    pub local_time: Option<String>,
    pub channel: Channel,
    /// A template of this channel, as it is when the reminder is due.
    #[serde(default)]
    pub template_id: Option<Uuid>,
    /// The text itself, with placeholders such as `{{event.title}}`; give it or `template_id`.
    #[serde(default)]
    #[validate(length(min = 1, max = 4000), custom(function = crate::text::not_blank), custom(function = known_placeholders))]
    #[schema(min_length = 1, max_length = 4000, pattern = r"\S")]
    pub text: Option<String>,
    /// As with messages: `CONTACT` or numbers, or channels; the contact or the usual channel when left out.
    #[serde(default)]
    #[validate(length(max = 100))]
    #[schema(max_items = 100)]
    pub recipients: Vec<String>,
}

impl NewReminder {
    /// What can only be told with the event and its organization at hand.
    async fn check(
        &self,
        work: &mut Work,
        organization_id: Uuid,
        event: &Event,
    ) -> Result<Lead, Problem> {
        if event.status.is_over() {
            let detail = format!("the event is {}; nobody is reminded of it", event.status);
            return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
        }
        Recipients::check(self.channel, &self.recipients)?;
        if let Some(id) = self.template_id {
            usable_template(work, organization_id, id, self.channel).await?;
        }
        let lead = Lead::parse(&self.offset, self.local_time.as_deref());
        let lead = lead.ok_or_else(|| Problem::field("/offset", "duration", moment::FORM))?;
        if lead.says_two_times() {
            let detail = "must be whole days where local_time says the time of day";
            return Err(Problem::field("/offset", "duration", detail));
        }
        if lead
            .before(event)
            .is_some_and(|due| due >= event.starts_at.to_jiff())
        {
            let detail = "leads to the event's start or later; name a longer offset or an earlier local_time";
            return Err(Problem::field("/offset", "range", detail));
        }
        Ok(lead)
    }
}

fn one_text(new: &NewReminder) -> Result<(), ValidationError> {
    text_or_template(new.text.as_deref(), new.template_id)
}

fn plain_offset(offset: &str) -> Result<(), ValidationError> {
    if Lead::parse(offset, None).is_some() {
        return Ok(());
    }
    Err(ValidationError::new("duration").with_message(moment::FORM.into()))
}

fn plain_time(time: &str) -> Result<(), ValidationError> {
    if Lead::parse("P1D", Some(time)).is_some() {
        return Ok(());
    }
    Err(ValidationError::new("time").with_message("must be a wall time such as 09:00".into()))
}

/// List an event's reminders, oldest first.
#[utoipa::path(get, path = "/v1/events/{event_id}/reminders", tag = "reminders",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 200, description = "One page.", body = Page<Reminder>)))]
async fn list_event_reminders(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(event_id): Path<Uuid>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let event = events::queries::get(&app.db, organization_id, event_id).await?;
    let after = list.after()?;
    let reminders = queries::list(&app.db, organization_id, event_id, after, list.fetch()).await?;
    let reminders = reminders.into_iter().map(|reminder| reminder.of(&event));
    Ok(list.page(reminders.collect(), |reminder| reminder.id))
}

/// Add a reminder to an event.
#[utoipa::path(post, path = "/v1/events/{event_id}/reminders", request_body = NewReminder, tag = "reminders",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 201, description = "The reminder.", body = Reminder)))]
async fn create_event_reminder(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(event_id): Path<Uuid>,
    Json(new): Json<NewReminder>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    let lead = new.check(&mut work, organization_id, &event).await?;
    let (id, now) = (work.new_id(), work.now);
    let reminder = queries::insert(
        &mut work,
        organization_id,
        id,
        event_id,
        &new,
        lead.seconds(),
        now,
    )
    .await?
    .of(&event);
    work.audit(
        "reminder.created",
        ("reminder", id),
        None::<&()>,
        Some(&reminder),
    )
    .await?;
    let location = format!("/v1/events/{event_id}/reminders/{id}");
    work.commit(Answer::created(location, reminder.version, &reminder)?)
        .await
}

/// Get a reminder.
#[utoipa::path(get, path = "/v1/events/{event_id}/reminders/{reminder_id}", tag = "reminders",
    params(("event_id" = Uuid, Path, description = "The event."), ("reminder_id" = Uuid, Path, description = "The reminder.")),
    responses((status = 200, description = "The reminder.", body = Reminder)))]
async fn get_event_reminder(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path((event_id, id)): Path<(Uuid, Uuid)>,
) -> Result<Answer, Problem> {
    let organization_id = access.organization_id();
    let event = events::queries::get(&app.db, organization_id, event_id).await?;
    let reminder = queries::get(&app.db, organization_id, event_id, id)
        .await?
        .of(&event);
    Answer::ok(reminder.version, &reminder)
}

/// Change a reminder. Who has been reminded of this start already is not told again.
#[utoipa::path(patch, path = "/v1/events/{event_id}/reminders/{reminder_id}", tag = "reminders",
    params(("event_id" = Uuid, Path, description = "The event."), ("reminder_id" = Uuid, Path, description = "The reminder.")),
    request_body(content = NewReminder, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The reminder as it is now.", body = Reminder)))]
async fn update_event_reminder(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path((event_id, id)): Path<(Uuid, Uuid)>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    let current = queries::lock(&mut work, organization_id, event_id, id)
        .await?
        .of(&event);
    if_match.check(current.version)?;
    let new: NewReminder = patch.apply(&current, READ_ONLY)?;
    let lead = new.check(&mut work, organization_id, &event).await?;
    let now = work.now;
    let reminder = queries::update(&mut work, organization_id, id, &new, lead.seconds(), now)
        .await?
        .of(&event);
    work.audit(
        "reminder.updated",
        ("reminder", id),
        Some(&current),
        Some(&reminder),
    )
    .await?;
    work.commit(Answer::ok(reminder.version, &reminder)?).await
}

/// Remove a reminder.
#[utoipa::path(delete, path = "/v1/events/{event_id}/reminders/{reminder_id}", tag = "reminders",
    params(("event_id" = Uuid, Path, description = "The event."), ("reminder_id" = Uuid, Path, description = "The reminder.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_event_reminder(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path((event_id, id)): Path<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    let current = queries::lock(&mut work, organization_id, event_id, id)
        .await?
        .of(&event);
    if_match.check(current.version)?;
    queries::delete(&mut work, organization_id, id).await?;
    work.audit(
        "reminder.deleted",
        ("reminder", id),
        Some(&current),
        None::<&()>,
    )
    .await?;
    work.commit(Answer::no_content()).await
}
