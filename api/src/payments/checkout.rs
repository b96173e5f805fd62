//! The page on which somebody pays: made once, looked after when it should have closed.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Payment, PaymentStatus,
    facts::Facts,
    jobs,
    learn::learn,
    queries::{self, Request},
    request::{closes_at, record},
    stripe,
};
use crate::{
    bookings, events,
    jobs::{Done, Failure, Job},
    sidecars::{Errand, SidecarError},
    state::App,
    work::Work,
};

/// Stripe takes at least half an hour.
const SHORTEST: Duration = Duration::from_mins(31);
/// Stripe's own event comes first, as a rule.
const AFTER_CLOSING: Duration = Duration::from_mins(5);
/// How often it is asked when events keep coming in between.
const QUESTIONS: usize = 5;
const AGAIN: Duration = Duration::from_hours(1);

/// Makes the page of a payment that has none yet, and gives the payment as it is then.
pub async fn open(app: &App, errand: &Errand, id: Uuid) -> Result<Payment, Failure> {
    let organization_id = errand.organization_id;
    let Some((request, title)) = prepare(app, organization_id, id).await? else {
        return Ok(queries::get(&app.db, organization_id, id).await?);
    };
    let made = match stripe::open_session(app, errand, &request, &title).await {
        Ok(made) => made,
        Err(SidecarError::Refused(refusal)) => {
            fail(app, organization_id, id, &refusal.message).await?;
            return Err(Failure::Fatal(refusal.message));
        }
        Err(error) => return Err(error.into()),
    };
    let (Some(session_id), Some(url)) = (made.id, made.url) else {
        return Err(Failure::Fatal(
            "Stripe made a page without an address".into(),
        ));
    };
    let (mut work, request) = begin(app, organization_id, id).await?;
    // Cancelled meanwhile: nobody has seen the page, and it closes by itself.
    let is_wanted = request.session_id.is_none() && request.status == PaymentStatus::Pending;
    if is_wanted {
        let now = work.now;
        queries::set_session(&mut work, organization_id, id, &session_id, &url, now).await?;
        let check = request.expires_at.to_jiff() + AFTER_CLOSING;
        work.enqueue(jobs::check(id)?.due(check)).await?;
        let payment = queries::get_in(&mut work, organization_id, id).await?;
        record(&mut work, "payment.opened", &payment).await?;
    }
    let payment = queries::get_in(&mut work, organization_id, id).await?;
    work.commit_silently().await?;
    Ok(payment)
}

/// Asks Stripe how far a payment is, and takes that as the truth.
pub async fn ask(app: &App, errand: &Errand, id: Uuid) -> Result<(), Failure> {
    let organization_id = errand.organization_id;
    let mut before = queries::read(&app.db, organization_id, id).await?;
    for _ in 0..QUESTIONS {
        let Some((told, intent_id)) = truth(app, errand, &before).await? else {
            return Ok(());
        };
        let (mut work, request) = begin(app, organization_id, id).await?;
        // What changed meanwhile may be newer than the answer.
        if request.version != before.version {
            before = request;
            continue;
        }
        let intent_id = intent_id.as_deref();
        learn(&mut work, organization_id, &request, told, intent_id).await?;
        return Ok(work.commit_silently().await?);
    }
    let error = "the payment kept changing while Stripe was asked".into();
    Err(Failure::Retry { error, after: None })
}

/// A page that should be closed by now: whatever events got lost, the payment comes to its end.
pub async fn check(app: App, job: Job) -> Result<Done, Failure> {
    let id = job.read::<jobs::Subject>()?.id;
    ask(&app, &job.errand(jobs::CALLS), id).await?;
    let (mut work, request) = begin(&app, job.organization_id, id).await?;
    if matches!(
        request.status,
        PaymentStatus::Pending | PaymentStatus::Processing
    ) {
        let due = work.now + AGAIN;
        work.enqueue(jobs::check(id)?.due(due)).await?;
    }
    let done = job.settle(&mut work).await?;
    work.commit_silently().await?;
    Ok(done)
}

