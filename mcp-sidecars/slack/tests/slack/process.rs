//! The real process: it starts without credentials, says whether it is ready, and keeps secrets to itself.

use std::{net::TcpListener, process::Stdio, time::Duration};

use event_planner_sandbox::{Fault, Misbehaviour, Provider, Sandbox};
use serde_json::json;
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};

use crate::support::{BOT_TOKEN, EVENTS, EXPIRED_TOKEN, get, http};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The process, its address and that of its metrics.
async fn start(sandbox: &Sandbox, arguments: &[&str]) -> (Child, String, String) {
    let (port, metrics) = (free_port(), free_port());
    let child = Command::new(env!("CARGO_BIN_EXE_event-planner-mcp-slack"))
        .args([
            &format!("--listen-addr=127.0.0.1:{port}"),
            &format!("--metrics-addr=127.0.0.1:{metrics}"),
        ])
        .args(["--allow-loopback-without-token", "--log-filter=debug"])
        .args([
            &format!("--slack-api-url={}/api", sandbox.url("slack")),
            &format!("--slack-files-url={}", sandbox.url("slack")),
        ])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}");
    for _ in 0..200 {
        if http().get(format!("{url}/health")).send().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    (child, url, format!("http://127.0.0.1:{metrics}/metrics"))
}

async fn ready(url: &str) -> u16 {
    http()
        .get(format!("{url}/ready"))
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn it_starts_without_credentials_and_is_ready_only_with_good_ones() {
    let sandbox = Sandbox::start().await.unwrap();
    let (_without, url, _) = start(&sandbox, &[]).await;
    assert_eq!(ready(&url).await, 503);
    let (_expired, url, _) = start(&sandbox, &["--slack-bot-token", EXPIRED_TOKEN]).await;
    assert_eq!(ready(&url).await, 503);
    let (_good, url, _) = start(&sandbox, &["--slack-bot-token", BOT_TOKEN]).await;
    assert_eq!(ready(&url).await, 200);
}

#[tokio::test]
async fn no_token_is_in_any_log_metric_result_or_error() {
    let sandbox = Sandbox::start().await.unwrap();
    let (mut child, url, metrics) = start(&sandbox, &["--slack-bot-token", BOT_TOKEN]).await;
    // Read all the while, or the process waits for us once the pipe is full.
    let mut stderr = child.stderr.take().unwrap();
    let reading = tokio::spawn(async move {
        let mut logs = String::new();
        stderr.read_to_string(&mut logs).await.unwrap();
        logs
    });
    let account_token = "xoxb-sandbox-only-canary-of-an-account-0001";
    let mut said = ask_everything(&sandbox, &url, account_token).await;
    said += &get(&metrics).await;
    child.start_kill().unwrap();
    let logs = reading.await.unwrap();
    assert!(
        logs.lines()
            .filter(|line| line.contains("\"audit\""))
            .count()
            >= 100,
        "the log was read"
    );
    for secret in [BOT_TOKEN, account_token] {
        assert!(!said.contains(secret), "in an answer or a metric");
        let line = logs.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "in the log");
    }
}

/// Every tool, on good days and bad ones, with our token and with an account's; all that was answered.
async fn ask_everything(sandbox: &Sandbox, url: &str, account_token: &str) -> String {
    let calls = [
        ("list_channels", json!({})),
        ("list_users", json!({})),
        (
            "post_message",
            json!({ "channel": EVENTS, "text": BOT_TOKEN, "idempotency_key": "a" }),
        ),
        ("channel_history", json!({ "channel": EVENTS })),
        (
            "thread_replies",
            json!({ "channel": EVENTS, "thread_ts": "1.000000" }),
        ),
        (
            "reply_in_thread",
            json!({ "channel": EVENTS, "thread_ts": "1.000000", "text": "x" }),
        ),
        (
            "update_message",
            json!({ "channel": EVENTS, "ts": "1.000000", "text": "x" }),
        ),
        (
            "delete_message",
            json!({ "channel": EVENTS, "ts": "1.000000" }),
        ),
        (
            "add_reaction",
            json!({ "channel": EVENTS, "ts": "1.000000", "emoji": "x" }),
        ),
        (
            "schedule_message",
            json!({ "channel": EVENTS, "text": "x", "post_at": "2020-01-01T00:00:00Z" }),
        ),
        (
            "create_channel",
            json!({ "name": "general", "idempotency_key": "c" }),
        ),
        (
            "upload_file",
            json!({ "channel": EVENTS, "filename": "a.txt", "content_base64": "YQ==" }),
        ),
        ("capabilities", json!({})),
    ];
    let mut said = String::new();
    let client = http();
    for misbehaviour in [
        None,
        Some(Misbehaviour::ExpiredToken),
        Some(Misbehaviour::Garbage),
        Some(Misbehaviour::Cut),
    ] {
        sandbox.world.faults.clear();
        if let Some(misbehaviour) = misbehaviour {
            sandbox
                .world
                .faults
                .add(Fault::new(Provider::Slack, misbehaviour));
        }
        for (tool, arguments) in &calls {
            for with_account in [false, true] {
                let request = client
                    .post(format!("{url}/mcp/tools/{tool}"))
                    .body(arguments.to_string());
                let mut request = request.header("content-type", "application/json");
                if with_account {
                    request = request
                        .header("provider-account", "org-1")
                        .header("provider-token", account_token);
                }
                let answer = request.send().await.unwrap();
                said.extend(
                    answer
                        .headers()
                        .values()
                        .filter_map(|value| value.to_str().ok()),
                );
                said += &answer.text().await.unwrap();
            }
        }
    }
    said
}
