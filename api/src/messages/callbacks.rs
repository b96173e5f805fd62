//! `POST /webhooks/twilio/status`: Twilio tells how a text message fares.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, OriginalUri, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha1::Sha1;

use super::{
    fare::{self, Report},
    queries,
};
use crate::{
    extract::{self, media_type},
    problem::Problem,
    state::App,
};

const LONGEST_BODY: usize = 64 * 1024;

pub fn routes() -> Router<App> {
    let routes = Router::new().route("/webhooks/twilio/status", post(take_twilio_status));
    routes.layer(DefaultBodyLimit::max(LONGEST_BODY))
}

/// 204 for what was taken in; 404 for a message that we do not know, perhaps not yet: Twilio asks again where the address
/// that it was given says so (`#rc=5&rp=all`).
async fn take_twilio_status(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    if app.settings.delivery.twilio_callback_tokens.is_empty() {
        tracing::warn!("a callback of Twilio cannot be checked: set TWILIO_CALLBACK_TOKEN");
        return Err(Problem::NotFound);
    }
    if media_type(&headers) != "application/x-www-form-urlencoded" {
        return Err(Problem::UnsupportedMediaType(
            "application/x-www-form-urlencoded",
        ));
    }
    let text = std::str::from_utf8(&body)
        .map_err(|_| Problem::parameter("body", "encoding", "must be UTF-8"))?;
    let mut fields = extract::parse_pairs(text)?;
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let settings = &app.settings;
    let base = &settings.delivery.twilio_callback_base_url;
    let base = base.as_ref().unwrap_or(&settings.public_base_url);
    let address = format!("{}{path}", base.trim_end_matches('/'));
    if !is_signed(&app, &headers, &address, &mut fields) {
        return Err(Problem::Forbidden(
            "X-Twilio-Signature does not fit this address and body".into(),
        ));
    }
    let field = |name: &str| {
        let found = fields.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    };
    let required =
        |name| field(name).ok_or_else(|| Problem::parameter(name, "required", "is required"));
    let (sid, status) = (required("MessageSid")?, required("MessageStatus")?);
    let report = Report {
        status: status.to_owned(),
        error_code: field("ErrorCode").and_then(|code| code.parse().ok()),
    };
    let owner = queries::owner_of(&app.db, sid).await?;
    let (organization_id, id) = owner.ok_or(Problem::NotFound)?;
    fare::take(&app, organization_id, id, sid, &report).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Twilio's signature: HMAC-SHA1, in base64, over the address as it was told and the fields sorted by name, each name followed
/// by its value. Of several tokens, while one is rotated, any will do.
fn is_signed(
    app: &App,
    headers: &HeaderMap,
    address: &str,
    fields: &mut [(String, String)],
) -> bool {
    let given = headers
        .get("x-twilio-signature")
        .map(|value| STANDARD.decode(value.as_bytes()));
    let Some(Ok(given)) = given else {
        return false;
    };
    fields.sort();
    app.settings
        .delivery
        .twilio_callback_tokens
        .iter()
        .any(|token| {
            let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(token.expose_secret().as_bytes()) else {
                return false;
            };
            mac.update(address.as_bytes());
            for (name, value) in fields.iter() {
                mac.update(name.as_bytes());
                mac.update(value.as_bytes());
            }
            // In constant time.
            mac.verify_slice(&given).is_ok()
        })
}
