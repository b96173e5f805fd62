//! Bad days: nothing is done twice, nothing hangs, and every error says what to do.

use std::time::Duration;

use event_planner_sandbox::Misbehaviour::{Cut, Error, ExpiredToken, Garbage, RateLimited};
use mcp_kit::Code;
use serde_json::json;

use crate::support::{addresses, client, dinner, refusal, scene};

#[tokio::test]
async fn an_event_whose_answer_was_lost_is_there_once() {
    let scene = scene(&[]).await;
    scene.misbehave(Cut, "POST").after(1);
    let answer = scene.ok("create_event", dinner("k1")).await;
    assert_eq!(
        (&answer["replayed"], &answer["event"]["title"]),
        (&json!(true), &json!("Dinner"))
    );
    scene.misbehave(Error { status: 500 }, "POST").after(2);
    scene.ok("create_event", dinner("k2")).await;
    assert_eq!(scene.counts().await["events"], 2);
}

#[tokio::test]
async fn an_event_whose_request_was_lost_is_created_after_all() {
    let scene = scene(&[]).await;
    scene.misbehave(Cut, "POST").before(1);
    assert_eq!(
        scene.ok("create_event", dinner("k1")).await["replayed"],
        false
    );
    scene.misbehave(Error { status: 503 }, "POST").before(1);
    assert_eq!(
        scene.ok("create_event", dinner("k2")).await["replayed"],
        false
    );
    assert_eq!(scene.counts().await["events"], 2);
}

#[tokio::test]
async fn a_change_under_a_version_whose_answer_was_lost_is_no_lost_update() {
    let scene = scene(&[]).await;
    let event = scene.dinner("k1").await;
    scene.misbehave(Cut, "PATCH").after(1);
    let change = json!({ "event_id": event["id"], "etag": event["etag"], "title": "Supper" });
    let answer = scene.ok("update_event", change).await;
    assert_eq!(
        (&answer["replayed"], &answer["event"]["title"]),
        (&json!(true), &json!("Supper"))
    );
    scene.misbehave(Cut, "PATCH").after(1);
    let guests =
        json!({ "event_id": event["id"], "attendees": ["ann@x.example"], "send_updates": "all" });
    let answer = scene.ok("add_attendees", guests).await;
    assert_eq!(answer["event"]["attendee_count"], 1);
    assert_eq!(scene.counts().await["invitations"], 1);
    scene.misbehave(Cut, "DELETE").after(1);
    let cancel = json!({ "event_id": event["id"] });
    assert_eq!(
        scene.ok("cancel_event", cancel).await,
        json!({ "replayed": true })
    );
}

#[tokio::test]
async fn a_token_that_ended_is_replaced_once() {
    let scene = scene(&[]).await;
    scene.dinner("k1").await;
    scene.misbehave(ExpiredToken, "GET").before(1);
    assert_eq!(
        scene.ok("list_events", json!({})).await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(scene.arrived("POST", "/token"), 2);
    scene.misbehave(ExpiredToken, "GET").always();
    let error = scene.error("list_events", json!({})).await;
    assert_eq!(error.code, Code::Refused);
    assert!(error.message.contains("check the credentials"));
    assert_eq!(error.details.unwrap()["provider_code"], "authError");
}

#[tokio::test]
async fn a_provider_that_is_too_busy_says_when_to_come_back() {
    let scene = scene(&[]).await;
    scene
        .misbehave(RateLimited { retry_after: 0 }, "POST")
        .before(1);
    scene.ok("create_event", dinner("k1")).await;
    scene
        .misbehave(RateLimited { retry_after: 90 }, "GET")
        .before(1);
    let error = scene.error("list_events", json!({})).await;
    assert_eq!(
        (error.code, error.retry_after),
        (Code::RateLimited, Some(Duration::from_secs(90)))
    );
    scene.misbehave(Error { status: 403 }, "GET").before(1);
    let error = scene.error("list_events", json!({})).await;
    assert_eq!(error.code, Code::RateLimited);
    assert_eq!(
        error.details.unwrap()["provider_code"],
        "userRateLimitExceeded"
    );
}

#[tokio::test]
async fn a_provider_that_fails_is_unavailable() {
    let scene = scene(&[]).await;
    scene.misbehave(Error { status: 500 }, "GET").always();
    let error = scene.error("list_events", json!({})).await;
    assert_eq!(error.code, Code::Unavailable);
    assert_eq!(scene.arrived("GET", "/calendar/"), 3);
}

#[tokio::test]
async fn what_is_not_googles_answer_is_not_shown() {
    let scene = scene(&[]).await;
    scene.misbehave(Garbage, "GET").before(1);
    let error = scene.error("list_events", json!({})).await;
    assert_eq!(error.code, Code::Unavailable);
    assert!(!error.message.contains("Welcome"));
}

#[tokio::test]
async fn without_credentials_calls_say_which_setting_is_missing() {
    let sandbox = event_planner_sandbox::Sandbox::start().await.unwrap();
    let client = client(&addresses(&sandbox));
    let error = refusal(client.call("list_events", json!({})).await);
    assert_eq!(error.code, Code::Refused);
    assert!(error.message.contains("GOOGLE_CLIENT_ID"));
    assert!(client.call("capabilities", json!({})).await.is_ok());
}

#[tokio::test]
async fn a_failure_of_google_keeps_googles_own_code_and_words() {
    let scene = scene(&[]).await;
    for (misbehaviour, code, own, words) in [
        (
            RateLimited { retry_after: 90 },
            Code::RateLimited,
            "rateLimitExceeded",
            "Rate Limit Exceeded",
        ),
        (
            Error { status: 503 },
            Code::Unavailable,
            "backendError",
            "The service is currently unavailable.",
        ),
    ] {
        scene.misbehave(misbehaviour, "GET").before(3);
        let error = scene.error("list_events", json!({})).await;
        assert_eq!(error.code, code);
        let details = json!({ "provider_code": own, "provider_message": words });
        assert_eq!(error.details, Some(details));
        scene.sandbox.world.faults.clear();
    }
}
