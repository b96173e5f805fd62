//! The sidecar as a process: readiness, and no secret or personal word in what it writes.

use std::{
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use event_planner_sandbox::{Fault, Misbehaviour, Provider, Sandbox};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};

use crate::support::{ADA, addresses, credentials, sms};

struct Running {
    child: Child,
    url: String,
    metrics: String,
    client: Client,
}

impl Running {
    async fn start(arguments: &[String]) -> Self {
        let port = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let (port, metrics_port) = (port(), port());
        let child = Command::new(env!("CARGO_BIN_EXE_event-planner-mcp-twilio"))
            .arg("--allow-loopback-without-token")
            .args(["--listen-addr", &format!("127.0.0.1:{port}")])
            .args(["--metrics-addr", &format!("127.0.0.1:{metrics_port}")])
            .args(["--log-filter", "trace"])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let running = Self {
            child,
            metrics: format!("http://127.0.0.1:{metrics_port}/metrics"),
            client: Client::new(),
            url,
        };
        let begun = Instant::now();
        let health = format!("{}/health", running.url);
        while running.client.get(&health).send().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(5), "it did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running
    }

    async fn ready(&self) -> StatusCode {
        let url = format!("{}/ready", self.url);
        self.client.get(url).send().await.unwrap().status()
    }

    async fn call(&self, tool: &str, arguments: &Value) -> String {
        let url = format!("{}/mcp/tools/{tool}", self.url);
        let answer = self.client.post(url).json(arguments).send().await.unwrap();
        answer.text().await.unwrap()
    }
}

/// reqwest needs one, and here no sidecar in this process has brought it.
async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start().await.unwrap();
    drop(crate::support::client(&sandbox, &[]));
    sandbox
}

#[tokio::test]
async fn it_starts_without_an_account_and_is_ready_with_one_that_is_taken() {
    let sandbox = sandbox().await;
    let mut right = addresses(&sandbox);
    let without = Running::start(&right).await;
    assert_eq!(without.ready().await, StatusCode::SERVICE_UNAVAILABLE);
    right.extend(credentials());
    let with = Running::start(&right).await;
    assert_eq!(with.ready().await, StatusCode::OK);
    let mut wrong = right.clone();
    wrong.retain(|argument| !argument.starts_with("--twilio-auth-token"));
    wrong.push("--twilio-auth-token=sandbox-but-wrong".to_owned());
    let refused = Running::start(&wrong).await;
    assert_eq!(refused.ready().await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn nothing_it_writes_holds_a_secret_a_number_or_a_text() {
    let sandbox = sandbox().await;
    let canary = "canary-7c41-auth-token-that-must-not-leave";
    let mut arguments = addresses(&sandbox);
    arguments.extend(credentials());
    arguments.retain(|argument| !argument.starts_with("--twilio-auth-token"));
    arguments.push(format!("--twilio-auth-token={canary}"));
    let refused = Running::start(&arguments).await;
    arguments.pop();
    arguments.extend(credentials().into_iter().skip(1).take(1));
    let taken = Running::start(&arguments).await;
    let text = "A private word for Ada";
    let calls = [
        (
            "send_sms",
            json!({ "to": ADA, "body": text, "idempotency_key": "a" }),
        ),
        ("send_sms", sms("b")),
        ("list_messages", json!({ "to": ADA })),
        (
            "get_message",
            json!({ "message_id": format!("SM{:032}", 1) }),
        ),
        (
            "cancel_message",
            json!({ "message_id": format!("SM{:032}", 1) }),
        ),
        ("lookup_number", json!({ "number": ADA })),
        (
            "start_verification",
            json!({ "to": ADA, "idempotency_key": "a" }),
        ),
        ("check_verification", json!({ "to": ADA, "code": "000000" })),
    ];
    for mut running in [refused, taken] {
        let mut written = String::new();
        for (tool, arguments) in &calls {
            sandbox.misbehave(Fault::new(Provider::Twilio, Misbehaviour::Cut).times(1));
            for _ in 0..2 {
                let answer = running.call(tool, arguments).await;
                assert!(!answer.contains(canary), "{answer}");
            }
        }
        let metrics = running.client.get(&running.metrics).send().await.unwrap();
        written.push_str(&metrics.text().await.unwrap());
        running.ready().await;
        running.child.start_kill().unwrap();
        let mut log = running.child.stderr.take().unwrap();
        log.read_to_string(&mut written).await.unwrap();
        assert!(written.contains("\"target\":\"audit\""));
        for word in [canary, ADA, &ADA[1..], text, "sandbox-twilio-auth-token"] {
            let line = written.lines().find(|line| line.contains(word));
            assert!(line.is_none(), "{word}: {line:?}");
        }
    }
}
