//! Verify v2: a verification's start, its check, and what becomes of it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    ACCOUNT,
    entry::Parameters,
    lookups::{is_landline, missing},
    numbers,
    refusal::Refusal,
    verify::{Send, Service, Verification, invalid},
};
use crate::world::{Things, World};

const MOST_SENDS: usize = 5;
const MOST_CHECKS: usize = 5;

/// Sends a code; again while the verification is open, which sends the same one.
pub(super) async fn start(
    State(world): State<Arc<World>>,
    Path(service): Path<String>,
    parameters: Parameters,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    parameters.only(&["To", "Channel", "Locale"])?;
    let now = world.now();
    let mut things = world.things();
    let twilio = &mut things.twilio;
    let length = Service::find(&twilio.services, &service)?.code_length;
    let to = parameters.filled("To").unwrap_or_default();
    if numbers::recipient(to).is_err() {
        return Err(invalid("To"));
    }
    let channel = parameters.filled("Channel").unwrap_or_default();
    if !matches!(channel, "sms" | "call") {
        return Err(invalid("Channel"));
    }
    if channel == "sms" && is_landline(to) {
        let words = "SMS is not supported by landline phone number";
        return Err(Refusal::new(StatusCode::FORBIDDEN, 60205, words));
    }
    let send = Send {
        sid: twilio.sid("VL"),
        channel: channel.to_owned(),
        at: now,
    };
    let sid = twilio.sid("VE");
    let code = code(twilio.sids, length);
    let open = |it: &&mut Verification| it.service == service && it.to == to && it.is_open(now);
    if let Some(verification) = twilio.verifications.iter_mut().find(open) {
        if verification.sends.len() >= MOST_SENDS {
            let words = "Max send attempts reached";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, 60203, words));
        }
        channel.clone_into(&mut verification.channel);
        verification.updated = now;
        verification.sends.push(send);
        return Ok((StatusCode::CREATED, Json(verification.json(&world))));
    }
    let verification = Verification {
        sid,
        service,
        to: to.to_owned(),
        channel: channel.to_owned(),
        code,
        status: "pending".to_owned(),
        created: now,
        updated: now,
        sends: vec![send],
        wrong_checks: 0,
    };
    let shown = verification.json(&world);
    twilio.verifications.push(verification);
    Ok((StatusCode::CREATED, Json(shown)))
}

pub(super) async fn check(
    State(world): State<Arc<World>>,
    Path(service): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, Refusal> {
    parameters.only(&["To", "VerificationSid", "Code"])?;
    let now = world.now();
    let mut things = world.things();
    Service::find(&things.twilio.services, &service)?;
    let (to, sid) = (
        parameters.filled("To"),
        parameters.filled("VerificationSid"),
    );
    let code = parameters.filled("Code").ok_or_else(|| invalid("Code"))?;
    let id = to
        .or(sid)
        .ok_or_else(|| invalid("To or VerificationSid is required"))?;
    let path = format!("/v2/Services/{service}/VerificationCheck");
    let verification = find(&mut things, &service, id, now).ok_or_else(|| missing(&path))?;
    if verification.wrong_checks >= MOST_CHECKS {
        let words = "Max check attempts reached";
        return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, 60202, words));
    }
    verification.updated = now;
    let is_right = code == verification.code;
    if is_right {
        "approved".clone_into(&mut verification.status);
    } else {
        verification.wrong_checks += 1;
    }
    let mut shown = verification.json(&world);
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|name, _| !matches!(name.as_str(), "lookup" | "send_code_attempts" | "url"));
        fields.insert("sna_attempts_error_codes".to_owned(), json!([]));
    }
    Ok(Json(shown))
}

pub(super) async fn fetch(
    State(world): State<Arc<World>>,
    Path((service, id)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let now = world.now();
    let path = format!("/v2/Services/{service}/Verifications/{id}");
    let found = find(&mut world.things(), &service, &id, now).map(|found| found.json(&world));
    found.map(Json).ok_or_else(|| missing(&path))
}

/// Approves or cancels it without a code.
pub(super) async fn update(
    State(world): State<Arc<World>>,
    Path((service, id)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<Value>, Refusal> {
    parameters.only(&["Status"])?;
    let now = world.now();
    let status = parameters.filled("Status").unwrap_or_default();
    if !matches!(status, "approved" | "canceled") {
        return Err(invalid("Status"));
    }
    let path = format!("/v2/Services/{service}/Verifications/{id}");
    let mut things = world.things();
    let verification = find(&mut things, &service, &id, now).ok_or_else(|| missing(&path))?;
    status.clone_into(&mut verification.status);
    verification.updated = now;
    Ok(Json(verification.json(&world)))
}

/// The open verification of that SID or to that number.
fn find<'a>(
    things: &'a mut Things,
    service: &str,
    id: &str,
    now: Timestamp,
) -> Option<&'a mut Verification> {
    things
        .twilio
        .verifications
        .iter_mut()
        .find(|it| it.service == service && (it.sid == id || it.to == id) && it.is_open(now))
}

/// Digits that differ from one verification to the next: not secret, because the page shows them.
fn code(number: u64, length: u32) -> String {
    let most = 10_u64.pow(length);
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    format!(
        "{:0width$}",
        mixed % most,
        width = usize::try_from(length).unwrap_or(6)
    )
}

impl Verification {
    fn json(&self, world: &World) -> Value {
        let path = format!("/v2/Services/{}/Verifications/{}", self.service, self.sid);
        let sends: Vec<_> = self
            .sends
            .iter()
            .map(|send| json!({ "attempt_sid": send.sid, "channel": send.channel, "time": send.at.strftime("%FT%TZ").to_string() }))
            .collect();
        json!({
            "sid": self.sid,
            "service_sid": self.service,
            "account_sid": ACCOUNT,
            "to": self.to,
            "channel": self.channel,
            "status": self.status,
            "valid": self.status == "approved",
            "lookup": {},
            "amount": null,
            "payee": null,
            "send_code_attempts": sends,
            "sna": null,
            "date_created": self.created.strftime("%FT%TZ").to_string(),
            "date_updated": self.updated.strftime("%FT%TZ").to_string(),
            "url": format!("{}/twilio/verify{path}", world.base_url),
        })
    }
}
