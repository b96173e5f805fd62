//! Google: the token endpoint, Drive v3 and Calendar v3, as `www.googleapis.com` and `oauth2.googleapis.com` speak.

use std::sync::Arc;

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use ring::{error::Unspecified, rand::SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::world::World;

mod calendar;
mod consent;
mod drive;
mod error;
mod params;
pub mod service_account;
pub mod token;

/// What Google keeps.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    pub(crate) tokens: token::Tokens,
    pub(crate) consents: consent::State,
    pub(crate) drive: drive::State,
    pub(crate) calendar: calendar::State,
}

impl State {
    /// How much of each thing there is.
    pub(crate) fn counts(&self) -> Value {
        json!({
            "drive": self.drive.counts(), "calendar": self.calendar.counts(),
            "tokens_refreshed": self.consents.refreshed, "tokens_revoked": self.consents.revoked,
        })
    }

    /// What a person would see there: HTML for the page.
    pub(crate) fn view(&self) -> Result<String, askama::Error> {
        Ok(self.drive.view()? + &self.calendar.view()?)
    }
}

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .merge(token::routes())
        .merge(consent::routes())
        .merge(service_account::routes())
        .merge(drive::routes())
        .merge(calendar::routes())
}

/// Google's own body for a status that a switch asks for.
pub(crate) fn trouble(status: StatusCode) -> Response {
    if status == StatusCode::GONE {
        return calendar::full_sync_required().into_response();
    }
    error::Refusal::trouble(status).into_response()
}

/// 128 bits that nobody can guess.
pub(crate) fn random() -> Result<u128, Unspecified> {
    let bytes: [u8; 16] = ring::rand::generate(&SystemRandom::new())?.expose();
    Ok(u128::from_be_bytes(bytes))
}
