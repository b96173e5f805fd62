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
        .args([
            "--database-url",
            &url(&pool, "event_planner_reporting"),
            "--statement-timeout",
            "20000",
        ])
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
        "SELECT repeat('x', 1000000) FROM generate_series(1, 900)",
    ] {
        let answer = ask(sql).await.unwrap();
        // The first two in full (`--statement-timeout` is long), the third by the cap on bytes.
        let is_capped = answer["code"] == "REFUSED"
            || answer["result"]["truncated_by"] == "bytes"
            || answer["result"]["cut_cells"].as_u64() > Some(0);
        assert!(
            is_capped,
            "{sql}: {}",
            answer.to_string().chars().take(300).collect::<String>()
        );
    }
    let grown = peak_kib(&child) - before;
    assert!(grown < 16 * 1024, "{grown} KiB more than {before}");
    assert_eq!(
        ask("SELECT 1").await.unwrap()["result"]["rows"],
        json!([[1]])
    );
}
