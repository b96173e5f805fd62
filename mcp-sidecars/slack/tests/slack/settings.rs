use event_planner_sandbox::Sandbox;
use expect_test::expect_file;
use mcp_kit::{Account, Code, Failure};
use serde_json::json;

use crate::support::{
    BOT_TOKEN, EVENTS, EXPIRED_TOKEN, client, client_with, code, count, http, message, ok, refused,
};

#[tokio::test]
async fn the_committed_tool_list_is_current() {
    let sandbox = Sandbox::start().await.unwrap();
    expect_file!["../../tools.json"].assert_eq(&client(&sandbox, &[]).tool_list());
}

#[tokio::test]
async fn a_call_acts_with_the_account_it_brings() {
    let sandbox = Sandbox::start().await.unwrap();
    let account = |id, token| Account::new(id, token).unwrap();
    let nobody = client_with(&sandbox, &[]).with_account(account("org-1", BOT_TOKEN));
    ok(&nobody, "post_message", message("x", "k")).await;
    let expired = client(&sandbox, &[]).with_account(account("org-2", EXPIRED_TOKEN));
    assert_eq!(
        code(&expired, "post_message", message("x", "k")).await,
        (Code::Refused, "token_expired".into())
    );
    // The same key of another account is another key.
    let other = client(&sandbox, &[]).with_account(account("org-3", BOT_TOKEN));
    assert_eq!(
        ok(&other, "post_message", message("x", "k")).await["replayed"],
        false
    );
    assert_eq!(count(&sandbox, "messages").await, 2);
}

#[tokio::test]
async fn in_read_only_mode_there_is_nothing_to_write_with() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &["--read-only"]);
    let capabilities = ok(&slack, "capabilities", json!({})).await;
    assert_eq!(capabilities["notes"]["read_only"], true);
    assert!(
        capabilities["tools"]
            .as_array()
            .unwrap()
            .iter()
            .all(|tool| tool["read_only"] == true)
    );
    let called = slack.call("post_message", message("x", "k")).await;
    assert!(matches!(called, Err(Failure::UnknownTool)), "{called:?}");
    ok(&slack, "list_channels", json!({})).await;
}

#[tokio::test]
async fn messages_a_minute_are_capped_and_replays_are_free() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &["--max-messages-per-minute=2"]);
    for key in ["a", "b", "a", "b", "a"] {
        ok(&slack, "post_message", message(key, key)).await;
    }
    let error = refused(&slack, "post_message", message("c", "c")).await;
    assert_eq!(error.code, Code::RateLimited);
    assert!(
        error
            .retry_after_seconds()
            .is_some_and(|wait| (1..=60).contains(&wait))
    );
    let at = (sandbox.world.now() + jiff::SignedDuration::from_hours(1)).to_string();
    let later = json!({ "channel": EVENTS, "text": "x", "post_at": at });
    assert_eq!(
        refused(&slack, "schedule_message", later).await.code,
        Code::RateLimited
    );
    let file = json!({ "channel": EVENTS, "filename": "a", "content_base64": "YQ==" });
    assert_eq!(
        refused(&slack, "upload_file", file).await.code,
        Code::RateLimited
    );
    assert_eq!(count(&sandbox, "messages").await, 2);
}

#[tokio::test]
async fn text_is_bounded_as_slack_counts_it() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &["--max-text-length=10"]);
    ok(
        &slack,
        "post_message",
        json!({ "channel": EVENTS, "text": "0123456789" }),
    )
    .await;
    for text in ["01234567890", "&&&", "  ", ""] {
        let error = refused(
            &slack,
            "post_message",
            json!({ "channel": EVENTS, "text": text }),
        )
        .await;
        assert!(
            error.code == Code::Invalid && error.message.contains("/text"),
            "{text}: {}",
            error.message
        );
    }
}

#[tokio::test]
async fn a_whole_channel_is_notified_only_if_setting_and_caller_say_so() {
    let sandbox = Sandbox::start().await.unwrap();
    let loud = json!({ "channel": EVENTS, "text": "@channel now", "allow_broadcast": true });
    assert_eq!(
        refused(&client(&sandbox, &[]), "post_message", loud.clone())
            .await
            .code,
        Code::Refused
    );
    let slack = client(&sandbox, &["--allow-broadcast"]);
    ok(&slack, "post_message", loud).await;
    ok(
        &slack,
        "post_message",
        json!({ "channel": EVENTS, "text": "@channel <!here>" }),
    )
    .await;
    let page = ok(&slack, "channel_history", json!({ "channel": EVENTS })).await;
    let url = format!(
        "{}/api/conversations.history?channel={EVENTS}",
        sandbox.url("slack")
    );
    let raw = http().get(url).bearer_auth(BOT_TOKEN).send().await.unwrap();
    let raw = raw.text().await.unwrap();
    assert!(
        raw.contains("<!channel> now") && raw.contains("&lt;!here&gt;"),
        "{raw}"
    );
    assert_eq!(page["items"][0]["text"], "@\u{200b}channel <!here>");
}

#[tokio::test]
async fn unknown_arguments_are_refused() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let error = refused(
        &slack,
        "post_message",
        json!({ "channel": EVENTS, "text": "x", "as_user": true }),
    )
    .await;
    assert_eq!(error.code, Code::Invalid);
    let both = json!({ "channel": EVENTS, "ts": "1.000000", "scheduled_message_id": "Q1" });
    assert_eq!(
        refused(&slack, "delete_message", both).await.code,
        Code::Invalid
    );
    assert_eq!(
        refused(&slack, "delete_message", json!({ "channel": EVENTS }))
            .await
            .code,
        Code::Invalid
    );
    let wrong = json!({ "channel": EVENTS, "ts": "now", "text": "x" });
    assert!(
        refused(&slack, "update_message", wrong)
            .await
            .message
            .contains("/ts")
    );
}
