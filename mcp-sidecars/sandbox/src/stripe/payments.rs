//! Payment intents and the charges that they lead to.

use serde_json::{Value, json};

use super::{
    customers,
    error::ApiError,
    ledger::{Answer, Params, Work, given, given_int, int, metadata, or_null, text, update},
    list::{AFTER, BEFORE, CREATED, LIMIT},
    money,
    params::{ANY_INT, Field, Kind, optional, required},
};

pub(super) const OBJECT: &str = "payment_intent";
const AUTOMATIC: &[Field] = &[
    required("enabled", Kind::Bool),
    optional("allow_redirects", Kind::OneOf(&["always", "never"])),
];
pub(super) const NEW: &[Field] = &[
    required("amount", ANY_INT),
    required("currency", Kind::Currency),
    optional("automatic_payment_methods", Kind::Map(AUTOMATIC)),
    optional(
        "capture_method",
        Kind::OneOf(&["automatic", "automatic_async", "manual"]),
    ),
    optional("confirm", Kind::Bool),
    optional("customer", Kind::Text),
    optional("description", Kind::Text),
    optional("metadata", Kind::Metadata),
    optional("payment_method", Kind::Text),
    optional("payment_method_types", Kind::Texts),
    optional("receipt_email", Kind::Email),
    optional("return_url", Kind::Url),
];
pub(super) const CHANGE: &[Field] = &[
    optional("description", Kind::Unsettable),
    optional("metadata", Kind::Metadata),
    optional("receipt_email", Kind::Email),
];
pub(super) const CONFIRM: &[Field] = &[
    optional("payment_method", Kind::Text),
    optional("return_url", Kind::Url),
];
pub(super) const CAPTURE: &[Field] = &[optional("amount_to_capture", Kind::Int(1, i64::MAX))];
pub(super) const CANCEL: &[Field] = &[optional(
    "cancellation_reason",
    Kind::OneOf(&[
        "abandoned",
        "duplicate",
        "fraudulent",
        "requested_by_customer",
    ]),
)];
pub(super) const LIST: &[Field] = &[
    LIMIT,
    AFTER,
    BEFORE,
    CREATED,
    optional("customer", Kind::Text),
];
pub(super) const CHARGES: &[Field] = &[
    LIMIT,
    AFTER,
    BEFORE,
    CREATED,
    optional("customer", Kind::Text),
    optional("payment_intent", Kind::Text),
];

/// What the bank says to a card; the names are those of Stripe's test payment methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Card {
    Good,
    Declined(&'static str),
}

impl Card {
    pub(super) fn named(name: &str) -> Result<Self, ApiError> {
        match name {
            "pm_card_visa" | "pm_card_mastercard" | "pm_card_amex" => Ok(Self::Good),
            "pm_card_visa_chargeDeclined" | "pm_card_chargeDeclined" => {
                Ok(Self::Declined("generic_decline"))
            }
            "pm_card_visa_chargeDeclinedInsufficientFunds" => {
                Ok(Self::Declined("insufficient_funds"))
            }
            _ => {
                let error = ApiError::invalid(format!("No such PaymentMethod: '{name}'"));
                Err(error.code("resource_missing").param("payment_method"))
            }
        }
    }
}

/// What a payment intent begins with.
pub(super) struct NewIntent {
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) customer: Value,
    pub(super) description: Value,
    pub(super) metadata: Value,
    pub(super) receipt_email: Value,
    pub(super) is_manual: bool,
}

pub(super) fn create(work: &mut Work, _: &str, params: &Params) -> Answer {
    let amount = given_int(params, "amount").unwrap_or_default();
    let currency = given(params, "currency").unwrap_or_default().to_owned();
    if amount < 1 {
        let error = ApiError::invalid("This value must be greater than or equal to 1.");
        return Err(error.code("parameter_invalid_integer").param("amount"));
    }
    money::chargeable(amount, &currency, "amount")?;
    if let Some(id) = given(params, "customer") {
        customers::named(work, id)?;
    }
    let card = given(params, "payment_method")
        .map(Card::named)
        .transpose()?;
    let confirms = params.get("confirm") == Some(&Value::Bool(true));
    if confirms && card.is_none() {
        let message = "A payment cannot be confirmed without a payment method.";
        return Err(ApiError::invalid(message)
            .code("payment_intent_unexpected_state")
            .param("payment_method"));
    }
    let mut intent = new(
        work,
        &NewIntent {
            amount,
            currency,
            customer: or_null(params, "customer"),
            description: or_null(params, "description"),
            metadata: metadata(params),
            receipt_email: or_null(params, "receipt_email"),
            is_manual: given(params, "capture_method") == Some("manual"),
        },
    );
    let Some(card) = card else {
        return Ok(intent);
    };
    intent["payment_method"] = or_null(params, "payment_method");
    intent["status"] = "requires_confirmation".into();
    work.put(&intent);
    if confirms {
        attempt(work, intent, card)
    } else {
        Ok(intent)
    }
}

/// A new intent, waiting for a payment method.
pub(super) fn new(work: &mut Work, wanted: &NewIntent) -> Value {
    let id = work.id("pi_");
    let intent = json!({
        "id": id,
        "object": OBJECT,
        "amount": wanted.amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "canceled_at": null,
        "cancellation_reason": null,
        "capture_method": if wanted.is_manual { "manual" } else { "automatic_async" },
        "client_secret": format!("{id}_secret_sandbox"),
        "confirmation_method": "automatic",
        "created": work.now(),
        "currency": wanted.currency,
        "customer": wanted.customer,
        "description": wanted.description,
        "last_payment_error": null,
        "latest_charge": null,
        "livemode": work.livemode(),
        "metadata": wanted.metadata,
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": null,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": null,
        "receipt_email": wanted.receipt_email,
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": "requires_payment_method",
        "transfer_data": null,
        "transfer_group": null,
    });
    work.put(&intent);
    work.emit("payment_intent.created", &intent);
    intent
}

