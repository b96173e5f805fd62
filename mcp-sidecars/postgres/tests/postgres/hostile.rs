//! Statements of somebody who means harm: nothing changes, nothing leaks, nothing lasts.

use std::time::{Duration, Instant};

use mcp_kit::Code;
use serde_json::json;
use sqlx::{PgPool, postgres::PgListener};

use crate::{
    list::statements,
    state::state,
    world::{SECRETS, World},
};

const LONGEST: Duration = Duration::from_secs(3);

#[sqlx::test(migrations = "../../database/migrations")]
async fn hostile_statements_have_no_effect_and_see_nothing_and_end(pool: PgPool) {
    let world = World::new(pool.clone()).await;
    let before = state(&pool).await;
    let mut ear = PgListener::connect_with(&pool).await.unwrap();
    ear.listen("leak").await.unwrap();
    let statements = statements();
    assert!(statements.len() >= 200, "{}", statements.len());
    let mut wrong = Vec::new();
    for (expected, sql) in &statements {
        let begun = Instant::now();
        let answer = world.ask(sql).await;
        let elapsed = begun.elapsed();
        let (word, text) = match &answer {
            Ok(value) => ("OK", value.to_string()),
            Err(error) => (error.code.as_str(), format!("{error:?}")),
        };
        if !expected.contains(&word) {
            wrong.push(format!(
                "{sql}\n    expected {expected:?}, got {}",
                &text[..text.len().min(300)]
            ));
        }
        if elapsed > LONGEST {
            wrong.push(format!("{sql}\n    took {elapsed:?}"));
        }
        // Words that came with the statement tell nothing.
        if SECRETS
            .iter()
            .any(|secret| text.contains(secret) && !sql.contains(secret))
        {
            wrong.push(format!("{sql}\n    leaks: {text}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        statements.len(),
        wrong.join("\n")
    );
    assert_eq!(state(&pool).await, before);
    let heard = tokio::time::timeout(Duration::from_millis(50), ear.recv()).await;
    assert!(heard.is_err(), "{heard:?}");
    assert_eq!(
        world.rows("SELECT count(*) FROM events").await,
        json!([[4]])
    );
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn a_plan_is_not_run_and_tells_no_estimate(pool: PgPool) {
    let world = World::new(pool.clone()).await;
    let before = state(&pool).await;
    let plan = world
        .call(
            "explain",
            json!({ "sql": "SELECT * FROM events WHERE title = $1;", "params": ["zebra"] }),
        )
        .await;
    let plan = plan.unwrap()["plan"].as_str().unwrap().to_owned();
    assert!(
        plan.contains("Scan") && !plan.contains("rows=") && !plan.contains("cost="),
        "{plan}"
    );
    for sql in [
        "DELETE FROM events",
        "ANALYZE SELECT 1",
        "(ANALYZE) SELECT 1",
        "SELECT 1; SELECT 2",
        "CREATE TABLE mine AS SELECT 1",
        "EXECUTE s1",
        "COMMIT",
        "DECLARE d CURSOR FOR SELECT 1",
    ] {
        let error = world
            .call("explain", json!({ "sql": sql }))
            .await
            .unwrap_err();
        assert_eq!(error.code, Code::Invalid, "{sql}: {error:?}");
    }
    assert_eq!(state(&pool).await, before);
}
