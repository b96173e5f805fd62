//! What Slack keeps.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One workspace.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    pub(super) users: Vec<User>,
    pub(super) channels: Vec<Channel>,
    /// In the order in which they came.
    pub(super) messages: Vec<Message>,
    pub(super) scheduled: Vec<Scheduled>,
    pub(super) files: Vec<File>,
    pub(super) grants: Vec<Grant>,
    pub(super) codes: Vec<Code>,
    /// The microsecond of the latest message; the next is later.
    pub(super) latest: i64,
    /// Numbers ids and tokens.
    pub(super) made: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct User {
    pub id: String,
    pub name: String,
    pub real_name: String,
    pub email: Option<String>,
    pub is_bot: bool,
    pub deleted: bool,
    pub tz: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Channel {
    pub id: String,
    pub name: String,
    pub is_general: bool,
    pub is_private: bool,
    pub is_archived: bool,
    /// Seconds since 1970.
    pub created: i64,
    pub creator: String,
    pub topic: String,
    pub purpose: String,
    pub members: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Message {
    pub channel: String,
    pub ts: String,
    pub user: String,
    pub text: String,
    pub thread_ts: Option<String>,
    pub is_broadcast: bool,
    pub blocks: Option<Value>,
    pub metadata: Option<Value>,
    pub client_msg_id: Option<String>,
    pub edited: Option<String>,
    /// Emoji to the users who gave it.
    pub reactions: BTreeMap<String, Vec<String>>,
    /// Ids.
    pub files: Vec<String>,
    pub unfurl_links: Option<bool>,
    pub unfurl_media: Option<bool>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Scheduled {
    pub id: String,
    /// Seconds since 1970.
    pub post_at: i64,
    pub date_created: i64,
    /// Without a `ts` until its time has come.
    pub message: Message,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct File {
    pub id: String,
    /// Names the address that takes the bytes.
    pub ticket: String,
    pub name: String,
    pub title: String,
    pub size: u64,
    pub user: String,
    pub created: i64,
    /// The beginning, if it is text.
    pub preview: String,
    pub is_uploaded: bool,
    pub is_complete: bool,
}

/// A token and what it may do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Grant {
    pub token: String,
    pub user: String,
    pub scopes: Vec<String>,
    pub expires_at: Option<i64>,
    pub refresh_token: Option<String>,
    pub is_revoked: bool,
}

/// What somebody allowed on the page, to be exchanged once for a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Code {
    pub value: String,
    pub redirect_uri: String,
    pub scopes: Vec<String>,
    pub expires_at: i64,
}

impl State {
    /// The next id with this beginning.
    pub(super) fn next_id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}0SANDBOX{:04}", self.made)
    }

    /// The `ts` of a message posted now: unlike any other's, and later.
    pub(super) fn next_ts(&mut self, now: Timestamp) -> String {
        self.latest = now.as_microsecond().max(self.latest + 1);
        format!("{}.{:06}", self.latest / 1_000_000, self.latest % 1_000_000)
    }

    /// Posts what was scheduled until now.
    pub(super) fn post_due(&mut self, now: Timestamp) {
        let (due, later) = std::mem::take(&mut self.scheduled)
            .into_iter()
            .partition(|scheduled| scheduled.post_at <= now.as_second());
        self.scheduled = later;
        for scheduled in due as Vec<Scheduled> {
            let ts = self.next_ts(now);
            self.messages.push(Message {
                ts,
                ..scheduled.message
            });
        }
    }

    pub(super) fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    pub(super) fn message(&self, channel: &str, ts: &str) -> Option<&Message> {
        self.messages
            .iter()
            .find(|message| message.channel == channel && message.ts == ts)
    }

    pub(super) fn message_mut(&mut self, channel: &str, ts: &str) -> Option<&mut Message> {
        self.messages
            .iter_mut()
            .find(|message| message.channel == channel && message.ts == ts)
    }

    /// A message as `conversations.history` shows it.
    pub(super) fn show(&self, message: &Message, with_metadata: bool) -> Value {
        let mut shown = json!({
            "type": "message",
            "user": message.user,
            "ts": message.ts,
            "text": message.text,
            "team": super::seed::TEAM_ID,
        });
        let mut set = |name: &str, value: Value| shown[name] = value;
        if self.user(&message.user).is_some_and(|user| user.is_bot) {
            set("bot_id", json!(super::seed::BOT_ID));
            set("app_id", json!(super::seed::APP_ID));
        }
        if let Some(blocks) = &message.blocks {
            set("blocks", blocks.clone());
        }
        if let Some(id) = &message.client_msg_id {
            set("client_msg_id", json!(id));
        }
        if let Some(metadata) = message.metadata.as_ref().filter(|_| with_metadata) {
            set("metadata", metadata.clone());
        }
        if let Some(edited) = &message.edited {
            set("edited", json!({ "user": message.user, "ts": edited }));
        }
        if !message.reactions.is_empty() {
            let reactions = message.reactions.iter();
            let reactions = reactions
                .map(|(name, users)| json!({ "name": name, "users": users, "count": users.len() }));
            set("reactions", reactions.collect());
        }
        if !message.files.is_empty() {
            let files = self.files.iter();
            let files = files.filter(|file| message.files.contains(&file.id));
            set("files", files.map(|file| self.show_file(file)).collect());
        }
        self.show_thread(message, &mut set);
        shown
    }

    fn show_thread(&self, message: &Message, set: &mut impl FnMut(&str, Value)) {
        if let Some(thread) = &message.thread_ts {
            set("thread_ts", json!(thread));
            return;
        }
        let replies: Vec<_> = self
            .messages
            .iter()
            .filter(|reply| {
                reply.channel == message.channel && reply.thread_ts.as_ref() == Some(&message.ts)
            })
            .collect();
        if let Some(latest) = replies.last() {
            set("thread_ts", json!(message.ts));
            set("reply_count", json!(replies.len()));
            set("latest_reply", json!(latest.ts));
        }
    }

    /// A file as `files.info` shows it, with the channels where it was shared.
    pub(super) fn show_file(&self, file: &File) -> Value {
        let (mut public, mut private) = (json!({}), json!({}));
        for message in &self.messages {
            if message.files.contains(&file.id) {
                let channel = self.channels.iter().find(|one| one.id == message.channel);
                let is_private = channel.is_some_and(|channel| channel.is_private);
                let shares = if is_private {
                    &mut private
                } else {
                    &mut public
                };
                shares[&message.channel] = json!([{ "ts": message.ts }]);
            }
        }
        json!({
            "id": file.id,
            "name": file.name,
            "title": file.title,
            "size": file.size,
            "user": file.user,
            "created": file.created,
            "permalink": format!("https://{}.slack.com/files/{}/{}", super::seed::TEAM_DOMAIN, file.user, file.id),
            "preview": file.preview,
            "shares": { "public": public, "private": private },
        })
    }
}
