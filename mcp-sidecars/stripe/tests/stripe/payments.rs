use event_planner_sandbox::Provider;
use expect_test::expect_file;
use mcp_kit::Code;
use serde_json::{Value, json};

use crate::support::{Scene, client, codes, error, link, pointer, session};

#[tokio::test]
async fn the_committed_tool_list_is_what_callers_see() {
    let client = client("http://127.0.0.1:9", &[]).unwrap();
    expect_file!["../../tools.json"].assert_eq(&client.tool_list());
}

#[tokio::test]
async fn a_session_is_made_once_paid_and_seen() {
    let scene = Scene::new().await;
    let first = scene
        .ok("create_checkout_session", session("s-1", 8000))
        .await;
    let again = scene
        .ok("create_checkout_session", session("s-1", 8000))
        .await;
    assert_eq!(
        (&first["session_id"], &first["replayed"]),
        (&again["session_id"], &json!(false))
    );
    assert_eq!(
        (&again["replayed"], scene.count("checkout_sessions").await),
        (&json!(true), 1)
    );
    assert_eq!(
        (&first["amount"], &first["currency"]),
        (&json!(8000), &json!("USD"))
    );
    assert_eq!(
        scene
            .choose(first["url"].as_str().unwrap(), "decline")
            .await,
        200
    );
    assert_eq!(
        scene.choose(first["url"].as_str().unwrap(), "pay").await,
        303
    );
    let done = scene
        .ok(
            "get_checkout_session",
            json!({ "session_id": first["session_id"] }),
        )
        .await;
    assert_eq!(
        (&done["status"], &done["url"]),
        (&json!("complete"), &Value::Null)
    );
    let payment = scene
        .ok("get_payment", json!({ "payment_id": done["payment_id"] }))
        .await;
    assert_eq!(
        (&payment["status"], &payment["amount_received"]),
        (&json!("succeeded"), &json!(8000))
    );
    assert_eq!(
        payment["reference"],
        json!({ "organization_id": "o-1", "event_id": "e-1" })
    );
    let other = scene
        .refused("create_checkout_session", session("s-1", 9000))
        .await;
    assert_eq!(codes(&other), (Code::Invalid, Some("idempotency_error")));
}

