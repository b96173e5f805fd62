//! Payments: deposits and balances that people pay on Stripe's pages, and those that were recorded by hand.
//! `facts` is what is known of a payment, whatever order it is told in; `ledger` brings it into the bookings' sums.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use crate::{
    access::{Access, ReadEvents, WriteBookings},
    bookings::{PaymentKind, PaymentMethod},
    extract::{Json, Path, Query, ValidateOnly},
    money::Money,
    page::{List, Page},
    problem::Problem,
    state::App,
    work::Answer,
};

pub mod actions;
mod amounts;
mod cancel;
mod checkout;
mod event;
mod facts;
pub mod jobs;
mod learn;
mod ledger;
mod queries;
mod refund;
mod request;
mod stripe;
mod thanks;
pub use cancel::{follow_booking, follow_price};
pub use event::StripeEvent;
pub use queries::is_being_paid;
pub use thanks::page;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_payments))
        .routes(routes!(get_payment))
        .routes(routes!(create_event_payment))
        .routes(routes!(refund::refund_payment))
        .routes(routes!(cancel::cancel_payment))
}

/// `PENDING → PROCESSING → SUCCEEDED`, `FAILED`, `CANCELLED` or `EXPIRED`; what succeeded may become
/// `PARTIALLY_REFUNDED`, `REFUNDED` or `DISPUTED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentStatus {
    /// Somebody is asked for it; `url` is where it is paid, once Stripe has made the page.
    Pending,
    /// The payer has done their part; a bank takes its time.
    Processing,
    /// The money is there.
    Succeeded,
    /// Stripe or a bank said no; see `failure`.
    Failed,
    /// It was cancelled before anybody paid.
    Cancelled,
    /// Nobody paid in time.
    Expired,
    PartiallyRefunded,
    Refunded,
    /// The payer's bank has taken it back, or may.
    Disputed,
}

/// Why money that came in is given back at once, in full or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentRefusal {
    /// A hold ended while it was paid, and the place is somebody else's.
    HoldLost,
    /// A booking that it was for had been cancelled.
    BookingCancelled,
    /// The payment had been cancelled.
    PaymentCancelled,
}

/// Money that somebody was asked for through Stripe, or that a person recorded.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Payment {
    pub id: Uuid,
    pub event_id: Uuid,
    /// What it is for.
    pub booking_ids: Vec<Uuid>,
    /// `REFUND` only where a person recorded one.
    pub kind: PaymentKind,
    pub method: PaymentMethod,
    pub status: PaymentStatus,
    pub amount: Money,
    /// What was given back of it.
    pub refunded: Money,
    /// What is being given back.
    pub refund_pending: Money,
    /// Where it is paid: give it to the payer. Null until the page is made, and once it is closed.
    pub url: Option<String>,
    /// Until when it can be paid.
    pub expires_at: Option<Timestamp>,
    pub paid_at: Option<Timestamp>,
    /// When somebody cancelled it. The page is then closed as soon as Stripe can be reached; money that comes in before
    /// is given back.
    pub cancel_requested_at: Option<Timestamp>,
    /// Why it is given back at once.
    pub refusal: Option<PaymentRefusal>,
    /// Why Stripe would not make the page.
    pub failure: Option<String>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Which payments a list shows.
#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PaymentFilter {
    pub event_id: Option<Uuid>,
    pub booking_id: Option<Uuid>,
    pub status: Option<PaymentStatus>,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum NewPaymentKind {
    Deposit,
    Balance,
}

/// A payment to ask for.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "DEPOSIT"}))]
pub struct NewPayment {
    pub kind: NewPaymentKind,
    /// In the currency of the bookings, at most what is due. Without it, of a `DEPOSIT` what the bookings ask for and has
    /// not been paid (or the organization's default share, where none asks for one), of a `BALANCE` all that is left.
    #[validate(nested)]
    pub amount: Option<Money>,
    /// For which of the event's bookings; all that are not cancelled without it.
    #[validate(length(min = 1, max = 50))]
    #[schema(min_items = 1, max_items = 50)]
    pub booking_ids: Option<Vec<Uuid>>,
}

/// List payments, oldest first: those asked for through Stripe, and those recorded by hand.
#[utoipa::path(get, path = "/v1/payments", params(PaymentFilter), tag = "payments",
    responses((status = 200, description = "One page.", body = Page<Payment>)))]
async fn list_payments(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<PaymentFilter>,
) -> Result<Response, Problem> {
    let payments = queries::list(
        &app.db,
        access.organization_id(),
        None,
        &list.filter,
        list.after()?,
        list.fetch(),
    )
    .await?;
    Ok(list.page(payments, |payment| payment.id))
}

/// Get a payment.
#[utoipa::path(get, path = "/v1/payments/{payment_id}", tag = "payments",
    params(("payment_id" = Uuid, Path, description = "The payment.")),
    responses((status = 200, description = "The payment.", body = Payment)))]
async fn get_payment(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let payment = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(payment.version, &payment)
}

/// Ask for a deposit or a balance through Stripe. The page to pay on is made right after; read `url` then, or hear of it
/// by a webhook. Holds last at least as long as the page, within limits. Needs an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/events/{event_id}/payments", request_body = NewPayment, tag = "payments",
    params(("event_id" = Uuid, Path, description = "The event."), ValidateOnly),
    responses(
        (status = 200, description = "With `validate_only`: the payment as it would be.", body = Payment),
        (status = 201, description = "The payment, `PENDING`.", body = Payment)))]
async fn create_event_payment(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(event_id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
    Json(new): Json<NewPayment>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    let payment = request::create(&mut work, organization_id, event_id, &new, None).await?;
    work.enqueue(jobs::open(payment.id)?).await?;
    let location = format!("/v1/payments/{}", payment.id);
    work.commit(Answer::created(location, payment.version, &payment)?)
        .await
}
