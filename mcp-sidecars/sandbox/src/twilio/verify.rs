//! Verify v2: services, and what is kept of a verification.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ACCOUNT, entry::Parameters, lookups::missing, refusal::Refusal, verifications};
use crate::world::World;

/// The service that is there from the start.
pub(super) const SERVICE: &str = "VAsandbox0000000000000000000000000";
const LIFE: SignedDuration = SignedDuration::from_mins(10);

/// An application's settings at Verify.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Service {
    pub(super) sid: String,
    pub(super) friendly_name: String,
    pub(super) code_length: u32,
    pub(super) created: Timestamp,
}

/// A code on its way to a person and back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Verification {
    pub(super) sid: String,
    pub(super) service: String,
    pub(super) to: String,
    pub(super) channel: String,
    pub(super) code: String,
    pub(super) status: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) sends: Vec<Send>,
    pub(super) wrong_checks: usize,
}

/// One time that the code went out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Send {
    pub(super) sid: String,
    pub(super) channel: String,
    pub(super) at: Timestamp,
}

pub(super) fn routes() -> Router<Arc<World>> {
    let services = "/verify/v2/Services";
    Router::new()
        .route(services, get(list).post(create))
        .route(&format!("{services}/{{sid}}"), get(fetch).delete(delete))
        .route(
            &format!("{services}/{{sid}}/Verifications"),
            post(verifications::start),
        )
        .route(
            &format!("{services}/{{sid}}/Verifications/{{id}}"),
            get(verifications::fetch).post(verifications::update),
        )
        .route(
            &format!("{services}/{{sid}}/VerificationCheck"),
            post(verifications::check),
        )
}

async fn create(
    State(world): State<Arc<World>>,
    parameters: Parameters,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    parameters.only(&["FriendlyName", "CodeLength"])?;
    let name = parameters.filled("FriendlyName").unwrap_or_default();
    if !(1..=30).contains(&name.chars().count()) {
        return Err(invalid("FriendlyName"));
    }
    let length = parameters.filled("CodeLength").unwrap_or("6").parse().ok();
    let code_length = length
        .filter(|length| (4..=10).contains(length))
        .ok_or_else(|| invalid("CodeLength"))?;
    let created = world.now();
    let twilio = &mut world.things().twilio;
    let service = Service {
        sid: twilio.sid("VA"),
        friendly_name: name.to_owned(),
        code_length,
        created,
    };
    let shown = service.json(&world.base_url);
    twilio.services.push(service);
    Ok((StatusCode::CREATED, Json(shown)))
}

async fn fetch(
    State(world): State<Arc<World>>,
    Path(sid): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let things = world.things();
    let service = Service::find(&things.twilio.services, &sid)?;
    Ok(Json(service.json(&world.base_url)))
}

async fn delete(
    State(world): State<Arc<World>>,
    Path(sid): Path<String>,
) -> Result<StatusCode, Refusal> {
    let services = &mut world.things().twilio.services;
    Service::find(services, &sid)?;
    services.retain(|service| service.sid != sid);
    Ok(StatusCode::NO_CONTENT)
}

/// All of them on one page: nobody has more than a handful.
async fn list(
    State(world): State<Arc<World>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Refusal> {
    Parameters::from(query).only(&["PageSize", "Page", "PageToken"])?;
    let url = format!("{}/twilio/verify/v2/Services", world.base_url);
    let services = &world.things().twilio.services;
    let shown: Vec<_> = services
        .iter()
        .map(|service| service.json(&world.base_url))
        .collect();
    let meta = json!({
        "key": "services", "page": 0, "page_size": 50, "first_page_url": url, "previous_page_url": null,
        "next_page_url": null, "url": url,
    });
    Ok(Json(json!({ "services": shown, "meta": meta })))
}

impl Service {
    pub(super) fn standing() -> Self {
        Self {
            sid: SERVICE.to_owned(),
            friendly_name: "Sandbox".to_owned(),
            code_length: 6,
            created: Timestamp::UNIX_EPOCH,
        }
    }

    pub(super) fn find<'a>(services: &'a [Self], sid: &str) -> Result<&'a Self, Refusal> {
        let found = services.iter().find(|service| service.sid == sid);
        found.ok_or_else(|| missing(&format!("/v2/Services/{sid}")))
    }

    fn json(&self, base_url: &str) -> Value {
        let url = format!("{base_url}/twilio/verify/v2/Services/{}", self.sid);
        json!({
            "sid": self.sid,
            "account_sid": ACCOUNT,
            "friendly_name": self.friendly_name,
            "code_length": self.code_length,
            "lookup_enabled": false,
            "psd2_enabled": false,
            "skip_sms_to_landlines": false,
            "dtmf_input_required": true,
            "do_not_share_warning_enabled": false,
            "custom_code_enabled": false,
            "date_created": self.created.strftime("%FT%TZ").to_string(),
            "date_updated": self.created.strftime("%FT%TZ").to_string(),
            "links": { "verifications": format!("{url}/Verifications"), "verification_checks": format!("{url}/VerificationCheck") },
            "url": url,
        })
    }
}

impl Verification {
    /// Whether it can still be checked: Twilio forgets it when it is decided, and ten minutes after its start.
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        self.status == "pending" && now < self.created + LIFE
    }

    /// For the page.
    pub(super) fn time(&self) -> String {
        self.created.strftime("%H:%M:%S").to_string()
    }
}

pub(super) fn invalid(name: &str) -> Refusal {
    Refusal::bad(60200, format!("Invalid parameter: {name}"))
}
