//! The guard without its fellows: a role that may write everywhere and call every function, and still nothing changes.

#[path = "../tests/postgres/list.rs"]
mod list;
#[path = "../tests/postgres/state.rs"]
mod state;

use std::time::{Duration, Instant};

use clap::Parser;
use mcp_kit::Cli;
use sqlx::{Executor, PgPool};

use self::{list::statements, state::state};
use crate::{
    PostgresSettings,
    connect::Target,
    pool::Pool,
    read::{Query, rows},
};

/// Everything that the application may do, without being it: it could stop the sessions of other tests.
const ALMIGHTY: &str = "
    GRANT USAGE, CREATE ON SCHEMA public, reporting TO {role};
    GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};
    GRANT ALL ON ALL TABLES IN SCHEMA reporting TO {role};
    DO $$ DECLARE f regprocedure; BEGIN
        FOR f IN SELECT oid FROM pg_proc WHERE has_function_privilege('event_planner_app', oid, 'EXECUTE') LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO {role}', f);
        END LOOP;
    END $$";

#[sqlx::test(migrations = "../../database/migrations")]
#[expect(
    clippy::disallowed_methods,
    reason = "scripts of ours have several statements"
)]
async fn the_guard_alone_lets_nothing_change(pool: PgPool) {
    let options = pool.connect_options();
    let database = options.get_database().unwrap();
    let role = format!("almighty_{}", database.to_lowercase().replace('-', "_"));
    let script = format!(
        "CREATE ROLE {role} LOGIN;{}",
        ALMIGHTY.replace("{role}", &role)
    );
    pool.execute(sqlx::raw_sql(include_str!("../tests/postgres/world.sql")))
        .await
        .unwrap();
    pool.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(script)))
        .await
        .unwrap();
    let url = format!(
        "postgres://{role}@{}:{}/{database}?sslmode=disable",
        options.get_host(),
        options.get_port()
    );
    let settings = Cli::<PostgresSettings>::parse_from(["test", "--database-url", &url]).own;
    let target = Target::new(&settings.url().unwrap(), &settings).unwrap();
    let guard = Pool::new(target, &settings).trusting();

    let before = state(&pool).await;
    let mut slow = Vec::new();
    let mut answered = 0;
    // A hundred thousand locks would be missed by the other tests of this server.
    for (_, sql) in statements()
        .iter()
        .filter(|(_, sql)| !sql.contains("pg_advisory_lock_shared(i)"))
    {
        let begun = Instant::now();
        let organization = list::ZEBRA.parse().unwrap();
        let query = Query {
            organization,
            sql,
            params: &[],
        };
        let asked = async { rows(guard.session().await?, &query, 100).await };
        // As the tools do it.
        let answer = tokio::time::timeout(Duration::from_millis(2750), asked).await;
        answered += usize::from(matches!(answer, Ok(Ok(_))));
        if begun.elapsed() > Duration::from_secs(3) {
            slow.push(sql.clone());
        }
    }
    assert!(answered > 50, "only {answered}: the role was not almighty");
    assert!(slow.is_empty(), "{slow:#?}");
    drop(guard);
    let after = state(&pool).await;
    let drop = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    pool.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(drop)))
        .await
        .unwrap();
    assert_eq!(after, before);
}
