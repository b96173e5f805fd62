//! An event's entry in the organization's calendar: held, kept up to date, cancelled, and watched for what others do to it.
//! Requests only ask; jobs speak to the provider, one at a time for each event.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::types::Json as Jsonb;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    access::{Access, ReadEvents, WriteEvents},
    events::{self, Event, EventStatus},
    extract::Path,
    jobs::NewJob,
    problem::{Problem, kinds},
    state::App,
    work::{Answer, Work},
};

pub mod actions;
mod drift;
mod feed;
mod ics;
mod provider;
mod queries;
mod sync;
pub use drift::Drift;
pub use feed::{look_everywhere, read};
pub use provider::Showing;
pub use sync::{ATTEMPTS, sync};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get_event_calendar, hold_event_calendar))
        .routes(routes!(cancel_event_calendar))
        .routes(routes!(drift::restore_event_calendar))
        .routes(routes!(drift::accept_event_calendar))
        .routes(routes!(ics::get_event_ics))
}

/// How far an entry has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum CalendarStatus {
    /// A job will bring it up to date.
    Pending,
    /// It stands in the calendar, as it was created.
    Held,
    /// It stands in the calendar, changed since it was created.
    Updated,
    /// It does not stand there any more.
    Cancelled,
    /// The provider refused it; `error` says why.
    Failed,
    /// Somebody changed it there; `drift` says how.
    Drifted,
}

/// An event's entry in the organization's calendar.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CalendarEntry {
    pub id: Uuid,
    pub event_id: Uuid,
    pub status: CalendarStatus,
    /// The provider's id.
    pub provider_event_id: Option<String>,
    /// The entry in the provider's own pages.
    pub link: Option<String>,
    /// What was written last.
    #[schema(value_type = Option<Showing>)]
    pub shows: Option<Jsonb<Showing>>,
    /// What somebody else made of it.
    #[schema(value_type = Option<Drift>)]
    pub drift: Option<Jsonb<Drift>>,
    pub error: Option<String>,
    /// When it was compared with the calendar last.
    pub synced_at: Option<Timestamp>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(skip)]
    is_wanted: bool,
    #[serde(skip)]
    generation: i32,
    #[serde(skip)]
    hold_key: Option<String>,
    #[serde(skip)]
    etag: Option<String>,
    #[serde(skip)]
    intended: Option<Jsonb<Showing>>,
    #[serde(skip)]
    overwrites: bool,
    #[serde(skip)]
    asked: i64,
}

/// An entry that follows its event.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowingEntry {
    pub calendar_entry_id: Uuid,
    pub status: CalendarStatus,
    /// Before it followed.
    #[serde(skip)]
    pub before: (CalendarStatus, i64),
}

/// Get the calendar entry of an event.
#[utoipa::path(get, path = "/v1/events/{event_id}/calendar", tag = "calendar",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 200, description = "The entry.", body = CalendarEntry)))]
async fn get_event_calendar(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(event_id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let entry = queries::get(&app.db, access.organization_id(), event_id).await?;
    let entry = entry.ok_or(Problem::NotFound)?;
    Answer::ok(entry.version, &entry)
}

/// Hold the time of an event in the organization's calendar; the entry follows the event from then on. Asked again, it
/// changes nothing, unless the entry was cancelled or refused.
#[utoipa::path(post, path = "/v1/events/{event_id}/calendar", tag = "calendar",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses(
        (status = 200, description = "The entry, which was there.", body = CalendarEntry),
        (status = 201, description = "The entry, pending.", body = CalendarEntry)))]