#[tokio::test]
async fn a_link_is_made_once_and_takes_one_payment() {
    let scene = Scene::new().await;
    let made = scene.ok("create_payment_link", link("l-1")).await;
    assert_eq!(
        (&made["amount"], &made["currency"]),
        (&json!(5000), &json!("EUR"))
    );
    assert_eq!(
        scene.ok("create_payment_link", link("l-1")).await["replayed"],
        true
    );
    assert_eq!(
        (
            scene.count("payment_links").await,
            scene.count("products").await
        ),
        (1, 1)
    );
    let opened = crate::support::http()
        .get(made["url"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    let page = opened.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(scene.choose(&page, "pay").await, 303);
    let closed = crate::support::http()
        .get(made["url"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(closed.status(), 200);
    let list = scene.ok("list_payments", json!({})).await;
    assert_eq!(list["items"][0]["reference"]["event_id"], "e-1");
}

#[tokio::test]
async fn a_refund_happens_once_and_never_exceeds_the_payment() {
    let scene = Scene::new().await;
    let payment = scene.paid(1000).await;
    let refund = |amount: Option<i64>, key: &str| json!({ "payment_id": payment, "amount": amount, "idempotency_key": key });
    let first = scene.ok("refund_payment", refund(Some(300), "r-1")).await;
    assert_eq!(
        (&first["status"], &first["replayed"]),
        (&json!("succeeded"), &json!(false))
    );
    assert_eq!(
        scene.ok("refund_payment", refund(Some(300), "r-1")).await["replayed"],
        true
    );
    let much = scene
        .refused("refund_payment", refund(Some(701), "r-2"))
        .await;
    assert_eq!(much.code, Code::Invalid);
    let rest = scene.ok("refund_payment", refund(None, "r-3")).await;
    assert_eq!(rest["amount"], 700);
    assert_eq!(
        scene.ok("refund_payment", refund(None, "r-3")).await["refund_id"],
        rest["refund_id"]
    );
    let over = scene.refused("refund_payment", refund(None, "r-4")).await;
    assert_eq!(
        codes(&over),
        (Code::Refused, Some("charge_already_refunded"))
    );
    assert_eq!(scene.count("refunds").await, 2);
    let seen = scene
        .ok("get_payment", json!({ "payment_id": payment }))
        .await;
    assert_eq!(seen["amount_refunded"], 1000);
    let list = scene
        .ok("list_refunds", json!({ "payment_id": payment, "limit": 1 }))
        .await;
    let next = scene
        .ok(
            "list_refunds",
            json!({ "payment_id": payment, "cursor": list["next_cursor"] }),
        )
        .await;
    assert_eq!(
        (&list["items"][0]["amount"], &next["items"][0]["amount"]),
        (&json!(700), &json!(300))
    );
    assert_eq!(next.get("next_cursor"), None);
}

#[tokio::test]
async fn payments_are_listed_in_pages_and_by_time() {
    let scene = Scene::new().await;
    for amount in [1000, 2000, 3000] {
        scene.paid(amount).await;
    }
    let first = scene.ok("list_payments", json!({ "limit": 2 })).await;
    let second = scene
        .ok(
            "list_payments",
            json!({ "limit": 2, "cursor": first["next_cursor"] }),
        )
        .await;
    let amounts = |page: &Value| {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["amount"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (amounts(&first), amounts(&second)),
        (vec![json!(3000), json!(2000)], vec![json!(1000)])
    );
    assert_eq!(second.get("next_cursor"), None);
    let none = scene
        .ok(
            "list_payments",
            json!({ "created_before": "2020-01-01T00:00:00Z" }),
        )
        .await;
    assert_eq!(none["items"], json!([]));
    let odd = scene
        .refused("list_payments", json!({ "created_from": "yesterday" }))
        .await;
    assert_eq!(pointer(&odd), Some("#/created_from"));
    let balance = scene.ok("get_balance", json!({})).await;
    assert_eq!(
        balance["available"],
        json!([{ "amount": 6000, "currency": "USD" }])
    );
}

#[tokio::test]
async fn what_is_not_there_or_does_not_hold_is_said_so() {
    let scene = Scene::new().await;
    let gone = scene
        .refused("get_payment", json!({ "payment_id": "pi_none" }))
        .await;
    assert_eq!(codes(&gone), (Code::NotFound, Some("resource_missing")));
    let mut strange = session("s", 8000);
    strange["customer_id"] = "cus_none".into();
    assert_eq!(
        scene.refused("create_checkout_session", strange).await.code,
        Code::NotFound
    );
    for (name, value) in [
        ("currency", json!("DOLLAR")),
        ("currency", json!("XXX")),
        ("success_url", json!("http://planner.example/")),
        ("items", json!([])),
        ("items", json!([{ "name": "x", "unit_amount": 0 }])),
        (
            "items",
            json!([{ "name": "4242 4242 4242 4242", "unit_amount": 100 }]),
        ),
        ("items", json!([{ "name": "x", "unit_amount": 49 }])),
        ("expires_at", json!("soon")),
        ("customer_id", json!("../balance")),
        ("card", json!("4242424242424242")),
        ("idempotency_key", json!("")),
    ] {
        let mut bad = session("bad", 8000);
        bad[name] = value;
        let refused = error(
            scene
                .client
                .call("create_checkout_session", bad.clone())
                .await,
        );
        assert_eq!(refused.code, Code::Invalid, "{bad}");
    }
    assert_eq!(scene.count("checkout_sessions").await, 0);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let scene = Scene::new().await;
    let payment = scene.paid(1000).await;
    let before = scene.count("events").await;
    let mut session = session("dry", 8000);
    session["dry_run"] = true.into();
    let mut link = link("dry");
    link["dry_run"] = true.into();
    let refund = json!({ "payment_id": payment, "idempotency_key": "dry", "dry_run": true });
    let customer = json!({ "name": "Ada", "idempotency_key": "dry", "dry_run": true });
    for (tool, arguments) in [
        ("create_checkout_session", session),
        ("create_payment_link", link),
        ("refund_payment", refund),
        ("create_customer", customer),
    ] {
        assert_eq!(scene.ok(tool, arguments).await["dry_run"], true, "{tool}");
    }
    let much =
        json!({ "payment_id": payment, "amount": 1001, "idempotency_key": "dry", "dry_run": true });
    assert_eq!(
        pointer(&scene.refused("refund_payment", much).await),
        Some("#/amount")
    );
    assert_eq!(scene.count("events").await, before);
    let posts = scene.sandbox.arrived(Provider::Stripe);
    assert_eq!(
        posts
            .iter()
            .filter(|entry| entry.method == "POST" && entry.path.starts_with("/v1"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_closed_session_can_no_longer_be_paid_and_a_paid_one_stays_paid() {
    let scene = Scene::new().await;
    let made = scene
        .ok("create_checkout_session", session("s-1", 8000))
        .await;
    let close = |key: &str, made: &Value| json!({ "session_id": made["session_id"], "idempotency_key": key });
    let mut rehearsal = close("c-0", &made);
    rehearsal["dry_run"] = json!(true);
    assert_eq!(
        scene.ok("expire_checkout_session", rehearsal).await["status"],
        "open"
    );
    for key in ["c-1", "c-1", "c-2"] {
        let closed = scene.ok("expire_checkout_session", close(key, &made)).await;
        assert_eq!(
            (&closed["status"], &closed["url"]),
            (&json!("expired"), &Value::Null)
        );
    }
    scene.choose(made["url"].as_str().unwrap(), "pay").await;
    let paid = scene
        .ok("create_checkout_session", session("s-2", 8000))
        .await;
    scene.choose(paid["url"].as_str().unwrap(), "pay").await;
    let late = scene
        .ok("expire_checkout_session", close("c-3", &paid))
        .await;
    assert_eq!(
        (&late["status"], &late["payment_status"]),
        (&json!("complete"), &json!("paid"))
    );
    assert_eq!(scene.count("charges").await, 1);
}
