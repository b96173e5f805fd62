//! Checkout sessions in the mode `payment`.

use serde_json::{Value, json};

use super::{
    catalogue::{LINE, lines},
    customers,
    error::ApiError,
    ledger::{Answer, Params, Work, given, given_int, int, metadata, or_null, text, update},
    links::{self, INTENT_DATA},
    list::{AFTER, BEFORE, CREATED, LIMIT},
    params::{Field, Kind, TIME, optional, required},
    payments::{self, Card, NewIntent},
};

pub(super) const OBJECT: &str = "checkout.session";
pub(super) const NEW: &[Field] = &[
    required("mode", Kind::OneOf(&["payment"])),
    required("line_items", Kind::List(LINE)),
    required("success_url", Kind::Url),
    optional("cancel_url", Kind::Url),
    optional("client_reference_id", Kind::Text),
    optional("customer", Kind::Text),
    optional("customer_email", Kind::Email),
    optional("expires_at", TIME),
    optional("metadata", Kind::Metadata),
    optional("payment_intent_data", Kind::Map(INTENT_DATA)),
];
pub(super) const CHANGE: &[Field] = &[optional("metadata", Kind::Metadata)];
pub(super) const LIST: &[Field] = &[
    LIMIT,
    AFTER,
    BEFORE,
    CREATED,
    optional("customer", Kind::Text),
    optional("payment_intent", Kind::Text),
    optional("payment_link", Kind::Text),
    optional("status", Kind::OneOf(&["complete", "expired", "open"])),
];
const SHORTEST: i64 = 30 * 60;
const LONGEST: i64 = 24 * 60 * 60;

/// What a session begins with.
#[derive(Default)]
pub(super) struct Wishes {
    pub(super) lines: Vec<Value>,
    pub(super) currency: String,
    pub(super) total: i64,
    pub(super) link: Value,
    pub(super) success_url: Value,
    pub(super) cancel_url: Value,
    pub(super) reference: Value,
    pub(super) customer: Value,
    pub(super) email: Value,
    pub(super) expires_at: Option<i64>,
    pub(super) metadata: Value,
    /// `payment_intent_data`: for the payment that will be made.
    pub(super) intent_data: Value,
}

pub(super) fn create(work: &mut Work, _: &str, params: &Params) -> Answer {
    let expires_at = given_int(params, "expires_at");
    let now = work.now();
    if expires_at.is_some_and(|at| !(now + SHORTEST..=now + LONGEST).contains(&at)) {
        let message =
            "expires_at must be from 30 minutes to 24 hours after the session's creation.";
        return Err(ApiError::invalid(message).param("expires_at"));
    }
    if let Some(id) = given(params, "customer") {
        customers::named(work, id)?;
        if params.contains_key("customer_email") {
            let message = "You may only specify one of these parameters: customer, customer_email.";
            return Err(ApiError::invalid(message));
        }
    }
    let lines = lines(work, params)?;
    let wishes = Wishes {
        lines: lines.items,
        currency: lines.currency,
        total: lines.total,
        link: Value::Null,
        success_url: or_null(params, "success_url"),
        cancel_url: or_null(params, "cancel_url"),
        reference: or_null(params, "client_reference_id"),
        customer: or_null(params, "customer"),
        email: or_null(params, "customer_email"),
        expires_at,
        metadata: metadata(params),
        intent_data: or_null(params, "payment_intent_data"),
    };
    Ok(start(work, wishes))
}

