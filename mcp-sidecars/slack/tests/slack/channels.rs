use event_planner_sandbox::{Misbehaviour, Sandbox};
use mcp_kit::Code;
use serde_json::{Value, json};

use crate::support::{BOARD, EVENTS, RANDOM, client, code, count, ok, refused, trouble_after};

fn names(page: &Value) -> Vec<&str> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn channels_are_listed_in_pages() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let first = ok(&slack, "list_channels", json!({ "limit": 3 })).await;
    assert_eq!(names(&first), ["general", "events", "planning"]);
    let rest = ok(
        &slack,
        "list_channels",
        json!({ "cursor": first["next_cursor"] }),
    )
    .await;
    assert_eq!(names(&rest), ["random", "event-leads"]);
    assert_eq!(
        (
            &rest["items"][0]["is_member"],
            &rest["items"][1]["is_private"]
        ),
        (&json!(false), &json!(true))
    );
    let all = ok(&slack, "list_channels", json!({ "include_archived": true })).await;
    assert!(names(&all).contains(&"summer-party-2025"));
    assert_eq!(
        code(&slack, "list_channels", json!({ "cursor": "x" })).await,
        (Code::Invalid, "invalid_cursor".into())
    );
}

#[tokio::test]
async fn only_channels_of_the_bot_are_used_where_no_list_says_more() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    for (channel, wanted) in [
        (RANDOM, Code::Refused),
        ("random", Code::NotFound),
        (BOARD, Code::NotFound),
        ("board", Code::NotFound),
        ("C0SANDBOX99", Code::NotFound),
        ("U0SANDBOX02", Code::NotFound),
        ("@ada", Code::NotFound),
    ] {
        for (tool, arguments) in [
            ("post_message", json!({ "channel": channel, "text": "x" })),
            ("channel_history", json!({ "channel": channel })),
        ] {
            assert_eq!(
                refused(&slack, tool, arguments).await.code,
                wanted,
                "{tool} {channel}"
            );
        }
    }
    assert_eq!(count(&sandbox, "messages").await, 0);
}

#[tokio::test]
async fn neither_id_nor_name_leads_around_the_allow_list() {
    let sandbox = Sandbox::start().await.unwrap();
    let at = (sandbox.world.now() + jiff::SignedDuration::from_hours(1)).to_string();
    for list in [
        "--allowed-channels=#events,C0SANDBOX07",
        "--allowed-channels=C0SANDBOX02,Event-Leads",
    ] {
        let slack = client(&sandbox, &[list]);
        for channel in [
            EVENTS,
            "events",
            "#events",
            "EVENTS",
            "event-leads",
            "C0SANDBOX07",
        ] {
            ok(
                &slack,
                "post_message",
                json!({ "channel": channel, "text": "x" }),
            )
            .await;
        }
        let before = count(&sandbox, "messages").await;
        for channel in [
            "C0SANDBOX01",
            "general",
            "#general",
            "C0SANDBOX03",
            " planning ",
        ] {
            for (tool, arguments) in [
                ("post_message", json!({ "channel": channel, "text": "x" })),
                (
                    "reply_in_thread",
                    json!({ "channel": channel, "thread_ts": "1.000000", "text": "x" }),
                ),
                (
                    "update_message",
                    json!({ "channel": channel, "ts": "1.000000", "text": "x" }),
                ),
                (
                    "delete_message",
                    json!({ "channel": channel, "ts": "1.000000" }),
                ),
                (
                    "add_reaction",
                    json!({ "channel": channel, "ts": "1.000000", "emoji": "x" }),
                ),
                (
                    "schedule_message",
                    json!({ "channel": channel, "text": "x", "post_at": at }),
                ),
                (
                    "upload_file",
                    json!({ "channel": channel, "filename": "a", "content_base64": "YQ==" }),
                ),
                ("channel_history", json!({ "channel": channel })),
                (
                    "thread_replies",
                    json!({ "channel": channel, "thread_ts": "1.000000" }),
                ),
            ] {
                let error = refused(&slack, tool, arguments).await;
                assert!(
                    error.code == Code::Refused && error.message.contains("ALLOWED_CHANNELS"),
                    "{tool} {channel}: {error:?}"
                );
            }
        }
        let page = ok(&slack, "list_channels", json!({})).await;
        assert_eq!(names(&page), ["events", "event-leads"]);
        assert_eq!(
            refused(&slack, "create_channel", json!({ "name": "elsewhere" }))
                .await
                .code,
            Code::Refused
        );
        assert_eq!(count(&sandbox, "messages").await, before);
    }
}

#[tokio::test]
async fn a_channel_is_created_once_with_topic_and_people() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let fair = json!({ "name": "summer-fair", "topic": "Sun & fun", "invite": ["U0SANDBOX02", "U0SANDBOX03"], "idempotency_key": "c" });
    trouble_after(&sandbox, Misbehaviour::Cut, "/api/conversations.create");
    assert_eq!(
        refused(&slack, "create_channel", fair.clone()).await.code,
        Code::Unavailable
    );
    let created = ok(&slack, "create_channel", fair.clone()).await;
    assert_eq!(created["replayed"], true);
    let restarted = client(&sandbox, &[]);
    let again = ok(&restarted, "create_channel", fair).await;
    assert_eq!(
        (&again["channel_id"], &again["replayed"]),
        (&created["channel_id"], &json!(true))
    );
    assert_eq!(count(&sandbox, "channels").await, 8);
    let page = ok(&slack, "list_channels", json!({})).await;
    let listed = page["items"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&listed["topic"], &listed["members"]),
        (&json!("Sun & fun"), &json!(2))
    );
    ok(
        &slack,
        "post_message",
        json!({ "channel": "summer-fair", "text": "hello" }),
    )
    .await;
    let taken = code(
        &slack,
        "create_channel",
        json!({ "name": "events", "idempotency_key": "e" }),
    )
    .await;
    assert_eq!(taken, (Code::Refused, "name_taken".into()));
    for wrong in [
        json!({ "name": "Summer Fair" }),
        json!({ "name": "x", "invite": ["ada"] }),
        json!({ "name": "x".repeat(81) }),
    ] {
        assert_eq!(
            refused(&slack, "create_channel", wrong).await.code,
            Code::Invalid
        );
    }
}

#[tokio::test]
async fn people_are_listed_without_their_address_unless_asked_for() {
    let sandbox = Sandbox::start().await.unwrap();
    let page = ok(&client(&sandbox, &[]), "list_users", json!({})).await;
    assert_eq!(names(&page), ["planner", "ada", "grace", "katherine"]);
    assert!(!page.to_string().contains('@'), "{page}");
    let page = ok(
        &client(&sandbox, &["--show-email"]),
        "list_users",
        json!({ "limit": 2 }),
    )
    .await;
    assert_eq!(page["items"][1]["email"], "ada@example.com");
    assert!(page["next_cursor"].is_string());
}
