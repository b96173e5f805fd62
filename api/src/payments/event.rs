//! What Stripe's events say of a payment (<https://docs.stripe.com/api/events/types>).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::facts::{Dispute, Facts};

/// The part of an event that is kept: nothing of the payer.
#[derive(Debug, Serialize, Deserialize)]
pub struct StripeEvent {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// The connected account that it is about; none for our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// None where the kind says nothing about payments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<StripeObject>,
}

/// A session, payment intent, charge, refund or dispute, as far as we look at it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StripeObject {
    pub id: String,
    pub status: Option<String>,
    pub payment_status: Option<String>,
    pub payment_intent: Option<String>,
    pub amount: Option<i64>,
    pub amount_total: Option<i64>,
    pub amount_received: Option<i64>,
    pub amount_captured: Option<i64>,
    pub amount_refunded: Option<i64>,
    pub currency: Option<String>,
    pub metadata: Metadata,
}

/// What the sidecar made Stripe keep for us.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    pub organization_id: Option<String>,
    pub payment_id: Option<String>,
}

/// What an event means for its payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// These facts.
    Facts(Facts),
    /// Something changed that the event alone does not tell: Stripe has to be asked.
    Ask,
    /// Nothing.
    Nothing,
}

impl StripeEvent {
    /// None if it is no event.
    pub fn read(body: &[u8]) -> Option<Self> {
        let mut event: Value = serde_json::from_slice(body).ok()?;
        let object = event.pointer_mut("/data/object")?.take();
        // Its own `object` is the word `event`.
        event.as_object_mut()?.remove("object");
        let mut event: Self = serde_json::from_value(event).ok()?;
        if is_known(&event.kind) {
            event.object = Some(serde_json::from_value(object).ok()?);
        }
        Some(event)
    }

    /// Whether there is anything to do.
    pub fn is_ours(&self) -> bool {
        // Payments are made in the installation's own account; what a connected one says of itself moves nothing here.
        self.object.is_some() && self.account.is_none()
    }

    /// The organization that our reference names, if it is one.
    pub fn organization_id(&self) -> Option<Uuid> {
        let metadata = &self.object.as_ref()?.metadata;
        metadata.organization_id.as_deref()?.parse().ok()
    }

    /// The payment intent, but for a session that has none yet.
    pub fn intent_id(&self) -> Option<&str> {
        let object = self.object.as_ref()?;
        if self.kind.starts_with("payment_intent.") {
            return Some(&object.id);
        }
        object.payment_intent.as_deref()
    }

    pub fn session_id(&self) -> Option<&str> {
        let is_session = self.kind.starts_with("checkout.session.");
        self.object
            .as_ref()
            .filter(|_| is_session)
            .map(|object| object.id.as_str())
    }

    /// The amount that the whole payment was for, where the event tells it.
    pub fn total(&self) -> Option<i64> {
        let object = self.object.as_ref()?;
        match self.kind.split_once('.').map_or("", |(thing, _)| thing) {
            "checkout" => object.amount_total,
            "payment_intent" => object.amount,
            // Of a dispute or a refund it is the part that is disputed or given back.
            "charge"
                if !self.kind.starts_with("charge.dispute.") && self.kind != REFUND_UPDATED =>
            {
                object.amount
            }
            _ => None,
        }
    }

    pub fn meaning(&self) -> Meaning {
        let Some(object) = &self.object else {
            return Meaning::Nothing;
        };
        let nothing_known = Facts::default();
        Meaning::Facts(match self.kind.as_str() {
            "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
                if object.payment_status.as_deref() == Some("paid") {
                    let paid = object.amount_total.unwrap_or_default();
                    Facts {
                        paid,
                        ..nothing_known
                    }
                } else {
                    Facts {
                        is_processing: true,
                        ..nothing_known
                    }
                }
            }
            "checkout.session.async_payment_failed" => Facts {
                has_failed: true,
                ..nothing_known
            },
            // An intent ends by itself with the session whose it is; what we cancel we know ourselves.
            "checkout.session.expired" | "payment_intent.canceled" => Facts {
                has_expired: true,
                ..nothing_known
            },
            "payment_intent.processing" => Facts {
                is_processing: true,
                ..nothing_known
            },
            "payment_intent.succeeded" => Facts {
                paid: object.amount_received.unwrap_or_default(),
                ..nothing_known
            },
            "charge.refunded" => Facts {
                paid: object.amount_captured.unwrap_or_default(),
                refunded: object.amount_refunded.unwrap_or_default(),
                ..nothing_known
            },
            kind if kind.starts_with("charge.dispute.") => Facts {
                dispute: Some(match object.status.as_deref() {
                    Some("won" | "warning_closed" | "prevented") => Dispute::Won,
                    Some("lost") => Dispute::Lost,
                    _ => Dispute::Open,
                }),
                disputed: object.amount.unwrap_or_default(),
                ..nothing_known
            },
            // A refund that fails after all makes what was given back less.
            REFUND_UPDATED | "refund.updated" | "refund.failed" => return Meaning::Ask,
            // A declined card is not the end: the payer may take another until the page closes.
            _ => return Meaning::Nothing,
        })
    }
}

