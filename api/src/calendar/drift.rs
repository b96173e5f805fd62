//! What others do to an entry in the calendar, and which of the two states shall hold.

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::{
    CalendarEntry, CalendarStatus, Showing, enqueue, get_in, provider::Outside, queries, record,
};
use crate::{
    access::{Access, WriteBookings, WriteEvents},
    bookings, catalogue,
    events::{
        self, Event,
        reschedule::{Reschedule, RescheduledEvent, refuse, reschedule},
    },
    extract::{Json, MergePatch, Path, Query, ValidateOnly},
    problem::{Problem, kinds},
    state::App,
    work::{Answer, Work},
};

/// What somebody made of an entry in the calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drift {
    pub is_deleted: bool,
    /// What stands there; null where it was deleted or made an event of whole days.
    pub shows: Option<Showing>,
    /// The zone in which it stands there.
    pub time_zone: Option<String>,
    /// The fields of `shows` that differ from the event.
    pub differs: Vec<String>,
    /// The version of it at the provider.
    pub etag: Option<String>,
}

/// What may be given up to take over the time that stands in the calendar; as in rescheduling.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptDrift {
    /// Release, on their terms, the bookings that cannot move.
    #[serde(default)]
    #[schema(required = false)]
    pub drop_conflicting: bool,
    /// Move confirmed bookings even where that changes their price.
    #[serde(default)]
    #[schema(required = false)]
    pub reconfirm: bool,
}

/// An event that has taken over what stands in the calendar.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedDrift {
    pub calendar: CalendarEntry,
    pub event: Event,
    /// The move, where the time differed.
    pub rescheduled: Option<RescheduledEvent>,
}

impl Drift {
    pub(super) fn deleted() -> Self {
        Self {
            is_deleted: true,
            shows: None,
            time_zone: None,
            differs: Vec::new(),
            etag: None,
        }
    }

    pub(super) fn between(wanted: &Showing, outside: &Outside) -> Self {
        let shows = outside.showing();
        let differs = |is_other: fn(&Showing, &Showing) -> bool| {
            shows.as_ref().is_none_or(|shows| is_other(shows, wanted))
        };
        let fields = [
            ("title", differs(|a, b| a.title != b.title)),
            ("starts_at", differs(|a, b| a.starts_at != b.starts_at)),
            ("ends_at", differs(|a, b| a.ends_at != b.ends_at)),
            ("location", differs(|a, b| a.location != b.location)),
        ];
        let differs = fields.into_iter().filter(|(_, differs)| *differs);
        Self {
            is_deleted: false,
            differs: differs.map(|(name, _)| name.to_owned()).collect(),
            shows,
            time_zone: outside.time_zone.clone(),
            etag: Some(outside.etag.clone()),
        }
    }
}

/// Write the event over what somebody made of its entry in the calendar.
#[utoipa::path(post, path = "/v1/events/{event_id}/calendar/restore", tag = "calendar",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 200, description = "The entry, pending.", body = CalendarEntry)))]
pub async fn restore_event_calendar(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(event_id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let (before, _) = drifted(&mut work, organization_id, event_id).await?;
    let now = work.now;
    queries::want(&mut work, organization_id, before.id, true, None, now).await?;
    let entry = get_in(&mut work, organization_id, event_id).await?;
    record(&mut work, "calendar.restored", Some(&before), &entry).await?;
    enqueue(&mut work, event_id).await?;
    work.commit(Answer::ok(entry.version, &entry)?).await
}

/// Take over what somebody made of the entry in the calendar: the time, by the rules of rescheduling, and the title. An entry
/// that was deleted there is cancelled. Needs an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/events/{event_id}/calendar/accept", request_body = AcceptDrift, tag = "calendar",
    params(("event_id" = Uuid, Path, description = "The event."), ValidateOnly),
    responses((status = 200, description = "The entry and the event as they are now.", body = AcceptedDrift)))]
