//! What Slack's `ok: false` means for a caller.

use std::time::Duration;

use mcp_kit::{Code, Reply, ToolError};
use serde_json::{Value, json};

const LONGEST_MESSAGE: usize = 300;
const UNKNOWN: &str = "unknown_error";

/// The tool error for a refusal of Slack's; its own code and words stand in the details.
pub(crate) fn refused(answer: &Value) -> ToolError {
    let code = answer["error"].as_str().unwrap_or(UNKNOWN);
    let said = format!("Slack refused it: {code}{}", hint(code));
    let error = match code {
        "channel_not_found"
        | "message_not_found"
        | "thread_not_found"
        | "invalid_thread_ts"
        | "user_not_found"
        | "users_not_found"
        | "file_not_found"
        | "invalid_scheduled_message_id" => ToolError::not_found(said),
        "no_text"
        | "msg_too_long"
        | "msg_blocks_too_long"
        | "invalid_blocks"
        | "invalid_cursor"
        | "invalid_arguments"
        | "invalid_time"
        | "time_in_past"
        | "time_too_far"
        | "bad_timestamp"
        | "invalid_name"
        | "invalid_name_maxlength"
        | "invalid_name_punctuation"
        | "invalid_name_required"
        | "invalid_name_specials"
        | "invalid_ts_latest"
        | "invalid_ts_oldest"
        | "too_long" => ToolError::invalid(said),
        "ratelimited" | "rate_limited" | "message_limit_exceeded" | "restricted_too_many" => {
            ToolError::rate_limited(Duration::from_secs(30))
        }
        "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org" => ToolError::unavailable(said, Duration::from_secs(5)),
        _ => ToolError::refused(said),
    };
    error.with_details(details(answer))
}

/// What Slack says of a failure of its own, whatever the status.
pub(crate) fn explain(reply: &Reply) -> Option<Value> {
    let answer: Value = reply.json().ok()?;
    answer["error"].is_string().then(|| details(&answer))
}

fn details(answer: &Value) -> Value {
    let code = answer["error"].as_str().unwrap_or(UNKNOWN);
    let mut details = json!({ "provider_code": code });
    let words = words(answer);
    if !words.is_empty() {
        details["provider_message"] = words.into();
    }
    details
}

/// Slack's code in an error made by [`refused`].
pub(crate) fn provider_code(error: &ToolError) -> Option<&str> {
    error.details.as_ref()?["provider_code"].as_str()
}

/// Whether what was asked may have been done all the same.
pub(crate) fn is_unknown(error: &ToolError) -> bool {
    matches!(
        error.code,
        Code::Unavailable | Code::Timeout | Code::Internal
    )
}

/// What Slack says beside the code.
fn words(answer: &Value) -> String {
    let mut words: Vec<String> = answer["response_metadata"]["messages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(|message| message.as_str().map(ToOwned::to_owned))
        .collect();
    for name in ["needed", "provided"] {
        words.extend(
            answer[name]
                .as_str()
                .map(|scopes| format!("{name}: {scopes}")),
        );
    }
    words.join("; ").chars().take(LONGEST_MESSAGE).collect()
}

fn hint(code: &str) -> &'static str {
    match code {
        "not_in_channel" => "; invite the bot to the channel first",
        "is_archived" => "; the channel is archived",
        "missing_scope" => "; give the app the scope that is needed and install it again",
        "not_authed" | "invalid_auth" | "account_inactive" | "token_revoked" => {
            "; SLACK_BOT_TOKEN or the connected account's token is not valid"
        }
        "token_expired" => {
            "; the token is expired: connect the account again, or set a SLACK_BOT_TOKEN without rotation"
        }
        "cant_update_message" | "cant_delete_message" => "; only its own messages can be changed",
        "duplicate_message_not_found" => "; this message was posted once and is gone since",
        "invalid_scheduled_message_id" => "; it is posted already, or will be within a minute",
        "name_taken" => "; there is a channel of that name, perhaps archived or private",
        _ => "",
    }
}
