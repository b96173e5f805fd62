//! What callers see of the tools, and the errors they act on.

use expect_test::expect_file;
use mcp_kit::Code;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::world::{World, client, here};

#[test]
fn the_committed_tools_are_current() {
    let client = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(async { client("postgres://nobody@127.0.0.1:9/x", &[]) });
    expect_file![here("tools.json")].assert_eq(&client.tool_list());
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn errors_say_what_to_do_and_where(pool: PgPool) {
    let world = World::new(pool).await;
    for (sql, message, position) in [
        (
            "SELECT nothing FROM events",
            "column \"nothing\" does not exist",
            json!(8),
        ),
        (
            "SELECT '♥', nothing FROM events",
            "column \"nothing\" does not exist",
            json!(13),
        ),
        ("SELEC 1", "syntax error at or near \"SELEC\"", json!(1)),
        (
            "-- a\nUPDATE events SET title = ''",
            "syntax error at or near \"UPDATE\"",
            json!(6),
        ),
        (
            "SELECT * FROM nowhere",
            "relation \"nowhere\" does not exist",
            json!(15),
        ),
        ("SELECT 1 / 0", "division by zero", Value::Null),
        (
            "SELECT 'x'::int",
            "invalid input syntax for type integer: \"x\"",
            json!(8),
        ),
    ] {
        let error = world.ask(sql).await.unwrap_err();
        assert_eq!(
            (error.code, &*error.message),
            (Code::Invalid, message),
            "{sql}"
        );
        assert_eq!(error.details.unwrap()["position"], position, "{sql}");
    }
    let error = world.ask("SELECT * FROM nowhere").await.unwrap_err();
    assert_eq!(
        error.details.unwrap()["hint"],
        "list_tables shows the tables that there are"
    );
    let error = world.ask("SELECT * FROM public.members").await.unwrap_err();
    assert!(
        error.code == Code::Refused && !format!("{error:?}").contains("members"),
        "{error:?}"
    );
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn what_cannot_be_a_statement_is_refused_before_the_database(pool: PgPool) {
    let world = World::new(pool).await;
    let longest = format!("SELECT '{}'", "x".repeat(8192 - 9));
    assert_eq!(longest.len(), 8192);
    assert!(world.ask(&longest).await.is_ok());
    for (arguments, code) in [
        (json!({ "sql": format!("{longest} ") }), "length"),
        (json!({ "sql": " \n" }), "required"),
        (json!({ "sql": "SELECT '\0'" }), "characters"),
        (json!({ "sql": "SELECT 1", "limit": 0 }), "range"),
        (json!({ "sql": "SELECT 1", "limit": 1001 }), "range"),
        (
            json!({ "sql": "SELECT 1", "params": vec![1; 101] }),
            "length",
        ),
        (json!({ "sql": "SELECT 1", "organization_id": "x" }), "type"),
    ] {
        let error = world.call("query", arguments.clone()).await.unwrap_err();
        assert_eq!(error.code, Code::Invalid, "{arguments}");
        assert_eq!(
            error.details.unwrap()["errors"][0]["code"],
            code,
            "{arguments}"
        );
    }
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn parameters_are_read_as_the_type_they_are_for(pool: PgPool) {
    let world = World::new(pool).await;
    let sql = "SELECT $1::int, $2::numeric, $3::text, $4::bool, $5::date, $6::text[], $7::jsonb, $8::uuid, $9::int[], $10::int8";
    let id = "00000000-0000-7000-8000-000000000301";
    let params = json!([1, "0.10", "it's; --", true, "2026-02-28", ["a", null, "b\"c"], { "a": [1] }, id, [[1, 2], [3, 4]], null]);
    let expected = json!([[1, "0.10", "it's; --", true, "2026-02-28", ["a", null, "b\"c"], { "a": [1] }, id, [[1, 2], [3, 4]], null]]);
    assert_eq!(world.ask_with(sql, params).await.unwrap()["rows"], expected);
    let found = world
        .ask_with(
            "SELECT title FROM events WHERE id = $1 AND starts_at > $2",
            json!([id, "2026-01-01"]),
        )
        .await;
    assert_eq!(found.unwrap()["rows"], json!([["Offsite"]]));
    for (sql, params, pointer) in [
        ("SELECT $1::int", json!(["x"]), "#/params/0"),
        ("SELECT $1::int, $2::int", json!([1, 1.5]), "#/params/1"),
        (
            "SELECT $1::int, $2::date",
            json!([1, "2026-02-30"]),
            "#/params/1",
        ),
        ("SELECT $1::int", json!([{ "a": 1 }]), "#/params/0"),
        ("SELECT $1::text", json!(["a\0b"]), "#/params/0"),
        ("SELECT $1::int[]", json!([[{ "a": 1 }]]), "#/params/0"),
        ("SELECT $1::int", json!([]), "#/params"),
        ("SELECT 1", json!([1]), "#/params"),
    ] {
        let error = world.ask_with(sql, params.clone()).await.unwrap_err();
        assert_eq!(error.code, Code::Invalid, "{sql} {params}");
        assert_eq!(
            error.details.unwrap()["errors"][0]["pointer"],
            pointer,
            "{sql} {params}: {}",
            error.message
        );
    }
}
