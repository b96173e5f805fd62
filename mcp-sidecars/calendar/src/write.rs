//! What the tools that write have in common.

use mcp_kit::ToolError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use validator::ValidateEmail;

use crate::event::{Event, Resource};

/// Who is told by mail that something changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SendUpdates {
    /// Every guest.
    All,
    /// Guests without Google Calendar.
    ExternalOnly,
    /// Nobody.
    #[default]
    None,
}

impl SendUpdates {
    /// As Google spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::ExternalOnly => "externalOnly",
            Self::None => "none",
        }
    }
}

/// What a write came to.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Written {
    /// The event as it is now; none if it is cancelled or the call was a dry run of a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<Event>,
    /// It was done before: this call changed nothing.
    pub(crate) replayed: bool,
    /// In a dry run, what the call would do; nothing was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) would: Option<String>,
}

impl Written {
    pub(crate) fn done(event: &Resource) -> Self {
        Self {
            event: Some(event.to_event()),
            replayed: false,
            would: None,
        }
    }

    pub(crate) fn replayed(event: &Resource) -> Self {
        Self {
            replayed: true,
            ..Self::done(event)
        }
    }

    pub(crate) fn would(what: String, event: Option<&Resource>) -> Self {
        Self {
            event: event.map(Resource::to_event),
            replayed: false,
            would: Some(what),
        }
    }
}

/// Lower-case SHA-256 in hexadecimal of the parts, each told from its neighbours. Google takes these digits as an id, being
/// among those of base32hex.
pub(crate) fn digest(parts: &[&str]) -> String {
    let text = json!(parts).to_string();
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Refuses what is no address, naming its place.
pub(crate) fn check_emails(emails: &[String]) -> Result<(), ToolError> {
    let wrong = emails.iter().position(|email| !email.validate_email());
    wrong.map_or(Ok(()), |index| {
        let pointer = format!("/attendees/{index}");
        Err(ToolError::field(
            &pointer,
            "email",
            "must be an e-mail address",
        ))
    })
}

/// Refuses more guests than this server invites to one event.
pub(crate) fn check_count(count: usize, most: usize) -> Result<(), ToolError> {
    if count <= most {
        return Ok(());
    }
    let words = format!(
        "the event would have {count} guests; this server invites {most} at most (MAX_ATTENDEES)"
    );
    Err(ToolError::refused(words))
}

/// A property by which a repeated request is known, for the event's body.
pub(crate) fn marked(mut body: Value, property: &str, mark: &str) -> Value {
    body["extendedProperties"] = json!({ "private": { property: mark } });
    body
}

/// The messages that a write would send, in words.
pub(crate) fn messages(updates: SendUpdates, guests: usize) -> String {
    match updates {
        SendUpdates::None => "sending no messages".to_owned(),
        SendUpdates::All => format!("sending messages to {guests} guests"),
        SendUpdates::ExternalOnly => {
            "sending messages to guests without Google Calendar".to_owned()
        }
    }
}
