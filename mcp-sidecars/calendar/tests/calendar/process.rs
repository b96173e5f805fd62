//! The sidecar as a process: it starts without credentials, says whether it is ready, and keeps its secrets.

use std::{
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use event_planner_sandbox::{
    Fault, Misbehaviour, Provider, Sandbox,
    google::{
        service_account::SERVICE_ACCOUNT,
        token::{CLIENT_SECRET, REFRESH_TOKEN},
    },
};
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};

use crate::support::{addresses, and, client, credentials, dinner};

struct Process {
    child: Child,
    url: String,
    metrics: String,
    http: reqwest::Client,
}

impl Process {
    async fn start(arguments: &[String]) -> Self {
        // Building a sidecar chooses the cryptography that the client needs, too.
        drop(client(&[]));
        let [port, metrics_port] = [free_port(), free_port()];
        let child = Command::new(env!("CARGO_BIN_EXE_event-planner-mcp-calendar"))
            .args(["--allow-loopback-without-token", "--log-filter=trace"])
            .arg(format!("--listen-addr=127.0.0.1:{port}"))
            .arg(format!("--metrics-addr=127.0.0.1:{metrics_port}"))
            .args(arguments)
            .kill_on_drop(true)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let process = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            metrics: format!("http://127.0.0.1:{metrics_port}/metrics"),
            http: reqwest::Client::new(),
        };
        for _ in 0..200 {
            if process
                .http
                .get(format!("{}/health", process.url))
                .send()
                .await
                .is_ok()
            {
                return process;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("not alive within five seconds");
    }

    async fn ready(&self) -> u16 {
        let answer = self.http.get(format!("{}/ready", self.url)).send().await;
        answer.unwrap().status().as_u16()
    }

    /// The whole answer, good or bad.
    async fn call(&self, tool: &str, arguments: &Value) -> String {
        let url = format!("{}/mcp/tools/{tool}", self.url);
        let answer = self.http.post(url).json(arguments).send().await;
        answer.unwrap().text().await.unwrap()
    }

    /// Ends it, and returns everything that it ever said.
    async fn end(mut self) -> String {
        let metrics = self.http.get(&self.metrics).send().await.unwrap();
        let mut said = metrics.text().await.unwrap();
        self.child.start_kill().unwrap();
        let (mut out, mut err) = (
            self.child.stdout.take().unwrap(),
            self.child.stderr.take().unwrap(),
        );
        out.read_to_string(&mut said).await.unwrap();
        err.read_to_string(&mut said).await.unwrap();
        said
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn it_starts_without_credentials_and_is_not_ready() {
    let sandbox = Sandbox::start().await.unwrap();
    let process = Process::start(&addresses(&sandbox)).await;
    assert_eq!(process.ready().await, 503);
    let said = process.end().await;
    assert!(said.contains("GOOGLE_REFRESH_TOKEN"), "the log says why");
}

#[tokio::test]
async fn it_is_ready_when_google_takes_its_credentials() {
    let sandbox = Sandbox::start().await.unwrap();
    let all = [addresses(&sandbox).as_slice(), &credentials()].concat();
    assert_eq!(Process::start(&all).await.ready().await, 200);
    sandbox.misbehave(Fault::new(
        Provider::Google,
        Misbehaviour::Error { status: 500 },
    ));
    assert_eq!(Process::start(&all).await.ready().await, 503);
}

#[tokio::test]
async fn a_slow_provider_does_not_hold_a_call_beyond_its_deadline() {
    let sandbox = Sandbox::start().await.unwrap();
    let all = [addresses(&sandbox).as_slice(), &credentials()].concat();
    let process = Process::start(&all).await;
    process.call("list_events", &json!({})).await;
    let late = Misbehaviour::Latency { milliseconds: 3000 };
    sandbox.misbehave(Fault::new(Provider::Google, late));
    let begun = Instant::now();
    let answer = process.call("list_events?timeout_ms=400", &json!({})).await;
    assert!(answer.contains("TIMEOUT"), "{answer}");
    assert!(begun.elapsed() < Duration::from_millis(1500));
}

#[tokio::test]
async fn no_secret_is_ever_said() {
    let sandbox = Sandbox::start().await.unwrap();
    let right = [addresses(&sandbox).as_slice(), &credentials()].concat();
    let mut wrong = right.clone();
    wrong.retain(|argument| !argument.contains("client-secret"));
    wrong.push("--google-client-secret=canary-wrong-client-secret-0123456789".to_owned());
    let process = Process::start(&right).await;
    let mut said = all_tools(&process).await;
    for misbehaviour in [
        Misbehaviour::ExpiredToken,
        Misbehaviour::Error { status: 500 },
        Misbehaviour::Garbage,
        Misbehaviour::Cut,
    ] {
        sandbox.misbehave(Fault::new(Provider::Google, misbehaviour).times(6));
        said += &all_tools(&process).await;
        sandbox.world.faults.clear();
    }
    said += &process.end().await;
    let process = Process::start(&wrong).await;
    said += &all_tools(&process).await;
    said += &process.end().await;
    assert!(said.contains("google_calendar") && said.contains("invalid_client"));
    for secret in [CLIENT_SECRET, REFRESH_TOKEN, "ya29.sandbox", "canary"] {
        assert!(!said.contains(secret), "{secret} was said");
    }
}

/// Calls every tool, and returns all answers.
async fn all_tools(process: &Process) -> String {
    let id = json!({ "event_id": "0123456789" });
    let guests = and(id.clone(), json!({ "attendees": ["ann@x.example"] }));
    let busy = json!({ "calendars": ["primary"], "from": "2027-06-12T00:00:00Z", "to": "2027-06-13T00:00:00Z" });
    let calls = [
        ("capabilities", json!({})),
        ("list_calendars", json!({})),
        ("list_events", json!({})),
        ("create_event", dinner("k1")),
        (
            "create_event",
            and(dinner("k1"), json!({ "title": "Other" })),
        ),
        ("get_event", id.clone()),
        ("update_event", and(id.clone(), json!({ "title": "X" }))),
        ("cancel_event", id),
        ("add_attendees", guests.clone()),
        ("remove_attendees", guests),
        ("free_busy", busy),
    ];
    let mut said = String::new();
    for (tool, arguments) in calls {
        said += &process.call(tool, &arguments).await;
    }
    said
}

#[tokio::test]
async fn a_service_account_works_and_keeps_its_key() {
    let sandbox = Sandbox::start().await.unwrap();
    drop(client(&[]));
    let url = format!("{}/service-account.json", sandbox.url("google"));
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("calendar-account.json");
    std::fs::write(&file, &text).unwrap();
    let mut all = addresses(&sandbox).to_vec();
    all.push(format!("--google-service-account-file={}", file.display()));
    let process = Process::start(&all).await;
    let calendars = process.call("list_calendars", &json!({})).await;
    assert!(calendars.contains(SERVICE_ACCOUNT), "{calendars}");
    let invited = and(dinner("k1"), json!({ "attendees": ["ann@x.example"] }));
    let refused = process.call("create_event", &invited).await;
    assert!(refused.contains("forbiddenForServiceAccounts"), "{refused}");
    let said = process.end().await;
    let key: Value = serde_json::from_str(&text).unwrap();
    for line in key["private_key"].as_str().unwrap().lines().skip(1) {
        assert!(line.starts_with('-') || !said.contains(line));
    }
}
