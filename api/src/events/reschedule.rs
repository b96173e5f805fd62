//! Moving an event to another time: what would happen, and then exactly that.

use axum::{extract::State, response::Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff_sqlx::{DateTime, Timestamp, ToSqlx};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::{
    Event, Fold, NewEvent, READ_ONLY, WAS_MOVED, WallTime,
    notices::{self, MoveNotice, Notify},
    over, queries, wall_time,
};
use crate::{
    access::{Access, WriteBookings},
    bookings::{self, MoveOutcome, MovedBooking, Moving},
    calendar::{self, FollowingEntry},
    catalogue, civil,
    extract::{IfMatch, Json, MergePatch, Path, Query, ValidateOnly},
    messages,
    problem::{Problem, kinds},
    reminders::{self, MovedReminder},
    state::{App, sha256},
    tasks::{self, MovedTask},
    work::{Answer, Work},
};

/// The new time of an event, and what may be given up for it.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = one_start))]
#[schema(example = json!({"local_start": "2027-06-19T18:00:00"}))]
pub struct Reschedule {
    /// The new start as an instant, in whole seconds; or
    pub starts_at: Option<Timestamp>,
    /// as wall time in `time_zone`. Exactly one of the two.
    #[serde(default, deserialize_with = "optional_date_time")]
    #[schema(value_type = Option<String>, example = "2027-06-19T18:00:00",
        pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$")]
    pub local_start: Option<DateTime>,
    /// Which one is meant where `local_start` happens twice; the earlier one when left out.
    pub fold: Option<Fold>,
    /// The new end, whole minutes after the start; or
    pub ends_at: Option<Timestamp>,
    /// how long it lasts. As long as before when both are left out.
    #[validate(range(min = 15, max = 44_640))]
    #[schema(minimum = 15, maximum = 44_640)]
    pub duration_minutes: Option<i32>,
    /// IANA time zone; as before when left out.
    #[validate(length(min = 1, max = 64), custom(function = catalogue::time_zone))]
    #[schema(min_length = 1, max_length = 64, example = "Europe/Lisbon")]
    pub time_zone: Option<String>,
    /// Release, on their terms, the bookings that cannot move.
    #[serde(default)]
    #[schema(required = false)]
    pub drop_conflicting: bool,
    /// Move confirmed bookings even where that changes their price.
    #[serde(default)]
    #[schema(required = false)]
    pub reconfirm: bool,
    /// Whom to tell, in which words. When left out, the event's contact and the team where they can be reached, unless the
    /// event is a draft; nobody when empty.
    #[validate(nested, length(max = 2))]
    #[schema(max_items = 2)]
    pub notify: Option<Vec<Notify>>,
    /// `preview_token` of a preview of this very request: 409 `preview_outdated` when anything has changed since.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub preview_token: Option<String>,
}

/// A moved event with all that moves along.
#[derive(Debug, Serialize, ToSchema)]
pub struct RescheduledEvent {
    pub event: Event,
    /// Its live bookings.
    pub bookings: Vec<MovedBooking>,
    /// Its open tasks that are due at another time now.
    pub tasks: Vec<MovedTask>,
    /// Its entry in the calendar, which a job brings up to date; null where it has none.
    pub calendar: Option<FollowingEntry>,
    /// Its reminders that are due at another time now.
    pub reminders: Vec<MovedReminder>,
    /// The messages that tell of the move, queued by the live call.
    pub notices: Vec<MoveNotice>,
    /// Why the live call would be refused; only a preview has any.
    pub blockers: Vec<Blocker>,
    /// Send it with the live call to have exactly this or nothing.
    pub preview_token: String,
}

/// Why an event cannot be moved so.
#[derive(Debug, Serialize, ToSchema)]
pub struct Blocker {
    /// The code of the problem that the live call would answer.
    #[schema(example = "double_booking")]
    pub code: &'static str,
    pub detail: String,
    pub booking_ids: Vec<Uuid>,
}

/// Move an event with its bookings, tasks and calendar entry, all of it or nothing. Bookings keep their prices; only a venue's
/// hours are charged anew when the event lasts longer or shorter. 409 `double_booking` names what stands in the way, unless
/// `drop_conflicting`. Needs `If-Match` and an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/events/{event_id}/reschedule", request_body = Reschedule, tag = "events",
    params(("event_id" = Uuid, Path, description = "The event."), ValidateOnly,
        ("If-Match" = String, Header, description = "The ETag of the event that was read, or `*`.")),
    responses((status = 200, description = "The event, and what became of all that belongs to it.", body = RescheduledEvent)))]
