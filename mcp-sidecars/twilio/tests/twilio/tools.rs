//! What the tools do on a good day, and what they refuse.

use event_planner_sandbox::Provider;
use expect_test::expect_file;
use mcp_kit::{Account, Caller, Code, Failure};
use serde_json::{Value, json};

use crate::support::{
    ACCOUNT, ADA, AUTH_TOKEN, MESSAGING_SERVICE, OURS, Scene, and, code, error, sms,
};

#[tokio::test]
async fn the_committed_list_of_tools_is_what_callers_see() {
    let scene = Scene::new().await;
    expect_file!["../../tools.json"].assert_eq(&scene.client.tool_list());
}

#[tokio::test]
async fn a_message_goes_out_and_is_followed_until_it_is_delivered() {
    let scene = Scene::new().await;
    let sent = scene.call("send_sms", sms("a")).await;
    assert_eq!(
        (
            &sent["replayed"],
            &sent["segments"],
            &sent["from"],
            &sent["message"]["status"]
        ),
        (&json!(false), &json!(1), &json!(OURS), &json!("queued"))
    );
    let id = sent["message"]["id"].as_str().unwrap();
    let seen = scene.until(id, "delivered").await;
    assert_eq!(
        (
            &seen["is_final"],
            &seen["price"],
            &seen["price_currency"],
            &seen["direction"]
        ),
        (
            &json!(true),
            &json!("0.00830"),
            &json!("USD"),
            &json!("outbound")
        )
    );
    let unreached = scene
        .call("send_sms", and(sms("b"), json!({ "to": "+15005550013" })))
        .await;
    let id = unreached["message"]["id"].as_str().unwrap();
    let seen = scene.until(id, "undelivered").await;
    assert_eq!(
        (&seen["error_code"], &seen["error_reason"]),
        (&json!(30003), &json!("Unreachable destination handset"))
    );
}

#[tokio::test]
async fn a_key_sends_one_message() {
    let scene = Scene::new().await;
    let first = scene.call("send_sms", sms("a")).await;
    let second = scene.call("send_sms", sms("a")).await;
    assert_eq!(second["replayed"], true);
    assert_eq!(first["message"]["id"], second["message"]["id"]);
    let other = scene
        .refused("send_sms", and(sms("a"), json!({ "body": "Other" })))
        .await;
    assert_eq!(
        other.details.unwrap()["errors"][0]["pointer"],
        "#/idempotency_key"
    );
    assert_eq!(scene.count("messages").await, 1);
    scene.call("send_sms", sms("b")).await;
    assert_eq!(scene.count("messages").await, 2);
    let somebody = Caller::local().acting_for("other/member").unwrap();
    let elsewhere = scene.client.as_caller(somebody);
    let sent = elsewhere.call("send_sms", sms("a")).await.unwrap();
    assert_eq!(sent["replayed"], false);
}

#[tokio::test]
async fn many_calls_with_one_key_send_one_message() {
    let scene = Scene::new().await;
    let calls = (0..20).map(|_| scene.client.call("send_sms", sms("a")));
    let ended = futures_util::future::join_all(calls).await;
    for answer in ended {
        match answer {
            Ok(sent) => assert!(sent["message"]["id"].is_string()),
            other => assert_eq!(error(other).code, Code::Unavailable),
        }
    }
    assert_eq!(scene.count("messages").await, 1);
    assert_eq!(scene.call("send_sms", sms("a")).await["replayed"], true);
}

#[tokio::test]
async fn a_dry_run_sends_nothing_and_says_what_it_would_take() {
    let scene = Scene::new().await;
    let long = and(sms("a"), json!({ "body": "я".repeat(71), "dry_run": true }));
    let checked = scene.call("send_sms", long).await;
    assert_eq!(
        (
            &checked["dry_run"],
            &checked["segments"],
            &checked["message"]
        ),
        (&json!(true), &json!(2), &Value::Null)
    );
    scene
        .call(
            "start_verification",
            json!({ "to": ADA, "idempotency_key": "a", "dry_run": true }),
        )
        .await;
    assert!(scene.sandbox.arrived(Provider::Twilio).is_empty());
    assert_eq!(scene.call("send_sms", sms("a")).await["replayed"], false);
}