/// A new session, open.
pub(super) fn start(work: &mut Work, wishes: Wishes) -> Value {
    let id = work.id(if work.livemode() {
        "cs_live_"
    } else {
        "cs_test_"
    });
    let session = json!({
        "id": id,
        "object": OBJECT,
        "adaptive_pricing": { "enabled": false },
        "after_expiration": null,
        "allow_promotion_codes": null,
        "amount_subtotal": wishes.total,
        "amount_total": wishes.total,
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
        "billing_address_collection": null,
        "cancel_url": wishes.cancel_url,
        "client_reference_id": wishes.reference,
        "client_secret": null,
        "consent": null,
        "consent_collection": null,
        "created": work.now(),
        "currency": wishes.currency,
        "custom_fields": [],
        "custom_text": {},
        "customer": wishes.customer,
        "customer_creation": "if_required",
        "customer_details": null,
        "customer_email": wishes.email,
        "expires_at": wishes.expires_at.unwrap_or(work.now() + LONGEST),
        "invoice": null,
        "invoice_creation": { "enabled": false },
        "livemode": work.livemode(),
        "locale": null,
        "metadata": wishes.metadata,
        "mode": "payment",
        "payment_intent": null,
        "payment_link": wishes.link,
        "payment_method_collection": "if_required",
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "phone_number_collection": { "enabled": false },
        "recovered_from": null,
        "setup_intent": null,
        "shipping_cost": null,
        "shipping_options": [],
        "status": "open",
        "submit_type": null,
        "subscription": null,
        "success_url": wishes.success_url,
        "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 },
        "ui_mode": "hosted_page",
        "url": format!("{}/stripe/pay/{id}", work.base_url),
    });
    work.put_lines(&id, wishes.lines);
    work.put_lines(&intent_data(&id), vec![wishes.intent_data]);
    work.put(&session);
    session
}

pub(super) fn change(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut session = work.find(OBJECT, id)?;
    update(&mut session, params);
    work.put(&session);
    Ok(session)
}

pub(super) fn expire(work: &mut Work, id: &str, _: &Params) -> Answer {
    let session = work.find(OBJECT, id)?;
    if text(&session, "status") != "open" {
        let message = format!(
            "Only sessions with the status open can be expired; this one is {}.",
            text(&session, "status")
        );
        return Err(ApiError::invalid(message));
    }
    Ok(end(work, session))
}

/// Ends the sessions whose time is over, before anything else is done.
pub(super) fn expire_due(work: &mut Work) {
    let now = work.now();
    let is_due =
        |session: &Value| text(session, "status") == "open" && int(session, "expires_at") <= now;
    for session in work.before("cs_").into_iter().filter(is_due) {
        end(work, session);
    }
}

fn end(work: &mut Work, mut session: Value) -> Value {
    session["status"] = "expired".into();
    session["url"] = Value::Null;
    work.put(&session);
    work.emit("checkout.session.expired", &session);
    session
}

/// The customer pays, or their bank declines. Paid once, a session stays paid.
pub(super) fn pay(work: &mut Work, id: &str, card: Card) -> Result<Value, ApiError> {
    let mut session = work.find(OBJECT, id)?;
    if text(&session, "status") != "open" {
        return Ok(session);
    }
    let intent = intent_of(work, &mut session);
    let paid = payments::attempt(work, intent, card)?;
    session["status"] = "complete".into();
    session["payment_status"] = "paid".into();
    session["url"] = Value::Null;
    let email = if session["customer_email"].is_null() {
        "guest@example.com".into()
    } else {
        session["customer_email"].clone()
    };
    session["customer_details"] = json!({
        "address": null, "email": email, "name": "A Guest", "phone": null, "tax_exempt": "none", "tax_ids": [],
    });
    session["payment_intent"] = paid["id"].clone();
    work.put(&session);
    work.emit("checkout.session.completed", &session);
    links::count(work, &session);
    Ok(session)
}

/// The payment of a session, made when somebody tries to pay.
fn intent_of(work: &mut Work, session: &mut Value) -> Value {
    if let Some(intent) = work.get("payment_intent", text(session, "payment_intent")) {
        return intent;
    }
    let data = work
        .lines(&intent_data(text(session, "id")))
        .pop()
        .unwrap_or_default();
    let intent = payments::new(
        work,
        &NewIntent {
            amount: int(session, "amount_total"),
            currency: text(session, "currency").to_owned(),
            customer: session["customer"].clone(),
            description: data["description"].clone(),
            metadata: if data["metadata"].is_object() {
                data["metadata"].clone()
            } else {
                json!({})
            },
            receipt_email: session["customer_email"].clone(),
            is_manual: false,
        },
    );
    session["payment_intent"] = intent["id"].clone();
    work.put(session);
    intent
}

/// Under which name a session's `payment_intent_data` waits.
fn intent_data(id: &str) -> String {
    format!("{id}/payment_intent_data")
}
