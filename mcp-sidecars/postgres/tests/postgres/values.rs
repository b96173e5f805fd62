//! Every type as JSON, and results that are too large.

use mcp_kit::Code;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::world::World;

#[sqlx::test(migrations = "../../database/migrations")]
async fn every_type_has_a_form_that_loses_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    for (sql, expected, kind) in [
        ("1::int2", json!(1), "int2"),
        ("9007199254740991", json!(9_007_199_254_740_991_i64), "int8"),
        ("9007199254740992", json!("9007199254740992"), "int8"),
        (
            "12345678901234567890.10",
            json!("12345678901234567890.10"),
            "numeric",
        ),
        ("'NaN'::numeric", json!("NaN"), "numeric"),
        ("0.1::float8", json!(0.1), "float8"),
        ("'-Infinity'::float8", json!("-Infinity"), "float8"),
        ("1.5::float4", json!(1.5), "float4"),
        ("true", json!(true), "bool"),
        ("NULL", Value::Null, "text"),
        ("'♥\"\\'", json!("♥\"\\"), "text"),
        (
            "'2026-09-15 18:00+02'::timestamptz",
            json!("2026-09-15T16:00:00Z"),
            "timestamptz",
        ),
        (
            "'2026-09-15 18:00:00.123456'::timestamp",
            json!("2026-09-15T18:00:00.123456"),
            "timestamp",
        ),
        ("'infinity'::timestamptz", json!("infinity"), "timestamptz"),
        ("'-infinity'::date", json!("-infinity"), "date"),
        ("'2026-02-28'::date", json!("2026-02-28"), "date"),
        ("'18:00'::time", json!("18:00:00"), "time"),
        (
            "'1 year 2 days 03:04:05.5'::interval",
            json!("P1Y2DT3H4M5.5S"),
            "interval",
        ),
        (
            "'00000000-0000-7000-8000-00000000000a'::uuid",
            json!("00000000-0000-7000-8000-00000000000a"),
            "uuid",
        ),
        (
            "'{\"b\": [1, null, \"x\"]}'::jsonb",
            json!({ "b": [1, null, "x"] }),
            "jsonb",
        ),
        (
            "'{\"b\": 12345678901234567890}'::json",
            json!("{\"b\": 12345678901234567890}"),
            "json",
        ),
        ("ARRAY[1, NULL, 3]", json!([1, null, 3]), "int4[]"),
        (
            "ARRAY[['a', 'b,'], ['{}', NULL]]",
            json!([["a", "b,"], ["{}", null]]),
            "text[]",
        ),
        (
            "ARRAY['2026-01-01Z'::timestamptz]",
            json!(["2026-01-01T00:00:00Z"]),
            "timestamptz[]",
        ),
        ("'{}'::numeric[]", json!([]), "numeric[]"),
        ("'\\x00ff'::bytea", json!("\\x00ff"), "bytea"),
        (
            "'[2026-01-01,2026-02-01)'::daterange",
            json!("[2026-01-01,2026-02-01)"),
            "daterange",
        ),
        ("ROW(1, 'a')", json!("(1,a)"), "record"),
        ("'10.0.0.0/8'::cidr", json!("10.0.0.0/8"), "cidr"),
        ("'a & b'::tsquery", json!("'a' & 'b'"), "tsquery"),
        ("'<a/>'::xml", json!("<a/>"), "xml"),
    ] {
        let answer = world
            .ask(&format!("SELECT {sql}"))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(
            (&answer["rows"][0][0], &answer["columns"][0]["type"]),
            (&expected, &json!(kind)),
            "{sql}"
        );
    }
    // Types of the database's own need a look-up in its catalog; the session is as good afterwards.
    for _ in 0..3 {
        let rows = world
            .rows("SELECT array_agg(v) FROM (SELECT p FROM plans p) v (v)")
            .await;
        assert!(rows[0][0].is_array(), "{rows}");
    }
    let twice = world
        .ask("SELECT 1 AS a, 2 AS a, 3 AS \"?column?\"")
        .await
        .unwrap();
    assert_eq!(twice["rows"], json!([[1, 2, 3]]));
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn rows_bytes_and_cells_are_capped_and_it_is_said(pool: PgPool) {
    let world = World::new(pool).await;
    let hundred = world.ask("SELECT generate_series(1, 100)").await.unwrap();
    assert_eq!(
        (
            &hundred["row_count"],
            &hundred["truncated"],
            &hundred["truncated_by"]
        ),
        (&json!(100), &json!(false), &Value::Null)
    );
    let more = world.ask("SELECT generate_series(1, 101)").await.unwrap();
    assert_eq!(
        (&more["row_count"], &more["truncated_by"]),
        (&json!(100), &json!("rows"))
    );
    let all = json!({ "sql": "SELECT generate_series(1, 5000)", "limit": 1000 });
    assert_eq!(world.call("query", all).await.unwrap()["row_count"], 1000);

    let wide =
        json!({ "sql": "SELECT repeat('ä', 5000) FROM generate_series(1, 100000)", "limit": 1000 });
    let wide = world.call("query", wide).await.unwrap();
    let count = wide["row_count"].as_u64().unwrap();
    assert!(
        wide["truncated_by"] == "bytes" && (50..100).contains(&count),
        "{count}"
    );

    let long = world.ask("SELECT repeat('x', 20000), 1").await.unwrap();
    let text = long["rows"][0][0].as_str().unwrap();
    assert!(
        long["cut_cells"] == 1
            && text.len() < 17_000
            && text.ends_with("… [cut: 20000 bytes in all]"),
        "{}",
        text.len()
    );

    let error = world.ask("SELECT repeat('x', 2000000)").await.unwrap_err();
    assert!(
        error.code == Code::Refused && error.message.contains("1024 KiB"),
        "{error:?}"
    );
    let many = (0..300)
        .map(|number| number.to_string())
        .collect::<Vec<_>>()
        .join(",");
    let error = world.ask(&format!("SELECT {many}")).await.unwrap_err();
    assert!(
        error.code == Code::Invalid && error.message.contains("256 columns"),
        "{error:?}"
    );
    assert_eq!(world.rows("SELECT 1").await, json!([[1]]));
}
