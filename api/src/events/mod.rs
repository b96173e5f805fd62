//! Events: what is planned, when, and how far it has come.

use axum::{extract::State, response::Response};
use jiff_sqlx::{DateTime, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use crate::{
    access::{Access, ReadEvents, WriteEvents},
    calendar, catalogue, civil,
    extract::{IfMatch, Json, MergePatch, Path},
    messages,
    money::Money,
    page::{List, Page},
    plans::brief::EventType,
    problem::{OnConstraint, Problem, kinds},
    state::App,
    tasks,
    work::{Answer, Work},
};

mod budget;
pub mod notices;
pub mod queries;
pub mod reschedule;
pub mod status;
mod wall_time;
pub use wall_time::{Fold, WallTime};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_events, create_event))
        .routes(routes!(get_event, update_event, delete_event))
        .routes(routes!(budget::get_event_budget))
        .routes(routes!(status::plan_event))
        .routes(routes!(status::publish_event))
        .routes(routes!(status::complete_event))
        .routes(routes!(status::cancel_event))
        .routes(routes!(reschedule::reschedule_event))
}

/// How far an event has come: `DRAFT → PLANNED → PUBLISHED → COMPLETED`, or `CANCELLED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum EventStatus {
    Draft,
    Planned,
    Published,
    Completed,
    Cancelled,
}

impl EventStatus {
    /// Whether nothing about the event changes any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled)
    }
}

impl std::fmt::Display for EventStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Draft => "DRAFT",
            Self::Planned => "PLANNED",
            Self::Published => "PUBLISHED",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
        })
    }
}

/// Something that people will come to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Event {
    pub id: Uuid,
    pub title: String,
    pub event_type: EventType,
    pub status: EventStatus,
    /// The wall time in `time_zone` that was agreed on.
    #[schema(value_type = String, example = "2027-06-12T18:00:00")]
    pub local_start: DateTime,
    /// IANA time zone.
    #[schema(example = "Europe/Lisbon")]
    pub time_zone: String,
    /// Which of two equal wall times is meant where a clock is set back.
    pub fold: Fold,
    pub duration_minutes: i32,
    /// `local_start` as an instant.
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// The most guests it is planned for.
    pub capacity: Option<i32>,
    /// What it may cost altogether.
    pub budget: Option<Money>,
    pub contact_name: Option<String>,
    pub contact_email: Option<String>,
    pub contact_phone: Option<String>,
    pub notes: String,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What `NewEvent` cannot set.
const READ_ONLY: &[&str] = &[
    "id",
    "status",
    "starts_at",
    "ends_at",
    "version",
    "created_at",
    "updated_at",
];

#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "title": "Team offsite", "event_type": "OFFSITE", "local_start": "2027-06-12T18:00:00",
    "time_zone": "Europe/Lisbon", "duration_minutes": 240, "capacity": 40
}))]
pub struct NewEvent {
    #[validate(length(min = 1, max = 200), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub title: String,
    /// `OTHER` when left out.
    #[serde(default = "other")]
    #[schema(required = false)]
    pub event_type: EventType,
    /// Wall time without offset. A time that a clock change leaves out is refused.
    #[serde(deserialize_with = "civil::date_time")]
    #[schema(value_type = String, example = "2027-06-12T18:00:00",
        pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$")]
    pub local_start: DateTime,
    /// IANA time zone.
    #[validate(length(min = 1, max = 64), custom(function = catalogue::time_zone))]
    #[schema(min_length = 1, max_length = 64, example = "Europe/Lisbon")]
    pub time_zone: String,
    /// Which one is meant where a clock is set back and the wall time happens twice; the earlier
    /// one when left out (as in RFC 5545).
    #[serde(default)]
    #[schema(required = false)]
    pub fold: Fold,
    /// 15 minutes to 31 days.
    #[validate(range(min = 15, max = 44_640))]
    #[schema(minimum = 15, maximum = 44_640)]
    pub duration_minutes: i32,
    /// The most guests it is planned for.
    #[validate(range(min = 1, max = 100_000))]
    #[schema(minimum = 1, maximum = 100_000)]
    pub capacity: Option<i32>,
    /// What it may cost altogether.
    #[validate(nested)]
    pub budget: Option<Money>,
    #[validate(length(max = 200))]
    #[schema(max_length = 200)]
    pub contact_name: Option<String>,
    #[validate(email, length(max = 320))]
    #[schema(format = "email", max_length = 320)]
    pub contact_email: Option<String>,
    /// E.164, e.g. `+14155550123`.
    #[validate(custom(function = phone))]
    #[schema(pattern = r"^\+[1-9]\d{6,14}$")]
    pub contact_phone: Option<String>,
    #[serde(default)]
    #[validate(length(max = 10_000))]
    #[schema(max_length = 10_000, required = false)]
    pub notes: String,
}

/// Which events a list shows.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventFilter {
    pub status: Option<EventStatus>,
    pub event_type: Option<EventType>,
    /// Only events that end after this instant.
    pub ends_after: Option<Timestamp>,
    /// Only events that start before this instant.
    pub starts_before: Option<Timestamp>,
}

