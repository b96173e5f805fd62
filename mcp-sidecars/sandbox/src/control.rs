//! `/sandbox`: switches and what arrived, for tests and for people with curl. Development only, so nobody is asked who they are.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};

use crate::{
    faults::Fault,
    journal::Entry,
    twilio,
    world::{Provider, World},
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route(
            "/health",
            get(async || Json(json!({ "status": "ok", "service": "sandbox" }))),
        )
        .route(
            "/sandbox/faults",
            get(list_faults).post(add_fault).delete(clear_faults),
        )
        .route("/sandbox/journal", get(list_journal))
        .route("/sandbox/counts", get(count))
        .route("/sandbox/reset", post(reset))
        .merge(twilio::controls())
}

async fn list_faults(State(world): State<Arc<World>>) -> Json<Vec<Fault>> {
    Json(world.faults.all())
}

async fn add_fault(State(world): State<Arc<World>>, Json(fault): Json<Fault>) -> StatusCode {
    world.faults.add(fault);
    StatusCode::CREATED
}

async fn clear_faults(State(world): State<Arc<World>>) -> StatusCode {
    world.faults.clear();
    StatusCode::NO_CONTENT
}

async fn list_journal(State(world): State<Arc<World>>) -> Json<Vec<Entry>> {
    Json(world.journal.all())
}

/// How much of each thing there is: what a test of "exactly once" looks at.
async fn count(State(world): State<Arc<World>>) -> Json<Value> {
    let things = world.things();
    let requests = |provider| world.journal.of(provider).len();
    Json(json!({
        "google": things.google.counts(),
        "slack": things.slack.counts(),
        "stripe": things.stripe.counts(),
        "twilio": things.twilio.counts(),
        "linear": things.linear.counts(),
        "requests": Provider::ALL.map(|provider| (provider.as_str(), requests(provider))).into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    }))
}

async fn reset(State(world): State<Arc<World>>) -> StatusCode {
    world.reset();
    StatusCode::NO_CONTENT
}
