//! Slack: the Web API as `slack.com/api` speaks it, uploads, and OAuth v2 with token rotation.
//!
//! Where Slack's documentation leaves things open, the sandbox takes the side that is harder on a client: above all,
//! `client_msg_id` is kept and shown, but a second message with the same one is posted all the same.

use std::sync::Arc;

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use serde_json::{Value, json};

use crate::world::World;

mod arguments;
mod call;
mod chat;
mod conversations;
mod files;
mod history;
mod methods;
mod oauth;
mod reactions;
mod schedule;
mod seed;
mod text;
mod things;
mod users;
mod view;

pub use things::State;

/// Holds every scope that the sandbox knows.
pub const BOT_TOKEN: &str = "xoxb-sandbox-only-token-of-the-planner-bot";
/// May only look around: `channels:read` and `users:read`.
pub const READER_TOKEN: &str = "xoxb-sandbox-only-token-with-two-scopes";
/// Was valid once.
pub const EXPIRED_TOKEN: &str = "xoxb-sandbox-only-token-that-is-expired";
/// The app that people install at `/slack/oauth/v2/authorize`.
pub const CLIENT_ID: &str = "1000000000001.1000000000002";
pub const CLIENT_SECRET: &str = "sandbox-only-client-secret-of-the-app";

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api/{method}", any(call::answer))
        .route("/upload/v1/{ticket}", post(files::take).put(files::take))
        .route("/oauth/v2/authorize", get(oauth::ask))
        .route("/oauth/v2/approve", get(oauth::approve))
}

/// Slack's own body for a status that a switch asks for: an expired token is a 200 there.
pub(crate) fn trouble(status: StatusCode) -> Response {
    let (status, error) = match status {
        StatusCode::UNAUTHORIZED => (StatusCode::OK, "token_expired"),
        StatusCode::TOO_MANY_REQUESTS => (status, "ratelimited"),
        StatusCode::SERVICE_UNAVAILABLE => (status, "service_unavailable"),
        _ => (status, "internal_error"),
    };
    (status, Json(json!({ "ok": false, "error": error }))).into_response()
}

impl State {
    /// How much of each thing there is.
    pub(crate) fn counts(&self) -> Value {
        json!({
            "channels": self.channels.len(),
            "messages": self.messages.len(),
            "scheduled": self.scheduled.len(),
            "reactions": self.messages.iter().map(|message| message.reactions.len()).sum::<usize>(),
            "files": self.files.iter().filter(|file| file.is_complete).count(),
        })
    }
}