/// List events by their start.
#[utoipa::path(get, path = "/v1/events", params(EventFilter), tag = "events",
    responses((status = 200, description = "One page.", body = Page<Event>)))]
async fn list_events(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<EventFilter>,
) -> Result<Response, Problem> {
    let events = queries::list(
        &app.db,
        access.organization_id(),
        &list.filter,
        list.after()?,
        list.fetch(),
    )
    .await?;
    Ok(list.page(events, |event| (event.starts_at, event.id)))
}

/// Create an event, as a draft.
#[utoipa::path(post, path = "/v1/events", request_body = NewEvent, tag = "events",
    responses((status = 201, description = "The event.", body = Event)))]
async fn create_event(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Json(new): Json<NewEvent>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let event = create(&mut work, organization_id, &new, EventStatus::Draft).await?;
    work.commit(Answer::created(
        format!("/v1/events/{}", event.id),
        event.version,
        &event,
    )?)
    .await
}

/// Puts an event into a change.
pub async fn create(
    work: &mut Work,
    organization_id: Uuid,
    new: &NewEvent,
    status: EventStatus,
) -> Result<Event, Problem> {
    let time = WallTime::resolve(new)?;
    let (id, now) = (work.new_id(), work.now);
    let event = queries::insert(work, organization_id, id, new, &time, status, now).await?;
    work.audit("event.created", ("event", id), None::<&()>, Some(&event))
        .await?;
    Ok(event)
}

/// Get an event.
#[utoipa::path(get, path = "/v1/events/{event_id}", tag = "events",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 200, description = "The event.", body = Event)))]
async fn get_event(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let event = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(event.version, &event)
}

/// Change an event. While venues or caterers are booked for it, its time is changed by rescheduling only.
#[utoipa::path(patch, path = "/v1/events/{event_id}", tag = "events",
    params(("event_id" = Uuid, Path, description = "The event.")),
    request_body(content = NewEvent, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The event as it is now.", body = Event)))]
async fn update_event(
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
    let event = change(&mut work, organization_id, &current, &patch).await?;
    work.commit(Answer::ok(event.version, &event)?).await
}

/// Why a message about the event does not go out.
const WAS_MOVED: &str = "the event was moved before it was sent";

/// Changes an event in a change. The caller has locked it.
pub async fn change(
    work: &mut Work,
    organization_id: Uuid,
    current: &Event,
    patch: &MergePatch,
) -> Result<Event, Problem> {
    if current.status.is_over() {
        return Err(over(current));
    }
    let new: NewEvent = patch.apply(current, READ_ONLY)?;
    let time = WallTime::resolve(&new)?;
    let moved =
        time.starts_at != current.starts_at.to_jiff() || time.ends_at != current.ends_at.to_jiff();
    if moved && queries::has_live_bookings(work, organization_id, current.id).await? {
        let detail = "the time cannot be changed so while venues or caterers are booked: reschedule the event";
        return Err(Problem::conflict(&kinds::EVENT_HAS_BOOKINGS, detail));
    }
    let now = work.now;
    let event = queries::update(work, organization_id, current.id, &new, &time, now).await?;
    work.audit(
        "event.updated",
        ("event", current.id),
        Some(current),
        Some(&event),
    )
    .await?;
    tasks::follow(work, organization_id, current, &event).await?;
    if moved {
        messages::withdraw(work, organization_id, current.id, WAS_MOVED).await?;
    }
    if calendar::shows_change(current, &event) {
        calendar::follow(work, organization_id, current.id).await?;
    }
    Ok(event)
}

/// Delete an event that nothing was ever booked for; cancel any other.
#[utoipa::path(delete, path = "/v1/events/{event_id}", tag = "events",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_event(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    tasks::delete_all(&mut work, organization_id, id).await?;
    queries::delete(&mut work, organization_id, id)
        .await
        .on_constraint(|name| {
            let kept = match name {
                "booking_event" => "bookings",
                "calendar_entry_event" => "a calendar entry",
                "payment_request_event" => "payments",
                "document_event" => "documents",
                "message_event" => "messages",
                _ => return None,
            };
            let detail = format!("it has {kept}, which are kept; cancel the event instead");
            Some(Problem::conflict(&kinds::IN_USE, detail))
        })?;
    work.audit("event.deleted", ("event", id), Some(&current), None::<&()>)
        .await?;
    work.commit(Answer::no_content()).await
}

fn over(event: &Event) -> Problem {
    let detail = format!("the event is {} and no longer changes", event.status);
    Problem::conflict(&kinds::INVALID_TRANSITION, detail)
}

fn other() -> EventType {
    EventType::Other
}

/// E.164: a plus and 7 to 15 digits.
pub fn phone(number: &str) -> Result<(), validator::ValidationError> {
    let digits = number.strip_prefix('+').unwrap_or_default();
    let valid = (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    if valid {
        return Ok(());
    }
    Err(validator::ValidationError::new("phone")
        .with_message("must be E.164, such as +14155550123".into()))
}
