//! A phone writes to us: `POST /sandbox/twilio/inbound`. STOP and START are obeyed, as Twilio's default opt-out does.

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde::Deserialize;
use serde_json::Value;

use super::{
    message::{Message, Status},
    numbers, segments,
};
use crate::world::World;

const STOP: [&str; 8] = [
    "STOP",
    "STOPALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "REVOKE",
    "OPTOUT",
];
const START: [&str; 3] = ["START", "YES", "UNSTOP"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inbound {
    /// Who writes, in E.164.
    from: String,
    body: String,
}

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new().route("/sandbox/twilio/inbound", post(receive))
}

async fn receive(
    State(world): State<Arc<World>>,
    Json(inbound): Json<Inbound>,
) -> Result<(StatusCode, Json<Value>), (StatusCode, &'static str)> {
    if !numbers::is_e164(&inbound.from) {
        let words = "from: a phone number in E.164, such as +14155550100\n";
        return Err((StatusCode::UNPROCESSABLE_ENTITY, words));
    }
    let now = world.now();
    let twilio = &mut world.things().twilio;
    let keyword = inbound.body.trim().to_ascii_uppercase();
    if STOP.contains(&keyword.as_str()) {
        twilio.opted_out.insert(inbound.from.clone());
    } else if START.contains(&keyword.as_str()) {
        twilio.opted_out.remove(&inbound.from);
    }
    let message = Message {
        sid: twilio.sid("SM"),
        status: Status::Received,
        is_inbound: true,
        from: Some(inbound.from),
        to: numbers::OURS.to_owned(),
        segments: segments::count(&inbound.body),
        body: inbound.body,
        service: None,
        media: Vec::new(),
        callback: None,
        created: now,
        updated: now,
        sent: Some(now),
        send_at: None,
        error: None,
    };
    let shown = message.json();
    twilio.messages.push(message);
    world.journal.tell();
    Ok((StatusCode::CREATED, Json(shown)))
}
