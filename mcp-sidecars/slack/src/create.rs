//! New channels.

use std::sync::Arc;

use mcp_kit::{Call, Code, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use validator::{Validate, ValidationError};

use crate::{
    channels::{Channel, One},
    error::provider_code,
    ledger::Turn,
    text::is_user_id,
    workspace::Workspace,
};

/// A channel as old as that was not created by a call that is repeated now.
const DAY: i64 = 24 * 3600;

#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateChannel {
    /// Letters in lower case, digits, `-` and `_`; unique in the workspace for ever.
    #[validate(length(min = 1, max = 80), custom(function = "channel_name"))]
    name: String,
    /// Only people who are invited see it.
    #[serde(default)]
    is_private: bool,
    /// What the channel is for, at most 250 characters.
    #[validate(length(min = 1, max = 250))]
    topic: Option<String>,
    /// Ids of people (`U…`) to invite.
    #[serde(default)]
    #[validate(length(max = 100), custom(function = "user_ids"))]
    invite: Vec<String>,
    /// Any text, unique for this channel; the same call with it again creates nothing more.
    #[validate(length(min = 1, max = 200))]
    idempotency_key: Option<String>,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct CreatedChannel {
    /// Missing in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel_id: Option<String>,
    name: String,
    is_private: bool,
    /// It was there from an earlier call with this key.
    replayed: bool,
    dry_run: bool,
}

fn channel_name(name: &str) -> Result<(), ValidationError> {
    let is_plain =
        |char: char| char.is_alphanumeric() && !char.is_uppercase() || matches!(char, '-' | '_');
    if name.chars().all(is_plain) && name.chars().any(char::is_alphanumeric) {
        return Ok(());
    }
    Err(ValidationError::new("channel_name")
        .with_message("lower-case letters, digits, - and _ only, such as summer-fair-2027".into()))
}

fn user_ids(ids: &[String]) -> Result<(), ValidationError> {
    if ids.iter().all(|id| is_user_id(id)) {
        return Ok(());
    }
    Err(ValidationError::new("user_id")
        .with_message("ids such as U0123ABCDEF, see list_users".into()))
}

pub(crate) async fn create_channel(
    workspace: Arc<Workspace>,
    call: Call,
    arguments: CreateChannel,
) -> Result<CreatedChannel, ToolError> {
    if !workspace.directory.allows_name(&arguments.name) {
        return Err(ToolError::refused(
            "a channel of this name is not among the ALLOWED_CHANNELS",
        ));
    }
    let mut created = CreatedChannel {
        channel_id: None,
        name: arguments.name.clone(),
        is_private: arguments.is_private,
        replayed: false,
        dry_run: arguments.dry_run,
    };
    if arguments.dry_run {
        return Ok(created);
    }
    let key = arguments.idempotency_key.as_deref();
    let work = async |turn: Turn| {
        let (channel, is_new) = workspace.create(&call, &arguments, &turn).await?;
        workspace.furnish(&call, &channel.id, &arguments).await?;
        created.replayed = !is_new;
        created.channel_id = Some(channel.id);
        Ok(created)
    };
    workspace
        .ledger
        .once(&call, "create_channel", key, &arguments, work)
        .await
}

impl Workspace {
    /// The new channel, or the one that an earlier attempt made.
    async fn create(
        &self,
        call: &Call,
        wanted: &CreateChannel,
        turn: &Turn,
    ) -> Result<(Channel, bool), ToolError> {
        let arguments = vec![
            ("name", wanted.name.clone()),
            ("is_private", wanted.is_private.to_string()),
        ];
        // Names are unique, so that a second attempt creates nothing.
        match self
            .slack
            .write::<One>(call, "conversations.create", arguments)
            .await
        {
            Ok(made) => Ok((made.channel, true)),
            Err(error) if turn.mark.is_some() && provider_code(&error) == Some("name_taken") => {
                let me: Value = self.slack.read(call, "auth.test", Vec::new()).await?;
                let found = self.own_channel(call, &wanted.name).await?;
                let found = found.filter(|found| {
                    me["user_id"] == found.creator.as_str()
                        && found.is_private == wanted.is_private
                        && found.created > Self::now() - DAY
                });
                found.map(|found| (found, false)).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Topic and people; both can be done twice.
    async fn furnish(
        &self,
        call: &Call,
        channel: &str,
        wanted: &CreateChannel,
    ) -> Result<(), ToolError> {
        if let Some(topic) = &wanted.topic {
            let arguments = vec![("channel", channel.to_owned()), ("topic", topic.clone())];
            self.slack
                .set::<Value>(call, "conversations.setTopic", arguments)
                .await?;
        }
        for user in &wanted.invite {
            let arguments = vec![("channel", channel.to_owned()), ("users", user.clone())];
            let invited = self
                .slack
                .set::<Value>(call, "conversations.invite", arguments)
                .await;
            match invited {
                Err(error) if provider_code(&error) == Some("already_in_channel") => {}
                Err(error) if error.code == Code::NotFound => {
                    return Err(ToolError::field("/invite", "unknown", "nobody has this id"));
                }
                other => drop(other?),
            }
        }
        Ok(())
    }
}
