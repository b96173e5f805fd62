//! What the database shows of itself.

use serde_json::json;
use sqlx::PgPool;

use mcp_kit::Code;

use crate::world::World;

#[sqlx::test(migrations = "../../database/migrations")]
async fn tables_are_listed_and_described(pool: PgPool) {
    let world = World::new(pool).await;
    let list = world.call("list_tables", json!({})).await.unwrap();
    let names: Vec<_> = list["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| table["name"].as_str().unwrap())
        .collect();
    let expected = [
        "bookings",
        "caterers",
        "event_budgets",
        "events",
        "messages",
        "orchestrations",
        "payment_requests",
        "payments",
        "plan_options",
        "plans",
        "tasks",
        "venues",
        "webhook_deliveries",
    ];
    assert_eq!(names, expected);
    for name in expected {
        let table = world
            .call("describe_table", json!({ "name": name }))
            .await
            .unwrap();
        assert!(table["description"].as_str().unwrap().len() > 10, "{name}");
        for column in table["columns"].as_array().unwrap() {
            let sql = format!(
                "SELECT \"{}\" FROM {name}",
                column["name"].as_str().unwrap()
            );
            assert!(world.ask(&sql).await.is_ok(), "{sql}");
        }
    }
    for name in [
        "members",
        "pg_class",
        "reporting.events",
        "events; DROP TABLE x",
        "'",
    ] {
        let error = world
            .call("describe_table", json!({ "name": name }))
            .await
            .unwrap_err();
        assert_eq!(error.code, Code::NotFound, "{name}");
    }
}
