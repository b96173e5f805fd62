//! Canaries: no credential appears in a result, an error, a log line or a metric.

use std::{
    fmt::Write,
    io,
    sync::{Arc, Mutex},
};

use event_planner_sandbox::{
    Fault, Misbehaviour, Provider,
    google::token::{CLIENT_SECRET, REFRESH_TOKEN},
};
use mcp_kit::Account;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::world;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_credential_leaves_the_process() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
    let _guard = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber.finish());
    let world = world(&[]).await;
    let account = "canary-account-token-0123456789";
    let theirs =
        crate::support::with(event_planner_sandbox::Sandbox::start().await.unwrap(), &[]).await;
    let theirs = theirs
        .client
        .with_account(Account::new("acct-1", account).unwrap());
    let mut seen = String::new();
    for misbehaviour in [
        None,
        Some(Misbehaviour::Error { status: 500 }),
        Some(Misbehaviour::ExpiredToken),
        Some(Misbehaviour::Garbage),
        Some(Misbehaviour::Cut),
    ] {
        if let Some(misbehaviour) = misbehaviour {
            world
                .sandbox
                .misbehave(Fault::new(Provider::Google, misbehaviour).times(4));
        }
        for (tool, arguments) in [
            ("capabilities", json!({})),
            ("search_files", json!({ "text": "a" })),
            ("list_files", json!({})),
            ("create_folder", json!({ "name": "F" })),
            ("create_document", json!({ "name": "D" })),
            ("upload_file", json!({ "name": "U", "text": "x" })),
            ("get_file", json!({ "file_id": "nope" })),
            ("read_file", json!({ "file_id": "nope" })),
            ("download_file", json!({ "file_id": "nope" })),
            ("trash_file", json!({ "file_id": "nope" })),
            (
                "move_file",
                json!({ "file_id": "nope", "folder_id": "root" }),
            ),
            (
                "share_file",
                json!({ "file_id": "nope", "with": "user", "address": "a@b.example", "role": "reader" }),
            ),
        ] {
            let ours = world.client.call(tool, arguments.clone()).await;
            write!(seen, "{ours:?} {:?}", theirs.call(tool, arguments).await).unwrap();
        }
        world.sandbox.world.faults.clear();
    }
    seen += &world.metrics.render().unwrap();
    seen += &String::from_utf8_lossy(&log.0.lock().unwrap());
    assert!(seen.contains("tool called") && seen.contains("mcp_upstream_requests_total"));
    for secret in [CLIENT_SECRET, REFRESH_TOKEN, account, "ya29."] {
        assert!(!seen.contains(secret), "{secret}");
    }
}
