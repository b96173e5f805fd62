//! What providers tell us: kept once and worked on by a job, so that they have their answer in milliseconds.

use std::time::Duration;

use axum::{Router, extract::DefaultBodyLimit, routing::post};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    jobs::{Failure, Job},
    state::App,
};

mod queries;
mod signature;
mod stripe;

/// Providers send events again for days, not for months.
const KEPT: Duration = Duration::from_hours(90 * 24);
const LONGEST_BODY: usize = 256 * 1024;

/// Routes without a key: a signature says who speaks. They are not part of the API's document.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/webhooks/stripe", post(stripe::receive))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
}

/// An event whose signature held.
#[derive(Debug)]
pub struct Received<'a> {
    /// As in metrics, e.g. `stripe`.
    pub provider: &'static str,
    /// The provider's id of the event: each is taken once.
    pub external_id: &'a str,
    /// Whose it says it is; the job has to find out whether that is so.
    pub organization_id: Option<Uuid>,
    /// What the job needs of it: nothing personal.
    pub payload: &'a Value,
    /// The kind of job that works on it; none for what is only kept.
    pub job: Option<&'static str>,
    pub request_id: &'a str,
}

/// The payload of the job: which event.
#[derive(Debug, Serialize, Deserialize)]
struct Reference {
    provider: String,
    external_id: String,
}

/// Keeps an event and enqueues its job, in one statement, unless it is there already.
pub async fn received(app: &App, event: &Received<'_>) -> sqlx::Result<()> {
    let is_new = queries::insert(&app.db, app.new_id(), event, app.now()).await?;
    let outcome = match (is_new, event.job) {
        (false, _) => "duplicate",
        (true, None) => "ignored",
        (true, Some(_)) => "accepted",
    };
    count(app, event.provider, outcome);
    Ok(())
}

/// The payload of the event that a job is about.
pub async fn read<T: DeserializeOwned>(app: &App, job: &Job) -> Result<T, Failure> {
    let event: Reference = job.read()?;
    let payload = queries::payload(&app.db, &event.provider, &event.external_id).await?;
    serde_json::from_value(payload)
        .map_err(|error| Failure::Fatal(format!("the event is not readable: {error}")))
}

/// Removes events that nobody will send again; gives how many.
pub async fn forget_old(app: &App) -> sqlx::Result<u64> {
    queries::forget(&app.db, app.now() - KEPT).await
}

fn count(app: &App, provider: &str, outcome: &str) {
    let metric = &app.metrics.webhooks_received;
    metric.with_label_values(&[provider, outcome]).inc();
}