pub async fn accept_event_calendar(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(event_id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
    Json(accept): Json<AcceptDrift>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    bookings::lock_availability(&mut work, organization_id).await?;
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    let (before, drift) = drifted(&mut work, organization_id, event_id).await?;
    if drift.shows.is_none() && !drift.is_deleted {
        let detail = "it is an event of whole days there: restore it, or reschedule the event";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    let event = take_title(&mut work, organization_id, event, &drift).await?;
    let rescheduled = take_time(&mut work, organization_id, &event, &drift, &accept).await?;
    if let (Some(moved), false) = (&rescheduled, query.validate_only) {
        refuse(moved)?;
    }
    let now = work.now;
    queries::accept(&mut work, organization_id, before.id, &drift, now).await?;
    let calendar = get_in(&mut work, organization_id, event_id).await?;
    record(&mut work, "calendar.accepted", Some(&before), &calendar).await?;
    enqueue(&mut work, event_id).await?;
    let event = rescheduled
        .as_ref()
        .map_or(event, |moved| moved.event.clone());
    let accepted = AcceptedDrift {
        calendar,
        event,
        rescheduled,
    };
    work.commit(Answer::ok(accepted.calendar.version, &accepted)?)
        .await
}

/// The entry, which somebody has changed in the calendar.
async fn drifted(
    work: &mut Work,
    organization_id: Uuid,
    event_id: Uuid,
) -> Result<(CalendarEntry, Drift), Problem> {
    let entry = queries::lock(work, organization_id, event_id).await?;
    let entry = entry.ok_or(Problem::NotFound)?;
    match &entry.drift {
        Some(drift) if entry.status == CalendarStatus::Drifted => {
            let drift = drift.0.clone();
            Ok((entry, drift))
        }
        _ => {
            let detail = "nobody has changed the entry in the calendar: it is not DRIFTED";
            Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail))
        }
    }
}

async fn take_title(
    work: &mut Work,
    organization_id: Uuid,
    event: Event,
    drift: &Drift,
) -> Result<Event, Problem> {
    let title = drift.shows.as_ref().map(|shows| &shows.title);
    let Some(title) = title.filter(|title| **title != event.title) else {
        return Ok(event);
    };
    let patch = MergePatch::new(Map::from_iter([("title".to_owned(), json!(title))]));
    events::change(work, organization_id, &event, &patch)
        .await
        .map_err(not_taken)
}

async fn take_time(
    work: &mut Work,
    organization_id: Uuid,
    event: &Event,
    drift: &Drift,
    accept: &AcceptDrift,
) -> Result<Option<RescheduledEvent>, Problem> {
    let times = (event.starts_at.to_jiff(), event.ends_at.to_jiff());
    let shows = drift.shows.as_ref();
    let Some(shows) = shows.filter(|shows| (shows.starts_at, shows.ends_at) != times) else {
        return Ok(None);
    };
    let zone = drift.time_zone.clone();
    let to = Reschedule {
        starts_at: Some(shows.starts_at.into()),
        ends_at: Some(shows.ends_at.into()),
        time_zone: zone.filter(|zone| zone != "UTC" && catalogue::time_zone(zone).is_ok()),
        drop_conflicting: accept.drop_conflicting,
        reconfirm: accept.reconfirm,
        ..Reschedule::default()
    };
    let moved = reschedule(work, organization_id, event, &to).await;
    moved.map(Some).map_err(not_taken)
}

/// The fields that do not hold are not the client's.
fn not_taken(problem: Problem) -> Problem {
    match problem {
        Problem::Invalid(errors) => {
            let detail = errors.into_iter().next().map(|error| error.detail);
            let detail = detail.unwrap_or_default();
            let detail = format!("what stands in the calendar cannot be taken over: {detail}");
            Problem::conflict(&kinds::INVALID_TRANSITION, detail)
        }
        problem => problem,
    }
}
