//! Google: the token endpoint, Drive v3 and Calendar v3, as `www.googleapis.com` and `oauth2.googleapis.com` speak.

use std::sync::Arc;

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::world::World;

mod calendar;
mod drive;
mod error;
pub mod service_account;
pub mod token;

/// What Google keeps.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    pub(crate) tokens: token::Tokens,
    pub(crate) drive: drive::State,
    pub(crate) calendar: calendar::State,
}

impl State {
    /// How much of each thing there is.
    pub(crate) fn counts(&self) -> Value {
        json!({ "drive": self.drive.counts(), "calendar": self.calendar.counts() })
    }

    /// What a person would see there: HTML for the page.
    pub(crate) fn view(&self) -> Result<String, askama::Error> {
        Ok(self.drive.view()? + &self.calendar.view()?)
    }
}

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .merge(token::routes())
        .merge(service_account::routes())
        .merge(drive::routes())
        .merge(calendar::routes())
}

/// Google's own body for a status that a switch asks for.
pub(crate) fn trouble(status: StatusCode) -> Response {
    error::Refusal::trouble(status).into_response()
}
