//! Webhook endpoints, and events signed and sent to them: at least once, in no promised order.

use std::{sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    API_VERSION,
    error::ApiError,
    ledger::{Answer, Ledger, Params, Work, given, metadata, or_null, text, update},
    list::{AFTER, BEFORE, LIMIT},
    params::{Field, Kind, optional, required},
};
use crate::world::World;

pub(super) const OBJECT: &str = "webhook_endpoint";
pub(super) const NEW: &[Field] = &[
    required("enabled_events", Kind::Texts),
    required("url", Kind::Url),
    optional("api_version", Kind::OneOf(&[API_VERSION])),
    optional("description", Kind::Text),
    optional("metadata", Kind::Metadata),
];
pub(super) const CHANGE: &[Field] = &[
    optional("enabled_events", Kind::Texts),
    optional("url", Kind::Url),
    optional("description", Kind::Unsettable),
    optional("disabled", Kind::Bool),
    optional("metadata", Kind::Metadata),
];
pub(super) const LIST: &[Field] = &[LIMIT, AFTER, BEFORE];
/// Stripe tries for three days; here it is a quarter of a minute.
const WAITS: [u64; 6] = [0, 250, 1000, 2000, 4000, 8000];
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub(super) fn create(work: &mut Work, _: &str, params: &Params) -> Answer {
    let url = given(params, "url").unwrap_or_default();
    if !url.starts_with("http://") {
        let message = "The sandbox delivers by http only; point it at a listener on this machine.";
        return Err(ApiError::invalid(message).code("url_invalid").param("url"));
    }
    let id = work.id("we_");
    let endpoint = json!({
        "id": id,
        "object": OBJECT,
        "api_version": or_null(params, "api_version"),
        "application": null,
        "created": work.now(),
        "description": or_null(params, "description"),
        "enabled_events": or_null(params, "enabled_events"),
        "livemode": work.livemode(),
        "metadata": metadata(params),
        "status": "enabled",
        "url": url,
    });
    work.put(&endpoint);
    let secret = format!("whsec_sandbox-{id}");
    work.put_lines(&secret_of(&id), vec![secret.clone().into()]);
    // The one time that it is shown.
    let mut shown = endpoint;
    shown["secret"] = secret.into();
    Ok(shown)
}

pub(super) fn change(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut endpoint = work.find(OBJECT, id)?;
    let mut params = params.clone();
    if let Some(disabled) = params.remove("disabled") {
        let status = if disabled == true {
            "disabled"
        } else {
            "enabled"
        };
        params.insert("status".to_owned(), status.into());
    }
    update(&mut endpoint, &params);
    work.put(&endpoint);
    Ok(endpoint)
}

pub(super) fn delete(work: &mut Work, id: &str, _: &Params) -> Answer {
    work.find(OBJECT, id)?;
    let gone = json!({ "id": id, "object": OBJECT, "deleted": true });
    work.put(&gone);
    Ok(gone)
}

fn secret_of(id: &str) -> String {
    format!("{id}/secret")
}

/// One event on its way to one listener.
struct Delivery {
    ledger: String,
    event: String,
    url: String,
    secret: String,
    body: String,
}

/// Sends these events to everybody who listens for them, each by itself; `times` for those that want repeats.
pub(super) fn send(world: &Arc<World>, ledger: &str, events: &[String], times: usize) {
    let mut things = world.things();
    let Some(kept) = things.stripe.ledgers.get_mut(ledger) else {
        return;
    };
    let mut deliveries = Vec::new();
    for id in events {
        let Some(kind) = kept.get(id).map(|event| text(event, "type").to_owned()) else {
            continue;
        };
        let listeners = listeners(world, kept, &kind);
        kept.edit(id, |event| {
            event["pending_webhooks"] = listeners.len().into();
        });
        let body = kept.get(id).map(Value::to_string).unwrap_or_default();
        for (url, secret) in listeners {
            let (ledger, event, body) = (ledger.to_owned(), id.clone(), body.clone());
            deliveries.push(Delivery {
                ledger,
                event,
                url,
                secret,
                body,
            });
        }
    }
    drop(things);
    for delivery in deliveries {
        let delivery = Arc::new(delivery);
        for _ in 0..times {
            tokio::spawn(deliver(Arc::clone(world), Arc::clone(&delivery)));
        }
    }
}

/// Addresses and secrets of those who want events of that kind.
fn listeners(world: &World, ledger: &Ledger, kind: &str) -> Vec<(String, String)> {
    let wants = |endpoint: &&Value| {
        let events = endpoint["enabled_events"].as_array();
        let is_wanted =
            events.is_some_and(|events| events.iter().any(|event| event == "*" || event == kind));
        text(endpoint, "status") == "enabled" && is_wanted
    };
    let made = ledger.named("we_").filter(wants).map(|endpoint| {
        let secret = ledger
            .lines(&secret_of(text(endpoint, "id")))
            .first()
            .and_then(Value::as_str);
        (
            text(endpoint, "url").to_owned(),
            secret.unwrap_or_default().to_owned(),
        )
    });
    let settings = &world.settings;
    let set = settings
        .stripe_webhook_url
        .as_ref()
        .map(|url| (url.clone(), settings.stripe_webhook_secret.clone()));
    made.chain(set).collect()
}

async fn deliver(world: Arc<World>, delivery: Arc<Delivery>) {
    for wait in WAITS {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        match post(&world, &delivery).await {
            Ok(()) => {
                if let Some(ledger) = world.things().stripe.ledgers.get_mut(&delivery.ledger) {
                    ledger.edit(&delivery.event, |event| {
                        let pending = event["pending_webhooks"].as_u64().unwrap_or_default();
                        event["pending_webhooks"] = pending.saturating_sub(1).into();
                    });
                }
                world.journal.tell();
                return;
            }
            Err(error) => {
                tracing::info!(event = delivery.event, "webhook not delivered: {error:#}");
            }
        }
    }
    tracing::warn!(event = delivery.event, "webhook given up");
}

/// Signed anew for each attempt; any 2xx is a receipt, a redirect is none.
async fn post(world: &World, delivery: &Delivery) -> anyhow::Result<()> {
    let signature = sign(&delivery.secret, world.now().as_second(), &delivery.body)?;
    let request = world
        .http
        .post(&delivery.url)
        .timeout(ANSWER_WITHIN)
        .header("content-type", "application/json; charset=utf-8")
        .header(
            "user-agent",
            "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        )
        .header("stripe-signature", signature)
        .body(delivery.body.clone());
    let status = request.send().await?.status();
    anyhow::ensure!(status.is_success(), "answered {status}");
    Ok(())
}

/// `t=…,v1=…`: HMAC-SHA256 over the time and the body (<https://docs.stripe.com/webhooks/signature>).
fn sign(secret: &str, time: i64, body: &str) -> anyhow::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(format!("{time}.{body}").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    Ok(format!("t={time},v1={signature}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_openssl_makes() {
        // printf '12345.{"a":1}' | openssl dgst -sha256 -hmac whsec_test
        let wanted = "6891b7a66b05b0e53771b0ad1be66a73fc29b6b3c4b4961ddb1efa062c8c05e9";
        assert_eq!(
            sign("whsec_test", 12345, r#"{"a":1}"#).unwrap(),
            format!("t=12345,v1={wanted}")
        );
    }
}
