//! Cancelling what nobody has paid yet. Money that still comes in is given back.

use axum::{extract::State, response::Response};
use uuid::Uuid;

use super::{
    Payment, PaymentStatus, checkout,
    facts::Facts,
    jobs,
    learn::learn,
    queries::{self, Request},
    request::record,
    stripe,
};
use crate::{
    access::{Access, WriteBookings},
    bookings,
    extract::{Path, Query, ValidateOnly},
    jobs::Failure,
    problem::{Problem, kinds},
    sidecars::Errand,
    state::App,
    work::{Answer, Work},
};

/// Cancel a payment that is `PENDING` or `PROCESSING`. One whose page is open becomes `CANCELLED` when Stripe has closed
/// the page; money that comes in before is given back. Needs an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/payments/{payment_id}/cancel", tag = "payments",
    params(("payment_id" = Uuid, Path, description = "The payment."), ValidateOnly),
    responses((status = 200, description = "The payment as it is now.", body = Payment)))]
pub async fn cancel_payment(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(id): Path<Uuid>,
    Query(query): Query<ValidateOnly>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?.rehearse(query.validate_only);
    bookings::lock_availability(&mut work, organization_id).await?;
    let payment = queries::get_in(&mut work, organization_id, id).await?;
    if !is_cancellable(payment.status) {
        let detail = "only what is PENDING or PROCESSING can be cancelled; refund what is paid";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    let request = queries::lock(&mut work, organization_id, id).await?;
    if ask_for_it(&mut work, organization_id, &request).await? {
        work.enqueue(jobs::cancel(id)?).await?;
    }
    let payment = queries::get_in(&mut work, organization_id, id).await?;
    work.commit(Answer::ok(payment.version, &payment)?).await
}

pub fn is_cancellable(status: PaymentStatus) -> bool {
    matches!(status, PaymentStatus::Pending | PaymentStatus::Processing)
}

/// Cancels what is still asked for of a booking that was cancelled, unless it is also for bookings that stand: of those the
/// payer is still welcome, and the share of the cancelled one goes back. The caller has called `lock_availability`.
pub async fn follow_booking(
    work: &mut Work,
    organization_id: Uuid,
    booking_id: Uuid,
) -> Result<(), Problem> {
    let ids = queries::only_for_cancelled(work, organization_id, booking_id).await?;
    cancel_each(work, organization_id, &ids).await
}

/// Cancels what is asked for beyond what a booking costs now, so that nobody pays more than is owed; the rest can be asked for
/// anew. The caller has called `lock_availability`.
pub async fn follow_price(
    work: &mut Work,
    organization_id: Uuid,
    booking_id: Uuid,
) -> Result<(), Problem> {
    let ids = queries::beyond_price(work, organization_id, booking_id).await?;
    cancel_each(work, organization_id, &ids).await
}

async fn cancel_each(work: &mut Work, organization_id: Uuid, ids: &[Uuid]) -> Result<(), Problem> {
    for id in ids {
        let request = queries::lock(work, organization_id, *id).await?;
        if ask_for_it(work, organization_id, &request).await? {
            work.enqueue(jobs::cancel(*id)?).await?;
        }
    }
    Ok(())
}

/// From here on money that comes in goes back; whether there is a page to close. Without one the payment is cancelled.
pub async fn ask_for_it(
    work: &mut Work,
    organization_id: Uuid,
    request: &Request,
) -> Result<bool, Problem> {
    if request.cancel_requested_at.is_some() {
        return Ok(request.session_id.is_some());
    }
    let now = work.now;
    queries::request_cancel(work, organization_id, request.id, now).await?;
    if request.session_id.is_some() {
        let payment = queries::get_in(work, organization_id, request.id).await?;
        record(work, "payment.cancel_requested", &payment).await?;
        return Ok(true);
    }
    learn(work, organization_id, request, cancelled(request), None).await?;
    Ok(false)
}

/// Closes the page of a payment that somebody has cancelled; or finds that it was paid.
pub async fn close(app: &App, errand: &Errand, id: Uuid) -> Result<(), Failure> {
    let organization_id = errand.organization_id;
    let request = queries::read(&app.db, organization_id, id).await?;
    let Some(session_id) = request
        .session_id
        .as_ref()
        .filter(|_| is_cancellable(request.status))
    else {
        return Ok(());
    };
    let closed = stripe::close_session(app, errand, &request, session_id).await?;
    if closed.status.as_deref() != Some("expired") {
        return checkout::ask(app, errand, id).await;
    }
    let (mut work, request) = checkout::begin(app, organization_id, id).await?;
    let told = cancelled(&request);
    learn(&mut work, organization_id, &request, told, None).await?;
    work.commit_silently().await?;
    Ok(())
}

fn cancelled(request: &Request) -> Facts {
    request.facts().join(Facts {
        is_cancelled: true,
        ..Facts::default()
    })
}
