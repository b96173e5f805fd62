//! Payment links: an address that makes a new checkout session for whoever opens it.

use serde_json::{Value, json};

use super::{
    catalogue::{LINE, lines},
    error::ApiError,
    ledger::{Answer, Params, Work, int, metadata, or_null, text, update},
    list::{AFTER, BEFORE, LIMIT},
    params::{Field, Kind, QUANTITY, optional, required},
    sessions,
};

const REDIRECT: &[Field] = &[required("url", Kind::Url)];
const CONFIRMATION: &[Field] = &[optional("custom_message", Kind::Text)];
const AFTER_COMPLETION: &[Field] = &[
    required("type", Kind::OneOf(&["hosted_confirmation", "redirect"])),
    optional("redirect", Kind::Map(REDIRECT)),
    optional("hosted_confirmation", Kind::Map(CONFIRMATION)),
];
const COMPLETED: &[Field] = &[required("limit", QUANTITY)];
const RESTRICTIONS: &[Field] = &[required("completed_sessions", Kind::Map(COMPLETED))];
pub(super) const INTENT_DATA: &[Field] = &[
    optional("description", Kind::Text),
    optional("metadata", Kind::Metadata),
];
pub(super) const NEW: &[Field] = &[
    required("line_items", Kind::List(LINE)),
    optional("after_completion", Kind::Map(AFTER_COMPLETION)),
    optional("inactive_message", Kind::Text),
    optional("metadata", Kind::Metadata),
    optional("payment_intent_data", Kind::Map(INTENT_DATA)),
    optional("restrictions", Kind::Map(RESTRICTIONS)),
];
pub(super) const CHANGE: &[Field] = &[
    optional("active", Kind::Bool),
    optional("after_completion", Kind::Map(AFTER_COMPLETION)),
    optional("inactive_message", Kind::Unsettable),
    optional("metadata", Kind::Metadata),
    optional("restrictions", Kind::Map(RESTRICTIONS)),
];
pub(super) const LIST: &[Field] = &[LIMIT, AFTER, BEFORE, optional("active", Kind::Bool)];

pub(super) fn create(work: &mut Work, _: &str, params: &Params) -> Answer {
    let lines = lines(work, params)?;
    let id = work.id("plink_");
    let confirmation = || json!({ "type": "hosted_confirmation", "hosted_confirmation": { "custom_message": null } });
    let restrictions = params.get("restrictions").map(|given| {
        let limit = &given["completed_sessions"]["limit"];
        json!({ "completed_sessions": { "count": 0, "limit": limit } })
    });
    let link = json!({
        "id": id,
        "object": "payment_link",
        "active": true,
        "after_completion": params.get("after_completion").cloned().unwrap_or_else(confirmation),
        "allow_promotion_codes": false,
        "application_fee_amount": null,
        "application_fee_percent": null,
        "automatic_tax": { "enabled": false, "liability": null },
        "billing_address_collection": "auto",
        "consent_collection": null,
        "currency": lines.currency,
        "custom_fields": [],
        "custom_text": {},
        "customer_creation": "if_required",
        "inactive_message": or_null(params, "inactive_message"),
        "invoice_creation": null,
        "livemode": work.livemode(),
        "metadata": metadata(params),
        "on_behalf_of": null,
        "payment_intent_data": or_null(params, "payment_intent_data"),
        "payment_method_collection": "always",
        "payment_method_types": null,
        "phone_number_collection": { "enabled": false },
        "restrictions": restrictions,
        "shipping_options": [],
        "submit_type": "auto",
        "tax_id_collection": { "enabled": false, "required": "never" },
        "transfer_data": null,
        "url": format!("{}/stripe/pay/{id}", work.base_url),
    });
    work.put_lines(&id, lines.items);
    work.put(&link);
    work.emit("payment_link.created", &link);
    Ok(link)
}

pub(super) fn change(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut link = work.find("payment_link", id)?;
    let mut params = params.clone();
    if let Some(restrictions) = params.get_mut("restrictions") {
        let count = int(&link["restrictions"]["completed_sessions"], "count");
        restrictions["completed_sessions"]["count"] = count.into();
    }
    let before = update(&mut link, &params);
    work.put(&link);
    work.emit_change("payment_link.updated", &link, Some(before));
    Ok(link)
}

/// Somebody opened the link: a session of their own.
pub(super) fn open(work: &mut Work, id: &str) -> Answer {
    let link = work.find("payment_link", id)?;
    if link["active"] != true {
        return Err(ApiError::invalid("This payment link is no longer active."));
    }
    let lines = work.lines(id);
    let wishes = sessions::Wishes {
        total: lines.iter().map(|line| int(line, "amount_total")).sum(),
        currency: text(&link, "currency").to_owned(),
        lines,
        link: link["id"].clone(),
        success_url: link["after_completion"]["redirect"]["url"].clone(),
        metadata: link["metadata"].clone(),
        intent_data: link["payment_intent_data"].clone(),
        ..sessions::Wishes::default()
    };
    Ok(sessions::start(work, wishes))
}

/// A session of the link was paid: the last one allowed ends it.
pub(super) fn count(work: &mut Work, session: &Value) {
    let Some(mut link) = work.get("payment_link", text(session, "payment_link")) else {
        return;
    };
    if link["restrictions"].is_null() {
        return;
    }
    let restriction = &mut link["restrictions"]["completed_sessions"];
    let count = int(restriction, "count") + 1;
    restriction["count"] = count.into();
    if count >= int(restriction, "limit") {
        link["active"] = false.into();
    }
    work.put(&link);
    work.emit("payment_link.updated", &link);
}
