//! The items of invoices, and the sums that they come to.

use serde_json::{Value, json};

use super::{
    customers,
    error::ApiError,
    ledger::{Answer, Params, Work, given, given_int, int, metadata, or_null, text},
    list::{AFTER, BEFORE, CREATED, LIMIT},
    params::{ANY_INT, Field, Kind, QUANTITY, optional, required},
};

const PRICING: &[Field] = &[optional("price", Kind::Text)];
pub(super) const NEW: &[Field] = &[
    optional("amount", ANY_INT),
    optional("currency", Kind::Currency),
    required("customer", Kind::Text),
    optional("description", Kind::Text),
    optional("invoice", Kind::Text),
    optional("metadata", Kind::Metadata),
    optional("pricing", Kind::Map(PRICING)),
    optional("quantity", QUANTITY),
    optional("unit_amount_decimal", Kind::Decimal),
];
pub(super) const LIST: &[Field] = &[
    LIMIT,
    AFTER,
    BEFORE,
    CREATED,
    optional("customer", Kind::Text),
    optional("invoice", Kind::Text),
];
/// The customer's items that are on no invoice yet.
pub(super) fn take_pending(work: &mut Work, invoice: &Value) {
    let is_pending = |item: &Value| {
        item["invoice"].is_null()
            && item["customer"] == invoice["customer"]
            && item["currency"] == invoice["currency"]
    };
    for mut item in work.of("invoiceitem").into_iter().filter(is_pending) {
        item["invoice"] = invoice["id"].clone();
        work.put(&item);
    }
}

pub(super) fn create(work: &mut Work, _: &str, params: &Params) -> Answer {
    customers::named(work, given(params, "customer").unwrap_or_default())?;
    let invoice = given(params, "invoice")
        .map(|id| work.named("invoice", id, "invoice"))
        .transpose()?;
    if invoice
        .as_ref()
        .is_some_and(|invoice| text(invoice, "status") != "draft")
    {
        let error = ApiError::invalid("Items can be added to draft invoices only.");
        return Err(error.code("invoice_not_editable").param("invoice"));
    }
    let quantity = given_int(params, "quantity").unwrap_or(1);
    let (unit, currency, pricing) = price_of(work, params)?;
    let amount = given_int(params, "amount").unwrap_or(unit.saturating_mul(quantity));
    if invoice
        .as_ref()
        .is_some_and(|invoice| text(invoice, "currency") != currency)
    {
        return Err(
            ApiError::invalid("The item's currency differs from the invoice's.").param("currency"),
        );
    }
    let item = json!({
        "id": work.id("ii_"),
        "object": "invoiceitem",
        "amount": amount,
        "created": work.now(),
        "currency": currency,
        "customer": or_null(params, "customer"),
        "date": work.now(),
        "description": or_null(params, "description"),
        "discountable": true,
        "discounts": [],
        "invoice": or_null(params, "invoice"),
        "livemode": work.livemode(),
        "metadata": metadata(params),
        "net_amount": amount,
        "parent": null,
        "period": { "start": work.now(), "end": work.now() },
        "pricing": pricing,
        "proration": false,
        "quantity": quantity,
        "quantity_decimal": quantity.to_string(),
        "tax_rates": [],
        "test_clock": null,
    });
    work.put(&item);
    work.emit("invoiceitem.created", &item);
    if let Some(mut invoice) = invoice {
        sum_up(work, &mut invoice);
    }
    Ok(item)
}

/// The unit amount, the currency and the pricing of an item: from a price, a unit amount or an amount.
fn price_of(work: &Work, params: &Params) -> Result<(i64, String, Value), ApiError> {
    let id = params
        .get("pricing")
        .and_then(|pricing| pricing["price"].as_str());
    let amount = given_int(params, "amount").map(|amount| amount.to_string());
    let unit = given(params, "unit_amount_decimal").map(str::to_owned);
    let (unit, currency, details) = match (id, amount.or(unit)) {
        (Some(id), None) => {
            let price = work.named("price", id, "pricing[price]")?;
            let details = json!({ "price": price["id"], "product": price["product"] });
            (
                int(&price, "unit_amount").to_string(),
                text(&price, "currency").to_owned(),
                details,
            )
        }
        (None, Some(unit)) => {
            let currency = given(params, "currency").ok_or_else(|| {
                ApiError::invalid("Missing required param: currency.")
                    .code("parameter_missing")
                    .param("currency")
            })?;
            (unit, currency.to_owned(), Value::Null)
        }
        _ => {
            return Err(
                ApiError::invalid("Give one of amount, unit_amount_decimal or pricing.")
                    .param("amount"),
            );
        }
    };
    let whole: i64 = unit.parse().map_err(|_| {
        ApiError::invalid("The sandbox takes whole numbers only.").param("unit_amount_decimal")
    })?;
    let pricing =
        json!({ "type": "price_details", "price_details": details, "unit_amount_decimal": unit });
    Ok((whole, currency, pricing))
}

/// Writes the sums and lines of an invoice anew from its items.
pub(super) fn sum_up(work: &mut Work, invoice: &mut Value) {
    let id = text(invoice, "id").to_owned();
    let mut items = work.of("invoiceitem");
    items.retain(|item| text(item, "invoice") == id);
    items.reverse();
    let total: i64 = items.iter().map(|item| int(item, "amount")).sum();
    let line = |item: &Value| {
        json!({
            "id": text(item, "id").replacen("ii_", "il_", 1),
            "object": "line_item",
            "amount": item["amount"],
            "currency": item["currency"],
            "description": item["description"],
            "discount_amounts": [],
            "discountable": true,
            "discounts": [],
            "invoice": id,
            "livemode": item["livemode"],
            "metadata": item["metadata"],
            "parent": { "type": "invoice_item_details", "invoice_item_details": { "invoice_item": item["id"], "proration": false } },
            "period": item["period"],
            "pricing": item["pricing"],
            "quantity": item["quantity"],
            "subtotal": item["amount"],
            "taxes": [],
        })
    };
    let lines: Vec<Value> = items.iter().map(line).collect();
    let url = format!("/v1/invoices/{id}/lines");
    invoice["lines"] = json!({ "object": "list", "data": lines, "has_more": false, "url": url });
    for name in [
        "subtotal",
        "subtotal_excluding_tax",
        "total",
        "total_excluding_tax",
        "amount_due",
        "amount_remaining",
    ] {
        invoice[name] = total.into();
    }
    invoice["amount_paid"] = 0.into();
    work.put_lines(&id, lines);
    work.put(invoice);
}
