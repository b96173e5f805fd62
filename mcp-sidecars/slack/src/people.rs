//! The people of the workspace, and reactions.

use std::sync::Arc;

use mcp_kit::{Call, Limit, Page, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use validator::{Validate, ValidationError};

use crate::{error::provider_code, messages::timestamp, search::Next, workspace::Workspace};

#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListUsers {
    /// At most so many on a page; who left is not shown, so there may be fewer and still a next page.
    #[serde(default)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[validate(length(min = 1, max = 500))]
    cursor: Option<String>,
}

/// No more of a person than it takes to name them.
#[derive(Serialize, JsonSchema)]
pub(crate) struct User {
    /// For mentions (`<@U…>`) and invitations.
    id: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    real_name: String,
    is_bot: bool,
    /// Only where `SHOW_EMAIL` is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    members: Vec<Raw>,
    #[serde(default)]
    response_metadata: Option<Next>,
}

#[derive(Deserialize)]
struct Raw {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    is_bot: bool,
    #[serde(default)]
    profile: Profile,
}

#[derive(Deserialize, Default)]
struct Profile {
    #[serde(default)]
    real_name: String,
    #[serde(default)]
    display_name: String,
    email: Option<String>,
}

pub(crate) async fn list_users(
    workspace: Arc<Workspace>,
    call: Call,
    arguments: ListUsers,
) -> Result<Page<User>, ToolError> {
    let mut asked = vec![("limit", arguments.limit.get().to_string())];
    asked.extend(arguments.cursor.map(|cursor| ("cursor", cursor)));
    let listed: Listed = workspace.slack.read(&call, "users.list", asked).await?;
    let present = listed.members.into_iter().filter(|user| !user.deleted);
    let items = present.map(|user| User {
        id: user.id,
        name: if user.profile.display_name.is_empty() {
            user.name
        } else {
            user.profile.display_name
        },
        real_name: user.profile.real_name,
        is_bot: user.is_bot,
        email: user.profile.email.filter(|_| workspace.settings.show_email),
    });
    Ok(Page {
        items: items.collect(),
        next_cursor: Next::cursor(listed.response_metadata),
    })
}

#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddReaction {
    /// Id (`C…`) or name of the channel.
    #[validate(length(min = 1, max = 100))]
    channel: String,
    /// `ts` of the message.
    #[validate(custom(function = "timestamp"))]
    ts: String,
    /// Name of the emoji without colons, such as `tada` or `thumbsup`.
    #[validate(length(min = 1, max = 100), custom(function = "emoji"))]
    emoji: String,
    /// Any text, unique for this reaction; a second time adds nothing with it or without.
    #[validate(length(min = 1, max = 200))]
    idempotency_key: Option<String>,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Reacted {
    channel_id: String,
    ts: String,
    emoji: String,
    /// The reaction was there already.
    replayed: bool,
    dry_run: bool,
}

fn emoji(name: &str) -> Result<(), ValidationError> {
    let is_plain =
        |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "_-+:'".contains(char);
    if name.chars().all(is_plain) && !name.starts_with(':') && !name.ends_with(':') {
        return Ok(());
    }
    Err(ValidationError::new("emoji").with_message("the name without colons, such as tada".into()))
}

pub(crate) async fn add_reaction(
    workspace: Arc<Workspace>,
    call: Call,
    arguments: AddReaction,
) -> Result<Reacted, ToolError> {
    let channel = workspace.channel(&call, &arguments.channel).await?;
    let mut reacted = Reacted {
        channel_id: channel.id.clone(),
        ts: arguments.ts.clone(),
        emoji: arguments.emoji.clone(),
        replayed: false,
        dry_run: arguments.dry_run,
    };
    if arguments.dry_run {
        return Ok(reacted);
    }
    let key = arguments.idempotency_key.as_deref();
    let work = async |_| {
        let fields = vec![
            ("channel", channel.id),
            ("timestamp", arguments.ts.clone()),
            ("name", arguments.emoji.clone()),
        ];
        match workspace
            .slack
            .set::<Value>(&call, "reactions.add", fields)
            .await
        {
            Ok(_) => Ok(reacted),
            Err(error) if provider_code(&error) == Some("already_reacted") => {
                reacted.replayed = true;
                Ok(reacted)
            }
            Err(error) => Err(error),
        }
    };
    workspace
        .ledger
        .once(&call, "add_reaction", key, &arguments, work)
        .await
}
