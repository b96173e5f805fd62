//! Lists in Stripe's pages, and `expand`.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    error::ApiError,
    ledger::{Answer, Params, Work, given, given_int, int, text},
    params::{Field, Kind, optional},
};

const DEFAULT_LIMIT: i64 = 10;
const LARGEST_LIMIT: i64 = 100;
/// What every list takes.
pub(super) const LIMIT: Field = optional("limit", Kind::Int(1, LARGEST_LIMIT));
pub(super) const AFTER: Field = optional("starting_after", Kind::Text);
pub(super) const BEFORE: Field = optional("ending_before", Kind::Text);
pub(super) const CREATED: Field = optional("created", Kind::Created);
const PAGING: [&str; 4] = ["limit", "starting_after", "ending_before", "created"];

/// The objects of one kind that fit the parameters, newest first.
pub(super) fn objects(work: &Work, object: &str, url: &str, params: &Params) -> Answer {
    let mut all = work.of(object);
    all.retain(|value| {
        value["deleted"] != true && is_created(value, params) && fits(value, params)
    });
    page(&all, object, url, params)
}

/// One page of these.
pub(super) fn page(all: &[Value], object: &str, url: &str, params: &Params) -> Answer {
    let limit = usize::try_from(given_int(params, "limit").unwrap_or(DEFAULT_LIMIT)).unwrap_or(1);
    let place = |param: &str| {
        given(params, param).map(|id| {
            all.iter()
                .position(|value| text(value, "id") == id)
                .ok_or_else(|| ApiError::missing(object, id, param, StatusCode::BAD_REQUEST))
        })
    };
    let (shown, has_more) = match (place("starting_after"), place("ending_before")) {
        (Some(_), Some(_)) => {
            let message = "Give starting_after or ending_before, not both.";
            return Err(ApiError::invalid(message).param("starting_after"));
        }
        (None, Some(end)) => {
            let end = end?;
            let start = end.saturating_sub(limit);
            (&all[start..end], start > 0)
        }
        (start, None) => {
            let start = start.transpose()?.map_or(0, |index| index + 1);
            let end = all.len().min(start + limit);
            (&all[start..end], end < all.len())
        }
    };
    Ok(json!({ "object": "list", "url": url, "has_more": has_more, "data": shown }))
}

/// `created=…` or its limits.
fn is_created(value: &Value, params: &Params) -> bool {
    let at = int(value, "created");
    match params.get("created") {
        Some(Value::Object(range)) => range.iter().all(|(limit, time)| {
            let time = time.as_i64().unwrap_or_default();
            match limit.as_str() {
                "gt" => at > time,
                "gte" => at >= time,
                "lt" => at < time,
                _ => at <= time,
            }
        }),
        Some(time) => time.as_i64() == Some(at),
        None => true,
    }
}

/// Members equal to the parameters of their name; `types` and `ids` name several.
fn fits(value: &Value, params: &Params) -> bool {
    params
        .iter()
        .filter(|(name, _)| !PAGING.contains(&name.as_str()))
        .all(|(name, wanted)| match (name.as_str(), wanted) {
            ("types", Value::Array(types)) => types.contains(&value["type"]),
            ("ids", Value::Array(ids)) => ids.contains(&value["id"]),
            ("payment", Value::Object(payment)) => payment
                .iter()
                .all(|(name, id)| value["payment"][name] == *id),
            _ => value[name] == *wanted,
        })
}

/// Puts objects in the place of their ids, along paths such as `data.latest_charge`.
pub(super) fn expand(work: &Work, value: &mut Value, path: &str) -> Result<(), ApiError> {
    if path.split('.').count() > 4 {
        return Err(ApiError::invalid("You cannot expand more than 4 levels.").param("expand"));
    }
    let parts: Vec<&str> = path.split('.').collect();
    if descend(work, value, &parts) {
        return Ok(());
    }
    let message = format!("This property cannot be expanded ({path}).");
    Err(ApiError::invalid(message).param("expand"))
}

fn descend(work: &Work, value: &mut Value, parts: &[&str]) -> bool {
    let Some((first, rest)) = parts.split_first() else {
        return true;
    };
    if let Value::Array(items) = value {
        return items.iter_mut().all(|item| descend(work, item, parts));
    }
    include(work, value, first);
    let Some(child) = value.get_mut(*first) else {
        return false;
    };
    if let Some(object) = child.as_str().and_then(|id| work.any(id)) {
        *child = object;
    }
    let is_expanded = !rest.is_empty() || child.is_object() || child.is_null();
    is_expanded && (child.is_null() || descend(work, child, rest))
}

/// Members that are shown only on wish.
fn include(work: &Work, value: &mut Value, name: &str) {
    let id = text(value, "id").to_owned();
    let lines = match (text(value, "object"), name) {
        ("checkout.session", "line_items") => (
            format!("/v1/checkout/sessions/{id}/line_items"),
            work.lines(&id),
        ),
        ("payment_link", "line_items") => (
            format!("/v1/payment_links/{id}/line_items"),
            work.lines(&id),
        ),
        ("invoice", "payments") => {
            let payments = work.of("invoice_payment");
            let own = payments
                .into_iter()
                .filter(|payment| text(payment, "invoice") == id);
            (format!("/v1/invoice_payments?invoice={id}"), own.collect())
        }
        ("charge", "refunds") => {
            let refunds = work.of("refund");
            let own = refunds
                .into_iter()
                .filter(|refund| text(refund, "charge") == id);
            (format!("/v1/charges/{id}/refunds"), own.collect())
        }
        _ => return,
    };
    let (url, all) = lines;
    if let Ok(page) = page(&all, name, &url, &Map::new()) {
        value[name] = page;
    }
}
