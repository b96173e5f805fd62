//! The page behind a session's, link's or invoice's address: pays, declines or goes back, without any script.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    api::{LedgerName, change},
    error::ApiError,
    invoices,
    ledger::{Work, int, text},
    links, money,
    payments::Card,
    sessions,
};
use crate::world::World;

#[derive(Template)]
#[template(path = "stripe_pay.html")]
struct Page {
    title: String,
    total: String,
    lines: Vec<(String, i64, String)>,
    /// What happened, or why nothing can be done.
    notice: String,
    is_open: bool,
    can_cancel: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Choice {
    Pay,
    Decline,
    Cancel,
}

#[derive(Deserialize)]
pub(super) struct Chosen {
    choice: Choice,
}

pub(super) async fn show(State(world): State<Arc<World>>, Path(id): Path<String>) -> Response {
    let Some(ledger) = ledger_of(&world, &id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if id.starts_with("plink_") {
        return match change(&world, ledger, |work| links::open(work, &id)) {
            Ok(session) => Redirect::to(text(&session, "url")).into_response(),
            Err(_) => render("Payment link", "This payment link is not active."),
        };
    }
    let shown = change(&world, ledger, |work| Ok(page(work, &id, "")));
    shown.unwrap_or_else(|_: ApiError| StatusCode::NOT_FOUND.into_response())
}

pub(super) async fn act(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    Form(chosen): Form<Chosen>,
) -> Response {
    let Some(ledger) = ledger_of(&world, &id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let acted = change(&world, ledger, |work| {
        let card = match chosen.choice {
            Choice::Pay => Card::Good,
            Choice::Decline => Card::Declined("generic_decline"),
            Choice::Cancel => return Ok(back(work, &id)),
        };
        if id.starts_with("in_") {
            invoices::charge(work, &id, card)?;
            return Ok(page(work, &id, ""));
        }
        let session = sessions::pay(work, &id, card)?;
        let address = text(&session, "success_url").replace("{CHECKOUT_SESSION_ID}", &id);
        let is_paid = text(&session, "payment_status") == "paid";
        Ok(if is_paid && !address.is_empty() {
            Redirect::to(&address).into_response()
        } else {
            page(work, &id, "")
        })
    });
    acted.unwrap_or_else(|error| {
        let notice = if error.keeps_changes {
            "The card was declined. Try again."
        } else {
            "This cannot be paid any more."
        };
        match ledger_of(&world, &id) {
            Some(ledger) => change(&world, ledger, |work| Ok(page(work, &id, notice)))
                .unwrap_or_else(|_: ApiError| StatusCode::NOT_FOUND.into_response()),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    })
}

/// Whose session, link or invoice it is; its address is all that a customer has.
fn ledger_of(world: &World, id: &str) -> Option<LedgerName> {
    let things = world.things();
    let mut ledgers = things.stripe.ledgers.iter();
    let (name, ledger) = ledgers.find(|(_, ledger)| ledger.get(id).is_some())?;
    Some(LedgerName {
        name: name.clone(),
        livemode: ledger.livemode,
    })
}

/// Back to the shop; the session stays open.
fn back(work: &Work, id: &str) -> Response {
    let session = work.get(sessions::OBJECT, id).unwrap_or_default();
    match text(&session, "cancel_url") {
        "" => page(work, id, "Nothing was paid."),
        address => Redirect::to(&address.replace("{CHECKOUT_SESSION_ID}", id)).into_response(),
    }
}

fn page(work: &Work, id: &str, notice: &str) -> Response {
    let thing = work.any(id).unwrap_or_default();
    let is_invoice = text(&thing, "object") == "invoice";
    let (title, total) = if is_invoice {
        (
            format!("Invoice {}", text(&thing, "number")),
            int(&thing, "total"),
        )
    } else {
        ("Checkout".to_owned(), int(&thing, "amount_total"))
    };
    let status = text(&thing, "status");
    let notice = match (notice, status) {
        ("", "complete" | "paid") => "Paid. Thank you.",
        ("", "expired" | "void") => "This can no longer be paid.",
        (notice, _) => notice,
    };
    let currency = text(&thing, "currency");
    let amount = if is_invoice { "amount" } else { "amount_total" };
    let line = |line: &Value| {
        let sum = money::shown(int(line, amount), currency);
        (
            text(line, "description").to_owned(),
            int(line, "quantity"),
            sum,
        )
    };
    let page = Page {
        title,
        total: money::shown(total, currency),
        lines: work.lines(id).iter().map(line).collect(),
        notice: notice.to_owned(),
        is_open: status == "open",
        can_cancel: !is_invoice,
    };
    guarded(
        page.render(),
        &[text(&thing, "success_url"), text(&thing, "cancel_url")],
    )
}

fn render(title: &str, notice: &str) -> Response {
    let page = Page {
        title: title.to_owned(),
        total: String::new(),
        lines: Vec::new(),
        notice: notice.to_owned(),
        is_open: false,
        can_cancel: false,
    };
    guarded(page.render(), &[])
}

/// Browsers hold the redirect after a form against `form-action`, too, so the shop's own addresses are named there.
fn guarded(rendered: askama::Result<String>, addresses: &[&str]) -> Response {
    let mut response = crate::page::html(rendered);
    let origins: Vec<String> = addresses
        .iter()
        .filter_map(|address| origin(address))
        .collect();
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {}; base-uri 'none'; frame-ancestors 'none'",
        origins.join(" ")
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Scheme and host of an address, where they are plain.
fn origin(address: &str) -> Option<String> {
    let uri: Uri = address.replace(['{', '}'], "").parse().ok()?;
    let authority = uri.authority()?.as_str();
    let is_plain = authority
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    is_plain.then(|| format!("{}://{authority}", uri.scheme_str().unwrap_or("https")))
}
