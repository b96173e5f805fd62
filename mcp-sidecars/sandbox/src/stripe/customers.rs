//! Customers.

use serde_json::{Value, json};

use super::{
    error::ApiError,
    ledger::{Answer, Params, Work, metadata, or_null, update},
    list::{AFTER, BEFORE, CREATED, LIMIT},
    params::{Field, Kind, optional},
};

const ADDRESS: &[Field] = &[
    optional("city", Kind::Unsettable),
    optional("country", Kind::Unsettable),
    optional("line1", Kind::Unsettable),
    optional("line2", Kind::Unsettable),
    optional("postal_code", Kind::Unsettable),
    optional("state", Kind::Unsettable),
];
pub(super) const FIELDS: &[Field] = &[
    optional("address", Kind::Map(ADDRESS)),
    optional("description", Kind::Unsettable),
    optional("email", Kind::Email),
    optional("metadata", Kind::Metadata),
    optional("name", Kind::Unsettable),
    optional("phone", Kind::Unsettable),
    optional("preferred_locales", Kind::Texts),
];
pub(super) const LIST: &[Field] = &[LIMIT, AFTER, BEFORE, CREATED, optional("email", Kind::Text)];

#[expect(clippy::unnecessary_wraps, reason = "the shape of every endpoint")]
pub(super) fn create(work: &mut Work, _: &str, params: &Params) -> Answer {
    let id = work.id("cus_");
    let customer = json!({
        "id": id,
        "object": "customer",
        "address": or_null(params, "address"),
        "balance": 0,
        "created": work.now(),
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": or_null(params, "description"),
        "email": or_null(params, "email"),
        "invoice_prefix": id[id.len() - 8..].to_ascii_uppercase(),
        "invoice_settings": { "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null },
        "livemode": work.livemode(),
        "metadata": metadata(params),
        "name": or_null(params, "name"),
        "next_invoice_sequence": 1,
        "phone": or_null(params, "phone"),
        "preferred_locales": params.get("preferred_locales").cloned().unwrap_or_else(|| json!([])),
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    });
    work.put(&customer);
    work.emit("customer.created", &customer);
    Ok(customer)
}

pub(super) fn change(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut customer = work.find("customer", id)?;
    if customer["deleted"] == true {
        return Err(ApiError::invalid(format!("No such customer: '{id}'"))
            .code("resource_missing")
            .param("id"));
    }
    let before = update(&mut customer, params);
    work.put(&customer);
    work.emit_change("customer.updated", &customer, Some(before));
    Ok(customer)
}

pub(super) fn delete(work: &mut Work, id: &str, _: &Params) -> Answer {
    let customer = work.find("customer", id)?;
    let gone = json!({ "id": id, "object": "customer", "deleted": true });
    work.put(&gone);
    work.emit("customer.deleted", &customer);
    Ok(gone)
}

/// The customer that a parameter names, who must still be there.
pub(super) fn named(work: &Work, id: &str) -> Result<Value, ApiError> {
    let customer = work.named("customer", id, "customer")?;
    if customer["deleted"] == true {
        let error = ApiError::invalid(format!("No such customer: '{id}'; it was deleted"));
        return Err(error.code("resource_missing").param("customer"));
    }
    Ok(customer)
}
