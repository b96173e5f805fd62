//! Invoices and their items: draft → open → paid, or void.

use serde_json::{Value, json};

use super::{
    customers,
    error::ApiError,
    invoice_items::{sum_up, take_pending},
    ledger::{Answer, Params, Work, given, given_int, int, metadata, or_null, text, update},
    list::{AFTER, BEFORE, CREATED, LIMIT},
    money,
    params::{Field, Kind, TIME, optional, required},
    payments::{self, Card, NewIntent},
};

pub(super) const NEW: &[Field] = &[
    required("customer", Kind::Text),
    optional("auto_advance", Kind::Bool),
    optional(
        "collection_method",
        Kind::OneOf(&["charge_automatically", "send_invoice"]),
    ),
    optional("currency", Kind::Currency),
    optional("days_until_due", Kind::Int(0, 3650)),
    optional("description", Kind::Text),
    optional("due_date", TIME),
    optional("footer", Kind::Text),
    optional("metadata", Kind::Metadata),
    optional(
        "pending_invoice_items_behavior",
        Kind::OneOf(&["exclude", "include"]),
    ),
];
pub(super) const CHANGE: &[Field] = &[
    optional("description", Kind::Unsettable),
    optional("footer", Kind::Unsettable),
    optional("metadata", Kind::Metadata),
];
pub(super) const FINALIZE: &[Field] = &[optional("auto_advance", Kind::Bool)];
pub(super) const PAY: &[Field] = &[
    optional("paid_out_of_band", Kind::Bool),
    optional("payment_method", Kind::Text),
];
pub(super) const LIST: &[Field] = &[
    LIMIT,
    AFTER,
    BEFORE,
    CREATED,
    optional(
        "collection_method",
        Kind::OneOf(&["charge_automatically", "send_invoice"]),
    ),
    optional("customer", Kind::Text),
    optional(
        "status",
        Kind::OneOf(&["draft", "open", "paid", "uncollectible", "void"]),
    ),
];
const PAYMENT: &[Field] = &[
    optional("payment_intent", Kind::Text),
    optional("type", Kind::OneOf(&["payment_intent"])),
];
pub(super) const PAYMENTS: &[Field] = &[
    LIMIT,
    AFTER,
    BEFORE,
    optional("invoice", Kind::Text),
    optional("payment", Kind::Map(PAYMENT)),
    optional("status", Kind::OneOf(&["canceled", "open", "paid"])),
];

pub(super) fn create(work: &mut Work, _: &str, params: &Params) -> Answer {
    let customer = customers::named(work, given(params, "customer").unwrap_or_default())?;
    let is_sent = given(params, "collection_method") == Some("send_invoice");
    let due = given_int(params, "due_date")
        .or_else(|| Some(work.now() + given_int(params, "days_until_due")? * 86_400));
    if is_sent != due.is_some() {
        let message = "due_date or days_until_due is needed for the collection method send_invoice, and only for it.";
        return Err(ApiError::invalid(message).param("days_until_due"));
    }
    let id = work.id("in_");
    let mut invoice = json!({
        "id": id,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Sandbox",
        "amount_overpaid": 0,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": false,
        "auto_advance": params.get("auto_advance").and_then(Value::as_bool).unwrap_or(false),
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null, "disabled_reason": null },
        "automatically_finalizes_at": null,
        "billing_reason": "manual",
        "collection_method": if is_sent { "send_invoice" } else { "charge_automatically" },
        "created": work.now(),
        "currency": given(params, "currency").unwrap_or("usd"),
        "custom_fields": null,
        "customer": customer["id"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "default_tax_rates": [],
        "description": or_null(params, "description"),
        "discounts": [],
        "due_date": due,
        "footer": or_null(params, "footer"),
        "hosted_invoice_url": null,
        "invoice_pdf": null,
        "issuer": { "type": "self" },
        "livemode": work.livemode(),
        "metadata": metadata(params),
        "number": null,
        "parent": null,
        "payment_settings": { "default_mandate": null, "payment_method_options": null, "payment_method_types": null },
        "period_end": work.now(),
        "period_start": work.now(),
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "draft",
        "status_transitions": { "finalized_at": null, "marked_uncollectible_at": null, "paid_at": null, "voided_at": null },
        "webhooks_delivered_at": null,
    });
    if given(params, "pending_invoice_items_behavior") == Some("include") {
        take_pending(work, &invoice);
    }
    sum_up(work, &mut invoice);
    work.emit("invoice.created", &invoice);
    Ok(invoice)
}

pub(super) fn change(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut invoice = work.find("invoice", id)?;
    let before = update(&mut invoice, params);
    work.put(&invoice);
    work.emit_change("invoice.updated", &invoice, Some(before));
    Ok(invoice)
}

pub(super) fn finalize(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut invoice = work.find("invoice", id)?;
    if text(&invoice, "status") != "draft" {
        let error =
            ApiError::invalid("This invoice is already finalized, you can't finalize it again.");
        return Err(error.code("invoice_not_editable"));
    }
    let (total, currency) = (
        int(&invoice, "total"),
        text(&invoice, "currency").to_owned(),
    );
    if total != 0 {
        money::chargeable(total, &currency, "amount")?;
    }
    if let Some(advance) = params.get("auto_advance") {
        invoice["auto_advance"] = advance.clone();
    }
    let mut customer = customers::named(work, text(&invoice, "customer"))?;
    let sequence = int(&customer, "next_invoice_sequence");
    customer["next_invoice_sequence"] = (sequence + 1).into();
    work.put(&customer);
    invoice["number"] = format!("{}-{sequence:04}", text(&customer, "invoice_prefix")).into();
    invoice["status"] = "open".into();
    invoice["status_transitions"]["finalized_at"] = work.now().into();
    let page = format!("{}/stripe/pay/{id}", work.base_url);
    invoice["invoice_pdf"] = page.clone().into();
    invoice["hosted_invoice_url"] = page.into();
    work.put(&invoice);
    if total == 0 {
        work.emit("invoice.finalized", &invoice);
        return Ok(settle(work, invoice, 0));
    }
    ask_payment(work, &invoice);
    work.emit("invoice.finalized", &invoice);
    Ok(invoice)
}

