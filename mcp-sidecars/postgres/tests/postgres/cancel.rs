//! Callers that go away, databases that go away, callers that come at once.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use mcp_kit::Code;
use serde_json::json;
use sqlx::PgPool;
use tokio::net::{TcpListener, TcpStream};

use crate::{
    list::ZEBRA,
    world::{ACME, World, acting, call, client, seed, url},
};

pub async fn running(pool: &PgPool) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity
               WHERE usename = 'event_planner_reporting' AND datname = current_database() AND state = 'active'";
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn a_statement_ends_with_its_caller(pool: PgPool) {
    let world = World::with(pool.clone(), &["--statement-timeout", "20000"]).await;
    for sql in [
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
        "SELECT count(*) FROM pg_class a, pg_class b, pg_class c, pg_class d WHERE a.relname || b.relname LIKE '%' || c.relname || d.relname",
    ] {
        let asking = world.ask(sql);
        assert!(
            tokio::time::timeout(Duration::from_millis(300), asking)
                .await
                .is_err()
        );
        let left = Instant::now();
        while running(&pool).await > 0 {
            assert!(left.elapsed() < Duration::from_secs(1), "still running");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(world.rows("SELECT 1").await, json!([[1]]));
    }
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn organizations_never_mix_over_shared_sessions(pool: PgPool) {
    let world = World::with(pool, &["--pool-size", "2", "--pool-timeout", "20000"]).await;
    let clients = [(ACME, 4), (ZEBRA, 2004)]
        .map(|(organization, count)| (world.client.as_caller(acting(organization)), count));
    let calls = (0..1000).map(|number| {
        let (client, count) = &clients[number % 2];
        let sql = match number % 10 {
            // What fails, is cut or is left must not stay behind either.
            6 | 7 => "SELECT count(*), 1 / 0 FROM events",
            8 | 9 => "SELECT count(*) OVER (), repeat('x', 10000) FROM generate_series(1, 200), (SELECT count(*) FROM events) e",
            _ => "SELECT count(*), count(*) FILTER (WHERE title = 'zebra') FROM events",
        };
        async move {
            let answer = call(client, "query", json!({ "sql": sql })).await;
            if number % 10 < 6 {
                let zebras = if *count == 4 { 0 } else { 2004 };
                assert_eq!(answer.unwrap()["rows"], json!([[count, zebras]]));
            }
        }
    });
    futures_util::stream::iter(calls)
        .buffer_unordered(16)
        .collect::<()>()
        .await;
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn a_database_that_went_away_is_unavailable_until_it_is_back(pool: PgPool) {
    seed(&pool).await;
    let options = pool.connect_options();
    let target = format!("{}:{}", options.get_host(), options.get_port());
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = relay.local_addr().unwrap().port();
    let there = url(&pool, "event_planner_reporting")
        .replace(&format!(":{}/", options.get_port()), &format!(":{port}/"));
    let client = client(&there, &[]).as_caller(acting(ACME));
    let ask = async || {
        call(
            &client,
            "query",
            json!({ "sql": "SELECT count(*) FROM events" }),
        )
        .await
    };

    let up = tokio::spawn(forward(relay, target.clone()));
    assert_eq!(ask().await.unwrap()["rows"], json!([[4]]));
    up.abort();
    let _ = up.await;
    for _ in 0..3 {
        let begun = Instant::now();
        let error = ask().await.unwrap_err();
        assert!(
            error.code == Code::Unavailable && error.retry_after.is_some(),
            "{error:?}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
    }
    let relay = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let up = tokio::spawn(forward(relay, target));
    assert_eq!(ask().await.unwrap()["rows"], json!([[4]]));
    up.abort();
}

/// Passes connections on until it is aborted, which breaks them.
async fn forward(relay: TcpListener, target: String) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (mut near, _) = relay.accept().await.unwrap();
        let target = target.clone();
        connections.spawn(async move {
            let mut far = TcpStream::connect(target).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
    }
}
