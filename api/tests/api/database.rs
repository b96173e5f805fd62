//! The database itself: its walls, and the committed picture of it.

use std::{pin::pin, time::Duration};

use event_planner_api::{
    admin,
    config::Migrate,
    money::{Currency, Money},
    work::Work,
};
use expect_test::expect_file;
use sqlx::{ConnectOptions, PgPool, Row, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::{scene::Scene, support::TestApp};

#[sqlx::test]
async fn the_committed_schema_is_current(pool: PgPool) {
    let lines: Vec<String> = sqlx::query_scalar(include_str!("schema.sql"))
        .fetch_all(&pool)
        .await
        .unwrap();
    let header = "-- Made from a migrated database by the test `the_committed_schema_is_current`; read this first.\n\
                  -- To make it anew: UPDATE_EXPECT=1 cargo xtask test the_committed_schema_is_current\n\n";
    let schema = format!("{header}{}\n", lines.join("\n"));
    expect_file!["../../../database/schema.sql"].assert_eq(&schema);
}

#[sqlx::test]
async fn the_version_before_an_update_takes_the_database_as_it_is(pool: PgPool) {
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'of a later version', true, '', 0)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    let url = pool.connect_options().to_url_lossy().to_string();
    let config = Migrate {
        database_owner_url: Some(url.into()),
        database_owner_url_file: None,
    };
    admin::migrate(&config).await.unwrap();
}

#[sqlx::test]
async fn every_tenant_table_has_both_walls(pool: PgPool) {
    let unprotected: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
           -- Ours, not a tenant's.
           AND c.relname NOT IN ('_sqlx_migrations', 'deliveries', 'job_lanes', 'received_events')
           AND NOT (c.relrowsecurity AND c.relforcerowsecurity
                    AND (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) = 2)",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(unprotected, Vec::<String>::new());
}

#[sqlx::test]
async fn every_tenant_key_starts_with_the_organization(pool: PgPool) {
    let wrong: Vec<String> = sqlx::query_scalar(
        "SELECT i.relname::text FROM pg_index x
         JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
         JOIN pg_attribute o ON o.attrelid = c.oid AND o.attname = 'organization_id'
         WHERE x.indisunique AND x.indkey[0] <> o.attnum ORDER BY 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    // The token of a key is what tells its organization.
    assert_eq!(wrong, ["api_key_token_once"]);
}

#[sqlx::test]
async fn another_role_sees_only_the_organization_it_has_set(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    Scene::new(&app, "walls").await;
    sqlx::query("GRANT SELECT ON ALL TABLES IN SCHEMA public TO event_planner_reporting")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("GRANT USAGE ON SCHEMA public TO event_planner_reporting")
        .execute(&pool)
        .await
        .unwrap();
    let options = (*pool.connect_options())
        .clone()
        .username("event_planner_reporting");
    let reporting = PgPoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .unwrap();
    for (organization, sees) in [
        ("", false),
        (&app.other_organization_id.to_string(), false),
        (&app.organization_id.to_string(), true),
    ] {
        let mut tx = reporting.begin().await.unwrap();
        // `set_config` is not for this role.
        let set = format!("SET LOCAL app.organization_id = '{organization}'");
        sqlx::query(sqlx::AssertSqlSafe(set))
            .execute(&mut *tx)
            .await
            .unwrap();
        for table in ["venues", "events", "bookings", "plans", "audit_entries"] {
            let sql = format!("SELECT count(*) FROM public.{table} WHERE organization_id = $1");
            let row = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(app.organization_id)
                .fetch_one(&mut *tx)
                .await
                .unwrap();
            assert_eq!(
                row.get::<i64, _>(0) > 0,
                sees,
                "{table} as {organization:?}"
            );
        }
    }
}

#[sqlx::test]
async fn the_application_owns_nothing_and_cannot_rewrite_the_trail(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for sql in [
        "DROP TABLE events",
        "ALTER TABLE events DISABLE ROW LEVEL SECURITY",
        "CREATE TABLE mine (id int)",
        "UPDATE audit_entries SET action = 'x'",
        "DELETE FROM audit_entries",
        "TRUNCATE events",
    ] {
        let refused = sqlx::query(sql).execute(&app.app.db).await.unwrap_err();
        assert_eq!(
            refused.as_database_error().unwrap().code().as_deref(),
            Some("42501"),
            "{sql}"
        );
    }
}

#[sqlx::test]
async fn reports_count_major_units_as_the_api_does(pool: PgPool) {
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|a| letters().map(move |b| (a, b)));
    let codes = codes.flat_map(|(a, b)| letters().map(move |c| format!("{a}{b}{c}")));
    let known: Vec<(String, Currency)> = codes
        .filter_map(|code| Some((code.clone(), code.parse().ok()?)))
        .collect();
    assert!(known.len() > 100);
    for (code, currency) in known {
        let text: String = sqlx::query_scalar("SELECT reporting.major_units(1234567, $1)::text")
            .bind(&code)
            .fetch_one(&pool)
            .await
            .unwrap();
        let shown = Money::new(1_234_567, currency).to_string();
        assert_eq!(format!("{text} {code}"), shown.replace(',', ""));
    }
}

#[sqlx::test]
async fn a_reported_budget_is_the_one_of_the_api(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    Scene::new(&app, "budget").await;
    let events: Vec<Uuid> =
        sqlx::query_scalar("SELECT DISTINCT event_id FROM bookings WHERE organization_id = $1")
            .bind(app.organization_id)
            .fetch_all(&pool)
            .await
            .unwrap();
    assert!(!events.is_empty());
    let sql = "SELECT held_amount, committed_amount, paid_amount, planned_amount FROM reporting.event_budgets
               WHERE event_id = $1 AND currency = $2";
    for event in events {
        let budget = app
            .owner
            .get(&format!("/v1/events/{event}/budget"))
            .await
            .expect(200);
        for currency in budget["currencies"].as_array().unwrap() {
            let row = sqlx::query(sql)
                .bind(event)
                .bind(currency["held"]["currency"].as_str().unwrap())
                .fetch_one(&pool)
                .await
                .unwrap();
            for (index, field) in ["held", "committed", "paid", "planned"]
                .into_iter()
                .enumerate()
            {
                let reported: Option<i64> = row.get(index);
                assert_eq!(reported, currency[field]["amount"].as_i64(), "{field}");
            }
        }
    }
}

#[sqlx::test]
async fn who_goes_away_while_a_transaction_begins_leaves_none_open(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    for round in 0..200_u64 {
        let mut begun = pin!(Work::system(&app.app, app.organization_id));
        for _ in 0..round % 4 {
            if futures_util::poll!(begun.as_mut()).is_ready() {
                break;
            }
            tokio::time::sleep(Duration::from_micros(round)).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let open = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let open: i64 = sqlx::query_scalar(open).fetch_one(&pool).await.unwrap();
    assert_eq!(open, 0);
}
