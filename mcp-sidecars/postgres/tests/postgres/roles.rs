//! Each layer alone, and roles that are refused.

use std::time::Duration;

use mcp_kit::{Caller, Code};
use serde_json::json;
use sqlx::{
    Executor, PgPool, Row,
    postgres::{PgPoolOptions, PgRow},
};

use crate::{
    list::{ZEBRA, statements},
    state::state,
    world::{ACME, MEMBER, SECRETS, World, acting, call, client, options, seed, url},
};

/// What only a raw session can send: several statements, other statements, settings.
const RAW: &[&str] = &[
    "COMMIT; DELETE FROM public.events",
    "SET default_transaction_read_only = off; BEGIN READ WRITE; DELETE FROM reporting.events; COMMIT",
    "SET default_transaction_read_only = off; UPDATE reporting.events SET title = 'x'",
    "SET transaction_read_only = off; INSERT INTO reporting.venues DEFAULT VALUES",
    "SET default_transaction_read_only = off; CREATE TABLE reporting.mine (a int)",
    "SET default_transaction_read_only = off; CREATE TABLE public.mine (a int)",
    "SET default_transaction_read_only = off; CREATE TEMP TABLE mine (a int)",
    "SET default_transaction_read_only = off; CREATE SCHEMA mine",
    "SET default_transaction_read_only = off; CREATE FUNCTION reporting.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SET default_transaction_read_only = off; SELECT lo_create(0)",
    "SET default_transaction_read_only = off; DO $$ BEGIN PERFORM set_config('a.b', 'c', false); END $$",
    "SET default_transaction_read_only = off; GRANT SELECT ON reporting.events TO PUBLIC",
    "SET default_transaction_read_only = off; ALTER ROLE event_planner_reporting SUPERUSER",
    "SET default_transaction_read_only = off; ALTER ROLE event_planner_reporting SET statement_timeout = 0",
    "SET default_transaction_read_only = off; COMMENT ON VIEW reporting.events IS 'x'",
    "SET default_transaction_read_only = off; TRUNCATE public.events",
    "SET ROLE event_planner_app",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "SET row_security = off; SELECT * FROM reporting.events",
    "SET temp_file_limit = -1",
    "SET session_replication_role = replica",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "COPY (SELECT 1) TO PROGRAM 'touch /tmp/x'",
    "COPY public.events TO STDOUT",
    "COPY reporting.events FROM '/etc/passwd'",
    "LOCK TABLE public.events IN ACCESS EXCLUSIVE MODE",
    "PREPARE TRANSACTION 'x'",
    "CREATE EXTENSION dblink",
    "LOAD 'auto_explain'",
    "EXPLAIN ANALYZE DELETE FROM public.events",
    "SELECT * FROM reporting.events; SELECT * FROM reporting.payments; TABLE reporting.plan_options",
];

#[sqlx::test(migrations = "../../database/migrations")]
#[expect(
    clippy::disallowed_methods,
    reason = "the role must hold also where several statements can be sent"
)]
async fn the_role_alone_writes_nothing_and_sees_nobody(pool: PgPool) {
    seed(&pool).await;
    let before = state(&pool).await;
    let raw = RAW.iter().map(|sql| (*sql).to_owned());
    // Without the guard a session may say for which organization it asks: that is the guard's to prevent.
    // And one huge value is for the cap on messages, which this client here does not have.
    let hostile = statements().into_iter().map(|(_, sql)| sql);
    let hostile = hostile.filter(|sql| {
        !sql.contains(ZEBRA) && !sql.contains("00000000)") && !sql.contains("%500000000s")
    });
    let mut wrong = Vec::new();
    for sql in raw.chain(hostile) {
        let session = PgPoolOptions::new()
            .max_connections(1)
            .connect_with(options(&pool, "event_planner_reporting"));
        let session = session.await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(4), async {
            let mut connection = session.acquire().await?;
            connection
                .fetch_all(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())))
                .await
        });
        let answer = match answer.await {
            Ok(Ok(rows)) => rows.iter().map(text_of).collect::<String>(),
            other => format!("{other:?}"),
        };
        if SECRETS
            .iter()
            .any(|secret| answer.contains(secret) && !sql.contains(secret))
        {
            wrong.push(format!("{sql}\n    leaks: {answer}"));
        }
        session.close().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(state(&pool).await, before);
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn the_role_alone_is_stopped_after_two_seconds(pool: PgPool) {
    let role = PgPoolOptions::new()
        .max_connections(1)
        .connect_with(options(&pool, "event_planner_reporting"))
        .await
        .unwrap();
    let endless = "SELECT count(*) FROM pg_class a, pg_class b, pg_class c, pg_class d";
    let error = sqlx::query(endless).execute(&role).await.unwrap_err();
    assert_eq!(
        error.as_database_error().unwrap().code().as_deref(),
        Some("57014")
    );
    let large = "SELECT count(*) FROM (SELECT DISTINCT md5(i::text), repeat('x', 100) FROM generate_series(1, 600000) i) x";
    let error = sqlx::query(large).execute(&role).await.unwrap_err();
    let code = error.as_database_error().unwrap().code();
    assert!(
        ["53400", "57014"].contains(&code.as_deref().unwrap()),
        "{error}"
    );
}

