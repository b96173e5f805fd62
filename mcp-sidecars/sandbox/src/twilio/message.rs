//! A message as Twilio keeps and shows it.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ACCOUNT, numbers};

/// One SMS, outgoing or incoming.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) sid: String,
    pub(super) status: Status,
    pub(super) is_inbound: bool,
    /// Unknown until a messaging service has chosen the sender.
    pub(super) from: Option<String>,
    pub(super) to: String,
    pub(super) body: String,
    pub(super) service: Option<String>,
    pub(super) media: Vec<String>,
    pub(super) callback: Option<String>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) sent: Option<Timestamp>,
    pub(super) send_at: Option<Timestamp>,
    pub(super) segments: usize,
    pub(super) error: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Accepted,
    Scheduled,
    Queued,
    Sending,
    Sent,
    Delivered,
    Undelivered,
    Failed,
    Canceled,
    Received,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Received => "received",
        }
    }

    /// Whether Twilio would refuse to delete or redact it.
    pub(super) fn is_under_way(self) -> bool {
        matches!(
            self,
            Self::Accepted | Self::Scheduled | Self::Queued | Self::Sending
        )
    }
}

impl Message {
    /// The resource, as in `GET …/Messages/{sid}.json`.
    pub(super) fn json(&self) -> Value {
        let uri = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{}", self.sid);
        let is_priced = self.sent.is_some() && !self.is_inbound;
        json!({
            "account_sid": ACCOUNT,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": rfc2822(self.created),
            "date_sent": self.sent.map(rfc2822),
            "date_updated": rfc2822(self.updated),
            "direction": if self.is_inbound { "inbound" } else { "outbound-api" },
            "error_code": self.error,
            "error_message": self.error.map(numbers::error_message),
            "from": self.from,
            "messaging_service_sid": self.service,
            "num_media": self.media.len().to_string(),
            "num_segments": self.shown_segments().to_string(),
            "price": is_priced.then(|| price(self.segments)),
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status.as_str(),
            "subresource_uris": { "media": format!("{uri}/Media.json") },
            "tags": null,
            "to": self.to,
            "uri": format!("{uri}.json"),
        })
    }

    /// A messaging service does not know before it has a sender.
    fn shown_segments(&self) -> usize {
        if self.from.is_none() {
            0
        } else {
            self.segments
        }
    }

    /// For the page.
    pub(super) fn time(&self) -> String {
        self.created.strftime("%H:%M:%S").to_string()
    }

    /// For the page.
    pub(super) fn sender(&self) -> &str {
        self.from.as_deref().unwrap_or("messaging service")
    }
}

/// USD, negative because it is taken from the balance: 0.0083 a segment.
fn price(segments: usize) -> String {
    let tenthousandths = segments * 83;
    format!(
        "-{}.{:04}0",
        tenthousandths / 10_000,
        tenthousandths % 10_000
    )
}

fn rfc2822(time: Timestamp) -> Option<String> {
    jiff::fmt::rfc2822::to_string(&time.to_zoned(TimeZone::UTC)).ok()
}
