//! Bookings: an event's claims on venues and caterers. `HELD` (expires) → `CONFIRMED` → `CANCELLED`.
//! That two claims never collide is the database's promise (`booking_venue_once_per_time`,
//! `booking_caterer_slot_once_per_day`); the code here explains it.

use axum::{extract::State, response::Response};
use jiff_sqlx::{Date, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use crate::{
    access::{Access, ReadEvents, WriteBookings},
    calendar,
    catalogue::CancellationTerm,
    events,
    extract::{self, Path, Query, ValidateOnly},
    money::Money,
    orchestrations::{self, Orchestration},
    page::{List, Page},
    plans::option::PriceLine,
    problem::Problem,
    state::App,
    work::{Answer, Work},
};

mod cancel;
mod confirm;
mod hold;
mod moving;
mod payments;
pub mod queries;
mod secure;
pub use cancel::{CancelledBooking, cancel_all, release_expired, undo_if_lost};
pub use hold::{Claim, Conflict, Place, hold, taken};
pub use moving::{MoveOutcome, MovedBooking, Moving, move_all};
pub use payments::{NewBookingPayment, PaymentKind, PaymentMethod, enter};
pub use queries::lock_availability;
pub use secure::{Secured, keep_until, secure};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_bookings))
        .routes(routes!(get_booking))
        .routes(routes!(create_event_booking))
        .routes(routes!(confirm::confirm_booking))
        .routes(routes!(confirm::confirm_event))
        .routes(routes!(cancel::cancel_booking))
        .routes(routes!(
            payments::list_booking_payments,
            payments::create_booking_payment
        ))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum BookingStatus {
    /// Ours until `expires_at`.
    Held,
    Confirmed,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CancellationReason {
    /// Somebody asked for it.
    Requested,
    /// It was not confirmed in time.
    Expired,
    EventCancelled,
}

/// An event's claim on a venue or a caterer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Booking {
    pub id: Uuid,
    pub event_id: Uuid,
    /// The venue, or
    pub venue_id: Option<Uuid>,
    /// the caterer that is booked.
    pub caterer_id: Option<Uuid>,
    /// The plan that it came from.
    pub plan_id: Option<Uuid>,
    pub status: BookingStatus,
    pub number_of_guests: i32,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// With the venue's set-up time.
    pub occupied_from: Timestamp,
    /// With the venue's tear-down time.
    pub occupied_until: Timestamp,
    /// The local day of the event.
    #[schema(value_type = String, format = Date)]
    pub service_date: Date,
    /// What it costs: the sum of `lines`.
    pub total: Money,
    /// What is due when it is confirmed.
    pub deposit: Money,
    /// Deposits and balances less refunds.
    pub paid: Money,
    #[schema(value_type = Vec<PriceLine>)]
    pub lines: Json<Vec<PriceLine>>,
    /// As they were when it was booked.
    #[schema(value_type = Vec<CancellationTerm>)]
    pub cancellation_terms: Json<Vec<CancellationTerm>>,
    /// When a hold ends by itself.
    pub expires_at: Option<Timestamp>,
    pub confirmed_at: Option<Timestamp>,
    pub cancelled_at: Option<Timestamp>,
    pub cancellation_reason: Option<CancellationReason>,
    /// What cancelling cost.
    pub cancellation_fee: Option<Money>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A booking that has just been made.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldBooking {
    #[serde(flatten)]
    pub booking: Booking,
    /// The run that goes with the event's first booking; null where the organization has none.
    pub orchestration: Option<Orchestration>,
}

/// Which bookings a list shows.
#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BookingFilter {
    pub event_id: Option<Uuid>,
    pub venue_id: Option<Uuid>,
    pub caterer_id: Option<Uuid>,
    pub status: Option<BookingStatus>,
}

