//! From an option to an event with held bookings, at the price shown.

use axum::{extract::State, response::Response};
use jiff_sqlx::ToSqlx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::{
    brief::{Brief, EventType},
    option::{PlanOption, PriceLine, Side},
    queries,
};
use crate::{
    access::{Access, WriteBookings},
    bookings::{self, Booking, Claim, Place},
    events::{self, Event, EventStatus, Fold, NewEvent},
    extract::{Json, Path, Query, ValidateOnly},
    money::Money,
    orchestrations::{self, Orchestration},
    problem::{Problem, kinds},
    state::App,
    work::{Answer, Work},
};

/// What the event of a booked option is called, and who answers for it.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"title": "Team offsite", "contact_email": "ada@example.com"}))]
pub struct NewPlanBooking {
    /// Book for this event, which is at the option's time; a new event when left out.
    pub event_id: Option<Uuid>,
    /// The title of the new event; made from the brief when left out.
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    #[validate(length(max = 200))]
    #[schema(max_length = 200)]
    pub contact_name: Option<String>,
    #[validate(email, length(max = 320))]
    #[schema(format = "email", max_length = 320)]
    pub contact_email: Option<String>,
    /// E.164, e.g. `+14155550123`.
    #[validate(custom(function = events::phone))]
    #[schema(pattern = r"^\+[1-9]\d{6,14}$")]
    pub contact_phone: Option<String>,
}

/// A booked option.
#[derive(Debug, Serialize, ToSchema)]
pub struct BookedOption {
    pub event: Event,
    /// The venue's, and the caterer's if it is another's.
    pub bookings: Vec<Booking>,
    /// The run that this starts; null where the organization has none.
    pub orchestration: Option<Orchestration>,
}

/// Book an option: an event with its bookings held, all of it or nothing. Needs an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/plans/{plan_id}/options/{rank}/book", request_body = NewPlanBooking, tag = "plans",
    params(("plan_id" = Uuid, Path, description = "The plan."),
        ("rank" = i16, Path, description = "The option's rank, from 1."), ValidateOnly),
    responses(
        (status = 200, description = "With `validate_only`: what would be.", body = BookedOption),
        (status = 201, description = "The event and its bookings.", body = BookedOption)))]
pub async fn book_plan_option(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path((plan_id, rank)): Path<(Uuid, i16)>,
    Query(query): Query<ValidateOnly>,
    Json(new): Json<NewPlanBooking>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    bookings::lock_availability(&mut work, organization_id).await?;
    let stored = queries::option(&mut work, organization_id, plan_id, rank).await?;
    let (brief, option) = (stored.brief.0, stored.option.0);
    if stored.expires_at.to_jiff() <= work.now || option.starts_at <= work.now {
        return Err(Problem::conflict(
            &kinds::OPTION_EXPIRED,
            kinds::OPTION_EXPIRED.detail(),
        ));
    }
    let event = if let Some(id) = new.event_id {
        existing_event(&mut work, organization_id, id, &option).await?
    } else {
        let event = event_of(&brief, &option, &new);
        events::create(&mut work, organization_id, &event, EventStatus::Planned).await?
    };
    let claims = claims(plan_id, &brief, &option);
    let bookings = bookings::hold(&mut work, organization_id, &event, &claims).await?;
    let orchestration = orchestrations::booking::start(&mut work, &event).await?;
    let location = format!("/v1/events/{}", event.id);
    let version = event.version;
    let booked = BookedOption {
        event,
        bookings,
        orchestration,
    };
    work.commit(Answer::created(location, version, &booked)?)
        .await
}

/// An event that somebody made before: it must be at the option's time.
async fn existing_event(
    work: &mut Work,
    organization_id: Uuid,
    id: Uuid,
    option: &PlanOption,
) -> Result<Event, Problem> {
    let event = match events::queries::lock(work, organization_id, id).await {
        Err(sqlx::Error::RowNotFound) => {
            return Err(Problem::field(
                "/event_id",
                "unknown",
                "there is no such event",
            ));
        }
        event => event?,
    };
    if event.starts_at.to_jiff() != option.starts_at || event.ends_at.to_jiff() != option.ends_at {
        let detail = format!(
            "the event must be from {} to {}, as the option",
            option.starts_at, option.ends_at
        );
        return Err(Problem::field("/event_id", "other_time", detail));
    }
    if event.status != EventStatus::Draft {
        return Ok(event);
    }
    events::status::set(work, organization_id, &event, EventStatus::Planned).await
}

fn event_of(brief: &Brief, option: &PlanOption, new: &NewPlanBooking) -> NewEvent {
    let title = || {
        format!("{} guests at {}", brief.number_of_guests, option.venue.name)
            .chars()
            .take(200)
            .collect()
    };
    NewEvent {
        title: new.title.clone().unwrap_or_else(title),
        event_type: brief.event_type.unwrap_or(EventType::Other),
        local_start: option.date.to_datetime(brief.start_time).to_sqlx(),
        time_zone: option.time_zone.clone(),
        fold: Fold::Earlier,
        duration_minutes: brief.duration_minutes,
        capacity: Some(brief.number_of_guests),
        budget: brief.budget(),
        contact_name: new.contact_name.clone(),
        contact_email: new.contact_email.clone(),
        contact_phone: new.contact_phone.clone(),
        notes: brief.special_requirements.clone().unwrap_or_default(),
    }
}

/// The venue, with its own catering if that was chosen; and else the caterer.
fn claims(plan_id: Uuid, brief: &Brief, option: &PlanOption) -> Vec<Claim> {
    let claim = |place, total, deposit, lines| Claim {
        place,
        plan_id: Some(plan_id),
        number_of_guests: brief.number_of_guests,
        starts_at: option.starts_at,
        ends_at: option.ends_at,
        occupied_from: option.occupied_from,
        occupied_until: option.occupied_until,
        service_date: option.date,
        total,
        deposit,
        lines,
    };
    let lines_of = |side| {
        option
            .lines
            .iter()
            .filter(|line: &&PriceLine| line.side == side)
            .cloned()
            .collect()
    };
    let venue = Place::Venue(option.venue.id);
    let Some(caterer_id) = option.catering.caterer_id else {
        let deposit = option.venue_deposit.amount + option.catering_deposit.amount;
        let deposit = Money::new(deposit, option.total.currency);
        return vec![claim(venue, option.total, deposit, option.lines.clone())];
    };
    vec![
        claim(
            venue,
            option.venue_total,
            option.venue_deposit,
            lines_of(Side::Venue),
        ),
        claim(
            Place::Caterer(caterer_id),
            option.catering_total,
            option.catering_deposit,
            lines_of(Side::Catering),
        ),
    ]
}