pub async fn reschedule_event(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
    Query(query): Query<ValidateOnly>,
    Json(to): Json<Reschedule>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    bookings::lock_availability(&mut work, organization_id).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    let moved = reschedule(&mut work, organization_id, &current, &to).await?;
    if !query.validate_only {
        refuse(&moved)?;
    }
    work.commit(Answer::ok(moved.event.version, &moved)?).await
}

/// The same within a change, blocked or not: where there are blockers, nothing of it may be kept ([`refuse`]). The caller has
/// called `lock_availability` and locked the event.
pub async fn reschedule(
    work: &mut Work,
    organization_id: Uuid,
    current: &Event,
    to: &Reschedule,
) -> Result<RescheduledEvent, Problem> {
    if current.status.is_over() {
        return Err(over(current));
    }
    let now = work.now;
    let (new, time) = new_time(current, to)?;
    if time.ends_at <= now {
        let pointer = if to.starts_at.is_some() {
            "/starts_at"
        } else {
            "/local_start"
        };
        return Err(Problem::field(pointer, "past", "must not be over already"));
    }
    let event = queries::update(work, organization_id, current.id, &new, &time, now).await?;
    let moving = Moving {
        drop_conflicting: to.drop_conflicting,
        reconfirm: to.reconfirm,
    };
    let bookings = bookings::move_all(work, organization_id, current, &event, moving).await?;
    let tasks = tasks::follow(work, organization_id, current, &event).await?;
    let calendar = calendar::follow(work, organization_id, event.id).await?;
    let reminders = reminders::moved(work, organization_id, current, &event).await?;
    work.audit(
        "event.rescheduled",
        ("event", event.id),
        Some(current),
        Some(&event),
    )
    .await?;
    if event.starts_at != current.starts_at || event.ends_at != current.ends_at {
        messages::withdraw(work, organization_id, event.id, WAS_MOVED).await?;
    }
    let notices = notices::queue(work, organization_id, &event, to.notify.as_deref()).await?;
    let blockers = blockers(&bookings, to.drop_conflicting);
    let seen = (&*bookings, &*tasks, calendar.as_ref(), &*notices);
    let preview_token = token(current, to, &event, seen)?;
    if to
        .preview_token
        .as_ref()
        .is_some_and(|seen| *seen != preview_token)
    {
        let kind = &kinds::PREVIEW_OUTDATED;
        return Err(Problem::conflict(kind, kind.detail()));
    }
    Ok(RescheduledEvent {
        event,
        bookings,
        tasks,
        calendar,
        reminders,
        notices,
        blockers,
        preview_token,
    })
}

/// 409 where a move has blockers.
pub fn refuse(moved: &RescheduledEvent) -> Result<(), Problem> {
    let Some(blocker) = moved.blockers.first() else {
        return Ok(());
    };
    let conflicts: Vec<_> = moved
        .bookings
        .iter()
        .flat_map(|booking| booking.conflicts.clone())
        .collect();
    if !conflicts.is_empty() {
        return Err(bookings::taken(&conflicts));
    }
    let extra = Map::from_iter([("bookings".to_owned(), json!(moved.bookings))]);
    Err(Problem::Conflict(
        &kinds::PRICE_CHANGED,
        blocker.detail.clone(),
        extra,
    ))
}

fn blockers(bookings: &[MovedBooking], drops: bool) -> Vec<Blocker> {
    let with = |outcomes: &[MoveOutcome]| {
        let stuck = bookings
            .iter()
            .filter(|booking| outcomes.contains(&booking.outcome));
        stuck.map(|booking| booking.booking_id).collect::<Vec<_>>()
    };
    let taken = with(&[MoveOutcome::Conflict, MoveOutcome::BlockedDate]);
    let dearer = with(&[MoveOutcome::NeedsReconfirmation]);
    let mut blockers = Vec::new();
    if !taken.is_empty() && !drops {
        blockers.push(Blocker {
            code: kinds::DOUBLE_BOOKING.code,
            detail: "what is booked is not free at that time; drop_conflicting releases it"
                .to_owned(),
            booking_ids: taken,
        });
    }
    if !dearer.is_empty() {
        blockers.push(Blocker {
            code: kinds::PRICE_CHANGED.code,
            detail: "the price of a confirmed booking changes; reconfirm agrees to it".to_owned(),
            booking_ids: dearer,
        });
    }
    blockers
}

