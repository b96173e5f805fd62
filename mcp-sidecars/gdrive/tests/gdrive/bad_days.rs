use event_planner_sandbox::{Fault, Misbehaviour, Provider};
use mcp_kit::Failure;
use serde_json::{Value, json};

use crate::support::{id, world};

fn fault(misbehaviour: Misbehaviour) -> Fault {
    Fault::new(Provider::Google, misbehaviour)
}

const ERROR: Misbehaviour = Misbehaviour::Error { status: 503 };

/// Every way of making something.
fn makers() -> [(&'static str, Value, &'static str); 3] {
    [
        (
            "create_folder",
            json!({ "name": "F", "idempotency_key": "k" }),
            "/drive/v3/files",
        ),
        (
            "upload_file",
            json!({ "name": "U", "text": "x", "idempotency_key": "k" }),
            "/upload/drive",
        ),
        (
            "create_document",
            json!({ "name": "D", "content": "x", "idempotency_key": "k" }),
            "/upload/drive",
        ),
    ]
}

#[tokio::test]
async fn a_lost_answer_makes_nothing_twice() {
    for misbehaviour in [Misbehaviour::Cut, ERROR] {
        let world = world(&[]).await;
        for (index, (tool, arguments, path)) in (1..).zip(makers()) {
            world.sandbox.misbehave(
                fault(misbehaviour.clone())
                    .on("POST", path)
                    .times(1)
                    .after(),
            );
            let made = world.call(tool, arguments.clone()).await;
            let again = world.call(tool, arguments).await;
            assert_eq!(
                (id(&made), &again["replayed"]),
                (id(&again), &json!(true)),
                "{tool}"
            );
            assert_eq!(world.count("files").await, index, "{tool}");
        }
    }
}

#[tokio::test]
async fn what_failed_before_its_effect_is_tried_again_or_told() {
    for misbehaviour in [Misbehaviour::Cut, ERROR] {
        let world = world(&[]).await;
        for (index, (tool, arguments, path)) in (1..).zip(makers()) {
            world
                .sandbox
                .misbehave(fault(misbehaviour.clone()).on("POST", path).times(1));
            // A document cannot be given an id beforehand, so its caller decides.
            if tool == "create_document" {
                assert_eq!(
                    world.refused(tool, arguments.clone()).await.0,
                    "UNAVAILABLE"
                );
            }
            let made = world.call(tool, arguments).await;
            assert_eq!(made["replayed"], json!(false), "{tool}");
            assert_eq!(world.count("files").await, index, "{tool}");
        }
    }
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_or_told_with_its_time() {
    let world = world(&[]).await;
    world.sandbox.misbehave(
        fault(Misbehaviour::RateLimited { retry_after: 1 })
            .on("GET", "/files")
            .times(1),
    );
    assert_eq!(
        world.call("search_files", json!({})).await["items"],
        json!([])
    );
    world
        .sandbox
        .misbehave(fault(Misbehaviour::RateLimited { retry_after: 600 }).on("GET", "/files"));
    match world.client.call("search_files", json!({})).await {
        Err(Failure::Tool(error)) => {
            assert_eq!(
                (error.code.as_str(), error.retry_after_seconds()),
                ("RATE_LIMITED", Some(600))
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_google_that_fails_is_unavailable_on_every_tool() {
    let world = world(&[]).await;
    let file = world.text("a.txt", "x", "root").await;
    world
        .sandbox
        .misbehave(fault(Misbehaviour::Error { status: 500 }));
    for (tool, arguments) in [
        ("search_files", json!({})),
        ("get_file", json!({ "file_id": file })),
        ("read_file", json!({ "file_id": file })),
        ("download_file", json!({ "file_id": file })),
        ("trash_file", json!({ "file_id": file })),
        ("create_folder", json!({ "name": "F" })),
    ] {
        assert_eq!(
            world.refused(tool, arguments).await.0,
            "UNAVAILABLE",
            "{tool}"
        );
    }
    assert_eq!(world.count("files").await, 1);
}

#[tokio::test]
async fn a_token_that_ended_early_is_replaced_once() {
    let world = world(&[]).await;
    let file = world.text("a.txt", "hello", "root").await;
    for tool in ["get_file", "read_file", "download_file"] {
        world.sandbox.misbehave(
            fault(Misbehaviour::ExpiredToken)
                .on("GET", "/files")
                .times(1),
        );
        world.call(tool, json!({ "file_id": file })).await;
    }
    world
        .sandbox
        .misbehave(fault(Misbehaviour::ExpiredToken).on("GET", "/files"));
    for tool in ["get_file", "download_file"] {
        let (code, message, _) = world.refused(tool, json!({ "file_id": file })).await;
        assert!(
            code == "REFUSED" && message.contains("credentials"),
            "{tool}: {message}"
        );
    }
}

#[tokio::test]
async fn garbage_is_not_google() {
    let world = world(&[]).await;
    world.call("search_files", json!({})).await;
    world
        .sandbox
        .misbehave(fault(Misbehaviour::Garbage).on("GET", "/files").times(1));
    let (code, message, _) = world.refused("search_files", json!({})).await;
    assert_eq!(code, "UNAVAILABLE");
    assert!(message.contains("not its interface"), "{message}");
    assert_eq!(
        world.call("search_files", json!({})).await["items"],
        json!([])
    );
}

#[tokio::test]
async fn a_slow_google_ends_at_the_callers_deadline() {
    let world = world(&[]).await;
    world.call("search_files", json!({})).await;
    world.sandbox.misbehave(fault(Misbehaviour::Latency {
        milliseconds: 20_000,
    }));
    let begun = std::time::Instant::now();
    let asked = tokio::time::timeout(
        std::time::Duration::from_secs(1),
        world.client.call("search_files", json!({})),
    );
    assert!(asked.await.is_err() && begun.elapsed().as_secs() < 2);
}

#[tokio::test]
async fn a_failure_of_google_keeps_googles_own_code_and_words() {
    for (misbehaviour, code, own) in [
        (
            Misbehaviour::RateLimited { retry_after: 7200 },
            "RATE_LIMITED",
            "rateLimitExceeded",
        ),
        (ERROR, "UNAVAILABLE", "backendError"),
    ] {
        for tool in ["get_file", "download_file"] {
            let world = world(&[]).await;
            let file = world.text("a.txt", "x", "root").await;
            world.sandbox.misbehave(fault(misbehaviour.clone()));
            let (shown, _, details) = world.refused(tool, json!({ "file_id": file })).await;
            assert_eq!(
                (shown, &details["provider_code"]),
                (code, &json!(own)),
                "{tool}"
            );
            assert!(details["provider_message"].as_str().unwrap().len() > 5);
        }
    }
}
