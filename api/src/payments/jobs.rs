//! What workers do for payments. All but the events of Stripe wait in its lane while it is away.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    StripeEvent, cancel, checkout,
    event::{Meaning, StripeObject},
    facts::Facts,
    learn::learn,
    queries::{self, Request},
    refund, stripe,
};
use crate::{
    jobs::{Done, Failure, Job, NewJob},
    problem::Problem,
    state::App,
    webhooks_in,
    work::Work,
};

/// For all calls of one attempt; a handler's time-out is longer.
pub const CALLS: Duration = Duration::from_secs(25);
const LANE: &str = "stripe";

/// The payment or refund that a job is about.
#[derive(Debug, Serialize, Deserialize)]
pub struct Subject {
    pub id: Uuid,
}

pub fn open(id: Uuid) -> Result<NewJob, Problem> {
    about("payments.open", id)
}

pub fn cancel(id: Uuid) -> Result<NewJob, Problem> {
    about("payments.cancel", id)
}

pub fn check(id: Uuid) -> Result<NewJob, Problem> {
    about("payments.check", id)
}

pub fn refund(id: Uuid) -> Result<NewJob, Problem> {
    about("payments.refund", id)
}

fn about(kind: &'static str, id: Uuid) -> Result<NewJob, Problem> {
    Ok(NewJob::new(kind, &Subject { id })?.lane(LANE))
}

pub async fn run_open(app: App, job: Job) -> Result<Done, Failure> {
    checkout::open(&app, &job.errand(CALLS), job.read::<Subject>()?.id).await?;
    Ok(Done::Finished)
}

pub async fn run_cancel(app: App, job: Job) -> Result<Done, Failure> {
    cancel::close(&app, &job.errand(CALLS), job.read::<Subject>()?.id).await?;
    Ok(Done::Finished)
}

pub async fn run_check(app: App, job: Job) -> Result<Done, Failure> {
    checkout::check(app, job).await
}

pub async fn run_refund(app: App, job: Job) -> Result<Done, Failure> {
    refund::give_back(&app, &job.errand(CALLS), job.read::<Subject>()?.id).await?;
    Ok(Done::Finished)
}

/// An event of Stripe: its facts, or a question. What is not about one of our payments is nothing to us.
pub async fn run_stripe_event(app: App, job: Job) -> Result<Done, Failure> {
    let event: StripeEvent = webhooks_in::read(&app, &job).await?;
    let meaning = event.meaning();
    let (Some(object), true) = (&event.object, meaning != Meaning::Nothing) else {
        return Ok(Done::Finished);
    };
    let Some((organization_id, id)) = whose(&app, &job, &event, object).await? else {
        return Ok(Done::Finished);
    };
    let told = match meaning {
        Meaning::Facts(told) => told,
        Meaning::Ask => return ask(&app, &job, organization_id, id).await,
        Meaning::Nothing => return Ok(Done::Finished),
    };
    let (mut work, request) = checkout::begin(&app, organization_id, id).await?;
    if !is_of(&event, &request) {
        tracing::warn!(event = event.id, payment = %id, "an event names a payment of another page; ignored");
        return Ok(Done::Finished);
    }
    if let Some(total) = event.total() {
        let currency = object.currency.as_deref().unwrap_or_default();
        checkout::expect_amount(&request, total, currency)?;
    }
    if is_in_doubt(&mut work, organization_id, &request, told).await? {
        drop(work);
        return ask(&app, &job, organization_id, id).await;
    }
    let told = request.facts().join(told);
    if ![0, request.amount.amount].contains(&told.paid) || told.refunded > told.paid {
        let error = format!(
            "event {} has amounts that payment {id} cannot have",
            event.id
        );
        return Err(Failure::Fatal(error));
    }
    learn(
        &mut work,
        organization_id,
        &request,
        told,
        event.intent_id(),
    )
    .await?;
    let done = job.settle(&mut work).await?;
    work.commit_silently().await?;
    Ok(done)
}

/// Takes what Stripe says now, not what the event says.
async fn ask(app: &App, job: &Job, organization_id: Uuid, id: Uuid) -> Result<Done, Failure> {
    let mut errand = job.errand(CALLS);
    errand.organization_id = organization_id;
    checkout::ask(app, &errand, id).await?;
    Ok(Done::Finished)
}

/// Whether more went back, as an event tells, than may be so by now: once a refund has failed after all, which the ledger
/// shows as more coming in than was asked for, any event may be from before.
async fn is_in_doubt(
    work: &mut Work,
    organization_id: Uuid,
    request: &Request,
    told: Facts,
) -> sqlx::Result<bool> {
    if told.refunded <= request.refunded_amount {
        return Ok(false);
    }
    let shares = queries::shares(work, organization_id, request.id).await?;
    Ok(shares.iter().any(|share| share.entered_in > share.amount))
}

/// The organization and the payment: by our own reference, by the intent that we know, or by asking Stripe.
async fn whose(
    app: &App,
    job: &Job,
    event: &StripeEvent,
    object: &StripeObject,
) -> Result<Option<(Uuid, Uuid)>, Failure> {
    let payment_id = object.metadata.payment_id.as_deref();
    if let (Some(organization_id), Some(Ok(id))) =
        (event.organization_id(), payment_id.map(str::parse))
    {
        return ours(app, organization_id, id).await;
    }
    let Some(intent_id) = event.intent_id() else {
        return Ok(None);
    };
    if let Some(found) = queries::owner_of(&app.db, intent_id).await? {
        return Ok(Some(found));
    }
    let reference = match stripe::intent(app, &job.errand(CALLS), intent_id).await {
        Ok(intent) => intent.reference,
        // Not even Stripe knows it for us.
        Err(crate::sidecars::SidecarError::Refused(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match (reference.organization_id, reference.payment_id) {
        (Some(organization_id), Some(id)) => ours(app, organization_id, id).await,
        _ => Ok(None),
    }
}

/// Only if there is such a payment.
async fn ours(app: &App, organization_id: Uuid, id: Uuid) -> Result<Option<(Uuid, Uuid)>, Failure> {
    match queries::get(&app.db, organization_id, id).await {
        Ok(_) => Ok(Some((organization_id, id))),
        Err(sqlx::Error::RowNotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether it is about the page that we made for this payment, and about what came of it.
fn is_of(event: &StripeEvent, request: &Request) -> bool {
    let fits = |told: Option<&str>, known: Option<&str>| {
        told.is_none() || known.is_none() || told == known
    };
    fits(event.session_id(), request.session_id.as_deref())
        && fits(event.intent_id(), request.intent_id.as_deref())
}