/// A booking without a plan: at the catalogue's prices, for the time of the event.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = one_place))]
#[schema(example = json!({"venue_id": "01890a5d-ac96-774b-bcce-b302099a8057", "number_of_guests": 40}))]
pub struct NewBooking {
    /// The venue to book; or
    pub venue_id: Option<Uuid>,
    /// the caterer. Exactly one of the two.
    pub caterer_id: Option<Uuid>,
    #[validate(range(min = 1, max = 100_000))]
    #[schema(minimum = 1, maximum = 100_000)]
    pub number_of_guests: i32,
    /// Also book the venue's separate event room.
    #[serde(default)]
    #[schema(required = false)]
    pub needs_event_room: bool,
    /// Also book the venue's own catering.
    #[serde(default)]
    #[schema(required = false)]
    pub in_house_catering: bool,
}

/// List bookings, oldest first.
#[utoipa::path(get, path = "/v1/bookings", params(BookingFilter), tag = "bookings",
    responses((status = 200, description = "One page.", body = Page<Booking>)))]
async fn list_bookings(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<BookingFilter>,
) -> Result<Response, Problem> {
    let bookings = queries::list(
        &app.db,
        access.organization_id(),
        &list.filter,
        list.after()?,
        list.fetch(),
    )
    .await?;
    Ok(list.page(bookings, |booking| booking.id))
}

/// Get a booking.
#[utoipa::path(get, path = "/v1/bookings/{booking_id}", tag = "bookings",
    params(("booking_id" = Uuid, Path, description = "The booking.")),
    responses((status = 200, description = "The booking.", body = Booking)))]
async fn get_booking(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let booking = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(booking.version, &booking)
}

/// Hold a venue or a caterer for an event, at the catalogue's prices. Needs an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/events/{event_id}/bookings", request_body = NewBooking, tag = "bookings",
    params(("event_id" = Uuid, Path, description = "The event."), ValidateOnly),
    responses(
        (status = 200, description = "With `validate_only`: the booking as it would be.", body = HeldBooking),
        (status = 201, description = "The booking, held.", body = HeldBooking)))]
async fn create_event_booking(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(event_id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
    extract::Json(new): extract::Json<NewBooking>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    lock_availability(&mut work, organization_id).await?;
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    let claim = hold::price(&mut work, organization_id, &event, &new).await?;
    let mut held = hold(&mut work, organization_id, &event, &[claim]).await?;
    let booking = held
        .pop()
        .ok_or_else(|| anyhow::anyhow!("one claim gives one booking"))?;
    let orchestration = orchestrations::booking::start(&mut work, &event).await?;
    let held = HeldBooking {
        booking,
        orchestration,
    };
    work.commit(Answer::created(
        format!("/v1/bookings/{}", held.booking.id),
        held.booking.version,
        &held,
    )?)
    .await
}

/// The bookings of an event that are held or confirmed.
async fn live(
    work: &mut Work,
    organization_id: Uuid,
    event_id: Uuid,
) -> Result<Vec<Booking>, Problem> {
    let filter = BookingFilter {
        event_id: Some(event_id),
        ..BookingFilter::default()
    };
    let mut bookings = queries::list(&mut **work, organization_id, &filter, None, i64::MAX).await?;
    bookings.retain(|booking| booking.status != BookingStatus::Cancelled);
    Ok(bookings)
}

/// Writes down what became of a booking.
async fn record(
    work: &mut Work,
    action: &str,
    before: Option<&Booking>,
    after: &Booking,
) -> Result<(), Problem> {
    work.audit(action, ("booking", after.id), before, Some(after))
        .await?;
    // The calendar shows where the event is; a booking that moves does so with its event, which is followed then.
    let is_shown = ["booking.held", "booking.cancelled", "booking.expired"].contains(&action);
    if is_shown && after.venue_id.is_some() {
        calendar::follow(work, work.organization_id(), after.event_id).await?;
    }
    Ok(())
}

fn one_place(new: &NewBooking) -> Result<(), validator::ValidationError> {
    let wrong = |message: &'static str| {
        Err(validator::ValidationError::new("conflict").with_message(message.into()))
    };
    match (new.venue_id, new.caterer_id) {
        (None, Some(_)) if new.needs_event_room || new.in_house_catering => {
            wrong("needs_event_room and in_house_catering belong to a venue")
        }
        (Some(_), None) | (None, Some(_)) => Ok(()),
        _ => wrong("give exactly one of venue_id and caterer_id"),
    }
}