pub(super) fn change(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut intent = work.find(OBJECT, id)?;
    update(&mut intent, params);
    work.put(&intent);
    Ok(intent)
}

pub(super) fn confirm(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut intent = work.find(OBJECT, id)?;
    expect(
        &intent,
        "confirm",
        &["requires_payment_method", "requires_confirmation"],
    )?;
    let name = given(params, "payment_method")
        .unwrap_or_else(|| text(&intent, "payment_method"))
        .to_owned();
    if name.is_empty() {
        let message = "A payment cannot be confirmed without a payment method.";
        return Err(ApiError::invalid(message).code("payment_intent_unexpected_state"));
    }
    let card = Card::named(&name)?;
    intent["payment_method"] = name.into();
    attempt(work, intent, card)
}

pub(super) fn capture(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut intent = work.find(OBJECT, id)?;
    expect(&intent, "capture", &["requires_capture"])?;
    let held = int(&intent, "amount_capturable");
    let amount = given_int(params, "amount_to_capture").unwrap_or(held);
    if amount > held {
        let error = ApiError::invalid("More than was authorized cannot be captured.");
        return Err(error.code("amount_too_large").param("amount_to_capture"));
    }
    let mut charge = work.named("charge", text(&intent, "latest_charge"), "charge")?;
    charge["captured"] = true.into();
    charge["amount_captured"] = amount.into();
    work.put(&charge);
    work.emit("charge.captured", &charge);
    intent["amount_capturable"] = 0.into();
    intent["amount_received"] = amount.into();
    succeed(work, &mut intent);
    Ok(intent)
}

pub(super) fn cancel(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut intent = work.find(OBJECT, id)?;
    expect(
        &intent,
        "cancel",
        &[
            "requires_payment_method",
            "requires_confirmation",
            "requires_capture",
        ],
    )?;
    intent["status"] = "canceled".into();
    intent["canceled_at"] = work.now().into();
    intent["amount_capturable"] = 0.into();
    intent["cancellation_reason"] = or_null(params, "cancellation_reason");
    work.put(&intent);
    work.emit("payment_intent.canceled", &intent);
    Ok(intent)
}

fn expect(intent: &Value, verb: &str, statuses: &[&str]) -> Result<(), ApiError> {
    let status = text(intent, "status");
    if statuses.contains(&status) {
        return Ok(());
    }
    let message = format!(
        "This PaymentIntent has the status {status}; to {verb} it must have one of: {}.",
        statuses.join(", ")
    );
    Err(ApiError::invalid(message).code("payment_intent_unexpected_state"))
}

/// Charges the card; a decline leaves a failed charge and an intent that waits for another card.
pub(super) fn attempt(work: &mut Work, mut intent: Value, card: Card) -> Answer {
    let is_held = text(&intent, "capture_method") == "manual";
    let charge = charge(work, &intent, card, is_held);
    intent["latest_charge"] = charge["id"].clone();
    if let Card::Declined(decline_code) = card {
        intent["status"] = "requires_payment_method".into();
        intent["payment_method"] = Value::Null;
        intent["last_payment_error"] = json!({
            "type": "card_error", "code": "card_declined", "decline_code": decline_code,
            "charge": charge["id"], "message": "The card was declined.",
        });
        work.put(&intent);
        work.emit("charge.failed", &charge);
        work.emit("payment_intent.payment_failed", &intent);
        return Err(ApiError::declined(decline_code, &intent));
    }
    intent["last_payment_error"] = Value::Null;
    work.emit("charge.succeeded", &charge);
    if is_held {
        intent["status"] = "requires_capture".into();
        intent["amount_capturable"] = intent["amount"].clone();
        work.put(&intent);
        work.emit("payment_intent.amount_capturable_updated", &intent);
    } else {
        intent["amount_received"] = intent["amount"].clone();
        succeed(work, &mut intent);
    }
    Ok(intent)
}

fn succeed(work: &mut Work, intent: &mut Value) {
    intent["status"] = "succeeded".into();
    work.put(intent);
    work.emit("payment_intent.succeeded", intent);
}

fn charge(work: &mut Work, intent: &Value, card: Card, is_held: bool) -> Value {
    let is_paid = card == Card::Good;
    let failure = match card {
        Card::Good => Value::Null,
        Card::Declined(_) => "card_declined".into(),
    };
    let id = work.id("ch_");
    let charge = json!({
        "id": id,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": if is_paid && !is_held { int(intent, "amount") } else { 0 },
        "amount_refunded": 0,
        "application_fee_amount": null,
        "balance_transaction": null,
        "billing_details": { "address": null, "email": intent["receipt_email"], "name": null, "phone": null, "tax_id": null },
        "captured": is_paid && !is_held,
        "created": work.now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": false,
        "failure_code": failure,
        "failure_message": if is_paid { Value::Null } else { "The card was declined.".into() },
        "livemode": work.livemode(),
        "metadata": intent["metadata"],
        "outcome": { "network_status": if is_paid { "approved_by_network" } else { "declined_by_network" }, "type": if is_paid { "authorized" } else { "issuer_declined" } },
        "paid": is_paid,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": { "type": "card", "card": { "brand": "visa", "country": "US", "exp_month": 12, "exp_year": 2034, "last4": "4242" } },
        "receipt_email": intent["receipt_email"],
        "receipt_number": null,
        "receipt_url": null,
        "refunded": false,
        "status": if is_paid { "succeeded" } else { "failed" },
        "transfer_data": null,
        "transfer_group": null,
    });
    work.put(&charge);
    charge
}
