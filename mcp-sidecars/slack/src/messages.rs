//! New messages and replies.

use std::{sync::Arc, time::Duration};

use mcp_kit::{Call, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use validator::{Validate, ValidationError};

use crate::{
    channels::Channel,
    client::Argument,
    error::is_unknown,
    ledger::{Mark, Turn},
    search::marked,
    text::{incoming, outgoing},
    workspace::Workspace,
};

#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostMessage {
    /// Id (`C…`) or name of a channel.
    #[validate(length(min = 1, max = 100))]
    channel: String,
    /// What to say, in Slack's mrkdwn: *bold*, _italic_, ~strike~, `code`; <@U…> names a person. At most 4,000 characters
    /// unless capabilities says more.
    #[validate(length(min = 1, max = 40_000))]
    text: String,
    /// Let @channel, @here and @everyone notify people, where the settings allow that.
    #[serde(default)]
    allow_broadcast: bool,
    /// Any text, unique for this message; the same call with it again posts nothing more.
    #[validate(length(min = 1, max = 200))]
    idempotency_key: Option<String>,
    /// Only say what would be posted.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplyInThread {
    /// Id (`C…`) or name of the channel.
    #[validate(length(min = 1, max = 100))]
    channel: String,
    /// `ts` of the message to reply to, such as 1503435956.000247.
    #[validate(custom(function = "timestamp"))]
    thread_ts: String,
    /// What to say, as in `post_message`.
    #[validate(length(min = 1, max = 40_000))]
    text: String,
    /// Show the reply in the channel, too.
    #[serde(default)]
    also_in_channel: bool,
    /// Let @channel, @here and @everyone notify people, where the settings allow that.
    #[serde(default)]
    allow_broadcast: bool,
    /// Any text, unique for this reply; the same call with it again posts nothing more.
    #[validate(length(min = 1, max = 200))]
    idempotency_key: Option<String>,
    /// Only say what would be posted.
    #[serde(default)]
    dry_run: bool,
}

/// What was written where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Written {
    pub channel_id: String,
    pub channel_name: String,
    /// Names the message within its channel; missing in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<String>,
    /// The first message of its thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_ts: Option<String>,
    /// As people read it.
    pub text: String,
    /// It was done by an earlier call with this key.
    pub replayed: bool,
    pub dry_run: bool,
}

/// Seconds and microseconds, as Slack names messages.
pub(crate) fn timestamp(ts: &str) -> Result<(), ValidationError> {
    let is_number = |text: &str, length: std::ops::RangeInclusive<usize>| {
        length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let parts = ts.split_once('.');
    if parts.is_some_and(|(seconds, micros)| is_number(seconds, 1..=12) && is_number(micros, 6..=6))
    {
        return Ok(());
    }
    Err(ValidationError::new("ts")
        .with_message("as Slack gives it, such as 1503435956.000247".into()))
}

/// What `post` needs.
struct Post<'a> {
    channel: Channel,
    thread_ts: Option<&'a str>,
    also_in_channel: bool,
    /// As Slack takes it.
    text: String,
}

impl Post<'_> {
    fn written(&self, ts: Option<String>, replayed: bool) -> Written {
        Written {
            channel_id: self.channel.id.clone(),
            channel_name: self.channel.name.clone(),
            dry_run: ts.is_none(),
            ts,
            thread_ts: self.thread_ts.map(ToOwned::to_owned),
            text: incoming(&self.text),
            replayed,
        }
    }

    fn arguments(&self, mark: Option<&Mark>) -> Vec<Argument> {
        let mut arguments = written_plainly(&self.channel.id, &self.text);
        arguments.extend([
            ("unfurl_links", "false".to_owned()),
            ("unfurl_media", "false".to_owned()),
        ]);
        if let Some(ts) = self.thread_ts {
            arguments.push(("thread_ts", ts.to_owned()));
            arguments.push(("reply_broadcast", self.also_in_channel.to_string()));
        }
        arguments.extend(mark.map(|mark| ("client_msg_id", mark.id.to_string())));
        arguments.extend(marked(mark));
        arguments
    }
}

