//! Processes that die, lie, hang or have children.

use std::time::{Duration, Instant};

use mcp_kit::{Client, Code, Metrics, Program};
use serde_json::{Value, json};

use super::{Road, both, call, counts, example, policy, request};

/// A shell script in place of a server.
fn script(text: &str) -> Client {
    let program = Program::new("/bin/sh", ["-c", text]).env("PATH", "/usr/bin:/bin");
    Client::stdio("script", program, policy(), &Metrics::new().unwrap())
}

fn kill(process_id: &Value) {
    let id = process_id.to_string();
    let status = std::process::Command::new("kill")
        .args(["-9", &id])
        .status();
    assert!(status.unwrap().success());
}

fn lives(process_id: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process_id}/stat"));
    state.is_ok_and(|text| !text.contains(") Z "))
}

async fn until_gone(process_id: &str) {
    let begun = Instant::now();
    while lives(process_id) {
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{process_id} still lives"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_killed_process_is_started_again_and_pending_calls_end_at_once() {
    let (client, _) = both(Road::Stdio).await;
    let first = counts(&client).await["process_id"].clone();
    let request = request("wait", &json!({ "milliseconds": 30_000 }), 30_000);
    let begun = Instant::now();
    let (ended, ()) = tokio::join!(client.call(&request), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        kill(&first);
    });
    assert_eq!(ended.unwrap_err().code, Code::Unavailable);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    let second = counts(&client).await["process_id"].clone();
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_process_that_only_dies_makes_calls_fail_fast() {
    let client = script("exit 3");
    for _ in 0..10 {
        let begun = Instant::now();
        let error = call(&client, "say", json!({ "text": "a" }))
            .await
            .unwrap_err();
        assert_eq!(error.code, Code::Unavailable);
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
    }
    let client = Client::stdio(
        "nothing",
        Program::new("/nonexistent/program", [""; 0]),
        policy(),
        &Metrics::new().unwrap(),
    );
    let error = call(&client, "say", json!({ "text": "a" }))
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
    assert!(!error.message.contains("nonexistent"), "{error:?}");
}

#[tokio::test]
async fn dropping_the_client_ends_the_process_and_its_children() {
    let file = std::env::temp_dir().join(format!("client-test-{}", std::process::id()));
    let server = example("contract");
    let text = format!(
        "sleep 300 & echo $! > {file}; {server} --stdio --log-filter off",
        file = file.display(),
        server = server.display()
    );
    let client = script(&text);
    let leader = counts(&client).await["process_id"].to_string();
    let grandchild = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    std::fs::remove_file(&file).unwrap();
    assert!(lives(&leader) && lives(&grandchild));
    drop(client);
    until_gone(&leader).await;
    until_gone(&grandchild).await;
}

#[tokio::test]
async fn the_environment_holds_nothing_but_what_was_given() {
    let (client, _) = both(Road::Stdio).await;
    let process_id = counts(&client).await["process_id"].to_string();
    let environment = std::fs::read(format!("/proc/{process_id}/environ")).unwrap();
    assert!(
        environment.is_empty(),
        "{}",
        String::from_utf8_lossy(&environment)
    );
}

#[tokio::test]
async fn garbage_and_endless_lines_on_the_output_are_passed_over() {
    let server = example("contract");
    let text = format!(
        "echo garbage; echo '{{\"half\": '; head -c 9000000 /dev/zero | tr '\\0' x; echo; exec {} --stdio --log-filter off",
        server.display()
    );
    let client = script(&text);
    assert!(call(&client, "say", json!({ "text": "a" })).await.is_ok());
    let flooding = script("cat /dev/zero | tr '\\0' x");
    let before = resident_kib();
    let begun = Instant::now();
    let error = flooding
        .call(&request("say", &json!({ "text": "a" }), 1_000))
        .await;
    assert_eq!(error.unwrap_err().code, Code::Timeout);
    assert!(
        begun.elapsed() < Duration::from_millis(1_250),
        "{:?}",
        begun.elapsed()
    );
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 160 * 1024, "memory grew by {grown} KiB");
}

fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_process_that_never_reads_costs_the_deadline_and_is_replaced() {
    let file = std::env::temp_dir().join(format!("client-deaf-{}", std::process::id()));
    let client = script(&format!("echo $$ >> {}; exec sleep 300", file.display()));
    for number in 0..6 {
        let begun = Instant::now();
        let text = "x".repeat(200_000);
        let error = client
            .call(&request("say", &json!({ "text": text }), 300))
            .await;
        let wanted = if number < 5 {
            Code::Timeout
        } else {
            Code::Unavailable
        };
        assert_eq!(error.unwrap_err().code, wanted, "call {number}");
        assert!(
            begun.elapsed() < Duration::from_millis(450),
            "{:?}",
            begun.elapsed()
        );
    }
    let started = std::fs::read_to_string(&file).unwrap();
    drop(client);
    for process_id in started.lines() {
        until_gone(process_id).await;
    }
    std::fs::remove_file(&file).unwrap();
}
