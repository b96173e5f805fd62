//! Numbers verified by a code.

use mcp_kit::Code;
use serde_json::json;

use crate::support::{ADA, Scene, code};

/// The code, read where a person would: on the page.
async fn shown_code(scene: &Scene) -> String {
    let page = scene.page("sandbox/views/twilio").await;
    let (_, rest) = page.split_once("<b class=\"code\">").unwrap();
    rest.split('<').next().unwrap().to_owned()
}

fn wrong(code: &str) -> &'static str {
    if code == "111111" { "222222" } else { "111111" }
}

#[tokio::test]
async fn a_number_is_verified_by_the_right_code_once() {
    let scene = Scene::new().await;
    let start = json!({ "to": ADA, "idempotency_key": "a" });
    let started = scene.call("start_verification", start.clone()).await;
    assert_eq!(
        (
            &started["replayed"],
            &started["verification"]["status"],
            &started["verification"]["codes_sent"]
        ),
        (&json!(false), &json!("pending"), &json!(1))
    );
    let again = scene.call("start_verification", start).await;
    assert_eq!(again["replayed"], true);
    assert_eq!(scene.count("verification_codes_sent").await, 1);
    let code = shown_code(&scene).await;
    let check = |code: &str| json!({ "to": ADA, "code": code });
    let dry = json!({ "to": ADA, "code": code, "dry_run": true });
    let tried = scene.call("check_verification", dry).await;
    let nothing = json!({ "to": ADA, "approved": false, "status": null, "dry_run": true });
    assert_eq!(tried, nothing);
    let tried = scene.call("check_verification", check(wrong(&code))).await;
    assert_eq!(
        (&tried["approved"], &tried["status"]),
        (&json!(false), &json!("pending"))
    );
    let right = scene.call("check_verification", check(&code)).await;
    assert_eq!(right["approved"], true);
    let gone = scene.refused("check_verification", check(&code)).await;
    assert_eq!(gone.code, Code::NotFound);
    assert!(gone.message.contains("start a new one"), "{gone:?}");
}

#[tokio::test]
async fn codes_are_not_guessed() {
    let scene = Scene::new().await;
    let start = json!({ "to": ADA, "channel": "call", "idempotency_key": "a" });
    scene.call("start_verification", start).await;
    let guess = json!({ "to": ADA, "code": wrong(&shown_code(&scene).await) });
    for _ in 0..5 {
        scene.call("check_verification", guess.clone()).await;
    }
    let refused = scene.refused("check_verification", guess).await;
    assert_eq!(code(&refused), (Code::RateLimited, json!(60202)));
    assert!(
        refused.message.contains("five in 10 minutes"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_code_whose_answer_was_lost_is_not_sent_again() {
    let scene = Scene::new().await;
    scene
        .misbehave(event_planner_sandbox::Misbehaviour::Cut)
        .after("POST", "/Verifications");
    let start = json!({ "to": ADA, "idempotency_key": "a" });
    let started = scene.call("start_verification", start.clone()).await;
    assert_eq!(started["verification"]["codes_sent"], 1);
    scene.call("start_verification", start).await;
    assert_eq!(scene.count("verification_codes_sent").await, 1);
}

#[tokio::test]
async fn no_more_codes_are_sent_than_verify_allows() {
    let scene = Scene::new().await;
    for key in ["a", "b", "c", "d", "e"] {
        let start = json!({ "to": ADA, "idempotency_key": key });
        scene.call("start_verification", start).await;
    }
    let start = json!({ "to": ADA, "idempotency_key": "f" });
    let refused = scene.refused("start_verification", start).await;
    assert_eq!(code(&refused), (Code::RateLimited, json!(60203)));
    let details = refused.details.unwrap();
    assert_eq!(details["provider_message"], "Max send attempts reached");
}