/// Channel and text, with nothing added by Slack: no names linked, no previews.
pub(crate) fn written_plainly(channel: &str, text: &str) -> Vec<Argument> {
    vec![
        ("channel", channel.to_owned()),
        ("text", text.to_owned()),
        ("parse", "none".to_owned()),
        ("link_names", "false".to_owned()),
    ]
}

/// Nobody knows whether it was done, and the key finds out.
pub(crate) fn unknown(cause: ToolError, key: bool) -> ToolError {
    let message = if key {
        "it is not known whether Slack did it; call again with the same idempotency_key, which looks first"
    } else {
        "it is not known whether Slack did it; look before you call again, and give an idempotency_key next time"
    };
    let wait = cause.retry_after.unwrap_or(Duration::from_secs(2));
    let mut error = ToolError::unavailable(message, wait);
    error.details = cause.details;
    error.cause = cause.cause;
    error
}

pub(crate) async fn post_message(
    workspace: Arc<Workspace>,
    call: Call,
    arguments: PostMessage,
) -> Result<Written, ToolError> {
    let text = outgoing(
        &workspace.settings,
        &arguments.text,
        arguments.allow_broadcast,
    )?;
    let post = Post {
        channel: workspace.channel(&call, &arguments.channel).await?,
        thread_ts: None,
        also_in_channel: false,
        text,
    };
    if arguments.dry_run {
        return Ok(post.written(None, false));
    }
    let key = arguments.idempotency_key.as_deref();
    let work = |turn| workspace.post(&call, &post, turn);
    workspace
        .ledger
        .once(&call, "post_message", key, &arguments, work)
        .await
}

pub(crate) async fn reply_in_thread(
    workspace: Arc<Workspace>,
    call: Call,
    arguments: ReplyInThread,
) -> Result<Written, ToolError> {
    let text = outgoing(
        &workspace.settings,
        &arguments.text,
        arguments.allow_broadcast,
    )?;
    let post = Post {
        channel: workspace.channel(&call, &arguments.channel).await?,
        thread_ts: Some(&arguments.thread_ts),
        also_in_channel: arguments.also_in_channel,
        text,
    };
    workspace
        .check_thread(&call, &post.channel.id, post.thread_ts)
        .await?;
    if arguments.dry_run {
        return Ok(post.written(None, false));
    }
    let key = arguments.idempotency_key.as_deref();
    let work = |turn| workspace.post(&call, &post, turn);
    workspace
        .ledger
        .once(&call, "reply_in_thread", key, &arguments, work)
        .await
}

impl Workspace {
    /// Posts at most once: looks before, and looks again if the outcome is unknown.
    async fn post(&self, call: &Call, post: &Post<'_>, turn: Turn) -> Result<Written, ToolError> {
        let (channel, thread) = (post.channel.id.as_str(), post.thread_ts);
        let mark = turn.mark.as_ref();
        if let Some(mark) = mark
            && let Some(ts) = self.find(call, channel, thread, mark).await?
        {
            return Ok(post.written(Some(ts), true));
        }
        self.count_message()?;
        let posted = self
            .slack
            .write::<Value>(call, "chat.postMessage", post.arguments(mark))
            .await;
        let error = match posted {
            Ok(posted) => {
                let ts = posted["ts"].as_str().unwrap_or_default().to_owned();
                return Ok(post.written(Some(ts), false));
            }
            Err(error) if is_unknown(&error) => error,
            Err(error) => return Err(error),
        };
        let Some(mark) = mark else {
            return Err(unknown(error, false));
        };
        match self.find_after(call, channel, thread, mark).await {
            Ok(Some(ts)) => Ok(post.written(Some(ts), false)),
            _ => Err(unknown(error, true)),
        }
    }
}
