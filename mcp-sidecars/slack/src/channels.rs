//! Channels: which may be used, and the list.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mcp_kit::{Call, Limit, Page, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use validator::Validate;

use crate::{search::Next, text::incoming, workspace::Workspace};

const BOTH: &str = "public_channel,private_channel";
const KEPT: Duration = Duration::from_mins(1);
const MOST_KEPT: usize = 1_000;
const MOST_PAGES: usize = 10;

/// By account and by what the caller wrote.
type Known = HashMap<(Arc<str>, String), (Instant, Channel)>;

/// Which channels may be used, and which id a name has had in the last minute.
pub(crate) struct Directory {
    /// Ids and names, in lower case.
    allowed: Vec<String>,
    known: Mutex<Known>,
}

/// What we read of a channel.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Channel {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub is_private: bool,
    #[serde(default)]
    pub is_archived: bool,
    #[serde(default)]
    pub is_member: bool,
    #[serde(default)]
    pub created: i64,
    #[serde(default)]
    pub creator: String,
    #[serde(default)]
    num_members: Option<u32>,
    #[serde(default)]
    topic: Option<Topic>,
}

#[derive(Debug, Clone, Deserialize)]
struct Topic {
    value: String,
}

#[derive(Deserialize)]
struct Listed {
    channels: Vec<Channel>,
    #[serde(default)]
    response_metadata: Option<Next>,
}

#[derive(Deserialize)]
pub(crate) struct One {
    pub channel: Channel,
}

impl Directory {
    pub fn new(allowed: &[String]) -> Self {
        let plain = |entry: &String| entry.trim().trim_start_matches('#').to_lowercase();
        Self {
            allowed: allowed
                .iter()
                .map(plain)
                .filter(|entry| !entry.is_empty())
                .collect(),
            known: Mutex::default(),
        }
    }

    /// Whether a new channel of that name could be used.
    pub fn allows_name(&self, name: &str) -> bool {
        self.allowed.is_empty() || self.allowed.iter().any(|entry| entry == name)
    }

    fn is_allowed(&self, channel: &Channel) -> bool {
        let (id, name) = (channel.id.to_lowercase(), channel.name.to_lowercase());
        self.allowed.is_empty()
            || self
                .allowed
                .iter()
                .any(|entry| *entry == id || *entry == name)
    }

    fn recall(&self, key: &(Arc<str>, String)) -> Option<Channel> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, channel) = known.get(key)?;
        (at.elapsed() < KEPT).then(|| channel.clone())
    }

    fn keep(&self, key: (Arc<str>, String), channel: &Channel) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KEPT {
            known.clear();
        }
        known.insert(key, (Instant::now(), channel.clone()));
    }
}

impl Workspace {
    /// The channel of that id or name, if it may be used. The limits hold for the channel that is found, so that neither
    /// its name nor its id leads around them.
    ///
    /// # Errors
    /// `NOT_FOUND`, or REFUSED for one that is not allowed or where the bot is no member.
    pub async fn channel(&self, call: &Call, wanted: &str) -> Result<Channel, ToolError> {
        let wanted = wanted.trim().trim_start_matches('#');
        let account = call
            .account
            .as_ref()
            .map_or_else(|| "".into(), |account| Arc::clone(&account.id));
        let key = (account, wanted.to_owned());
        if let Some(known) = self.directory.recall(&key) {
            return Ok(known);
        }
        let channel = if is_channel_id(wanted) {
            let arguments = vec![("channel", wanted.to_owned())];
            self.slack
                .read::<One>(call, "conversations.info", arguments)
                .await?
                .channel
        } else {
            self.own_channel(call, &wanted.to_lowercase()).await?.ok_or_else(|| {
                ToolError::not_found("no channel of this name among those that the bot is a member of; see list_channels")
            })?
        };
        if !self.directory.is_allowed(&channel) {
            return Err(ToolError::refused(
                "this channel is not among the ALLOWED_CHANNELS",
            ));
        }
        if !channel.is_member {
            return Err(ToolError::refused(
                "the bot is not a member of this channel; invite it first",
            ));
        }
        self.directory.keep(key, &channel);
        Ok(channel)
    }

    /// A channel that the bot is a member of, by name.
    pub async fn own_channel(&self, call: &Call, name: &str) -> Result<Option<Channel>, ToolError> {
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let mut arguments = vec![
                ("types", BOTH.to_owned()),
                ("exclude_archived", "true".to_owned()),
                ("limit", "1000".to_owned()),
            ];
            arguments.extend(cursor.map(|cursor| ("cursor", cursor)));
            let listed: Listed = self
                .slack
                .read(call, "users.conversations", arguments)
                .await?;
            if let Some(mut found) = listed.channels.into_iter().find(|one| one.name == name) {
                // Real answers of this method leave it out.
                found.is_member = true;
                return Ok(Some(found));
            }
            cursor = Next::cursor(listed.response_metadata);
            if cursor.is_none() {
                return Ok(None);
            }
        }
        Ok(None)
    }
}

/// `C…` or `G…`, as Slack makes them; names have no capitals.
fn is_channel_id(text: &str) -> bool {
    text.starts_with(['C', 'G'])
        && (9..=21).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListChannels {
    /// Archived ones, too.
    #[serde(default)]
    include_archived: bool,
    /// At most so many on a page; there may be fewer, and still a next page.
    #[serde(default)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[validate(length(min = 1, max = 500))]
    cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ListedChannel {
    /// For the other tools.
    id: String,
    name: String,
    is_private: bool,
    is_archived: bool,
    /// Whether the bot is a member, which it must be to read and write there.
    is_member: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    topic: String,
}

pub(crate) async fn list_channels(
    workspace: Arc<Workspace>,
    call: Call,
    arguments: ListChannels,
) -> Result<Page<ListedChannel>, ToolError> {
    let mut asked = vec![
        ("types", BOTH.to_owned()),
        (
            "exclude_archived",
            (!arguments.include_archived).to_string(),
        ),
        ("limit", arguments.limit.get().to_string()),
    ];
    asked.extend(arguments.cursor.map(|cursor| ("cursor", cursor)));
    let listed: Listed = workspace
        .slack
        .read(&call, "conversations.list", asked)
        .await?;
    let allowed = listed
        .channels
        .into_iter()
        .filter(|one| workspace.directory.is_allowed(one));
    let items = allowed.map(|channel| ListedChannel {
        topic: channel
            .topic
            .map_or_else(String::new, |topic| incoming(&topic.value)),
        members: channel.num_members,
        id: channel.id,
        name: channel.name,
        is_private: channel.is_private,
        is_archived: channel.is_archived,
        is_member: channel.is_member,
    });
    Ok(Page {
        items: items.collect(),
        next_cursor: Next::cursor(listed.response_metadata),
    })
}
