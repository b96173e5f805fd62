//! Giving money back: asked for by a person, or because what was paid for is gone.

use axum::{extract::State, response::Response};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::{
    Payment, PaymentStatus, checkout, jobs,
    queries::{self as payments, Request},
    request::record,
    stripe,
};
use crate::{
    access::{Access, WriteBookings},
    bookings,
    extract::{Json, Path, Query, ValidateOnly},
    jobs::Failure,
    money::Money,
    problem::{Problem, kinds},
    sidecars::{Errand, SidecarError},
    state::App,
    work::{Answer, Work},
};

mod queries;
pub use queries::{NewRow, Reason, by_key};

/// What to give back.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"amount": {"amount": 5_000, "currency": "EUR"}, "reason": "Ten guests fewer"}))]
pub struct NewRefund {
    /// All that is left without it.
    #[validate(nested)]
    pub amount: Option<Money>,
    /// For your own records; it stays here.
    #[serde(default)]
    #[validate(length(max = 200))]
    #[schema(max_length = 200, required = false)]
    pub reason: String,
}

/// Give a payment through Stripe back, in full or in part. It is done right after, and cannot be undone. Needs an
/// `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/payments/{payment_id}/refund", request_body = NewRefund, tag = "payments",
    params(("payment_id" = Uuid, Path, description = "The payment."), ValidateOnly),
    responses((status = 200, description = "The payment as it is now; `refund_pending` has the refund.", body = Payment)))]
pub async fn refund_payment(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
    Json(new): Json<NewRefund>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    bookings::lock_availability(&mut work, organization_id).await?;
    let payment = payments::get_in(&mut work, organization_id, id).await?;
    let row = NewRow {
        payment_id: id,
        amount: amount(&payment, new.amount)?,
        reason: Reason::Requested,
        note: &new.reason,
        idempotency_key: None,
    };
    let refund_id = insert(&mut work, organization_id, &row).await?;
    work.enqueue(jobs::refund(refund_id)?).await?;
    let payment = payments::get_in(&mut work, organization_id, id).await?;
    record(&mut work, "payment.refund_requested", &payment).await?;
    work.commit(Answer::ok(payment.version, &payment)?).await
}

/// Puts a refund into a change; gives its id.
pub async fn insert(
    work: &mut Work,
    organization_id: Uuid,
    new: &NewRow<'_>,
) -> Result<Uuid, Problem> {
    let (id, now) = (work.new_id(), work.now);
    queries::insert(work, organization_id, id, new, now).await?;
    Ok(id)
}

/// What may be given back of a payment: what came in, less what went back or is on its way.
pub fn left(payment: &Payment) -> i64 {
    let gone = payment.refunded.amount + payment.refund_pending.amount;
    (payment.amount.amount - gone).max(0)
}

/// Whether there is money that a refund could give back.
pub fn is_paid(payment: &Payment) -> bool {
    matches!(
        payment.status,
        PaymentStatus::Succeeded | PaymentStatus::PartiallyRefunded
    )
}

/// What is to be given back when what it was for is undone: of a cancelled booking what its terms leave, of one that stands
/// its whole share. What is on its way back counts as if it had arrived, taken from the bookings as the ledger will.
pub async fn due_back(
    work: &mut Work,
    organization_id: Uuid,
    payment: &Payment,
) -> Result<i64, Problem> {
    let (mut due, mut pending) = (0, payment.refund_pending.amount);
    for share in payments::shares(work, organization_id, payment.id).await? {
        let booking = bookings::queries::get_in(work, organization_id, share.booking_id).await?;
        let entered = share.entered_in - share.entered_back;
        let going = pending.min(entered);
        pending -= going;
        let beyond_the_fee = booking.cancellation_fee.map_or(i64::MAX, |fee| {
            (booking.paid.amount - going - fee.amount).max(0)
        });
        due += (entered - going).min(beyond_the_fee);
    }
    Ok(due.min(left(payment)))
}

