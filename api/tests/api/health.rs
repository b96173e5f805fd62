//! Liveness, readiness, and what happens when something is away.

use sqlx::PgPool;
use std::{sync::atomic::Ordering, time::Duration};

use crate::support::TestApp;

#[sqlx::test]
async fn a_migrated_database_makes_it_ready(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.anonymous.get("/health").await.expect(200);
    assert_eq!(
        app.anonymous.get("/ready").await.expect(200)["database"],
        "ok"
    );
}

#[sqlx::test]
async fn a_draining_server_is_not_ready_but_answers(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.app.draining.store(true, Ordering::Relaxed);
    app.anonymous.get("/ready").await.expect(503);
    app.owner.get("/v1/me").await.expect(200);
}

#[sqlx::test]
async fn without_its_database_it_says_so_and_lives(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.app.db.close().await;
    app.anonymous.get("/health").await.expect(200);
    app.anonymous.get("/ready").await.expect(503);
    let answer = app.owner.get("/v1/me").await;
    answer.expect_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}

#[sqlx::test]
async fn a_slow_answer_is_cut_off(pool: PgPool) {
    let app = TestApp::with(pool.clone(), |settings| {
        settings.request_timeout = Duration::from_millis(300);
    })
    .await;
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE members IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    app.owner
        .get("/v1/members")
        .await
        .expect_problem(504, "timeout");
}

#[sqlx::test]
async fn a_full_server_refuses_at_once(pool: PgPool) {
    let app = TestApp::with(pool.clone(), |settings| settings.max_in_flight = 2).await;
    app.owner.get("/v1/me").await.expect(200);
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE members IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let owner = app.owner.clone();
            tokio::spawn(async move { owner.get("/v1/members").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    app.owner
        .get("/v1/members")
        .await
        .expect_problem(503, "unavailable");
    app.anonymous.get("/health").await.expect(200);
    lock.rollback().await.unwrap();
    for answer in waiting {
        answer.await.unwrap().expect(200);
    }
}
