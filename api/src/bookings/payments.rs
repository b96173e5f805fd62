//! The ledger of a booking: what came in and what went back, recorded by a person or through Stripe.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::{Booking, lock_availability, queries as bookings, record};
use crate::{
    access::{Access, ReadEvents, WriteBookings},
    extract::{Json, Path, Query, ValidateOnly},
    money::Money,
    page::{List, NoFilter, Page},
    problem::Problem,
    state::App,
    work::{Answer, Work},
};

mod queries;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum PaymentKind {
    Deposit,
    Balance,
    Refund,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentMethod {
    BankTransfer,
    Cash,
    Card,
    Other,
    /// Through Stripe: never recorded by hand.
    Stripe,
}

/// Money that came in for a booking, or went back.
#[derive(Debug, Serialize, ToSchema)]
pub struct BookingPayment {
    pub id: Uuid,
    /// The payment at `/v1/payments` that it is part of; recorded by hand, it is one by itself.
    pub payment_id: Uuid,
    pub booking_id: Uuid,
    pub kind: PaymentKind,
    pub method: PaymentMethod,
    /// Always positive; a refund is subtracted.
    pub amount: Money,
    pub reference: String,
    pub received_at: Timestamp,
    pub created_at: Timestamp,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "kind": "DEPOSIT", "method": "BANK_TRANSFER", "amount": {"amount": 50_000, "currency": "USD"}
}))]
pub struct NewBookingPayment {
    pub kind: PaymentKind,
    #[validate(custom(function = by_hand))]
    pub method: PaymentMethod,
    /// In the currency of the booking, more than nothing.
    #[validate(nested)]
    pub amount: Money,
    /// What it says on the statement.
    #[serde(default)]
    #[validate(length(max = 200))]
    #[schema(max_length = 200, required = false)]
    pub reference: String,
    /// Now, when left out.
    pub received_at: Option<Timestamp>,
}

/// List the payments of a booking, oldest first.
#[utoipa::path(get, path = "/v1/bookings/{booking_id}/payments", tag = "bookings",
    params(("booking_id" = Uuid, Path, description = "The booking.")),
    responses((status = 200, description = "One page.", body = Page<BookingPayment>)))]
pub async fn list_booking_payments(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(booking_id): Path<Uuid>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    bookings::get(&app.db, organization_id, booking_id).await?;
    let payments = queries::list(
        &app.db,
        organization_id,
        booking_id,
        list.after()?,
        list.fetch(),
    )
    .await?;
    Ok(list.page(payments, |payment| payment.id))
}

/// Record a payment for a booking. Needs an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/bookings/{booking_id}/payments", request_body = NewBookingPayment, tag = "bookings",
    params(("booking_id" = Uuid, Path, description = "The booking."), ValidateOnly),
    responses(
        (status = 200, description = "With `validate_only`: the payment as it would be.", body = BookingPayment),
        (status = 201, description = "The payment.", body = BookingPayment)))]
pub async fn create_booking_payment(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(booking_id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
    Json(new): Json<NewBookingPayment>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    lock_availability(&mut work, organization_id).await?;
    let booking = bookings::get_in(&mut work, organization_id, booking_id).await?;
    let under_way = queries::under_way(&mut work, organization_id, booking_id).await?;
    check(&new, &booking, under_way, work.now)?;
    let payment = enter(&mut work, organization_id, &booking, None, &new).await?;
    work.commit(Answer::added(&payment)?).await
}

/// Writes down money that came in for a booking or went back; `payment_request_id` is the payment through Stripe that it
/// belongs to. The caller has called `lock_availability`.
pub async fn enter(
    work: &mut Work,
    organization_id: Uuid,
    booking: &Booking,
    payment_request_id: Option<Uuid>,
    new: &NewBookingPayment,
) -> Result<BookingPayment, Problem> {
    let (id, now) = (work.new_id(), work.now);
    let payment = queries::insert(
        work,
        organization_id,
        id,
        booking.id,
        payment_request_id,
        new,
        now,
    )
    .await?;
    let after = bookings::get_in(work, organization_id, booking.id).await?;
    record(work, "booking.paid", Some(booking), &after).await?;
    Ok(payment)
}

/// It must be in the booking's currency, not more than is due (a refund: than was paid), and not
/// in the future.
fn check(
    new: &NewBookingPayment,
    booking: &Booking,
    under_way: i64,
    now: jiff::Timestamp,
) -> Result<(), Problem> {
    let currency = booking.total.currency;
    if new.amount.currency != currency {
        return Err(Problem::field(
            "/amount/currency",
            "currency",
            format!("must be {currency}, as the booking"),
        ));
    }
    if new.amount.amount == 0 {
        return Err(Problem::field(
            "/amount/amount",
            "range",
            "must be at least 1",
        ));
    }
    if new
        .received_at
        .is_some_and(|received_at| received_at.to_jiff() > now)
    {
        return Err(Problem::field(
            "/received_at",
            "future",
            "must not be in the future",
        ));
    }
    let paid = booking.paid.amount;
    let due = booking.cancellation_fee.unwrap_or(booking.total).amount - paid - under_way;
    let (most, what) = match new.kind {
        PaymentKind::Refund => (paid, "was paid"),
        PaymentKind::Deposit | PaymentKind::Balance if under_way > 0 => {
            let what = "is still due beside what is asked for at /v1/payments; cancel that first";
            (due.max(0), what)
        }
        PaymentKind::Deposit | PaymentKind::Balance => (due.max(0), "is still due"),
    };
    if new.amount.amount > most {
        let detail = format!("only {} {what}", Money::new(most, currency));
        return Err(Problem::field("/amount/amount", "range", detail));
    }
    Ok(())
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that validator calls"
)]
fn by_hand(method: &PaymentMethod) -> Result<(), validator::ValidationError> {
    if *method != PaymentMethod::Stripe {
        return Ok(());
    }
    Err(validator::ValidationError::new("method").with_message(
        "payments through Stripe are made with POST /v1/events/{event_id}/payments".into(),
    ))
}
