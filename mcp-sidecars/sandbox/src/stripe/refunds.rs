//! Refunds, and the balance that remains.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    error::ApiError,
    ledger::{Answer, Params, Work, given, given_int, int, metadata, or_null, text, update},
    list::{AFTER, BEFORE, CREATED, LIMIT},
    money,
    params::{Field, Kind, optional},
};

pub(super) const NEW: &[Field] = &[
    optional("amount", Kind::Int(1, i64::MAX)),
    optional("charge", Kind::Text),
    optional("payment_intent", Kind::Text),
    optional("metadata", Kind::Metadata),
    optional(
        "reason",
        Kind::OneOf(&["duplicate", "fraudulent", "requested_by_customer"]),
    ),
];
pub(super) const CHANGE: &[Field] = &[optional("metadata", Kind::Metadata)];
pub(super) const LIST: &[Field] = &[
    LIMIT,
    AFTER,
    BEFORE,
    CREATED,
    optional("charge", Kind::Text),
    optional("payment_intent", Kind::Text),
];

pub(super) fn create(work: &mut Work, _: &str, params: &Params) -> Answer {
    let mut charge = charge_of(work, params)?;
    let (captured, refunded) = (
        int(&charge, "amount_captured"),
        int(&charge, "amount_refunded"),
    );
    let left = captured - refunded;
    let id = text(&charge, "id").to_owned();
    if left == 0 {
        let error = ApiError::invalid(format!("Charge {id} has already been refunded."));
        return Err(error.code("charge_already_refunded"));
    }
    let amount = given_int(params, "amount").unwrap_or(left);
    let currency = text(&charge, "currency").to_owned();
    if amount > left {
        let message = format!(
            "Refund amount ({}) is greater than unrefunded amount on charge ({})",
            money::shown(amount, &currency),
            money::shown(left, &currency)
        );
        return Err(ApiError::invalid(message).param("amount"));
    }
    let refund = json!({
        "id": work.id("re_"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": null,
        "charge": id,
        "created": work.now(),
        "currency": currency,
        "destination_details": { "type": "card", "card": { "type": "refund", "reference_status": "pending" } },
        "metadata": metadata(params),
        "payment_intent": charge["payment_intent"],
        "reason": or_null(params, "reason"),
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": "succeeded",
        "transfer_reversal": null,
    });
    charge["amount_refunded"] = (refunded + amount).into();
    charge["refunded"] = (amount == left).into();
    work.put(&refund);
    work.put(&charge);
    work.emit("refund.created", &refund);
    work.emit("charge.refunded", &charge);
    Ok(refund)
}

pub(super) fn change(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut refund = work.find("refund", id)?;
    let before = update(&mut refund, params);
    work.put(&refund);
    work.emit_change("refund.updated", &refund, Some(before));
    Ok(refund)
}

/// The charge to be given back, which must have been paid.
fn charge_of(work: &Work, params: &Params) -> Answer {
    let charge = match (given(params, "charge"), given(params, "payment_intent")) {
        (Some(id), None) => work.named("charge", id, "charge")?,
        (None, Some(id)) => {
            let intent = work.named("payment_intent", id, "payment_intent")?;
            work.get("charge", text(&intent, "latest_charge"))
                .unwrap_or_default()
        }
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "Give charge or payment_intent, not both.",
            ));
        }
        (None, None) => {
            let error = ApiError::invalid(
                "One of the following params should be provided: payment_intent or charge.",
            );
            return Err(error.code("parameter_missing"));
        }
    };
    if charge["paid"] == true && charge["captured"] == true {
        return Ok(charge);
    }
    Err(ApiError::invalid(
        "There is no successful charge to refund.",
    ))
}

/// What was captured and not given back; the sandbox takes no fee and makes it available at once.
#[expect(clippy::unnecessary_wraps, reason = "the shape of every endpoint")]
pub(super) fn balance(work: &mut Work, _: &str, _: &Params) -> Answer {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for charge in work.of("charge") {
        let sum = sums
            .entry(text(&charge, "currency").to_owned())
            .or_default();
        *sum += int(&charge, "amount_captured") - int(&charge, "amount_refunded");
    }
    if sums.is_empty() {
        sums.insert("usd".to_owned(), 0);
    }
    let funds = |amount_of: fn(i64) -> i64| -> Value {
        let one = |(currency, sum): (&String, &i64)| {
            let amount = amount_of(*sum);
            json!({ "amount": amount, "currency": currency, "source_types": { "card": amount } })
        };
        sums.iter().map(one).collect()
    };
    Ok(json!({
        "object": "balance",
        "available": funds(|sum| sum),
        "livemode": work.livemode(),
        "pending": funds(|_| 0),
        "refund_and_dispute_prefunding": { "available": funds(|_| 0), "pending": funds(|_| 0) },
    }))
}
