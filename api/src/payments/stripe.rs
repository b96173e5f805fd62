//! The tools of the Stripe sidecar that payments use, as typed functions.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::queries::Request;
use crate::{
    sidecars::{Errand, SidecarError},
    state::App,
};

/// A page on which somebody pays.
#[derive(Debug, Deserialize)]
pub struct Session {
    #[serde(rename = "session_id")]
    pub id: Option<String>,
    pub url: Option<String>,
    pub status: Option<String>,
    pub payment_status: Option<String>,
    pub payment_id: Option<String>,
    pub amount: i64,
    pub currency: String,
}

/// What came in through it.
#[derive(Debug, Deserialize)]
pub struct Intent {
    pub amount: i64,
    pub amount_received: i64,
    pub amount_refunded: i64,
    pub currency: String,
    #[serde(default)]
    pub reference: Reference,
}

/// Our ids, as Stripe keeps them.
#[derive(Debug, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names that Stripe keeps")]
pub struct Reference {
    pub organization_id: Option<Uuid>,
    pub payment_id: Option<Uuid>,
    pub refund_id: Option<Uuid>,
}

#[derive(Debug, Deserialize)]
pub struct Refund {
    #[serde(rename = "refund_id")]
    pub id: Option<String>,
    pub status: Option<String>,
    #[serde(default)]
    reference: Reference,
}

#[derive(Deserialize)]
struct Refunds {
    items: Vec<Refund>,
    next_cursor: Option<String>,
}

pub async fn open_session(
    app: &App,
    errand: &Errand,
    request: &Request,
    title: &str,
) -> Result<Session, SidecarError> {
    let back = format!("{}/paid", app.settings.public_base_url);
    let arguments = json!({
        "items": [{ "name": title, "unit_amount": request.amount.amount, "quantity": 1 }],
        "currency": request.amount.currency,
        "success_url": back,
        "expires_at": Timestamp::from_second(request.expires_at.to_jiff().as_second()).unwrap_or_default(),
        "reference": reference(request),
    });
    // Another end of the page is another page; nobody has seen the one before.
    let errand = Errand {
        idempotency_key: format!(
            "{}.{}",
            request.id,
            request.expires_at.to_jiff().as_second()
        ),
        ..errand.clone()
    };
    let stripe = &app.sidecars.stripe;
    stripe
        .run(&errand, "create_checkout_session", &arguments)
        .await
}

pub async fn session(app: &App, errand: &Errand, id: &str) -> Result<Session, SidecarError> {
    let arguments = json!({ "session_id": id });
    let stripe = &app.sidecars.stripe;
    stripe.ask(errand, "get_checkout_session", &arguments).await
}

pub async fn close_session(
    app: &App,
    errand: &Errand,
    request: &Request,
    session_id: &str,
) -> Result<Session, SidecarError> {
    let arguments = json!({ "session_id": session_id });
    let errand = Errand {
        idempotency_key: format!("{}.close", request.id),
        ..errand.clone()
    };
    let stripe = &app.sidecars.stripe;
    stripe
        .run(&errand, "expire_checkout_session", &arguments)
        .await
}

pub async fn intent(app: &App, errand: &Errand, id: &str) -> Result<Intent, SidecarError> {
    let arguments = json!({ "payment_id": id });
    let stripe = &app.sidecars.stripe;
    stripe.ask(errand, "get_payment", &arguments).await
}

/// Gives back once for `refund_id`, our own: Stripe knows its key again for a day, and its own list for ever.
pub async fn refund(
    app: &App,
    errand: &Errand,
    request: &Request,
    intent_id: &str,
    refund_id: Uuid,
    amount: i64,
) -> Result<Refund, SidecarError> {
    if let Some(made) = refund_of(app, errand, intent_id, refund_id).await? {
        return Ok(made);
    }
    let mut reference = reference(request);
    reference["refund_id"] = json!(refund_id);
    let arguments = json!({ "payment_id": intent_id, "amount": amount, "reference": reference });
    let errand = Errand {
        idempotency_key: refund_id.to_string(),
        ..errand.clone()
    };
    let stripe = &app.sidecars.stripe;
    stripe.run(&errand, "refund_payment", &arguments).await
}

/// What was given back for `refund_id` before.
async fn refund_of(
    app: &App,
    errand: &Errand,
    intent_id: &str,
    refund_id: Uuid,
) -> Result<Option<Refund>, SidecarError> {
    let stripe = &app.sidecars.stripe;
    let mut arguments = json!({ "payment_id": intent_id, "limit": 100 });
    loop {
        let page: Refunds = stripe.ask(errand, "list_refunds", &arguments).await?;
        let mut refunds = page.items.into_iter();
        if let Some(made) = refunds.find(|made| made.reference.refund_id == Some(refund_id)) {
            return Ok(Some(made));
        }
        let Some(cursor) = page.next_cursor else {
            return Ok(None);
        };
        arguments["cursor"] = cursor.into();
    }
}

fn reference(request: &Request) -> serde_json::Value {
    json!({ "event_id": request.event_id, "payment_id": request.id })
}