#[tokio::test]
async fn our_count_of_segments_is_twilios() {
    let scene = Scene::new().await;
    let texts = [
        "a".repeat(160),
        "a".repeat(161),
        "€".repeat(81),
        "😀".repeat(36),
        "Grüße ~ 5 €".to_owned(),
    ];
    for (index, text) in texts.iter().enumerate() {
        let sent = scene
            .call(
                "send_sms",
                and(sms(&index.to_string()), json!({ "body": text })),
            )
            .await;
        assert_eq!(sent["segments"], sent["message"]["segments"], "{text}");
    }
}

#[tokio::test]
async fn what_twilio_refuses_is_told_with_its_code() {
    let scene = Scene::with(&["--twilio-senders=+15005550006,+15005550007"]).await;
    let cases = [
        (json!({ "to": "+15005550001" }), Code::Invalid, 21211),
        (json!({ "to": "+15005550009" }), Code::Invalid, 21614),
        (json!({ "to": "+15005550003" }), Code::Refused, 21408),
        (json!({ "from": "+15005550007" }), Code::Refused, 21606),
    ];
    for (index, (more, kind, provider_code)) in cases.into_iter().enumerate() {
        let arguments = and(sms(&index.to_string()), more);
        let refused = scene.refused("send_sms", arguments).await;
        assert_eq!(code(&refused), (kind, provider_code.into()), "{refused:?}");
        assert!(refused.details.unwrap()["provider_message"].is_string());
    }
    assert_eq!(scene.count("messages").await, 0);
}

#[tokio::test]
async fn who_has_opted_out_is_never_written_to_again() {
    let scene = Scene::new().await;
    let url = scene.sandbox.url("sandbox/twilio/inbound");
    let stop = json!({ "from": ADA, "body": "Stop" });
    let client = reqwest::Client::new();
    client.post(url).json(&stop).send().await.unwrap();
    for key in ["a", "b"] {
        let refused = scene.refused("send_sms", sms(key)).await;
        assert_eq!(code(&refused), (Code::Refused, 21610.into()));
        assert_eq!(refused.details.unwrap()["final"], true);
    }
    let inbound = scene.call("list_messages", json!({ "from": ADA })).await;
    assert_eq!(
        (
            &inbound["items"][0]["body"],
            &inbound["items"][0]["direction"]
        ),
        (&json!("Stop"), &json!("inbound"))
    );
}

#[tokio::test]
async fn caps_are_kept_before_anything_is_sent() {
    let scene = Scene::with(&[
        "--max-segments=1",
        "--max-messages-per-day=2",
        "--allowed-prefixes=+1,+44",
    ])
    .await;
    let long = and(sms("a"), json!({ "body": "x".repeat(161) }));
    let refused = scene.refused("send_sms", long).await;
    assert!(refused.message.contains("MAX_SEGMENTS"), "{refused:?}");
    let far = and(sms("a"), json!({ "to": "+882123456789" }));
    let refused = scene.refused("send_sms", far).await;
    assert!(refused.message.contains("ALLOWED_PREFIXES"), "{refused:?}");
    let far = json!({ "to": "+882123456789", "idempotency_key": "a" });
    let refused = scene.refused("start_verification", far).await;
    assert!(refused.message.contains("ALLOWED_PREFIXES"), "{refused:?}");
    scene.call("send_sms", sms("a")).await;
    scene
        .call(
            "start_verification",
            json!({ "to": ADA, "idempotency_key": "a" }),
        )
        .await;
    let capped = scene.refused("send_sms", sms("b")).await;
    assert_eq!(capped.code, Code::RateLimited);
    assert_eq!(capped.details.unwrap()["cap"], "MAX_MESSAGES_PER_DAY");
    assert_eq!(scene.call("send_sms", sms("a")).await["replayed"], true);
    assert_eq!(scene.sandbox.arrived(Provider::Twilio).len(), 2);
}

