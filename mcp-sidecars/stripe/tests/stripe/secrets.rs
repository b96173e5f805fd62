use std::{net::TcpListener, process::Stdio, time::Duration};

use event_planner_sandbox::{Fault, Misbehaviour, Provider, Sandbox};
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};

use crate::support::{FULL_KEY, OTHER_KEY, http, link, session};

/// The sidecar as a process of its own, on a free port; it ends with the handle.
pub async fn serve(stripe: &str, key: &str) -> (String, Child) {
    let port = || {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    };
    let (listen, metrics) = (port(), port());
    let child = Command::new(env!("CARGO_BIN_EXE_event-planner-mcp-stripe"))
        .args(["--allow-loopback-without-token", "--log-filter=debug"])
        .args([
            "--listen-addr",
            &listen.to_string(),
            "--metrics-addr",
            &metrics.to_string(),
        ])
        .args(["--stripe-base-url", stripe])
        .env("STRIPE_SECRET_KEY", key)
        .kill_on_drop(true)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let url = format!("http://{listen}");
    for _ in 0..200 {
        if http().get(format!("{url}/health")).send().await.is_ok() {
            return (url, child);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not up within five seconds");
}

#[tokio::test]
async fn no_key_leaves_in_answers_or_logs() {
    let sandbox = Sandbox::start().await.unwrap();
    let (url, mut child) = serve(&sandbox.url("stripe"), FULL_KEY).await;
    let mut seen = String::new();
    let paid = paid(&url).await;
    let calls = [
        // Stripe's answers to these two tell of the card.
        ("get_payment", json!({ "payment_id": paid })),
        ("list_payments", json!({})),
        ("get_balance", json!({})),
        ("create_payment_link", link("l-1")),
        ("create_checkout_session", session("s-1", 8000)),
        ("create_checkout_session", session(FULL_KEY, 8000)),
        (
            "create_customer",
            json!({ "name": FULL_KEY, "idempotency_key": "c-1" }),
        ),
        ("get_payment", json!({ "payment_id": "pi_none" })),
        ("get_payment", json!({ "payment_id": FULL_KEY })),
        ("list_payments", json!({ "limit": "many" })),
        ("list_refunds", json!({})),
        (
            "refund_payment",
            json!({ "payment_id": "pi_none", "idempotency_key": "r-1" }),
        ),
    ];
    let faults = [
        None,
        Some(Misbehaviour::ExpiredToken),
        Some(Misbehaviour::Garbage),
        Some(Misbehaviour::Cut),
    ];
    for fault in faults {
        sandbox.world.faults.clear();
        if let Some(misbehaviour) = fault {
            sandbox.misbehave(Fault::new(Provider::Stripe, misbehaviour));
        }
        for (tool, arguments) in &calls {
            for head in [
                &[][..],
                &[
                    ("provider-account", "acct_2"),
                    ("provider-token", OTHER_KEY),
                ][..],
            ] {
                seen += &call(&url, tool, arguments, head).await;
            }
        }
    }
    seen += &http()
        .get(format!("{url}/ready"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    child.start_kill().unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut seen)
        .await
        .unwrap();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut seen)
        .await
        .unwrap();
    assert!(seen.contains("tool called"), "no log was read");
    for key in [FULL_KEY, OTHER_KEY] {
        let (_, secret) = key.split_at("sk_test_".len());
        let at = seen.find(secret);
        assert!(
            at.is_none(),
            "{}",
            at.map_or("", |at| &seen[at.saturating_sub(200)..at])
        );
    }
    assert!(seen.contains(&paid), "no payment was seen");
    // Quoted: the digits alone occur in ids and times.
    for card in ["exp_month", "last4", "\"4242\""] {
        assert!(!seen.contains(card), "card data came through: {card}");
    }
}

/// A payment by card; its id.
async fn paid(url: &str) -> String {
    let request = http()
        .post(format!("{url}/mcp/tools/create_checkout_session"))
        .json(&session("paid", 5000));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let session = &answer["result"];
    let page = http().post(session["url"].as_str().unwrap());
    page.form(&[("choice", "pay")]).send().await.unwrap();
    let request = http()
        .post(format!("{url}/mcp/tools/get_checkout_session"))
        .json(&json!({ "session_id": session["session_id"] }));
    let done: Value = request.send().await.unwrap().json().await.unwrap();
    done["result"]["payment_id"].as_str().unwrap().to_owned()
}

async fn call(url: &str, tool: &str, arguments: &Value, head: &[(&str, &str)]) -> String {
    let mut request = http()
        .post(format!("{url}/mcp/tools/{tool}"))
        .json(arguments);
    for (name, value) in head {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let headers = format!("{:?}", response.headers());
    headers + &response.text().await.unwrap()
}

#[tokio::test]
async fn ready_means_that_stripe_takes_the_key() {
    let sandbox = Sandbox::start().await.unwrap();
    for (key, status) in [
        (FULL_KEY, 200),
        ("sk_test_sandbox-expired-long-ago-no-real-key", 503),
    ] {
        let (url, _running) = serve(&sandbox.url("stripe"), key).await;
        assert_eq!(
            http()
                .get(format!("{url}/ready"))
                .send()
                .await
                .unwrap()
                .status(),
            status,
            "{key}"
        );
    }
}
