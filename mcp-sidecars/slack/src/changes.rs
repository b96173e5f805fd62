//! Messages changed and deleted.

use std::sync::Arc;

use mcp_kit::{Call, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use validator::{Validate, ValidationError};

use crate::{
    error::{is_unknown, provider_code},
    ledger::Turn,
    messages::{Written, timestamp, written_plainly},
    text::{incoming, outgoing},
    workspace::Workspace,
};

/// Slack does not change longer ones.
const LONGEST_UPDATE: usize = 4_000;

#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateMessage {
    /// Id (`C…`) or name of the channel.
    #[validate(length(min = 1, max = 100))]
    channel: String,
    /// `ts` of the message, such as 1503435956.000247.
    #[validate(custom(function = "timestamp"))]
    ts: String,
    /// The new text, as in `post_message`, at most 4,000 characters.
    #[validate(length(min = 1, max = 4_000))]
    text: String,
    /// Any text, unique for this change.
    #[validate(length(min = 1, max = 200))]
    idempotency_key: Option<String>,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "one_message"))]
pub(crate) struct DeleteMessage {
    /// Id (`C…`) or name of the channel.
    #[validate(length(min = 1, max = 100))]
    channel: String,
    /// `ts` of a posted message; give this or `scheduled_message_id`.
    #[validate(custom(function = "timestamp"))]
    ts: Option<String>,
    /// From `schedule_message`; can be taken back until a minute before it is posted.
    #[validate(length(min = 1, max = 50))]
    scheduled_message_id: Option<String>,
    /// Any text, unique for this deletion; with it, a message that an earlier attempt deleted is no error.
    #[validate(length(min = 1, max = 200))]
    idempotency_key: Option<String>,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Deletion {
    channel_id: String,
    /// False in a dry run.
    deleted: bool,
    /// It was gone already, by an earlier call with this key.
    replayed: bool,
    dry_run: bool,
}

fn one_message(arguments: &DeleteMessage) -> Result<(), ValidationError> {
    if arguments.ts.is_some() != arguments.scheduled_message_id.is_some() {
        return Ok(());
    }
    Err(ValidationError::new("one_of")
        .with_message("give ts or scheduled_message_id, one of them".into()))
}

pub(crate) async fn update_message(
    workspace: Arc<Workspace>,
    call: Call,
    arguments: UpdateMessage,
) -> Result<Written, ToolError> {
    let text = outgoing(&workspace.settings, &arguments.text, false)?;
    if text.chars().count() > LONGEST_UPDATE {
        let detail = "more than 4,000 characters as Slack counts them (& < > count 4 or 5)";
        return Err(ToolError::field("/text", "length", detail));
    }
    let channel = workspace.channel(&call, &arguments.channel).await?;
    let mut written = Written {
        channel_id: channel.id.clone(),
        channel_name: channel.name,
        ts: None,
        thread_ts: None,
        text: incoming(&text),
        replayed: false,
        dry_run: arguments.dry_run,
    };
    if arguments.dry_run {
        return Ok(written);
    }
    let key = arguments.idempotency_key.as_deref();
    let work = async |_| {
        let mut fields = written_plainly(&channel.id, &text);
        fields.push(("ts", arguments.ts.clone()));
        // The same text twice is the same message.
        workspace
            .slack
            .set::<Value>(&call, "chat.update", fields)
            .await?;
        written.ts = Some(arguments.ts.clone());
        Ok(written)
    };
    workspace
        .ledger
        .once(&call, "update_message", key, &arguments, work)
        .await
}

pub(crate) async fn delete_message(
    workspace: Arc<Workspace>,
    call: Call,
    arguments: DeleteMessage,
) -> Result<Deletion, ToolError> {
    let channel = workspace.channel(&call, &arguments.channel).await?;
    let mut deleted = Deletion {
        channel_id: channel.id.clone(),
        deleted: !arguments.dry_run,
        replayed: false,
        dry_run: arguments.dry_run,
    };
    if arguments.dry_run {
        return Ok(deleted);
    }
    let (method, id) = match (&arguments.ts, &arguments.scheduled_message_id) {
        (Some(ts), _) => ("chat.delete", ("ts", ts.clone())),
        (None, id) => {
            let id = id.clone().unwrap_or_default();
            ("chat.deleteScheduledMessage", ("scheduled_message_id", id))
        }
    };
    let key = arguments.idempotency_key.as_deref();
    let work = async |turn: Turn| {
        let fields = || vec![("channel", channel.id.clone()), id.clone()];
        let first = workspace
            .slack
            .write::<Value>(&call, method, fields())
            .await;
        let (ended, may_be_done) = match first {
            Err(error) if is_unknown(&error) => (
                workspace
                    .slack
                    .write::<Value>(&call, method, fields())
                    .await,
                true,
            ),
            known => (known, turn.may_be_done),
        };
        match ended {
            Ok(_) => Ok(deleted),
            Err(error) if may_be_done && is_gone(&error) => {
                deleted.replayed = turn.may_be_done;
                Ok(deleted)
            }
            Err(error) => Err(error),
        }
    };
    workspace
        .ledger
        .once(&call, "delete_message", key, &arguments, work)
        .await
}

fn is_gone(error: &ToolError) -> bool {
    matches!(
        provider_code(error),
        Some("message_not_found" | "invalid_scheduled_message_id")
    )
}