/// A change about a payment, with its row, which nobody else can have meanwhile.
pub async fn begin(app: &App, organization_id: Uuid, id: Uuid) -> Result<(Work, Request), Failure> {
    let mut work = Work::system(app, organization_id).await?;
    bookings::lock_availability(&mut work, organization_id).await?;
    let request = queries::lock(&mut work, organization_id, id).await?;
    Ok((work, request))
}

/// What Stripe says; nothing of a payment without a page. What is refunded is taken as it is now, even if it was more.
async fn truth(
    app: &App,
    errand: &Errand,
    request: &Request,
) -> Result<Option<(Facts, Option<String>)>, Failure> {
    let Some(session_id) = &request.session_id else {
        return Ok(None);
    };
    let session = stripe::session(app, errand, session_id).await?;
    expect_amount(request, session.amount, &session.currency)?;
    let status = (session.status.as_deref(), session.payment_status.as_deref());
    let mut told = request.facts().join(Facts {
        has_expired: status.0 == Some("expired"),
        is_processing: status == (Some("complete"), Some("unpaid")),
        ..Facts::default()
    });
    if let Some(intent_id) = &session.payment_id {
        let intent = stripe::intent(app, errand, intent_id).await?;
        expect_amount(request, intent.amount, &intent.currency)?;
        told.paid = told.paid.max(intent.amount_received);
        told.refunded = intent.amount_refunded;
    }
    Ok(Some((told, session.payment_id)))
}

/// Money is counted only where it is what we asked for.
pub fn expect_amount(request: &Request, amount: i64, currency: &str) -> Result<(), Failure> {
    let wanted = request.amount;
    if amount == wanted.amount && wanted.currency.as_str().eq_ignore_ascii_case(currency) {
        return Ok(());
    }
    Err(Failure::Fatal(format!(
        "Stripe has {amount} {currency} for payment {}, which asks for {wanted}",
        request.id
    )))
}

/// The payment with a time that Stripe takes, and what it is called; none where no page is wanted.
async fn prepare(
    app: &App,
    organization_id: Uuid,
    id: Uuid,
) -> Result<Option<(Request, String)>, Failure> {
    let (mut work, mut request) = begin(app, organization_id, id).await?;
    if request.status != PaymentStatus::Pending || request.session_id.is_some() {
        return Ok(None);
    }
    let event = events::queries::lock(&mut work, organization_id, request.event_id).await?;
    if request.expires_at.to_jiff() < work.now + SHORTEST {
        let (now, expires_at) = (work.now, closes_at(&work)?);
        queries::set_expiry(&mut work, organization_id, id, expires_at, now).await?;
        let shares = queries::shares(&mut work, organization_id, id).await?;
        let ids: Vec<Uuid> = shares.iter().map(|share| share.booking_id).collect();
        bookings::keep_until(&mut work, organization_id, &ids, expires_at).await?;
        request = queries::lock(&mut work, organization_id, id).await?;
    }
    work.commit_silently().await?;
    let kind = match request.kind {
        bookings::PaymentKind::Deposit => "Deposit",
        _ => "Balance",
    };
    Ok(Some((request, format!("{kind}: {}", event.title))))
}

/// Stripe will not make the page.
async fn fail(app: &App, organization_id: Uuid, id: Uuid, why: &str) -> Result<(), Failure> {
    let (mut work, request) = begin(app, organization_id, id).await?;
    let why: String = why.chars().take(500).collect();
    queries::set_failure(&mut work, organization_id, id, &why).await?;
    let told = request.facts().join(Facts {
        has_failed: true,
        ..Facts::default()
    });
    learn(&mut work, organization_id, &request, told, None).await?;
    work.commit_silently().await?;
    Ok(())
}