const REFUND_UPDATED: &str = "charge.refund.updated";

fn is_known(kind: &str) -> bool {
    kind.starts_with("charge.dispute.")
        || [
            "checkout.session.completed",
            "checkout.session.async_payment_succeeded",
            "checkout.session.async_payment_failed",
            "checkout.session.expired",
            "payment_intent.processing",
            "payment_intent.succeeded",
            "payment_intent.canceled",
            "charge.refunded",
            REFUND_UPDATED,
            "refund.updated",
            "refund.failed",
        ]
        .contains(&kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::payments::PaymentStatus;

    fn event(kind: &str, object: Value) -> StripeEvent {
        let mut body = json!({"id": "evt_1", "object": "event", "type": kind});
        body["data"]["object"] = object;
        StripeEvent::read(body.to_string().as_bytes()).unwrap()
    }

    /// A payment that is paid by a slow bank, given back in part, then in full.
    fn life() -> Vec<StripeEvent> {
        let session = json!({"id": "cs_1", "payment_status": "unpaid", "amount_total": 500});
        let charge = |back| json!({"id": "ch_1", "amount": 500, "amount_captured": 500, "amount_refunded": back});
        vec![
            event("checkout.session.completed", session),
            event(
                "payment_intent.processing",
                json!({"id": "pi_1", "amount": 500}),
            ),
            event(
                "payment_intent.succeeded",
                json!({"id": "pi_1", "amount": 500, "amount_received": 500}),
            ),
            event("charge.refunded", charge(200)),
            event("charge.refunded", charge(500)),
        ]
    }

    fn permutations(items: usize) -> Vec<Vec<usize>> {
        if items == 0 {
            return vec![Vec::new()];
        }
        let shorter = permutations(items - 1);
        let longer = shorter.iter().flat_map(|order| {
            (0..=order.len()).map(|at| {
                let mut order = order.clone();
                order.insert(at, items - 1);
                order
            })
        });
        longer.collect()
    }

    #[test]
    fn all_orders_of_five_events_with_repeats_end_in_one_state() {
        let life = life();
        let told = |order: &[usize]| {
            order.iter().fold(Facts::default(), |known, index| {
                match life[*index].meaning() {
                    Meaning::Facts(facts) => known.join(facts),
                    other => panic!("{other:?}"),
                }
            })
        };
        let end = told(&[0, 1, 2, 3, 4]);
        assert_eq!(
            (end.status(), end.given_back()),
            (PaymentStatus::Refunded, 500)
        );
        let orders = permutations(5);
        assert_eq!(orders.len(), 120);
        for order in &orders {
            for again in &orders {
                let twice: Vec<_> = order.iter().chain(again).copied().collect();
                assert_eq!(told(&twice), end, "{twice:?}");
            }
        }
    }

    #[test]
    fn a_declined_card_is_not_the_end() {
        let declined = event("payment_intent.payment_failed", json!({"id": "pi_1"}));
        assert!(!declined.is_ours());
        assert_eq!(declined.meaning(), Meaning::Nothing);
    }

    #[test]
    fn nothing_of_the_payer_is_kept() {
        let session = json!({
            "id": "cs_1", "customer_details": {"email": "guest@example.com"}, "metadata": {"organization_id": "x", "note": "guest"},
        });
        let kept = serde_json::to_string(&event("checkout.session.completed", session)).unwrap();
        assert!(!kept.contains("guest"), "{kept}");
    }

    #[test]
    fn unknown_kinds_and_shapes_are_taken_in_and_ignored() {
        let odd = event("balance.available", json!({"status": 7}));
        assert!(!odd.is_ours());
        assert!(StripeEvent::read(b"[]").is_none());
        assert!(StripeEvent::read(b"").is_none());
    }
}
