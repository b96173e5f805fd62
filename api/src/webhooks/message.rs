//! What a webhook says: `{type, timestamp, data}`, 20 kB at most.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// Longest body, in bytes, as the standard advises.
const LONGEST: usize = 20_000;

#[derive(Debug, Serialize)]
pub struct Message<'a> {
    #[serde(rename = "type")]
    pub event_type: &'a str,
    /// When it happened.
    pub timestamp: Timestamp,
    pub data: Data<'a>,
}

#[derive(Debug, Serialize)]
pub struct Data<'a> {
    pub organization_id: Uuid,
    /// What it happened to, e.g. `event`.
    #[serde(rename = "type")]
    pub subject_type: &'a str,
    pub id: Uuid,
    /// The thing after the change, as its own route shows it; null when it is gone.
    pub object: Option<&'a Value>,
    /// It was too large for a message: read it by its id.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl Message<'_> {
    /// The same bytes for every attempt.
    ///
    /// # Errors
    /// None: all of it has a JSON form.
    pub fn into_body(mut self) -> serde_json::Result<Vec<u8>> {
        let whole = serde_json::to_vec(&self)?;
        if whole.len() <= LONGEST {
            return Ok(whole);
        }
        self.data.object = None;
        self.data.truncated = true;
        serde_json::to_vec(&self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(object: &Value) -> Vec<u8> {
        let data = Data {
            organization_id: Uuid::nil(),
            subject_type: "event",
            id: Uuid::nil(),
            object: Some(object),
            truncated: false,
        };
        let timestamp = Timestamp::UNIX_EPOCH;
        let message = Message {
            event_type: "event.updated",
            timestamp,
            data,
        };
        message.into_body().unwrap()
    }

    #[test]
    fn what_is_too_large_is_cut_to_its_ids() {
        let small = body(&json!({"title": "x".repeat(10_000)}));
        assert!(small.len() > 10_000);
        let large = body(&json!({"title": "x".repeat(20_000)}));
        let message: Value = serde_json::from_slice(&large).unwrap();
        assert_eq!(
            message["data"],
            json!({"organization_id": Uuid::nil(), "type": "event", "id": Uuid::nil(), "object": null, "truncated": true})
        );
    }
}
