//! Messages for later.

use std::sync::Arc;

use jiff::Timestamp;
use mcp_kit::{Call, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use validator::Validate;

use crate::{
    error::is_unknown,
    ledger::{Mark, Turn},
    messages::{timestamp, unknown, written_plainly},
    search::marked,
    text::{incoming, outgoing},
    workspace::Workspace,
};

/// 120 days, as at Slack.
const FURTHEST: i64 = 120 * 24 * 3600;

#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleMessage {
    /// Id (`C…`) or name of a channel.
    #[validate(length(min = 1, max = 100))]
    channel: String,
    /// What to say, as in `post_message`.
    #[validate(length(min = 1, max = 40_000))]
    text: String,
    /// When: RFC 3339 with offset, such as 2027-05-04T09:00:00+02:00; in the next 120 days. Fractions of a second are cut.
    #[schemars(extend("format" = "date-time"))]
    #[validate(length(min = 1, max = 40))]
    post_at: String,
    /// `ts` of a message to reply to.
    #[validate(custom(function = "timestamp"))]
    thread_ts: Option<String>,
    /// Let @channel, @here and @everyone notify people, where the settings allow that.
    #[serde(default)]
    allow_broadcast: bool,
    /// Any text, unique for this message; the same call with it again schedules nothing more. With a key, the same text
    /// for the same channel and second counts as the same message.
    #[validate(length(min = 1, max = 200))]
    idempotency_key: Option<String>,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Planned {
    channel_id: String,
    channel_name: String,
    /// For `delete_message`; missing in a dry run, or when it is posted already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheduled_message_id: Option<String>,
    /// Names the message if it is posted already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ts: Option<String>,
    /// RFC 3339, UTC.
    post_at: String,
    /// As people will read it.
    text: String,
    /// It was scheduled by an earlier call.
    replayed: bool,
    dry_run: bool,
}

#[derive(Deserialize)]
struct Scheduled {
    scheduled_message_id: String,
}

#[derive(Deserialize)]
struct Listed {
    scheduled_messages: Vec<Pending>,
}

#[derive(Deserialize)]
struct Pending {
    id: String,
    post_at: i64,
    #[serde(default)]
    text: String,
}

/// What is to be scheduled, once.
struct Plan<'a> {
    text: String,
    second: i64,
    thread_ts: Option<&'a str>,
    answer: Planned,
}

pub(crate) async fn schedule_message(
    workspace: Arc<Workspace>,
    call: Call,
    arguments: ScheduleMessage,
) -> Result<Planned, ToolError> {
    let text = outgoing(
        &workspace.settings,
        &arguments.text,
        arguments.allow_broadcast,
    )?;
    let at: Timestamp = arguments.post_at.parse().map_err(|_| {
        ToolError::field(
            "/post_at",
            "format",
            "RFC 3339 with offset, such as 2027-05-04T09:00:00+02:00",
        )
    })?;
    let second = at.as_second();
    if second > Workspace::now() + FURTHEST {
        return Err(ToolError::field(
            "/post_at",
            "too_far",
            "Slack schedules for the next 120 days",
        ));
    }
    let channel = workspace.channel(&call, &arguments.channel).await?;
    workspace
        .check_thread(&call, &channel.id, arguments.thread_ts.as_deref())
        .await?;
    let at = Timestamp::from_second(second).map_err(ToolError::internal)?;
    let answer = Planned {
        channel_id: channel.id,
        channel_name: channel.name,
        scheduled_message_id: None,
        ts: None,
        post_at: at.to_string(),
        text: incoming(&text),
        replayed: false,
        dry_run: arguments.dry_run,
    };
    let plan = Plan {
        text,
        second,
        thread_ts: arguments.thread_ts.as_deref(),
        answer,
    };
    let key = arguments.idempotency_key.as_deref();
    if arguments.dry_run {
        in_future(second)?;
        return Ok(plan.answer);
    }
    let work = |turn| workspace.schedule(&call, &plan, turn);
    workspace
        .ledger
        .once(&call, "schedule_message", key, &arguments, work)
        .await
}

fn in_future(second: i64) -> Result<(), ToolError> {
    if second > Workspace::now() {
        return Ok(());
    }
    Err(ToolError::field("/post_at", "past", "this time is over"))
}

impl Workspace {
    /// Schedules at most once. Slack shows no metadata of what is scheduled, so that channel, second and text tell; once
    /// it is posted, its mark does.
    async fn schedule(
        &self,
        call: &Call,
        plan: &Plan<'_>,
        turn: Turn,
    ) -> Result<Planned, ToolError> {
        let mark = turn.mark.as_ref();
        if let Some(mark) = mark
            && let Some(mut found) = self.find_scheduled(call, plan, mark).await?
        {
            found.replayed = true;
            return Ok(found);
        }
        in_future(plan.second)?;
        self.count_message()?;
        let mut fields = written_plainly(&plan.answer.channel_id, &plan.text);
        fields.extend([
            ("post_at", plan.second.to_string()),
            ("unfurl_links", "false".to_owned()),
            ("unfurl_media", "false".to_owned()),
        ]);
        fields.extend(plan.thread_ts.map(|ts| ("thread_ts", ts.to_owned())));
        fields.extend(marked(mark));
        let error = match self
            .slack
            .write::<Scheduled>(call, "chat.scheduleMessage", fields)
            .await
        {
            Ok(scheduled) => {
                return Ok(Planned {
                    scheduled_message_id: Some(scheduled.scheduled_message_id),
                    ..plan.answer.clone()
                });
            }
            Err(error) if is_unknown(&error) => error,
            Err(error) => return Err(error),
        };
        let Some(mark) = mark else {
            return Err(unknown(error, false));
        };
        match self.find_scheduled(call, plan, mark).await {
            Ok(Some(found)) => Ok(found),
            _ => Err(unknown(error, true)),
        }
    }

    async fn find_scheduled(
        &self,
        call: &Call,
        plan: &Plan<'_>,
        mark: &Mark,
    ) -> Result<Option<Planned>, ToolError> {
        let channel = &plan.answer.channel_id;
        let arguments = vec![
            ("channel", channel.clone()),
            ("oldest", plan.second.to_string()),
            ("latest", plan.second.to_string()),
            ("limit", "100".to_owned()),
        ];
        let listed: Listed = self
            .slack
            .read(call, "chat.scheduledMessages.list", arguments)
            .await?;
        let mut pending = listed.scheduled_messages.into_iter();
        let same =
            pending.find(|one| one.post_at == plan.second && bare(&one.text) == bare(&plan.text));
        if let Some(same) = same {
            return Ok(Some(Planned {
                scheduled_message_id: Some(same.id),
                ..plan.answer.clone()
            }));
        }
        let posted = self.find(call, channel, plan.thread_ts, mark).await?;
        Ok(posted.map(|ts| Planned {
            ts: Some(ts),
            ..plan.answer.clone()
        }))
    }
}

/// Without what Slack puts around addresses: `<https://a.example|a.example>` is `a.example`.
fn bare(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        bare.push_str(before);
        let (inner, after) = after.split_once('>').unwrap_or((after, ""));
        bare.push_str(inner.split_once('|').map_or(inner, |(_, label)| label));
        rest = after;
    }
    bare + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_same_with_and_without_what_slack_adds() {
        let written = "See https://a.example and b.example, <@U1>";
        let kept = "See <https://a.example> and <http://b.example|b.example>, <@U1>";
        assert_eq!(bare(written), bare(kept));
        assert_ne!(bare("a"), bare("b"));
    }
}
