//! Payments as steps of an orchestration: each done once for its errand's key, and each can be undone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    NewPayment, NewPaymentKind, PaymentStatus, cancel, checkout, queries,
    refund::{self, NewRow, Reason},
    request,
};
use crate::{
    bookings, jobs::Failure, money::Money, problem::Problem, sidecars::Errand, state::App,
    work::Work,
};

/// Ask for the deposit of all bookings of the event.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestDepositInput {}

#[derive(Debug, Serialize)]
pub struct RequestDepositOutput {
    pub payment_id: Uuid,
    /// Where it is paid.
    pub url: Option<String>,
    pub amount: Money,
}

/// Undo a payment, however far it is, on the terms of its bookings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelOrRefundInput {
    /// From `request_deposit`.
    pub payment_id: Uuid,
}

#[derive(Debug, Serialize)]
pub struct CancelOrRefundOutput {
    pub payment_id: Uuid,
    pub status: PaymentStatus,
    pub refunded: Money,
}

/// Asks for the deposit, with a page to pay it on.
pub async fn request_deposit(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    _: RequestDepositInput,
) -> Result<RequestDepositOutput, Failure> {
    let (organization_id, key) = (errand.organization_id, errand.idempotency_key.as_str());
    let mut work = Work::system(app, organization_id).await?;
    bookings::lock_availability(&mut work, organization_id).await?;
    let known = queries::by_key(&mut work, organization_id, key).await?;
    let id = if let Some(id) = known {
        id
    } else {
        let new = NewPayment {
            kind: NewPaymentKind::Deposit,
            amount: None,
            booking_ids: None,
        };
        let asked = request::create(&mut work, organization_id, event_id, &new, Some(key));
        asked.await.map_err(final_word)?.id
    };
    work.commit_silently().await?;
    let payment = checkout::open(app, errand, id).await?;
    if is_over(payment.status) {
        let detail = format!(
            "payment {id} was cancelled, or came to nothing, before it was paid: if a deposit is still wanted, ask for it \
             at POST /v1/events/{event_id}/payments"
        );
        return Err(Failure::Fatal(detail));
    }
    Ok(RequestDepositOutput {
        payment_id: id,
        url: payment.url,
        amount: payment.amount,
    })
}

/// Cancels a payment that nobody has made; of one that somebody has made, gives back what the terms of its bookings leave.
pub async fn cancel_or_refund(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    input: CancelOrRefundInput,
) -> Result<CancelOrRefundOutput, Failure> {
    let (organization_id, id) = (errand.organization_id, input.payment_id);
    let (mut work, request) = checkout::begin(app, organization_id, id).await?;
    if request.event_id != event_id {
        return Err(Failure::Fatal("the payment is another event's".into()));
    }
    let key = errand.idempotency_key.as_str();
    let mut refund_id = refund::by_key(&mut work, organization_id, key).await?;
    if refund_id.is_none() && cancel::is_cancellable(request.status) {
        cancel::ask_for_it(&mut work, organization_id, &request).await?;
        work.commit_silently().await?;
        cancel::close(app, errand, id).await?;
        return output(app, organization_id, id).await;
    }
    let payment = queries::get_in(&mut work, organization_id, id).await?;
    let due = refund::due_back(&mut work, organization_id, &payment).await?;
    if refund_id.is_none() && refund::is_paid(&payment) && due > 0 {
        let row = NewRow {
            payment_id: id,
            amount: due,
            reason: Reason::Requested,
            note: "",
            idempotency_key: Some(key),
        };
        refund_id = Some(refund::insert(&mut work, organization_id, &row).await?);
    }
    work.commit_silently().await?;
    if let Some(refund_id) = refund_id {
        refund::give_back(app, errand, refund_id).await?;
    }
    output(app, organization_id, id).await
}

/// Nobody can pay it any more, and nobody has.
fn is_over(status: PaymentStatus) -> bool {
    matches!(
        status,
        PaymentStatus::Failed | PaymentStatus::Cancelled | PaymentStatus::Expired
    )
}

async fn output(
    app: &App,
    organization_id: Uuid,
    id: Uuid,
) -> Result<CancelOrRefundOutput, Failure> {
    let payment = queries::get(&app.db, organization_id, id).await?;
    Ok(CancelOrRefundOutput {
        payment_id: id,
        status: payment.status,
        refunded: payment.refunded,
    })
}

/// An event for which nothing is due has nothing due the next time either.
fn final_word(problem: Problem) -> Failure {
    match problem {
        Problem::Conflict(kind, detail, _) if kind.code == "invalid_transition" => {
            Failure::Fatal(detail)
        }
        problem => problem.into(),
    }
}
