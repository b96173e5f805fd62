//! What the tools do when Twilio has a bad day: nothing goes out twice, and the caller learns what is known.

use event_planner_sandbox::Misbehaviour;
use mcp_kit::Code;
use serde_json::{Value, json};

use crate::support::{ADA, Scene, and, client, code, credentials, error, sms};

const MESSAGES: &str = "/Messages.json";

fn fail(status: u16) -> Misbehaviour {
    Misbehaviour::Error { status }
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_found_and_not_sent_again() {
    for lost in [
        Misbehaviour::Cut,
        fail(500),
        fail(503),
        Misbehaviour::Garbage,
    ] {
        let scene = Scene::new().await;
        scene.misbehave(lost.clone()).after("POST", MESSAGES);
        let sent = scene.call("send_sms", sms("a")).await;
        assert_eq!(sent["replayed"], false, "{lost:?}");
        let again = scene.call("send_sms", sms("a")).await;
        assert_eq!(again["replayed"], true);
        assert_eq!(sent["message"]["id"], again["message"]["id"]);
        assert_eq!(scene.count("messages").await, 1, "{lost:?}");
    }
}

#[tokio::test]
async fn what_did_not_go_out_is_not_sent_blindly_but_after_it_settled() {
    for lost in [Misbehaviour::Cut, fail(500)] {
        let scene = Scene::with(&["--settle-time=1"]).await;
        scene.misbehave(lost).before("POST", MESSAGES);
        let unknown = scene.refused("send_sms", sms("a")).await;
        assert_eq!(unknown.code, Code::Unavailable);
        assert_eq!(unknown.details.unwrap()["outcome"], "unknown");
        let again = scene.refused("send_sms", sms("a")).await;
        assert_eq!(again.details.unwrap()["outcome"], "unknown");
        assert_eq!(scene.count("messages").await, 0);
        tokio::time::sleep(again.retry_after.unwrap()).await;
        let sent = scene.call("send_sms", sms("a")).await;
        assert_eq!(sent["replayed"], false);
        assert_eq!(scene.count("messages").await, 1);
    }
}

#[tokio::test]
async fn nothing_is_sent_while_it_cannot_be_looked_for() {
    let scene = Scene::with(&["--settle-time=0"]).await;
    scene.misbehave(Misbehaviour::Cut).after("POST", MESSAGES);
    scene.misbehave(fail(500)).times(6).before("GET", MESSAGES);
    for _ in 0..2 {
        let unknown = scene.refused("send_sms", sms("a")).await;
        assert_eq!(unknown.details.unwrap()["outcome"], "unknown");
    }
    assert_eq!(scene.count("messages").await, 1);
}

#[tokio::test]
async fn equal_texts_under_two_keys_are_two_messages() {
    let scene = Scene::with(&["--settle-time=0"]).await;
    scene.call("send_sms", sms("a")).await;
    scene.misbehave(Misbehaviour::Cut).before("POST", MESSAGES);
    // The first key's message is not taken for the second's.
    let unknown = scene.refused("send_sms", sms("b")).await;
    assert_eq!(unknown.details.unwrap()["outcome"], "unknown");
    let second = scene.call("send_sms", sms("b")).await;
    assert_eq!(second["replayed"], false);
    assert_eq!(scene.count("messages").await, 2);
}

#[tokio::test]
async fn a_new_process_finds_what_an_old_one_sent_when_it_is_told_since_when() {
    let scene = Scene::new().await;
    let sent = scene.call("send_sms", sms("a")).await;
    let first = sent["message"]["created_at"].clone();
    let renewed = client(&scene.sandbox, &credentials());
    let retried = and(sms("a"), json!({ "first_attempt_at": first }));
    let found = renewed.call("send_sms", retried).await.unwrap();
    assert_eq!(
        (&found["replayed"], &found["message"]["id"]),
        (&json!(true), &sent["message"]["id"])
    );
    assert_eq!(scene.count("messages").await, 1);
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_and_one_that_is_too_late_is_found() {
    let scene = Scene::new().await;
    scene
        .misbehave(Misbehaviour::Latency {
            milliseconds: 11_000,
        })
        .after("POST", MESSAGES);
    let sent = scene.call("send_sms", sms("a")).await;
    assert_eq!(sent["replayed"], false);
    assert_eq!(scene.count("messages").await, 1);
}

#[tokio::test]
async fn a_rate_limit_is_obeyed_and_told() {
    let scene = Scene::new().await;
    let limit = |seconds| Misbehaviour::RateLimited {
        retry_after: seconds,
    };
    scene.misbehave(limit(1)).before("POST", MESSAGES);
    let sent = scene.call("send_sms", sms("a")).await;
    assert_eq!(sent["replayed"], false);
    scene.misbehave(limit(90)).before("POST", MESSAGES);
    let limited = scene.refused("send_sms", sms("b")).await;
    assert_eq!(
        (limited.code, limited.retry_after_seconds()),
        (Code::RateLimited, Some(90))
    );
    let sent = scene.call("send_sms", sms("b")).await;
    assert_eq!(sent["replayed"], false, "it surely did not go out");
    assert_eq!(scene.count("messages").await, 2);
}

#[tokio::test]
async fn reading_survives_one_bad_answer() {
    for lost in [fail(500), Misbehaviour::Cut] {
        let scene = Scene::new().await;
        scene.misbehave(lost).before("GET", MESSAGES);
        scene.call("list_messages", json!({})).await;
    }
    let scene = Scene::new().await;
    scene
        .misbehave(Misbehaviour::Garbage)
        .before("GET", MESSAGES);
    let broken = scene.refused("list_messages", json!({})).await;
    assert_eq!(broken.code, Code::Unavailable);
}

#[tokio::test]
async fn an_expired_token_is_told_and_nothing_is_sent() {
    let scene = Scene::new().await;
    scene
        .misbehave(Misbehaviour::ExpiredToken)
        .before("POST", MESSAGES);
    let refused = scene.refused("send_sms", sms("a")).await;
    assert_eq!(code(&refused), (Code::Refused, 20003.into()));
    assert!(
        refused.message.contains("TWILIO_ACCOUNT_SID"),
        "{refused:?}"
    );
    assert_eq!(scene.call("send_sms", sms("a")).await["replayed"], false);
    assert_eq!(scene.count("messages").await, 1);
}

#[tokio::test]
async fn a_cancellation_whose_answer_was_lost_is_done() {
    let scene = Scene::new().await;
    let later = jiff::Timestamp::from_second(
        i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap() + 3600,
    );
    let service = crate::support::MESSAGING_SERVICE;
    let asked = json!({ "from": service, "send_at": later.unwrap().to_string() });
    let sent = scene.call("send_sms", and(sms("a"), asked)).await;
    scene
        .misbehave(Misbehaviour::Cut)
        .after("POST", "/Messages/SM");
    let cancelled = scene
        .call(
            "cancel_message",
            json!({ "message_id": sent["message"]["id"] }),
        )
        .await;
    assert_eq!(cancelled["message"]["status"], "canceled");
}

#[tokio::test]
async fn forty_bad_days_send_forty_messages_once_each() {
    let scene = Scene::with(&["--settle-time=0", "--max-messages-per-minute=1000"]).await;
    let kinds = [
        Misbehaviour::Cut,
        fail(500),
        Misbehaviour::Garbage,
        Misbehaviour::RateLimited { retry_after: 0 },
    ];
    for index in 0..40_usize {
        let body = json!({ "body": format!("No. {index}") });
        let arguments = and(sms(&index.to_string()), body);
        let switch = scene.misbehave(kinds[index % kinds.len()].clone());
        // A 429 says that nothing was done.
        let is_limit = index % kinds.len() == 3;
        if is_limit || index % 3 == 0 {
            switch.before("POST", MESSAGES);
        } else {
            switch.after("POST", MESSAGES);
        }
        let mut tries = 0;
        while let Err(failure) = scene.client.call("send_sms", arguments.clone()).await {
            let told = error(Err(failure));
            assert!(
                matches!(told.code, Code::Unavailable | Code::RateLimited),
                "{told:?}"
            );
            tries += 1;
            assert!(tries < 10, "{told:?}");
        }
    }
    let list = json!({ "to": ADA, "limit": 100 });
    let all = scene.call("list_messages", list).await;
    let mut bodies: Vec<&Value> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["body"])
        .collect();
    assert_eq!(bodies.len(), 40);
    bodies.sort_by_key(ToString::to_string);
    bodies.dedup();
    assert_eq!(bodies.len(), 40);
}

#[tokio::test]
async fn a_failure_of_twilio_keeps_twilios_own_code_and_words() {
    let limit = Misbehaviour::RateLimited { retry_after: 90 };
    for (misbehaviour, code, own, words) in [
        (limit, Code::RateLimited, 20429, "Too Many Requests"),
        (
            fail(500),
            Code::Unavailable,
            20500,
            "An internal server error has occurred",
        ),
    ] {
        let scene = Scene::new().await;
        let switch = scene.misbehave(misbehaviour.clone()).times(3);
        switch.before("GET", MESSAGES);
        let error = scene.refused("list_messages", json!({})).await;
        assert_eq!(crate::support::code(&error), (code, json!(own)));
        assert_eq!(error.details.unwrap()["provider_message"], words);
        scene.sandbox.world.faults.clear();
        scene.misbehave(misbehaviour).before("POST", MESSAGES);
        let error = scene.refused("send_sms", sms("a")).await;
        assert_eq!(crate::support::code(&error), (code, json!(own)));
    }
}