/// Gives back at Stripe, once, and knows of it.
pub async fn give_back(app: &App, errand: &Errand, id: Uuid) -> Result<(), Failure> {
    let organization_id = errand.organization_id;
    let refund = queries::get(&app.db, organization_id, id).await?;
    if refund.is_done {
        return Ok(());
    }
    if refund.has_failed {
        // Somebody may have asked for another since, and Stripe knows this one again for a day only.
        let detail = format!(
            "this refund failed and is not sent again: if it is still wanted, ask for another at \
             POST /v1/payments/{}/refund, and discard this",
            refund.payment_id
        );
        return Err(Failure::Fatal(detail));
    }
    let request = payments::read(&app.db, organization_id, refund.payment_id).await?;
    let intent_id = intent_of(app, errand, &request).await?;
    let made = stripe::refund(app, errand, &request, &intent_id, id, refund.amount).await;
    let refusal = match made {
        Ok(made) if !matches!(made.status.as_deref(), Some("failed" | "canceled")) => {
            return succeed(app, errand, &request, id, made.id.as_deref()).await;
        }
        Ok(_) => "Stripe could not give it back".to_owned(),
        Err(SidecarError::Refused(refusal)) => refusal.message,
        Err(error) => return Err(error.into()),
    };
    let (mut work, request) = checkout::begin(app, organization_id, request.id).await?;
    let now = work.now;
    queries::end(&mut work, organization_id, id, false, None, now).await?;
    let payment = payments::get_in(&mut work, organization_id, request.id).await?;
    record(&mut work, "payment.refund_failed", &payment).await?;
    work.commit_silently().await?;
    // A person has to look at it.
    Err(Failure::Fatal(refusal))
}

/// The refund is made, and Stripe says what that comes to in all.
async fn succeed(
    app: &App,
    errand: &Errand,
    request: &Request,
    id: Uuid,
    refund_id: Option<&str>,
) -> Result<(), Failure> {
    checkout::ask(app, errand, request.id).await?;
    let (mut work, request) = checkout::begin(app, errand.organization_id, request.id).await?;
    let now = work.now;
    queries::end(&mut work, errand.organization_id, id, true, refund_id, now).await?;
    let payment = payments::get_in(&mut work, errand.organization_id, request.id).await?;
    record(&mut work, "payment.updated", &payment).await?;
    work.commit_silently().await?;
    Ok(())
}

async fn intent_of(app: &App, errand: &Errand, request: &Request) -> Result<String, Failure> {
    if let Some(id) = &request.intent_id {
        return Ok(id.clone());
    }
    let missing = || Failure::Fatal("nothing was paid at Stripe".into());
    let session_id = request.session_id.as_ref().ok_or_else(missing)?;
    let session = stripe::session(app, errand, session_id).await?;
    session.payment_id.ok_or_else(missing)
}

/// How much is given back, if it may be.
fn amount(payment: &Payment, wanted: Option<Money>) -> Result<i64, Problem> {
    if payment.method != bookings::PaymentMethod::Stripe {
        let detail =
            "it was recorded by hand: record its refund at POST /v1/bookings/{booking_id}/payments";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    let left = left(payment);
    if !is_paid(payment) || left == 0 {
        let detail = "only what is SUCCEEDED or PARTIALLY_REFUNDED, and not being given back already, can be refunded";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    let Some(wanted) = wanted else {
        return Ok(left);
    };
    let currency = payment.amount.currency;
    if wanted.currency != currency {
        let detail = format!("must be {currency}, as the payment");
        return Err(Problem::field("/amount/currency", "currency", detail));
    }
    if !(1..=left).contains(&wanted.amount) {
        let detail = format!(
            "must be at least 1, and at most what is left of it: {}",
            Money::new(left, currency)
        );
        return Err(Problem::field("/amount/amount", "range", detail));
    }
    Ok(wanted.amount)
}