#[tokio::test]
async fn a_message_can_wait_and_be_cancelled() {
    let scene = Scene::new().await;
    let at = |minutes: i64| {
        let time = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let time = i64::try_from(time).unwrap() + 60 * minutes;
        jiff::Timestamp::from_second(time).unwrap().to_string()
    };
    let later = |minutes| {
        and(
            sms("a"),
            json!({ "from": MESSAGING_SERVICE, "send_at": at(minutes) }),
        )
    };
    let refused = scene
        .refused("send_sms", and(later(60), json!({ "from": OURS })))
        .await;
    assert_eq!(
        refused.details.unwrap()["errors"][0]["pointer"],
        "#/send_at"
    );
    assert_eq!(
        scene.refused("send_sms", later(5)).await.code,
        Code::Invalid
    );
    let sent = scene.call("send_sms", later(60)).await;
    assert_eq!(sent["message"]["status"], "scheduled");
    let id = sent["message"]["id"].clone();
    let dry = json!({ "message_id": id, "dry_run": true });
    let checked = scene.call("cancel_message", dry).await;
    assert_eq!(checked["message"]["status"], "scheduled");
    for replayed in [false, true] {
        let cancelled = scene
            .call("cancel_message", json!({ "message_id": id }))
            .await;
        assert_eq!(
            (&cancelled["replayed"], &cancelled["message"]["status"]),
            (&json!(replayed), &json!("canceled"))
        );
    }
    let sent = scene.call("send_sms", sms("b")).await;
    let id = sent["message"]["id"].clone();
    let refused = scene
        .refused("cancel_message", json!({ "message_id": id }))
        .await;
    assert_eq!(refused.code, Code::Refused);
}

#[tokio::test]
async fn a_list_is_paged_and_a_cursor_is_no_address() {
    let scene = Scene::new().await;
    for index in 0..5 {
        scene.call("send_sms", sms(&index.to_string())).await;
    }
    let mut seen = Vec::new();
    let mut arguments = json!({ "to": ADA, "limit": 2 });
    loop {
        let page = scene.call("list_messages", arguments.clone()).await;
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["id"].to_string()),
        );
        let Some(cursor) = page.get("next_cursor") else {
            break;
        };
        arguments["cursor"] = cursor.clone();
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), sorted.len()), (5, 5));
    for cursor in ["http://evil.example", "1.x/../y", "1", ".x", "x.y"] {
        let refused = scene
            .refused("list_messages", json!({ "cursor": cursor }))
            .await;
        assert_eq!(refused.code, Code::Invalid, "{cursor}");
    }
    let none = json!({ "sent_after": "2099-01-01T00:00:00Z" });
    assert_eq!(scene.call("list_messages", none).await["items"], json!([]));
}

#[tokio::test]
async fn wrong_arguments_never_reach_twilio() {
    let scene = Scene::new().await;
    let wrong = [
        (
            "send_sms",
            and(sms("a"), json!({ "to": "555 0100" })),
            "#/to",
        ),
        ("send_sms", and(sms("a"), json!({ "body": "" })), "#/body"),
        (
            "send_sms",
            json!({ "to": ADA, "body": "x" }),
            "#/idempotency_key",
        ),
        (
            "send_sms",
            and(sms("a"), json!({ "from": "Ada" })),
            "#/from",
        ),
        (
            "get_message",
            json!({ "message_id": "../Calls" }),
            "#/message_id",
        ),
        ("lookup_number", json!({ "number": "Ada" }), "#/number"),
        (
            "lookup_number",
            json!({ "number": ADA, "country": "gb" }),
            "#/country",
        ),
        (
            "check_verification",
            json!({ "to": ADA, "code": "abc" }),
            "#/code",
        ),
    ];
    for (tool, arguments, pointer) in wrong {
        let refused = scene.refused(tool, arguments).await;
        assert_eq!(refused.code, Code::Invalid, "{refused:?}");
        assert_eq!(refused.details.unwrap()["errors"][0]["pointer"], pointer);
    }
    assert!(scene.sandbox.arrived(Provider::Twilio).is_empty());
    let unknown = json!({ "message_id": format!("SM{:032}", 9) });
    let missing = scene.refused("get_message", unknown).await;
    assert_eq!(code(&missing), (Code::NotFound, 20404.into()));
}

