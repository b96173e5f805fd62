//! The greeter as a process of its own: signals, standard streams, health check.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

/// Cargo builds the examples with the tests, next to them.
fn greeter() -> Command {
    let tests = std::env::current_exe().unwrap();
    let target: PathBuf = tests.ancestors().nth(2).unwrap().into();
    let mut command = Command::new(target.join("examples").join("greeter"));
    command
        .kill_on_drop(true)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn serving(arguments: &[&str]) -> (Child, String, String) {
    let (port, metrics_port) = (free_port(), free_port());
    let child = greeter()
        .args([
            "--allow-loopback-without-token",
            "--listen-addr",
            &format!("127.0.0.1:{port}"),
        ])
        .args(["--metrics-addr", &format!("127.0.0.1:{metrics_port}")])
        .args(arguments)
        .spawn()
        .unwrap();
    let (url, metrics) = (
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{metrics_port}/metrics"),
    );
    for _ in 0..200 {
        if is_healthy(&url).await {
            return (child, url, metrics);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not healthy within five seconds");
}

async fn is_healthy(url: &str) -> bool {
    let url = format!("{url}/health");
    let status = greeter()
        .args(["healthcheck", "--healthcheck-url", &url])
        .status()
        .await;
    status.unwrap().success()
}

async fn terminate(child: &Child) {
    let id = child.id().unwrap().to_string();
    Command::new("kill")
        .args(["-TERM", &id])
        .status()
        .await
        .unwrap();
}

#[tokio::test]
async fn on_sigterm_running_calls_end_and_then_the_process() {
    let (mut child, url, metrics) = serving(&["--drain-delay", "1"]).await;
    let client = plain_client();
    let call = client
        .post(format!("{url}/mcp/tools/greet"))
        .json(&json!({ "name": "Ada", "delay_ms": 1500 }))
        .send();
    let call = tokio::spawn(call);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let text = client
        .get(metrics)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(text.contains("mcp_tool_calls_in_flight 1"), "{text}");
    let begun = Instant::now();
    terminate(&child).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let ready = client.get(format!("{url}/ready")).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    let answer: Value = call.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer, json!({ "result": { "text": "Hello, Ada!" } }));
    let status = child.wait().await.unwrap();
    assert!(
        status.success() && begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert!(!is_healthy(&url).await);
}

#[tokio::test]
async fn it_speaks_on_standard_streams_and_logs_on_the_other() {
    let mut child = greeter()
        .arg("--stdio")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = BufReader::new(output).lines();
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" },
    } });
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
        "name": "greet", "arguments": { "name": "Ada" },
    } });
    input
        .write_all(format!("{hello}\n{ready}\n{call}\n").as_bytes())
        .await
        .unwrap();
    let first: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(first["result"]["serverInfo"]["name"], "greeter");
    let second: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(second["result"]["structuredContent"]["text"], "Hello, Ada!");
    drop(input);
    let status = tokio::time::timeout(Duration::from_secs(3), child.wait())
        .await
        .unwrap();
    assert!(status.unwrap().success());
    let mut log = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .await
        .unwrap();
    assert!(
        log.contains("\"target\":\"audit\"") && log.contains("\"road\":\"stdio\""),
        "{log}"
    );
}

#[tokio::test]
async fn it_does_not_start_open_by_mistake() {
    for arguments in [
        &["--listen-addr=127.0.0.1:0"][..],
        &["--listen-addr=0.0.0.0:0", "--allow-loopback-without-token"],
    ] {
        let output = greeter().args(arguments).output().await.unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("MCP_TOKENS"));
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (argument, other, variable) in [
        ("--listen-addr", "--metrics-addr", "LISTEN_ADDR"),
        ("--metrics-addr", "--listen-addr", "METRICS_ADDR"),
    ] {
        let mut command = greeter();
        command.arg("--allow-loopback-without-token");
        command.args([argument, &address.to_string(), other, "127.0.0.1:0"]);
        let output = command.output().await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let wanted = format!("error: {variable}: listen on {address}");
        assert!(
            !output.status.success() && error.contains(&wanted),
            "{error}"
        );
    }
}

fn plain_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
