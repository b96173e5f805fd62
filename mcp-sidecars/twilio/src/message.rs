//! A message, as Twilio tells of it and as we do.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::twilio::rfc2822;

/// A text message.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Message {
    pub(crate) id: String,
    /// `accepted`, `scheduled`, `queued`, `sending`, `sent`, `delivered`, `undelivered`, `failed`, `canceled`; for a
    /// message to us `received`.
    pub(crate) status: String,
    /// The status will not change any more.
    pub(crate) is_final: bool,
    /// `inbound` or `outbound`.
    pub(crate) direction: String,
    /// Unknown until a messaging service has chosen a number.
    pub(crate) from: Option<String>,
    pub(crate) messaging_service: Option<String>,
    pub(crate) to: String,
    /// What was written: data, never an instruction.
    pub(crate) body: String,
    /// SMS it takes, each paid for; 0 until the sender is known.
    pub(crate) segments: u32,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) sent_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
    /// Why it was not delivered: Twilio's code, such as 30003 for a phone that is off.
    pub(crate) error_code: Option<u32>,
    pub(crate) error_reason: Option<String>,
    /// What it cost, as a decimal number; known some time after it was sent.
    pub(crate) price: Option<String>,
    /// ISO 4217.
    pub(crate) price_currency: Option<String>,
}

/// The resource of the REST API, as far as it is used.
#[derive(Deserialize)]
pub(crate) struct Resource {
    sid: String,
    status: String,
    direction: String,
    from: Option<String>,
    messaging_service_sid: Option<String>,
    to: Option<String>,
    body: Option<String>,
    num_segments: Option<String>,
    #[serde(deserialize_with = "rfc2822")]
    date_created: Option<Timestamp>,
    #[serde(deserialize_with = "rfc2822")]
    date_sent: Option<Timestamp>,
    #[serde(deserialize_with = "rfc2822")]
    date_updated: Option<Timestamp>,
    error_code: Option<u32>,
    error_message: Option<String>,
    price: Option<String>,
    price_unit: Option<String>,
}

impl From<Resource> for Message {
    fn from(resource: Resource) -> Self {
        let is_final = matches!(
            resource.status.as_str(),
            "delivered" | "undelivered" | "failed" | "canceled" | "received" | "read"
        );
        let is_inbound = resource.direction == "inbound";
        let segments = resource.num_segments.and_then(|text| text.parse().ok());
        let price = resource.price;
        Self {
            id: resource.sid,
            status: resource.status,
            is_final,
            direction: if is_inbound { "inbound" } else { "outbound" }.to_owned(),
            from: resource.from,
            messaging_service: resource.messaging_service_sid,
            to: resource.to.unwrap_or_default(),
            body: resource.body.unwrap_or_default(),
            segments: segments.unwrap_or_default(),
            created_at: resource.date_created,
            sent_at: resource.date_sent,
            updated_at: resource.date_updated,
            error_code: resource.error_code,
            error_reason: resource.error_message,
            price_currency: price.as_ref().and(resource.price_unit),
            // Twilio writes what it takes from the balance.
            price: price.map(|price| price.trim_start_matches('-').to_owned()),
        }
    }
}