/// The payment that a finalized invoice waits for.
fn ask_payment(work: &mut Work, invoice: &Value) {
    let intent = payments::new(
        work,
        &NewIntent {
            amount: int(invoice, "total"),
            currency: text(invoice, "currency").to_owned(),
            customer: invoice["customer"].clone(),
            description: invoice["description"].clone(),
            metadata: json!({}),
            receipt_email: Value::Null,
            is_manual: false,
        },
    );
    let payment = json!({
        "id": work.id("inpay_"),
        "object": "invoice_payment",
        "amount_paid": null,
        "amount_requested": invoice["total"],
        "created": work.now(),
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": true,
        "livemode": work.livemode(),
        "payment": { "type": "payment_intent", "payment_intent": intent["id"] },
        "status": "open",
        "status_transitions": { "canceled_at": null, "paid_at": null },
    });
    work.put(&payment);
}

pub(super) fn send(work: &mut Work, id: &str, _: &Params) -> Answer {
    let mut invoice = work.find("invoice", id)?;
    if text(&invoice, "collection_method") != "send_invoice" {
        return Err(ApiError::invalid(
            "Only invoices with the collection method send_invoice can be sent.",
        ));
    }
    if text(&invoice, "status") == "draft" {
        invoice = finalize(work, id, &Params::new())?;
    }
    expect_open(&invoice)?;
    work.emit("invoice.sent", &invoice);
    Ok(invoice)
}

pub(super) fn pay(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut invoice = work.find("invoice", id)?;
    if text(&invoice, "status") == "draft" {
        invoice = finalize(work, id, &Params::new())?;
    }
    expect_open(&invoice)?;
    let total = int(&invoice, "total");
    if params.get("paid_out_of_band") == Some(&Value::Bool(true)) {
        return Ok(settle(work, invoice, total));
    }
    let Some(name) = given(params, "payment_method") else {
        return Err(ApiError::invalid(
            "There is no payment method on the invoice or its customer; give payment_method.",
        ));
    };
    charge(work, id, Card::named(name)?)
}

/// The customer pays on the invoice's page, or their bank declines.
pub(super) fn charge(work: &mut Work, id: &str, card: Card) -> Answer {
    let mut invoice = work.find("invoice", id)?;
    expect_open(&invoice)?;
    invoice["attempted"] = true.into();
    invoice["attempt_count"] = (int(&invoice, "attempt_count") + 1).into();
    work.put(&invoice);
    let intent = payment_of(work, id).and_then(|payment| {
        work.get(
            payments::OBJECT,
            text(&payment["payment"], "payment_intent"),
        )
    });
    match payments::attempt(work, intent.unwrap_or_default(), card) {
        Ok(_) => {
            let total = int(&invoice, "total");
            Ok(settle(work, invoice, total))
        }
        Err(error) => {
            work.emit("invoice.payment_failed", &invoice);
            Err(error)
        }
    }
}

pub(super) fn void(work: &mut Work, id: &str, _: &Params) -> Answer {
    let mut invoice = work.find("invoice", id)?;
    expect_open(&invoice)?;
    invoice["status"] = "void".into();
    invoice["status_transitions"]["voided_at"] = work.now().into();
    work.put(&invoice);
    if let Some(mut payment) = payment_of(work, id) {
        payment["status"] = "canceled".into();
        payment["status_transitions"]["canceled_at"] = work.now().into();
        work.put(&payment);
        cancel_intent(work, &payment);
    }
    work.emit("invoice.voided", &invoice);
    Ok(invoice)
}

fn cancel_intent(work: &mut Work, payment: &Value) {
    let Some(mut intent) = work.get(
        payments::OBJECT,
        text(&payment["payment"], "payment_intent"),
    ) else {
        return;
    };
    intent["status"] = "canceled".into();
    intent["canceled_at"] = work.now().into();
    intent["cancellation_reason"] = "void_invoice".into();
    work.put(&intent);
    work.emit("payment_intent.canceled", &intent);
}

fn expect_open(invoice: &Value) -> Result<(), ApiError> {
    match text(invoice, "status") {
        "open" => Ok(()),
        "paid" => Err(ApiError::invalid("Invoice is already paid")),
        status => Err(ApiError::invalid(format!(
            "Only open invoices can be changed like this; this one is {status}."
        ))),
    }
}

fn payment_of(work: &Work, invoice: &str) -> Option<Value> {
    work.of("invoice_payment")
        .into_iter()
        .find(|payment| text(payment, "invoice") == invoice)
}

fn settle(work: &mut Work, mut invoice: Value, paid: i64) -> Value {
    invoice["status"] = "paid".into();
    invoice["amount_paid"] = paid.into();
    invoice["amount_remaining"] = 0.into();
    invoice["status_transitions"]["paid_at"] = work.now().into();
    work.put(&invoice);
    if let Some(mut payment) = payment_of(work, text(&invoice, "id")) {
        payment["status"] = "paid".into();
        payment["amount_paid"] = paid.into();
        payment["status_transitions"]["paid_at"] = work.now().into();
        work.put(&payment);
        work.emit("invoice_payment.paid", &payment);
    }
    work.emit("invoice.paid", &invoice);
    work.emit("invoice.payment_succeeded", &invoice);
    invoice
}