/// What comes out of a move.
type Seen<'a> = (
    &'a [MovedBooking],
    &'a [MovedTask],
    Option<&'a FollowingEntry>,
    &'a [MoveNotice],
);

/// A digest of what was asked for, what it was asked about and what came out, for as long as none of that changes.
fn token(
    current: &Event,
    to: &Reschedule,
    event: &Event,
    (bookings, tasks, calendar, notices): Seen<'_>,
) -> Result<String, Problem> {
    let bookings: Vec<_> = bookings
        .iter()
        .map(|booking| {
            let fee = booking.released.as_ref().map(|released| released.fee);
            let conflicts: Vec<_> = booking
                .conflicts
                .iter()
                .map(|each| (&each.kind, each.id))
                .collect();
            json!([
                booking.booking_id,
                booking.version,
                booking.outcome,
                booking.price,
                fee,
                conflicts
            ])
        })
        .collect();
    let tasks: Vec<_> = tasks
        .iter()
        .map(|task| (task.task_id, task.version, task.due_at.to))
        .collect();
    let calendar = calendar.map(|entry| entry.before);
    let seen = json!([
        current.id,
        current.version,
        event.local_start,
        event.time_zone,
        event.fold,
        event.duration_minutes,
        to.drop_conflicting,
        to.reconfirm,
        bookings,
        tasks,
        calendar,
        notices,
    ]);
    let seen = serde_json::to_vec(&seen).map_err(anyhow::Error::from)?;
    Ok(URL_SAFE_NO_PAD.encode(sha256(&[&seen])))
}

/// The event as it would be, by the rules of a new one.
fn new_time(current: &Event, to: &Reschedule) -> Result<(NewEvent, WallTime), Problem> {
    let zone = to.time_zone.as_ref().unwrap_or(&current.time_zone);
    let (local_start, fold) = match (to.starts_at, to.local_start) {
        (Some(starts_at), _) => wall_time::local(starts_at.to_jiff(), zone)?,
        (None, Some(local)) => (local.to_jiff(), to.fold.unwrap_or_default()),
        (None, None) => return Err(Problem::field("/starts_at", "required", "is required")),
    };
    let mut patch: Map<String, Value> = Map::new();
    patch.insert("time_zone".to_owned(), json!(zone));
    patch.insert("local_start".to_owned(), json!(local_start.to_sqlx()));
    patch.insert("fold".to_owned(), json!(fold));
    if let Some(minutes) = to.duration_minutes {
        patch.insert("duration_minutes".to_owned(), json!(minutes));
    }
    let mut new: NewEvent = MergePatch::new(patch).apply(current, READ_ONLY)?;
    let time = WallTime::resolve(&new)?;
    let Some(ends_at) = to.ends_at else {
        return Ok((new, time));
    };
    let lasts = ends_at.to_jiff().duration_since(time.starts_at);
    let minutes = i32::try_from(lasts.as_mins()).unwrap_or_default();
    let is_whole = lasts.as_secs() % 60 == 0 && lasts.subsec_nanos() == 0;
    if !is_whole || !(15..=44_640).contains(&minutes) {
        let detail = "must be whole minutes after the start, 15 minutes to 31 days";
        return Err(Problem::field("/ends_at", "range", detail));
    }
    new.duration_minutes = minutes;
    let time = WallTime::resolve(&new)?;
    Ok((new, time))
}

fn one_start(to: &Reschedule) -> Result<(), ValidationError> {
    let wrong =
        |message: &'static str| Err(ValidationError::new("conflict").with_message(message.into()));
    if to.starts_at.is_some() == to.local_start.is_some() {
        return wrong("give exactly one of starts_at and local_start");
    }
    if to.fold.is_some() && to.local_start.is_none() {
        return wrong("fold belongs to local_start; starts_at says which one is meant");
    }
    if to.ends_at.is_some() && to.duration_minutes.is_some() {
        return wrong("give at most one of ends_at and duration_minutes");
    }
    Ok(())
}

fn optional_date_time<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DateTime>, D::Error> {
    #[derive(Deserialize)]
    struct Local(#[serde(deserialize_with = "civil::date_time")] DateTime);
    Ok(Option::<Local>::deserialize(deserializer)?.map(|local| local.0))
}
