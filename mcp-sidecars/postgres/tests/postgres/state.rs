//! A picture of a database, to see that nothing has changed.

use std::collections::BTreeMap;

use sqlx::{PgPool, Row};

/// Everything in the database that a statement could have changed, by name.
pub async fn state(pool: &PgPool) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND relpersistence <> 't'
         AND relnamespace IN ('public'::regnamespace, 'reporting'::regnamespace)",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    for table in tables {
        let sql = format!(
            "SELECT md5(COALESCE(string_agg(t::text, ';' ORDER BY t::text), '')) FROM {table} t"
        );
        let hash = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(pool)
            .await
            .unwrap();
        state.insert(table, hash);
    }
    // Other databases of the cluster belong to other tests.
    let rest = "
        WITH here AS (SELECT oid FROM pg_database WHERE datname = current_database())
        SELECT 'relations', md5(string_agg(oid::text || relname || COALESCE(relacl::text, '') || relrowsecurity, ';' ORDER BY oid))
            FROM pg_class WHERE relnamespace NOT IN ('pg_toast'::regnamespace)
        UNION ALL SELECT 'functions', md5(string_agg(oid::text || proname || COALESCE(proacl::text, ''), ';' ORDER BY oid)) FROM pg_proc
        UNION ALL SELECT 'roles', md5(string_agg(r::text, ';' ORDER BY oid)) FROM pg_authid r WHERE rolname LIKE 'event_planner%'
        UNION ALL SELECT 'settings', md5(string_agg(s::text, ';' ORDER BY s::text)) FROM pg_db_role_setting s, here WHERE setdatabase = here.oid
        UNION ALL SELECT 'server settings', md5(string_agg(name || setting, ';' ORDER BY name)) FROM pg_settings
            WHERE context IN ('postmaster', 'sighup') AND name NOT LIKE 'ssl%'
        UNION ALL SELECT 'large objects', count(*)::text FROM pg_largeobject_metadata
        UNION ALL SELECT 'advisory locks', count(*)::text FROM pg_locks, here WHERE locktype = 'advisory' AND database = here.oid
        UNION ALL SELECT 'prepared transactions', count(*)::text FROM pg_prepared_xacts WHERE database = current_database()
        UNION ALL SELECT 'slots', count(*)::text FROM pg_replication_slots WHERE database = current_database()
        UNION ALL SELECT 'policies', md5(string_agg(p::text, ';' ORDER BY oid)) FROM pg_policy p";
    for row in sqlx::query(sqlx::AssertSqlSafe(rest))
        .fetch_all(pool)
        .await
        .unwrap()
    {
        state.insert(
            row.get(0),
            row.get::<Option<String>, _>(1).unwrap_or_default(),
        );
    }
    state
}
