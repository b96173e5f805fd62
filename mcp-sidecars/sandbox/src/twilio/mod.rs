//! Twilio: Programmable Messaging as `api.twilio.com` speaks it, Lookup v2 below `/lookups` and Verify v2 below `/verify`.

use std::{collections::BTreeSet, sync::Arc};

use askama::Template;
use axum::{
    Router,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::world::World;

mod callback;
mod delivery;
mod entry;
mod inbound;
mod listing;
mod lookups;
mod message;
mod messages;
mod numbers;
mod refusal;
mod segments;
mod verifications;
mod verify;

use message::Message;
use refusal::Refusal;
use verify::{Service, Verification};

/// The one account. It looks like a SID and cannot be one: these are hexadecimal.
pub(crate) const ACCOUNT: &str = "ACsandbox0000000000000000000000000";
/// Its auth token, with which callbacks are signed, too.
pub(crate) const AUTH_TOKEN: &str = "sandbox-twilio-auth-token-no-secret";
/// An API key of the account, and its secret.
const API_KEY: &str = "SKsandbox0000000000000000000000000";
const API_KEY_SECRET: &str = "sandbox-twilio-api-key-secret-no-secret";
/// The account's messaging service, whose pool is the account's one number.
const MESSAGING_SERVICE: &str = "MGsandbox0000000000000000000000000";
const MESSAGES_SHOWN: usize = 50;

/// What Twilio keeps.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// How many SIDs were given out.
    sids: u64,
    messages: Vec<Message>,
    /// Who sent STOP and not START since.
    opted_out: BTreeSet<String>,
    services: Vec<Service>,
    verifications: Vec<Verification>,
    /// Status callbacks that were answered with 2xx, and those that were given up.
    callbacks_taken: u64,
    callbacks_lost: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            sids: 0,
            messages: Vec::new(),
            opted_out: BTreeSet::new(),
            services: vec![Service::standing()],
            verifications: Vec::new(),
            callbacks_taken: 0,
            callbacks_lost: 0,
        }
    }
}

impl State {
    /// How much of each thing there is.
    pub(crate) fn counts(&self) -> Value {
        json!({
            "messages": self.messages.len(),
            "verifications": self.verifications.len(),
            "verification_codes_sent": self.verifications.iter().map(|it| it.sends.len()).sum::<usize>(),
            "callbacks_taken": self.callbacks_taken,
            "callbacks_lost": self.callbacks_lost,
        })
    }

    /// What a person would see there: HTML for the page.
    pub(crate) fn view(&self) -> Result<String, askama::Error> {
        let messages = self.messages.iter().rev().take(MESSAGES_SHOWN).collect();
        let verifications = self.verifications.iter().rev().take(MESSAGES_SHOWN);
        View {
            messages,
            verifications: verifications.collect(),
            opted_out: &self.opted_out,
            more: self.messages.len().saturating_sub(MESSAGES_SHOWN),
        }
        .render()
    }

    /// A new SID: unique, and 34 characters long as at Twilio.
    fn sid(&mut self, prefix: &str) -> String {
        self.sids += 1;
        format!("{prefix}{:032x}", self.sids)
    }
}

#[derive(Template)]
#[template(path = "twilio.html")]
struct View<'a> {
    messages: Vec<&'a Message>,
    verifications: Vec<&'a Verification>,
    opted_out: &'a BTreeSet<String>,
    more: usize,
}

pub(crate) fn routes() -> Router<Arc<World>> {
    let account = "/2010-04-01/Accounts/{account}";
    Router::new()
        .route(account, get(messages::account))
        .route(
            &format!("{account}/Messages.json"),
            get(listing::list).post(messages::create),
        )
        .route(
            &format!("{account}/Messages/{{sid}}"),
            get(messages::fetch)
                .post(messages::update)
                .delete(messages::delete),
        )
        .route(
            "/lookups/v2/PhoneNumbers/{number}",
            get(lookups::phone_number),
        )
        .merge(verify::routes())
        .route_layer(middleware::from_fn(entry::authenticate))
}

/// `/sandbox/twilio`: what only a phone could do.
pub(crate) fn controls() -> Router<Arc<World>> {
    inbound::routes()
}

/// Takes up deliveries that a stop left unfinished.
pub(crate) fn resume(world: &Arc<World>) {
    delivery::resume(world);
}

/// Twilio's own body for a status that a switch asks for.
pub(crate) fn trouble(status: StatusCode) -> Response {
    let refusal = match status {
        StatusCode::UNAUTHORIZED => Refusal::unauthenticated(),
        StatusCode::NOT_FOUND => Refusal::not_found("The requested resource was not found"),
        StatusCode::TOO_MANY_REQUESTS => Refusal::new(status, 20429, "Too Many Requests"),
        StatusCode::METHOD_NOT_ALLOWED => Refusal::new(status, 20004, "Method not allowed"),
        StatusCode::SERVICE_UNAVAILABLE => Refusal::new(status, 20503, "Service Unavailable"),
        _ if status.is_server_error() => {
            Refusal::new(status, 20500, "An internal server error has occurred")
        }
        _ => Refusal::new(status, 20001, "Invalid request"),
    };
    refusal.into_response()
}