#[tokio::test]
async fn a_number_is_looked_up() {
    let scene = Scene::new().await;
    let found = scene
        .call(
            "lookup_number",
            json!({ "number": "(415) 555-2671", "country": "US", "line_type": true }),
        )
        .await;
    assert_eq!(
        (
            &found["valid"],
            &found["number"],
            &found["country"],
            &found["line_type"]
        ),
        (
            &json!(true),
            &json!("+14155552671"),
            &json!("US"),
            &json!("mobile")
        )
    );
    let short = scene
        .call("lookup_number", json!({ "number": "+1415" }))
        .await;
    assert_eq!(
        (
            &short["valid"],
            &short["number"],
            &short["validation_errors"]
        ),
        (&json!(false), &Value::Null, &json!(["TOO_SHORT"]))
    );
}

#[tokio::test]
async fn a_read_only_server_offers_nothing_that_sends() {
    let scene = Scene::with(&["--read-only"]).await;
    let shown = scene.call("capabilities", json!({})).await;
    assert_eq!(shown["notes"]["read_only"], true);
    let tools = shown["tools"].as_array().unwrap();
    assert!(tools.iter().all(|tool| tool["read_only"] == true));
    let sent = scene.client.call("send_sms", sms("a")).await;
    assert!(matches!(sent, Err(Failure::UnknownTool)), "{sent:?}");
    assert!(scene.sandbox.arrived(Provider::Twilio).is_empty());
    scene.call("list_messages", json!({})).await;
}

#[tokio::test]
async fn without_an_account_the_missing_setting_is_named() {
    let scene = Scene::bare(&[]).await;
    for (tool, arguments) in [("send_sms", sms("a")), ("list_messages", json!({}))] {
        let refused = scene.refused(tool, arguments).await;
        assert_eq!(refused.code, Code::Refused);
        assert!(
            refused.message.contains("TWILIO_ACCOUNT_SID"),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_call_acts_with_the_account_it_brings() {
    let scene = Scene::bare(&[]).await;
    let Scene { sandbox, client } = scene;
    let connected = |token: &str| Account::new(ACCOUNT, token).unwrap();
    let client = client.with_account(connected(AUTH_TOKEN));
    let refused = error(client.call("send_sms", sms("a")).await);
    assert_eq!(refused.details.unwrap()["errors"][0]["pointer"], "#/from");
    let sent = and(sms("a"), json!({ "from": OURS }));
    client.call("send_sms", sent.clone()).await.unwrap();
    let key = "SKsandbox0000000000000000000000000:sandbox-twilio-api-key-secret-no-secret";
    let client = client.with_account(connected(key));
    client.call("list_messages", json!({})).await.unwrap();
    let client = client.with_account(connected("sandbox-but-revoked"));
    let refused = error(client.call("list_messages", json!({})).await);
    assert_eq!(code(&refused), (Code::Refused, 20003.into()));
    let foreign = Account::new("somebody@example.com", AUTH_TOKEN).unwrap();
    let client = client.with_account(foreign);
    assert_eq!(
        error(client.call("list_messages", json!({})).await).code,
        Code::Refused
    );
    assert_eq!(sandbox.arrived(Provider::Twilio).len(), 3);
}
