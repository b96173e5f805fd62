use event_planner_sandbox::{Provider, Sandbox};
use mcp_kit::{Account, Caller, Code};
use serde_json::{Value, json};

use crate::support::{
    FULL_KEY, LIVE_KEY, OTHER_KEY, READ_KEY, SIDECAR_KEY, Scene, client, error, link, pointer,
    session,
};

fn key(key: &str) -> String {
    format!("--stripe-secret-key={key}")
}

#[tokio::test]
async fn amounts_over_the_limit_and_other_currencies_are_refused_before_stripe_is_asked() {
    let scene = Scene::with(&[
        &key(SIDECAR_KEY),
        "--max-amount=USD=5000,JPY=100000",
        "--max-refund=USD=100",
        "--allowed-currencies=usd,JPY",
    ])
    .await;
    let over = scene
        .refused("create_checkout_session", session("s-1", 5001))
        .await;
    assert_eq!(
        (over.code, pointer(&over)),
        (Code::Refused, Some("#/items"))
    );
    assert!(over.message.contains("MAX_AMOUNT"), "{}", over.message);
    let euro = scene.refused("create_payment_link", link("l-1")).await;
    assert_eq!(
        (euro.code, pointer(&euro)),
        (Code::Refused, Some("#/currency"))
    );
    assert!(scene.sandbox.arrived(Provider::Stripe).is_empty());
    let payment = scene.paid(5000).await;
    for amount in [Value::Null, json!(101)] {
        let refund = json!({ "payment_id": payment, "amount": amount, "idempotency_key": "r-1" });
        assert_eq!(
            pointer(&scene.refused("refund_payment", refund).await),
            Some("#/amount")
        );
    }
    let refund = json!({ "payment_id": payment, "amount": 100, "idempotency_key": "r-1" });
    assert_eq!(
        scene.ok("refund_payment", refund).await["status"],
        "succeeded"
    );
    let notes = scene.ok("capabilities", json!({})).await["notes"].clone();
    assert_eq!(
        notes["limits"]["amount_per_call"],
        json!({ "JPY": 100_000, "USD": 5000 })
    );
}

#[tokio::test]
async fn live_keys_need_live_mode_and_test_keys_its_absence() {
    let sandbox = Sandbox::start().await.unwrap();
    let url = sandbox.url("stripe");
    assert!(client(&url, &[&key(LIVE_KEY)]).is_err());
    assert!(client(&url, &[&key(FULL_KEY), "--live-mode"]).is_err());
    assert!(client(&url, &[&key("pk_test_0000")]).is_err());
    let live = client(&url, &[&key(LIVE_KEY), "--live-mode"]).unwrap();
    live.call("create_payment_link", link("l-1")).await.unwrap();
    let account = Account::new("acct_2", OTHER_KEY).unwrap();
    let refused = error(
        live.with_account(account)
            .call("get_balance", json!({}))
            .await,
    );
    assert!(
        refused.code == Code::Refused && refused.message.contains("LIVE_MODE"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_call_acts_with_the_account_that_it_brings() {
    let Scene { sandbox, client } = Scene::new().await;
    client
        .call("create_payment_link", link("l-1"))
        .await
        .unwrap();
    let acting = client
        .as_caller(Caller::local())
        .with_account(Account::new("acct_2", OTHER_KEY).unwrap());
    let theirs = acting
        .call("create_checkout_session", session("s-1", 8000))
        .await
        .unwrap();
    let wanted = json!({ "session_id": theirs["session_id"] });
    acting
        .call("get_checkout_session", wanted.clone())
        .await
        .unwrap();
    let refused = error(client.call("get_checkout_session", wanted).await);
    assert_eq!(refused.code, Code::NotFound);
    assert!(!sandbox.arrived(Provider::Stripe).is_empty());
}

#[tokio::test]
async fn without_a_key_calls_say_which_setting_is_missing() {
    let scene = Scene::with(&[]).await;
    for (tool, arguments) in [
        ("get_balance", json!({})),
        ("create_payment_link", link("l-1")),
    ] {
        let refused = scene.refused(tool, arguments).await;
        assert!(
            refused.code == Code::Refused && refused.message.contains("STRIPE_SECRET_KEY"),
            "{refused:?}"
        );
    }
    let other = scene
        .client
        .with_account(Account::new("acct_2", OTHER_KEY).unwrap());
    other.call("get_balance", json!({})).await.unwrap();
}

#[tokio::test]
async fn read_only_offers_no_tool_that_writes() {
    let scene = Scene::with(&[&key(READ_KEY), "--read-only"]).await;
    let capabilities = scene.ok("capabilities", json!({})).await;
    assert_eq!(capabilities["notes"]["read_only"], true);
    let tools = capabilities["tools"].as_array().unwrap();
    let names: Vec<&str> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "get_balance",
            "get_checkout_session",
            "get_payment",
            "list_payments",
            "list_refunds"
        ]
    );
    assert!(
        scene
            .client
            .call("create_payment_link", link("l-1"))
            .await
            .is_err()
    );
    scene.ok("list_payments", json!({})).await;
}

#[tokio::test]
async fn a_key_without_the_permission_is_told_so() {
    let scene = Scene::with(&[&key(READ_KEY)]).await;
    let refused = scene.refused("create_payment_link", link("l-1")).await;
    assert_eq!(refused.code, Code::Refused);
    assert!(
        refused.message.contains("permission"),
        "{}",
        refused.message
    );
    assert!(
        refused.details.unwrap()["provider_message"]
            .as_str()
            .unwrap()
            .contains("rak_payment_link_write")
    );
}

#[tokio::test]
async fn the_organization_is_the_callers_and_no_argument_changes_it() {
    let scene = Scene::new().await;
    let caller = Caller::local().acting_for("o-7/m-1").unwrap();
    let acting = scene.client.as_caller(caller);
    let made = acting
        .call("create_payment_link", link("l-1"))
        .await
        .unwrap();
    assert_eq!(
        made["reference"],
        json!({ "organization_id": "o-7", "event_id": "e-1" })
    );
    let refused = error(
        acting
            .call("create_checkout_session", session("s-1", 8000))
            .await,
    );
    assert_eq!(pointer(&refused), Some("#/reference/organization_id"));
}
