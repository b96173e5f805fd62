//! What follows when something becomes known of a payment: the ledger, the bookings, and money that has to go back.

use uuid::Uuid;

use super::{
    Payment, PaymentRefusal, PaymentStatus,
    facts::Facts,
    jobs, ledger,
    queries::{self, Request},
    refund,
    request::record,
};
use crate::{
    bookings::{self, Secured},
    events, orchestrations,
    problem::Problem,
    work::Work,
};

/// Knows from here on what `told` says of `request`, which the caller has locked after `lock_availability`. Nothing
/// happens when it is known already.
pub async fn learn(
    work: &mut Work,
    organization_id: Uuid,
    request: &Request,
    told: Facts,
    intent_id: Option<&str>,
) -> Result<(), Problem> {
    let before = request.facts();
    let is_known_intent = intent_id.is_none() || intent_id == request.intent_id.as_deref();
    if told == before && is_known_intent {
        return Ok(());
    }
    let now = work.now;
    queries::know(work, organization_id, request.id, told, intent_id, now).await?;
    let intent_id = intent_id.or(request.intent_id.as_deref());
    ledger::enter(work, organization_id, request, told, intent_id).await?;
    let payment = queries::get_in(work, organization_id, request.id).await?;
    record(work, action(before.status(), told.status()), &payment).await?;
    if before.paid == 0 && told.paid > 0 {
        arrive(work, organization_id, request).await?;
    }
    if before.status() != told.status() {
        orchestrations::booking::cancel_if_unbooked(work, request.event_id).await?;
    }
    Ok(())
}

/// The money is there: what it is for becomes firm, or it goes back.
async fn arrive(work: &mut Work, organization_id: Uuid, request: &Request) -> Result<(), Problem> {
    if request.cancel_requested_at.is_some() {
        return refuse(
            work,
            organization_id,
            request,
            None,
            PaymentRefusal::PaymentCancelled,
        )
        .await;
    }
    let event = events::queries::lock(work, organization_id, request.event_id).await?;
    let shares = queries::shares(work, organization_id, request.id).await?;
    let ids: Vec<Uuid> = shares.iter().map(|share| share.booking_id).collect();
    match bookings::secure(work, organization_id, &event, &ids).await? {
        Secured::Lost => {
            refuse(
                work,
                organization_id,
                request,
                None,
                PaymentRefusal::HoldLost,
            )
            .await
        }
        Secured::Confirmed { cancelled } => {
            let too_late = shares
                .iter()
                .filter(|share| cancelled.contains(&share.booking_id));
            let amount: i64 = too_late.map(|share| share.amount).sum();
            if amount == 0 {
                return Ok(());
            }
            let reason = PaymentRefusal::BookingCancelled;
            refuse(work, organization_id, request, Some(amount), reason).await
        }
    }
}

/// Gives `amount` back, all without one, and says so.
async fn refuse(
    work: &mut Work,
    organization_id: Uuid,
    request: &Request,
    amount: Option<i64>,
    reason: PaymentRefusal,
) -> Result<(), Problem> {
    queries::set_refusal(work, organization_id, request.id, reason).await?;
    let (reason, action) = match reason {
        PaymentRefusal::HoldLost => (refund::Reason::HoldLost, "payment.refused_hold_lost"),
        PaymentRefusal::BookingCancelled => (
            refund::Reason::BookingCancelled,
            "payment.refused_booking_cancelled",
        ),
        PaymentRefusal::PaymentCancelled => (
            refund::Reason::PaymentCancelled,
            "payment.refused_cancelled",
        ),
    };
    let amount = amount.unwrap_or(request.amount.amount);
    let new = refund::NewRow {
        payment_id: request.id,
        amount,
        reason,
        note: "",
        idempotency_key: None,
    };
    let refund_id = refund::insert(work, organization_id, &new).await?;
    work.enqueue(jobs::refund(refund_id)?).await?;
    let payment: Payment = queries::get_in(work, organization_id, request.id).await?;
    record(work, action, &payment).await
}

/// How the audit trail calls it.
fn action(before: PaymentStatus, after: PaymentStatus) -> &'static str {
    if before == after {
        return "payment.updated";
    }
    match after {
        PaymentStatus::Pending => "payment.updated",
        PaymentStatus::Processing => "payment.processing",
        PaymentStatus::Succeeded => "payment.succeeded",
        PaymentStatus::Failed => "payment.failed",
        PaymentStatus::Cancelled => "payment.cancelled",
        PaymentStatus::Expired => "payment.expired",
        PaymentStatus::PartiallyRefunded => "payment.partially_refunded",
        PaymentStatus::Refunded => "payment.refunded",
        PaymentStatus::Disputed => "payment.disputed",
    }
}