/// All values of a row of the simple protocol, which is text.
fn text_of(row: &PgRow) -> String {
    let values = (0..row.len()).filter_map(|index| {
        row.try_get_raw(index)
            .ok()?
            .as_str()
            .ok()
            .map(str::to_owned)
    });
    values.collect()
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn the_role_alone_sees_no_row_until_an_organization_is_set(pool: PgPool) {
    seed(&pool).await;
    let role = PgPoolOptions::new()
        .max_connections(1)
        .connect_with(options(&pool, "event_planner_reporting"))
        .await
        .unwrap();
    let views: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'reporting'::regnamespace AND relkind = 'v'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(views.len(), 13);
    for view in &views {
        for (organization, sees) in [("", false), (MEMBER, false), (ACME, true)] {
            let mut tx = role.begin().await.unwrap();
            let set = format!("SET LOCAL app.organization_id = '{organization}'");
            sqlx::query(sqlx::AssertSqlSafe(set))
                .execute(&mut *tx)
                .await
                .unwrap();
            let text = format!("SELECT COALESCE(string_agg(v::text, ';'), '') FROM {view} v");
            let text: String = sqlx::query_scalar(sqlx::AssertSqlSafe(text))
                .fetch_one(&mut *tx)
                .await
                .unwrap();
            assert_eq!(!text.is_empty(), sees, "{view} as {organization:?}");
            assert!(
                !SECRETS.iter().any(|secret| text.contains(secret)),
                "{view}: {text}"
            );
        }
    }
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn the_role_reads_only_the_columns_under_the_views(pool: PgPool) {
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
           AND has_column_privilege('event_planner_reporting', c.oid, a.attnum, 'SELECT')
           AND a.attname ~ '(name|mail|phone|notes|description|address|reference|brief|findings|hash|search|lines)' ORDER BY 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(columns, ["caterers.name", "venues.name"]);
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn a_role_that_could_do_harm_is_refused(pool: PgPool) {
    seed(&pool).await;
    for role in ["postgres", "event_planner_app"] {
        let client = client(&url(&pool, role), &[]).as_caller(acting(ACME));
        let error = call(&client, "query", json!({ "sql": "SELECT 1" }))
            .await
            .unwrap_err();
        let cause = format!("{:#}", error.cause.unwrap());
        assert_eq!(error.code, Code::Unavailable);
        assert!(
            cause.contains("not safe") && !error.message.contains(role),
            "{role}: {cause}"
        );
    }
    let world = client(&url(&pool, "event_planner_reporting"), &[]).as_caller(acting(ACME));
    assert!(
        call(&world, "query", json!({ "sql": "SELECT 1" }))
            .await
            .is_ok()
    );
    for (harm, words) in [
        (
            "GRANT INSERT ON public.events TO event_planner_reporting",
            "it can write to events",
        ),
        (
            "GRANT UPDATE (title) ON public.events TO event_planner_reporting",
            "it can write to events",
        ),
        (
            "GRANT CREATE ON SCHEMA reporting TO event_planner_reporting",
            "create in the schema reporting",
        ),
        (
            "GRANT EXECUTE ON FUNCTION set_config TO PUBLIC",
            "may call set_config",
        ),
    ] {
        let mut tx = pool.begin().await.unwrap();
        sqlx::query(harm).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let client = client(&url(&pool, "event_planner_reporting"), &[]).as_caller(acting(ACME));
        let error = call(&client, "query", json!({ "sql": "SELECT 1" }))
            .await
            .unwrap_err();
        let cause = format!("{:#}", error.cause.unwrap());
        assert!(cause.contains(words), "{harm}: {cause}");
        let undo = harm.replace("GRANT", "REVOKE").replace(" TO ", " FROM ");
        sqlx::query(sqlx::AssertSqlSafe(undo))
            .execute(&pool)
            .await
            .unwrap();
    }
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn open_functions_are_borne_where_there_is_one_organization_only(pool: PgPool) {
    let world = World::with(
        pool.clone(),
        &["--organization-id", ACME, "--only-organization-in-database"],
    )
    .await;
    sqlx::query("GRANT EXECUTE ON FUNCTION set_config TO PUBLIC")
        .execute(&pool)
        .await
        .unwrap();
    assert!(world.ask("SELECT 1").await.is_ok());
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn the_organization_is_the_callers_and_none_other(pool: PgPool) {
    let world = World::new(pool.clone()).await;
    let sql = json!({ "sql": "SELECT count(*) FROM events" });
    for (caller, expected) in [
        (Caller::local(), "REFUSED"),
        (Caller::local().acting_for("x").unwrap(), "REFUSED"),
        (Caller::local().acting_for(ACME).unwrap(), "REFUSED"),
        (
            Caller::local().acting_for(&format!("{ACME}/x")).unwrap(),
            "REFUSED",
        ),
        (
            Caller::local().acting_for(&format!("'/{MEMBER}")).unwrap(),
            "REFUSED",
        ),
        (acting(ACME), "[[4]]"),
        (acting(ZEBRA), "[[2004]]"),
        (acting(MEMBER), "[[0]]"),
    ] {
        let answer = call(
            &world.client.as_caller(caller.clone()),
            "query",
            sql.clone(),
        )
        .await;
        let answer = answer.map_or_else(
            |error| error.code.as_str().to_owned(),
            |value| value["rows"].to_string(),
        );
        assert_eq!(answer, expected, "{caller:?}");
    }
    let bound = client(&world.url, &["--organization-id", ACME]);
    let own = call(&bound, "query", sql.clone()).await.unwrap();
    assert_eq!(own["rows"], json!([[4]]));
    assert!(
        call(&bound.as_caller(acting(ACME)), "query", sql.clone())
            .await
            .is_ok()
    );
    let other = call(&bound.as_caller(acting(ZEBRA)), "query", sql)
        .await
        .unwrap_err();
    assert_eq!(other.code, Code::Refused);
}
