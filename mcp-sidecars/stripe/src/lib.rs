//! Payments by Stripe as MCP tools: links, checkout sessions, invoices, refunds, and what came in.
//!
//! Amounts are whole numbers in the smallest unit of their ISO 4217 currency. Card data never comes in or goes out:
//! people pay on Stripe's pages.

mod checkout;
mod client;
mod invoices;
mod limits;
mod payments;
mod refunds;
mod settings;
mod shared;

pub use settings::StripeSettings;

use anyhow::Context;
use mcp_kit::{Metrics, Sidecar, Tools};
use serde_json::{Value, json};

use client::Stripe;

/// The sidecar under these settings. It starts without a key, too, and is not ready then.
///
/// # Errors
/// A key of the wrong mode, a base URL or a limit that cannot be read.
pub fn sidecar(settings: &StripeSettings, metrics: &Metrics) -> anyhow::Result<Sidecar> {
    let stripe = Stripe::new(settings, metrics)?;
    let Value::Object(notes) = notes(settings, &stripe) else {
        anyhow::bail!("the notes are an object");
    };
    let mut tools = Tools::new("stripe", env!("CARGO_PKG_VERSION")).notes(notes);
    let all = [
        checkout::tools(&stripe),
        invoices::tools(&stripe),
        payments::tools(&stripe),
        refunds::tools(&stripe),
    ];
    for tool in all.into_iter().flatten() {
        tools = tools.with(tool)?;
    }
    let secrets = stripe.secrets();
    let ready = stripe.clone();
    Ok(Sidecar::new(tools.reading_only(settings.read_only))
        .metrics(metrics)
        .secrets(secrets)
        .ready_when(move || {
            let stripe = ready.clone();
            async move { stripe.check().await.context("ask Stripe for the balance") }
        }))
}

fn notes(settings: &StripeSettings, stripe: &Stripe) -> Value {
    json!({
        "mode": if settings.live_mode { "live: real money" } else { "test: no money moves" },
        "read_only": settings.read_only,
        "stripe_version": client::API_VERSION,
        "amounts": "whole numbers in the currency's smallest unit: 1250 is 12.50 USD, 1250 JPY, 1.250 KWD",
        "limits": stripe.limits().notes(),
        "idempotency": "every writing tool needs idempotency_key; the same key and arguments within 24 hours do nothing twice",
    })
}
