//! Twilio.

use std::sync::Arc;

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::world::World;

/// What Twilio keeps.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {}

impl State {
    /// How much of each thing there is.
    pub(crate) fn counts(&self) -> Value {
        json!({})
    }

    /// What a person would see there: HTML for the page.
    pub(crate) fn view(&self) -> Result<String, askama::Error> {
        Ok(String::new())
    }
}

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
}

/// Twilio's own body for a status that a switch asks for.
pub(crate) fn trouble(status: StatusCode) -> Response {
    (status, Json(json!({}))).into_response()
}
