use std::time::{Duration, Instant};

use event_planner_sandbox::{Fault, Misbehaviour, Provider};
use mcp_kit::{Caller, Code};
use serde_json::json;

use crate::support::{Scene, codes, session};

fn fault(misbehaviour: Misbehaviour) -> Fault {
    Fault::new(Provider::Stripe, misbehaviour)
}

#[tokio::test]
async fn bad_days_create_nothing_twice() {
    for misbehaviour in [
        Misbehaviour::Error { status: 500 },
        Misbehaviour::Cut,
        Misbehaviour::RateLimited { retry_after: 0 },
    ] {
        for after in [false, true] {
            let scene = Scene::new().await;
            let mut fault = fault(misbehaviour.clone()).on("POST", "/sessions").times(2);
            fault.after = after;
            scene.sandbox.misbehave(fault);
            let made = scene
                .ok("create_checkout_session", session("s-1", 8000))
                .await;
            assert_eq!(made["replayed"], after, "{misbehaviour:?} {after}");
            assert_eq!(
                scene.count("checkout_sessions").await,
                1,
                "{misbehaviour:?} {after}"
            );
        }
    }
}

#[tokio::test]
async fn a_lost_refund_is_found_again_under_its_key() {
    let scene = Scene::new().await;
    let payment = scene.paid(1000).await;
    let refund = json!({ "payment_id": payment, "idempotency_key": "r-1" });
    scene.sandbox.misbehave(
        fault(Misbehaviour::Cut)
            .on("POST", "/refunds")
            .times(3)
            .after(),
    );
    assert_eq!(
        scene.refused("refund_payment", refund.clone()).await.code,
        Code::Unavailable
    );
    let found = scene.ok("refund_payment", refund).await;
    assert_eq!(
        (&found["replayed"], &found["amount"]),
        (&json!(true), &json!(1000))
    );
    assert_eq!(scene.count("refunds").await, 1);
}

#[tokio::test]
async fn the_same_key_of_another_organization_is_another_key() {
    let scene = Scene::new().await;
    // As long as a key may be.
    let mut wanted = crate::support::link(&"k".repeat(200));
    for (behalf, quantity, replayed) in [
        ("first/anna", 1, false),
        ("second/anna", 2, false),
        ("first/berta", 1, true),
    ] {
        wanted["items"][0]["quantity"] = quantity.into();
        let caller = Caller::local().acting_for(behalf).unwrap();
        let client = scene.client.as_caller(caller);
        let made = client.call("create_payment_link", wanted.clone()).await;
        assert_eq!(made.unwrap()["replayed"], replayed, "{behalf}");
    }
    assert_eq!(scene.count("payment_links").await, 2);
}

#[tokio::test]
async fn limits_are_passed_on_with_their_wait() {
    let scene = Scene::new().await;
    scene
        .sandbox
        .misbehave(fault(Misbehaviour::RateLimited { retry_after: 60 }));
    let limited = scene.refused("get_balance", json!({})).await;
    assert_eq!(
        (limited.code, limited.retry_after_seconds()),
        (Code::RateLimited, Some(60))
    );
}

#[tokio::test]
async fn an_expired_key_is_refused_in_words_and_garbage_is_not_stripe() {
    let scene = Scene::new().await;
    scene
        .sandbox
        .misbehave(fault(Misbehaviour::ExpiredToken).times(1));
    let expired = scene.refused("get_balance", json!({})).await;
    assert_eq!(codes(&expired), (Code::Refused, Some("api_key_expired")));
    assert!(
        expired.message.contains("STRIPE_SECRET_KEY"),
        "{}",
        expired.message
    );
    scene
        .sandbox
        .misbehave(fault(Misbehaviour::Garbage).times(1));
    let garbage = scene.refused("get_balance", json!({})).await;
    assert_eq!(garbage.code, Code::Unavailable);
    assert_eq!(
        garbage.message,
        "stripe answered with something that is not its interface"
    );
    assert!(garbage.cause.is_some() && !garbage.is_undone);
}

#[tokio::test]
async fn a_slow_stripe_ends_at_the_callers_deadline() {
    let scene = Scene::new().await;
    scene.sandbox.misbehave(fault(Misbehaviour::Latency {
        milliseconds: 20_000,
    }));
    let (url, _running) =
        crate::secrets::serve(&scene.sandbox.url("stripe"), crate::support::SIDECAR_KEY).await;
    let begun = Instant::now();
    let late = crate::support::http()
        .post(format!("{url}/mcp/tools/get_balance?timeout_ms=300"))
        .send()
        .await
        .unwrap();
    assert_eq!(late.status(), 504);
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn fifty_equal_calls_at_once_have_one_effect() {
    let scene = Scene::new().await;
    let client = &scene.client.as_caller(Caller::local());
    let calls = (0..50).map(|_| client.call("create_checkout_session", session("s-1", 8000)));
    let answers = futures_util::future::join_all(calls).await;
    let ids: std::collections::BTreeSet<String> = answers
        .into_iter()
        .filter_map(|answer| Some(answer.ok()?["session_id"].as_str()?.to_owned()))
        .collect();
    assert_eq!((ids.len(), scene.count("checkout_sessions").await), (1, 1));
}

#[tokio::test]
async fn a_failure_of_stripe_keeps_stripes_own_code_and_words() {
    for (misbehaviour, code, own, words) in [
        (
            Misbehaviour::RateLimited { retry_after: 60 },
            Code::RateLimited,
            "rate_limit",
            "Too many requests",
        ),
        (
            Misbehaviour::Error { status: 500 },
            Code::Unavailable,
            "api_error",
            "Something went wrong",
        ),
    ] {
        let scene = Scene::new().await;
        scene.sandbox.misbehave(fault(misbehaviour));
        let error = scene.refused("get_balance", json!({})).await;
        assert_eq!(codes(&error), (code, Some(own)));
        let details = error.details.unwrap();
        let said = details["provider_message"].as_str().unwrap();
        assert!(said.starts_with(words), "{details}");
    }
}
