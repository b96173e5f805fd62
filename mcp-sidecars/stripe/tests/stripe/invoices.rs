use event_planner_sandbox::{Fault, Misbehaviour, Provider};
use mcp_kit::Code;
use serde_json::{Value, json};

use crate::support::{Scene, codes};

async fn customer(scene: &Scene) -> Value {
    let arguments = json!({ "name": "Ada", "email": "ada@example.com", "idempotency_key": "c-1" });
    scene.ok("create_customer", arguments).await["customer_id"].clone()
}

fn invoice(customer: &Value) -> Value {
    json!({
        "customer_id": customer,
        "items": [
            { "name": "Hall", "unit_amount": 50000 },
            { "name": "Dinner", "unit_amount": 8000, "quantity": 3 },
        ],
        "currency": "USD",
        "description": "Summer party",
        "reference": { "event_id": "e-1" },
        "idempotency_key": "i-1",
    })
}

#[tokio::test]
async fn an_invoice_is_drafted_finalized_sent_and_paid() {
    let scene = Scene::new().await;
    let customer = customer(&scene).await;
    let draft = scene.ok("create_invoice", invoice(&customer)).await;
    assert_eq!(
        (&draft["status"], &draft["amount_due"], &draft["url"]),
        (&json!("draft"), &json!(74000), &Value::Null)
    );
    let again = scene.ok("create_invoice", invoice(&customer)).await;
    assert_eq!(
        (&again["invoice_id"], &again["replayed"]),
        (&draft["invoice_id"], &json!(true))
    );
    assert_eq!(
        (
            scene.count("invoices").await,
            scene.count("invoice_items").await
        ),
        (1, 2)
    );
    let finalize = |key: &str| json!({ "invoice_id": draft["invoice_id"], "send": true, "idempotency_key": key });
    let open = scene.ok("finalize_invoice", finalize("f-1")).await;
    assert_eq!(
        (&open["status"], &open["replayed"]),
        (&json!("open"), &json!(false))
    );
    assert_eq!(
        scene.ok("finalize_invoice", finalize("f-1")).await["replayed"],
        true
    );
    assert_eq!(
        scene.choose(open["url"].as_str().unwrap(), "pay").await,
        200
    );
    let void = json!({ "invoice_id": draft["invoice_id"], "idempotency_key": "v-1" });
    assert_eq!(
        scene.refused("void_invoice", void).await.code,
        Code::Refused
    );
    let balance = scene.ok("get_balance", json!({})).await;
    assert_eq!(balance["available"][0]["amount"], 74000);
}

#[tokio::test]
async fn an_invoice_that_failed_in_the_middle_is_completed_under_the_same_key() {
    let scene = Scene::new().await;
    let customer = customer(&scene).await;
    let cut = Fault::new(Provider::Stripe, Misbehaviour::Error { status: 500 });
    scene
        .sandbox
        .misbehave(cut.on("POST", "/invoiceitems").times(3).after());
    let failed = scene.refused("create_invoice", invoice(&customer)).await;
    assert_eq!(failed.code, Code::Unavailable);
    let details = failed.details.unwrap();
    assert!(
        details["unfinished"]
            .as_str()
            .unwrap()
            .contains("same idempotency_key"),
        "{details}"
    );
    let whole = scene.ok("create_invoice", invoice(&customer)).await;
    assert_eq!(
        (&whole["invoice_id"], &whole["amount_due"]),
        (&details["invoice_id"], &json!(74000))
    );
    assert_eq!(
        (
            scene.count("invoices").await,
            scene.count("invoice_items").await
        ),
        (1, 2)
    );
}

#[tokio::test]
async fn a_finalized_invoice_can_be_voided_once() {
    let scene = Scene::new().await;
    let customer = customer(&scene).await;
    let draft = scene.ok("create_invoice", invoice(&customer)).await;
    let id = &draft["invoice_id"];
    let void = |key: &str| json!({ "invoice_id": id, "idempotency_key": key });
    assert_eq!(
        scene.refused("void_invoice", void("v-0")).await.code,
        Code::Refused
    );
    let rehearsed = json!({ "invoice_id": id, "idempotency_key": "f", "dry_run": true });
    assert_eq!(
        scene.ok("finalize_invoice", rehearsed).await["status"],
        "draft"
    );
    scene
        .ok(
            "finalize_invoice",
            json!({ "invoice_id": id, "idempotency_key": "f-1" }),
        )
        .await;
    let twice = scene
        .refused(
            "finalize_invoice",
            json!({ "invoice_id": id, "idempotency_key": "f-2" }),
        )
        .await;
    assert_eq!(codes(&twice), (Code::Refused, Some("invoice_not_editable")));
    let dry = json!({ "invoice_id": id, "idempotency_key": "f-2", "dry_run": true });
    assert_eq!(
        scene.refused("finalize_invoice", dry).await.code,
        Code::Refused
    );
    let sent = json!({ "invoice_id": id, "send": true, "idempotency_key": "f-3" });
    assert_eq!(scene.ok("finalize_invoice", sent).await["status"], "open");
    assert_eq!(
        scene.ok("void_invoice", void("v-1")).await["status"],
        "void"
    );
    assert_eq!(
        scene.ok("void_invoice", void("v-1")).await["replayed"],
        true
    );
    let dry = json!({ "invoice_id": id, "idempotency_key": "v-2", "dry_run": true });
    assert_eq!(scene.refused("void_invoice", dry).await.code, Code::Refused);
}
