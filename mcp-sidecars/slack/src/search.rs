//! Whether a message with a key is there already.
//!
//! Slack promises nothing for `client_msg_id`: its reference does not list it, and its people say that it is for their own
//! clients. So each message carries its mark as metadata, and before a message with a key is posted, and after an attempt
//! whose outcome is unknown, the last day of the channel or thread is searched for it.

use std::time::Duration;

use mcp_kit::{Call, ToolError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{client::Argument, ledger::Mark, workspace::Workspace};

pub(crate) const EVENT_TYPE: &str = "event_planner_message";
const SEARCHED: i64 = 24 * 3600;
const PAGE: u32 = 200;
/// So that a busy channel does not cost a minute's requests: 1,000 messages.
const MOST_PAGES: usize = 5;
/// Slack may still be busy with what we did not hear the end of.
const SETTLE: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
struct Found {
    messages: Vec<Message>,
    #[serde(default)]
    response_metadata: Option<Next>,
}

#[derive(Deserialize)]
struct Message {
    ts: String,
    #[serde(default)]
    metadata: Value,
}

/// Slack's way to say where the next page begins; empty at the end.
#[derive(Debug, Deserialize, Default)]
pub(crate) struct Next {
    #[serde(default)]
    next_cursor: String,
}

impl Next {
    pub fn cursor(next: Option<Self>) -> Option<String> {
        next.map(|next| next.next_cursor)
            .filter(|cursor| !cursor.is_empty())
    }
}

/// What makes a message found again.
pub(crate) fn marked(mark: Option<&Mark>) -> Vec<Argument> {
    let Some(mark) = mark else {
        return Vec::new();
    };
    let payload = json!({ "id": mark.id.to_string(), "digest": mark.digest });
    let metadata = json!({ "event_type": EVENT_TYPE, "event_payload": payload });
    vec![("metadata", metadata.to_string())]
}

impl Workspace {
    /// The `ts` of the message with this mark, looked for in the channel or thread.
    ///
    /// # Errors
    /// INVALID if it has another text; whatever keeps Slack from answering.
    pub async fn find(
        &self,
        call: &Call,
        channel: &str,
        thread: Option<&str>,
        mark: &Mark,
    ) -> Result<Option<String>, ToolError> {
        let oldest = (Self::now() - SEARCHED).to_string();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let mut arguments = vec![
                ("channel", channel.to_owned()),
                ("oldest", oldest.clone()),
                ("limit", PAGE.to_string()),
                ("include_all_metadata", "true".to_owned()),
            ];
            arguments.extend(cursor.map(|cursor| ("cursor", cursor)));
            arguments.extend(thread.map(|ts| ("ts", ts.to_owned())));
            let method = if thread.is_some() {
                "conversations.replies"
            } else {
                "conversations.history"
            };
            let found: Found = self.slack.read(call, method, arguments).await?;
            for message in &found.messages {
                let payload = &message.metadata["event_payload"];
                if message.metadata["event_type"] == EVENT_TYPE
                    && payload["id"] == mark.id.to_string()
                {
                    mark.check(payload["digest"].as_str().unwrap_or_default())?;
                    return Ok(Some(message.ts.clone()));
                }
            }
            cursor = Next::cursor(found.response_metadata);
            if cursor.is_none() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Slack takes replies to messages that do not exist, and nobody ever sees them: so it is asked before.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such message.
    pub async fn check_thread(
        &self,
        call: &Call,
        channel: &str,
        thread: Option<&str>,
    ) -> Result<(), ToolError> {
        let Some(ts) = thread else {
            return Ok(());
        };
        let arguments = vec![
            ("channel", channel.to_owned()),
            ("ts", ts.to_owned()),
            ("limit", "1".to_owned()),
        ];
        let asked = self
            .slack
            .read::<Found>(call, "conversations.replies", arguments);
        asked.await.map(drop)
    }

    /// As [`find`](Self::find), a moment after an attempt whose outcome is unknown.
    pub async fn find_after(
        &self,
        call: &Call,
        channel: &str,
        thread: Option<&str>,
        mark: &Mark,
    ) -> Result<Option<String>, ToolError> {
        tokio::time::sleep(SETTLE).await;
        self.find(call, channel, thread, mark).await
    }
}
