use event_planner_sandbox::{Misbehaviour, Sandbox};
use mcp_kit::Code;
use serde_json::{Value, json};

use crate::support::{EVENTS, client, code, count, ok, refused, settings, trouble, trouble_after};

/// 12 bytes: `name,seats\n1`.
const CONTENT: &str = "bmFtZSxzZWF0cwox";

fn file(key: &str) -> Value {
    json!({ "channel": "events", "filename": "venues.csv", "content_base64": CONTENT, "title": "Venues", "comment": "The list & more", "idempotency_key": key })
}

#[tokio::test]
async fn a_file_is_shared_once() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let shared = ok(&slack, "upload_file", file("f")).await;
    assert_eq!(
        (&shared["size"], &shared["replayed"]),
        (&json!(12), &json!(false))
    );
    assert_eq!(ok(&slack, "upload_file", file("f")).await["replayed"], true);
    let page = ok(&slack, "channel_history", json!({ "channel": EVENTS })).await;
    let message = &page["items"][0];
    assert_eq!(
        (&message["text"], &message["files"][0]["id"]),
        (&json!("The list & more"), &shared["file_id"])
    );
    assert_eq!(
        (
            count(&sandbox, "files").await,
            count(&sandbox, "messages").await
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_file_whose_sharing_was_cut_off_is_shared_once() {
    let sandbox = Sandbox::start().await.unwrap();
    for (number, after) in [(1, true), (2, false)] {
        let slack = client(&sandbox, &[]);
        let key = format!("f{number}");
        if after {
            trouble_after(
                &sandbox,
                Misbehaviour::Cut,
                "/api/files.completeUploadExternal",
            );
            assert_eq!(
                ok(&slack, "upload_file", file(&key)).await["replayed"],
                false
            );
        } else {
            trouble(
                &sandbox,
                Misbehaviour::Cut,
                "/api/files.completeUploadExternal",
            );
            assert_eq!(
                refused(&slack, "upload_file", file(&key)).await.code,
                Code::Unavailable
            );
            ok(&slack, "upload_file", file(&key)).await;
        }
        assert_eq!(count(&sandbox, "messages").await, number);
    }
    trouble(&sandbox, Misbehaviour::Error { status: 500 }, "/upload/v1/");
    let slack = client(&sandbox, &[]);
    assert_eq!(
        refused(&slack, "upload_file", file("f3")).await.code,
        Code::Unavailable
    );
    ok(&slack, "upload_file", file("f3")).await;
    assert_eq!(count(&sandbox, "messages").await, 3);
}

#[tokio::test]
async fn files_are_bounded_and_must_be_base64() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &["--max-file-bytes=11"]);
    for content in [CONTENT, "", "not base64!", "YQ", "===="] {
        let wrong = json!({ "channel": EVENTS, "filename": "a", "content_base64": content });
        assert_eq!(
            refused(&slack, "upload_file", wrong).await.code,
            Code::Invalid,
            "{content}"
        );
    }
    let folder = json!({ "channel": EVENTS, "filename": "../a", "content_base64": "YQ==" });
    assert_eq!(
        refused(&slack, "upload_file", folder).await.code,
        Code::Invalid
    );
    assert_eq!(count(&sandbox, "files").await, 0);
}

#[tokio::test]
async fn bytes_go_nowhere_but_to_the_address_in_the_settings() {
    let sandbox = Sandbox::start().await.unwrap();
    let mut elsewhere = settings(
        &sandbox,
        &["--slack-bot-token=xoxb-sandbox-only-token-of-the-planner-bot"],
    );
    "https://files.slack.com".clone_into(&mut elsewhere.slack_files_url);
    let sidecar =
        event_planner_mcp_slack::sidecar(&elsewhere, &mcp_kit::Metrics::new().unwrap()).unwrap();
    let slack = mcp_kit::testing::Client::new(sidecar).unwrap();
    let error = refused(&slack, "upload_file", file("f")).await;
    assert!(
        error.message.contains("SLACK_FILES_URL"),
        "{}",
        error.message
    );
    assert_eq!(
        code(
            &slack,
            "post_message",
            json!({ "channel": "nowhere", "text": "x" })
        )
        .await
        .0,
        Code::NotFound
    );
}
