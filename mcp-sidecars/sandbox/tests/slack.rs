//! What Slack's own client never does: the wire itself, and a restart. The rest is in `vendor-clients/test_slack.py`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use clap::Parser;
use event_planner_sandbox::{Settings, World, router};
use serde_json::{Value, json};
use tower::ServiceExt;

const TOKEN: &str = "xoxb-sandbox-only-token-of-the-planner-bot";

fn world(arguments: &[&str]) -> Arc<World> {
    let settings = Settings::parse_from(std::iter::once(&"sandbox").chain(arguments));
    Arc::new(World::new(settings, "http://127.0.0.1:3020").unwrap())
}

async fn send(world: &Arc<World>, request: Request<Body>) -> (StatusCode, Value) {
    let response = router(world).oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1024 * 1024)
        .await
        .unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// A call with the bot's token in the header, and this body.
async fn call(world: &Arc<World>, method: &str, kind: &str, body: &str) -> Value {
    let request = Request::post(format!("/slack/api/{method}"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", kind)
        .body(Body::from(body.to_owned()));
    let (status, answer) = send(world, request.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    answer
}

#[tokio::test]
async fn json_is_taken_where_slack_takes_it_and_warned_of_without_charset() {
    let world = world(&[]);
    let message = json!({ "channel": "events", "text": "x" }).to_string();
    let answer = call(&world, "chat.postMessage", "application/json", &message).await;
    assert_eq!(
        (&answer["ok"], &answer["warning"]),
        (&json!(true), &json!("missing_charset"))
    );
    let answer = call(
        &world,
        "chat.postMessage",
        "application/json; charset=utf-8",
        &message,
    )
    .await;
    assert_eq!((&answer["ok"], answer.get("warning")), (&json!(true), None));
    let file = json!({ "filename": "a", "length": 1 }).to_string();
    let answer = call(
        &world,
        "files.getUploadURLExternal",
        "application/json; charset=utf-8",
        &file,
    )
    .await;
    assert_eq!(answer["error"], "invalid_arguments");
}

#[tokio::test]
async fn bodies_that_slack_does_not_read_are_refused_by_name() {
    let world = world(&[]);
    for (kind, body, error) in [
        ("text/plain", "x", "invalid_post_type"),
        ("application/json", "{", "invalid_json"),
        ("application/json", "[]", "json_not_object"),
    ] {
        assert_eq!(call(&world, "auth.test", kind, body).await["error"], error);
    }
    let answer = call(
        &world,
        "chat.postmessage",
        "application/x-www-form-urlencoded",
        "",
    )
    .await;
    assert_eq!(answer["error"], "unknown_method");
}

#[tokio::test]
async fn a_token_is_taken_from_header_or_form_but_not_from_json() {
    let world = world(&[]);
    let bare = |kind: &str, body: String| {
        let request = Request::post("/slack/api/auth.test").header("content-type", kind);
        request.body(Body::from(body)).unwrap()
    };
    let form = bare(
        "application/x-www-form-urlencoded",
        format!("token={TOKEN}"),
    );
    assert_eq!(send(&world, form).await.1["ok"], true);
    let json = bare("application/json", json!({ "token": TOKEN }).to_string());
    assert_eq!(send(&world, json).await.1["error"], "not_authed");
}

#[tokio::test]
async fn what_was_posted_survives_a_restart() {
    let file = std::env::temp_dir().join(format!("sandbox-slack-{}.json", std::process::id()));
    let argument = format!("--state-file={}", file.display());
    let before = world(&[&argument]);
    let form = "application/x-www-form-urlencoded";
    let posted = call(
        &before,
        "chat.postMessage",
        form,
        "channel=events&text=kept",
    )
    .await;
    before.save().unwrap();
    let after = world(&[&argument]);
    let history = call(&after, "conversations.history", form, "channel=C0SANDBOX02").await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(history["messages"][0]["ts"], posted["ts"]);
}