async fn hold_event_calendar(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(event_id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    let before = queries::lock(&mut work, organization_id, event_id).await?;
    let is_new = before.is_none();
    if !before.as_ref().is_some_and(stands) && !app.sidecars.calendar.is_set() {
        let detail = "set CALENDAR_SIDECAR_URL to the address of the calendar sidecar".to_owned();
        return Err(Problem::Sidecar(
            &kinds::SIDECAR_NOT_CONFIGURED,
            detail,
            None,
        ));
    }
    let entry = hold(&mut work, organization_id, &event, before, None).await?;
    if entry.status == CalendarStatus::Pending {
        enqueue(&mut work, event_id).await?;
    }
    let location = format!("/v1/events/{event_id}/calendar");
    let answer = if is_new {
        Answer::created(location, entry.version, &entry)?
    } else {
        Answer::ok(entry.version, &entry)?
    };
    work.commit(answer).await
}

/// Take an event's entry out of the calendar, whoever changed it there.
#[utoipa::path(post, path = "/v1/events/{event_id}/calendar/cancel", tag = "calendar",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 200, description = "The entry, pending until it is gone.", body = CalendarEntry)))]
async fn cancel_event_calendar(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(event_id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let entry = queries::lock(&mut work, organization_id, event_id).await?;
    let entry = entry.ok_or(Problem::NotFound)?;
    let entry = cancel(&mut work, organization_id, entry).await?;
    enqueue(&mut work, event_id).await?;
    work.commit(Answer::ok(entry.version, &entry)?).await
}

/// Whether what an entry shows differs between two states of its event.
pub fn shows_change(before: &Event, after: &Event) -> bool {
    let shown = |event: &Event| {
        let times = (event.starts_at.to_jiff(), event.ends_at.to_jiff());
        (event.title.clone(), times, event.time_zone.clone())
    };
    shown(before) != shown(after)
}

/// Has the entry of an event brought up to date, if it has one that stands. Whatever changes what an entry shows calls this
/// in the same change.
pub async fn follow(
    work: &mut Work,
    organization_id: Uuid,
    event_id: Uuid,
) -> Result<Option<FollowingEntry>, Problem> {
    let Some(before) = queries::lock(work, organization_id, event_id).await? else {
        return Ok(None);
    };
    let now = work.now;
    let touched = queries::touch(work, organization_id, event_id, now).await?;
    let Some(id) = touched else {
        return Ok(None);
    };
    enqueue(work, event_id).await?;
    let after = get_in(work, organization_id, event_id).await?;
    Ok(Some(FollowingEntry {
        calendar_entry_id: id,
        status: after.status,
        before: (before.status, before.version),
    }))
}

/// Asks for an entry to stand. The caller has locked the event and its entry.
async fn hold(
    work: &mut Work,
    organization_id: Uuid,
    event: &Event,
    before: Option<CalendarEntry>,
    hold_key: Option<&str>,
) -> Result<CalendarEntry, Problem> {
    if event.status == EventStatus::Cancelled {
        let detail = "the event is CANCELLED; its time is not held";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    let now = work.now;
    match &before {
        Some(entry) if stands(entry) => return Ok(entry.clone()),
        Some(entry) => queries::want(work, organization_id, entry.id, true, hold_key, now).await?,
        None => {
            let ids = (event.id, work.new_id());
            queries::insert(work, organization_id, ids, hold_key, now).await?;
        }
    }
    let entry = get_in(work, organization_id, event.id).await?;
    record(work, "calendar.requested", before.as_ref(), &entry).await?;
    Ok(entry)
}

/// Asks for an entry to go. The caller has locked it.
async fn cancel(
    work: &mut Work,
    organization_id: Uuid,
    before: CalendarEntry,
) -> Result<CalendarEntry, Problem> {
    if !before.is_wanted {
        return Ok(before);
    }
    let now = work.now;
    queries::want(work, organization_id, before.id, false, None, now).await?;
    let entry = get_in(work, organization_id, before.event_id).await?;
    record(work, "calendar.released", Some(&before), &entry).await?;
    Ok(entry)
}

/// Whether it is in the calendar, or on its way there.
fn stands(entry: &CalendarEntry) -> bool {
    use CalendarStatus::{Drifted, Held, Pending, Updated};
    entry.is_wanted && matches!(entry.status, Pending | Held | Updated | Drifted)
}

async fn get_in(
    work: &mut Work,
    organization_id: Uuid,
    event_id: Uuid,
) -> Result<CalendarEntry, Problem> {
    let entry = queries::get(&mut **work, organization_id, event_id).await?;
    entry.ok_or(Problem::NotFound)
}

/// One job at a time for each event; it reads what is wanted when it runs. The entry has been touched before, so that a job
/// that is running looks again.
async fn enqueue(work: &mut Work, event_id: Uuid) -> Result<(), Problem> {
    let job = NewJob::new("calendar.sync", &sync::Payload { event_id })?;
    work.enqueue(job.lane("calendar").once(event_id.to_string()))
        .await?;
    Ok(())
}

async fn record(
    work: &mut Work,
    action: &str,
    before: Option<&CalendarEntry>,
    after: &CalendarEntry,
) -> Result<(), Problem> {
    work.audit(action, ("calendar_entry", after.id), before, Some(after))
        .await
}
