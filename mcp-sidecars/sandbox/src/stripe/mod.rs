//! Stripe: payments without money. Everything is kept as the JSON that Stripe shows.

mod api;
mod catalogue;
mod customers;
mod endpoints;
mod error;
mod form;
mod idempotency;
mod invoice_items;
mod invoices;
mod keys;
mod ledger;
mod links;
mod list;
mod money;
mod params;
mod pay;
mod payments;
mod refunds;
mod sessions;
mod view;
mod webhooks;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::{Path, Query, State as AppState},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::world::World;
use error::ApiError;
use keys::Key;
use ledger::Ledger;

/// The one version of the interface that is spoken.
const API_VERSION: &str = "2026-10-28.endive";
const MOST_COPIES: usize = 100;

/// What Stripe keeps.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// By account and mode.
    ledgers: BTreeMap<String, Ledger>,
    /// Ids given so far.
    count: u64,
    /// Idempotency keys of requests under way.
    #[serde(skip)]
    keys_in_use: BTreeSet<String>,
}

impl State {
    /// How much of each thing there is, in all accounts.
    pub(crate) fn counts(&self) -> Value {
        let count = |object: &str| {
            self.ledgers
                .values()
                .map(|ledger| ledger.of(object).count())
                .sum::<usize>()
        };
        json!({
            "charges": count("charge"),
            "checkout_sessions": count("checkout.session"),
            "customers": count("customer"),
            "events": count("event"),
            "invoice_items": count("invoiceitem"),
            "invoices": count("invoice"),
            "payment_intents": count("payment_intent"),
            "payment_links": count("payment_link"),
            "prices": count("price"),
            "products": count("product"),
            "refunds": count("refund"),
        })
    }

    fn ledger(&mut self, key: Key) -> &mut Ledger {
        let ledger = self.ledgers.entry(key.ledger()).or_default();
        ledger.livemode = key.livemode;
        ledger
    }
}

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/v1/{*path}", any(api::answer))
        .route("/pay/{id}", get(pay::show).post(pay::act))
}

/// `POST /sandbox/stripe/events/{id}/send?times=3`: the same event again, as Stripe may do any time.
pub(crate) fn control() -> Router<Arc<World>> {
    Router::new().route("/sandbox/stripe/events/{id}/send", post(send_again))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

async fn send_again(
    AppState(world): AppState<Arc<World>>,
    Path(id): Path<String>,
    Query(again): Query<Again>,
) -> StatusCode {
    let ledger = {
        let things = world.things();
        let mut ledgers = things.stripe.ledgers.iter();
        ledgers
            .find(|(_, ledger)| ledger.get(&id).is_some())
            .map(|(name, _)| name.clone())
    };
    let Some(ledger) = ledger else {
        return StatusCode::NOT_FOUND;
    };
    webhooks::send(&world, &ledger, &[id], again.times.min(MOST_COPIES));
    StatusCode::ACCEPTED
}

/// Stripe's own body for a status that a switch asks for.
pub(crate) fn trouble(status: StatusCode) -> Response {
    let error = match status {
        StatusCode::UNAUTHORIZED => {
            ApiError::unauthorized("Expired API Key provided.").code("api_key_expired")
        }
        StatusCode::TOO_MANY_REQUESTS => ApiError::new(
            status,
            "invalid_request_error",
            "Too many requests at once; slow down.".to_owned(),
        )
        .code("rate_limit"),
        _ => ApiError::new(
            status,
            "api_error",
            "Something went wrong on Stripe's end.".to_owned(),
        ),
    };
    (status, Json(error.body())).into_response()
}
