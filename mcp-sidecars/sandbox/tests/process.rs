//! The sandbox as a process: its state outlives it, and it ends when it is told to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::TcpListener,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

const ACCOUNT: &str = "ACsandbox0000000000000000000000000";
const AUTH_TOKEN: &str = "sandbox-twilio-auth-token-no-secret";

struct Running {
    child: Child,
    url: String,
    client: Client,
}

impl Running {
    async fn start(state: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new(env!("CARGO_BIN_EXE_event-planner-sandbox"))
            .args(["--listen-addr", &format!("127.0.0.1:{port}")])
            .args(["--log-filter", "off", "--state-file"])
            .arg(state)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let client = Client::builder().no_proxy().build().unwrap();
        let begun = Instant::now();
        while client.get(format!("{url}/health")).send().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(5), "it did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { child, url, client }
    }

    async fn send(&self, to: &str) -> String {
        let fields = [("To", to), ("From", "+15005550006"), ("Body", "Hello")];
        let request = self.client.post(self.messages(".json")).form(&fields);
        let answer = request
            .basic_auth(ACCOUNT, Some(AUTH_TOKEN))
            .send()
            .await
            .unwrap();
        let sent: Value = answer.json().await.unwrap();
        sent["sid"].as_str().unwrap().to_owned()
    }

    async fn status(&self, sid: &str) -> Value {
        let request = self.client.get(self.messages(&format!("/{sid}.json")));
        let answer = request.basic_auth(ACCOUNT, Some(AUTH_TOKEN)).send().await;
        let message: Value = answer.unwrap().json().await.unwrap();
        message["status"].clone()
    }

    async fn until(&self, sid: &str, status: &str) {
        let begun = Instant::now();
        while self.status(sid).await != status {
            assert!(begun.elapsed() < Duration::from_secs(5), "never {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn messages(&self, rest: &str) -> String {
        format!(
            "{}/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages{rest}",
            self.url
        )
    }

    async fn end(&mut self, signal: &str) -> bool {
        let id = self.child.id().unwrap().to_string();
        Command::new("kill")
            .args([signal, &id])
            .status()
            .await
            .unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(4), self.child.wait()).await;
        ended.unwrap().unwrap().success()
    }
}

/// A folder of this test's own, removed with it.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn state(&self) -> std::path::PathBuf {
        self.0.join("sandbox.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn what_happened_and_what_is_to_come_outlive_a_restart() {
    let folder = Folder::new("restart");
    let mut first = Running::start(&folder.state()).await;
    let delivered = first.send("+14155550100").await;
    first.until(&delivered, "delivered").await;
    let under_way = first.send("+15005550013").await;
    assert!(first.end("-TERM").await);
    let second = Running::start(&folder.state()).await;
    assert_eq!(second.status(&delivered).await, "delivered");
    second.until(&under_way, "undelivered").await;
    let third = second.send("+14155550100").await;
    assert!(third != delivered && third != under_way);
}

#[tokio::test]
async fn a_crash_loses_no_more_than_the_last_second() {
    let folder = Folder::new("crash");
    let mut first = Running::start(&folder.state()).await;
    let sent = first.send("+14155550100").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!first.end("-KILL").await);
    let second = Running::start(&folder.state()).await;
    second.until(&sent, "delivered").await;
}

#[tokio::test]
async fn an_open_page_does_not_keep_it_from_ending() {
    let folder = Folder::new("stream");
    let mut running = Running::start(&folder.state()).await;
    let url = format!("{}/sandbox/changes", running.url);
    let mut stream = running.client.get(url).send().await.unwrap();
    running.send("+14155550100").await;
    let first = stream.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: "), "{first:?}");
    let begun = Instant::now();
    assert!(running.end("-INT").await);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    while let Some(chunk) = stream.chunk().await.unwrap() {
        assert!(chunk.starts_with(b"data: "), "{chunk:?}");
    }
}

#[tokio::test]
async fn a_state_file_of_something_else_is_not_overwritten() {
    let folder = Folder::new("foreign");
    let text = json!({ "twilio": { "messages": "many" } }).to_string();
    std::fs::write(folder.state(), &text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_event-planner-sandbox"))
        .args(["--listen-addr", "127.0.0.1:0", "--state-file"])
        .arg(folder.state())
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("delete it"), "{words}");
    assert_eq!(std::fs::read_to_string(folder.state()).unwrap(), text);
}
