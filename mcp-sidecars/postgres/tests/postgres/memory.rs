//! One huge value, or a huge error, before the running process.

use std::{
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::process::{Child, Command};

use crate::world::{ACME, MEMBER, seed, url};

fn peak_kib(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[sqlx::test(migrations = "../../database/migrations")]
async fn nine_hundred_megabytes_never_come_in(pool: PgPool) {
    seed(&pool).await;
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = format!("127.0.0.1:{port}");
    let child = Command::new(env!("CARGO_BIN_EXE_event-planner-mcp-postgres"))
        .args([
            "--allow-loopback-without-token",
            "--metrics-addr",
            "127.0.0.1:0",
            "--listen-addr",
            &address,
        ])
        .args(["--database-url", &url(&pool, "event_planner_reporting")])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let ask = async |sql: &str| {
        let request = http
            .post(format!("http://{address}/mcp/tools/query"))
            .json(&json!({ "sql": sql }));
        let answer = request
            .header("on-behalf-of", format!("{ACME}/{MEMBER}"))
            .send()
            .await?;
        answer.json::<Value>().await
    };
    let begun = Instant::now();
    while ask("SELECT 1").await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "it did not start");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = peak_kib(&child);
    for sql in [
        "SELECT repeat('x', 900000000)",
        "SELECT repeat('x', 900000000)::int",
    ] {
        // Postgres needs a while to make it, and may be stopped by the clock before.
        let begun = Instant::now();
        let answer = ask(sql).await.unwrap();
        assert!(
            answer["code"] == "REFUSED" || answer["code"] == "TIMEOUT",
            "{answer}"
        );
        assert!(begun.elapsed() < Duration::from_secs(3), "{sql}");
    }
    for (sql, expected) in [
        ("SELECT repeat('x', 20000000)", json!("REFUSED")),
        ("SELECT repeat('x', 20000000)::int", json!("REFUSED")),
        // Rows that Postgres itself may not keep on its disk while they wait to be fetched.
        (
            "SELECT repeat('x', 1000000) FROM generate_series(1, 900)",
            json!("REFUSED"),
        ),
        (
            "SELECT repeat('x', 100000) FROM generate_series(1, 9000)",
            json!(null),
        ),
    ] {
        let answer = ask(sql).await.unwrap();
        assert_eq!(answer["code"], expected, "{sql}: {answer}");
    }
    let grown = peak_kib(&child) - before;
    assert!(grown < 16 * 1024, "{grown} KiB more than {before}");
    assert_eq!(
        ask("SELECT 1").await.unwrap()["result"]["rows"],
        json!([[1]])
    );
}
