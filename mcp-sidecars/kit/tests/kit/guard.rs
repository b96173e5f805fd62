use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use mcp_kit::{Call, Caller, Code, Failure, NoArguments, Tool, ToolError, Tools, testing};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use validator::Validate;

use crate::support::{CANARY, app, guarded_app, post, send, sidecar};

#[tokio::test]
async fn a_panicking_tool_answers_at_once_and_the_server_lives() {
    let app = app(&[]);
    // The first panic of a process may print a backtrace, for which the symbols are read.
    assert_eq!(post(&app, "panic", "{}").await.status, 500);
    let begun = Instant::now();
    let answer = post(&app, "panic", "{}").await;
    assert_eq!(answer.status, 500);
    assert!(begun.elapsed() < Duration::from_millis(100));
    assert!(!answer.text.contains(CANARY), "{}", answer.text);
    assert_eq!(post(&app, "read_note", "").await.status, 200);
}

#[tokio::test]
async fn a_slow_tool_ends_at_the_deadline_and_a_caller_can_only_shorten_it() {
    let app = app(&["--call-timeout=1"]);
    let begun = Instant::now();
    let answer = send(
        &app,
        "POST",
        "/mcp/tools/sleep?timeout_ms=50",
        &[],
        r#"{"milliseconds":60000}"#,
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["code"]),
        (504, &json!("TIMEOUT"))
    );
    assert!(begun.elapsed() < Duration::from_millis(300));
    let answer = send(
        &app,
        "POST",
        "/mcp/tools/sleep?timeout_ms=60000",
        &[],
        r#"{"milliseconds":60000}"#,
    )
    .await;
    assert_eq!(answer.status, 504);
    assert!(begun.elapsed() < Duration::from_millis(1800));
}

#[tokio::test]
async fn arguments_are_checked_by_schema_and_by_rule() {
    let client = testing::Client::new(sidecar().unwrap()).unwrap();
    for (arguments, pointer) in [
        (json!({ "text": "" }), "#/text"),
        (json!({ "text": "too long to be a note" }), "#/text"),
        (json!({ "text": "a", "times": 9 }), "#/times"),
        (json!({ "text": "a", "times": "2" }), "#/times"),
        (
            json!({ "text": "a", "organization_id": 1 }),
            "#/organization_id",
        ),
        (json!({}), "#/text"),
    ] {
        let failure = client
            .call("write_note", arguments.clone())
            .await
            .unwrap_err();
        let Failure::Tool(error) = failure else {
            panic!("{failure:?}")
        };
        assert_eq!(error.code, Code::Invalid, "{arguments}");
        let details = error.details.unwrap();
        assert_eq!(
            details["errors"][0]["pointer"], pointer,
            "{arguments} {details}"
        );
    }
}

#[tokio::test]
async fn a_reader_sees_and_calls_only_what_changes_nothing() {
    let app = guarded_app();
    let reader = format!("authorization: Bearer {}", crate::support::READ_TOKEN);
    let answer = send(
        &app,
        "POST",
        "/mcp/tools/write_note",
        &[&reader],
        r#"{"text":"a"}"#,
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["code"]),
        (403, &json!("INSUFFICIENT_SCOPE"))
    );
    assert!(
        answer.headers["www-authenticate"]
            .to_str()
            .unwrap()
            .contains("scope=\"write\"")
    );
    assert_eq!(
        send(&app, "POST", "/mcp/tools/read_note", &[&reader], "")
            .await
            .status,
        200
    );
    let list = send(&app, "GET", "/mcp/tools", &[&reader], "").await;
    assert!(list.text.contains("read_note") && !list.text.contains("write_note"));
}

#[tokio::test]
async fn more_calls_than_allowed_are_refused_with_the_time_to_wait() {
    let app = app(&["--rate-limit=3"]);
    for _ in 0..3 {
        assert_eq!(post(&app, "read_note", "").await.status, 200);
    }
    let answer = post(&app, "read_note", "").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["code"]),
        (429, &json!("RATE_LIMITED"))
    );
    let seconds: u64 = answer.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=20).contains(&seconds));
}

#[tokio::test]
async fn who_waits_as_told_gets_the_whole_rate() {
    let app = app(&["--rate-limit=600"]);
    let until_refused = async || {
        for taken in 0..10_000 {
            let answer = post(&app, "read_note", "").await;
            if answer.status == 429 {
                return (taken, answer.headers["retry-after"].clone());
            }
        }
        panic!("never refused")
    };
    let begun = Instant::now();
    let (burst, wait) = until_refused().await;
    // A minute's worth at once, and what a slow machine was given meanwhile.
    assert!(
        (600..=600 + 10 * (begun.elapsed().as_secs() + 1)).contains(&burst),
        "{burst}"
    );
    assert_eq!(wait, "1");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (taken, _) = until_refused().await;
    assert!((9..=30).contains(&taken), "{taken}");
}

#[tokio::test]
async fn more_calls_at_once_than_places_are_refused_quickly() {
    let app = app(&["--max-in-flight=2"]);
    let calls = (0..6).map(|_| post(&app, "sleep", r#"{"milliseconds":200}"#));
    let answers = futures_util::future::join_all(calls).await;
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    assert_eq!(statuses.iter().filter(|&&status| status == 200).count(), 2);
    assert_eq!(statuses.iter().filter(|&&status| status == 503).count(), 4);
    assert_eq!(post(&app, "read_note", "").await.status, 200);
}

#[tokio::test]
async fn secrets_and_causes_do_not_leave_and_results_are_capped() {
    let app = app(&[]);
    let answer = post(&app, "leak", "").await;
    assert_eq!(answer.body["result"]["text"], "[redacted]");
    let answer = post(&app, "fail", "").await;
    assert_eq!(answer.status, 500);
    assert!(!answer.text.contains("postgres") && !answer.text.contains("hidden"));
    let answer = post(&app, "flood", "").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["code"]),
        (422, &json!("REFUSED"))
    );
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn every_call_leaves_one_audit_line_without_values_and_counts() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer(lines.clone())
        .finish();
    let recorded = tracing::subscriber::set_default(subscriber);
    let settings = testing::settings(&[]).unwrap();
    let metrics = mcp_kit::Metrics::new().unwrap();
    let service = sidecar()
        .unwrap()
        .metrics(&metrics)
        .build(&settings)
        .unwrap();
    let app = service.router(&settings).unwrap();
    post(&app, "write_note", r#"{"text":"grapefruit"}"#).await;
    post(&app, "write_note", r#"{"text":"grapefruit-and-more"}"#).await;
    post(&app, "fail", "").await;
    post(&app, "nothing", "").await;
    drop(recorded);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("\"target\":\"audit\"").count(), 4, "{text}");
    assert!(
        !text.contains("grapefruit") && !text.contains("user:pass"),
        "{text}"
    );
    assert!(text.contains("postgres://[redacted]@db"), "{text}");
    let rendered = metrics.render().unwrap();
    for line in [
        r#"mcp_tool_calls_total{outcome="ok",sidecar="sample",tool="write_note"} 1"#,
        r#"mcp_tool_calls_total{outcome="invalid",sidecar="sample",tool="write_note"} 1"#,
        r#"mcp_tool_calls_total{outcome="internal",sidecar="sample",tool="fail"} 1"#,
        r#"mcp_tool_calls_total{outcome="unknown_tool",sidecar="sample",tool="unknown"} 1"#,
        "mcp_tool_calls_in_flight 0",
    ] {
        assert!(rendered.contains(line), "{line}\n{rendered}");
    }
}

#[test]
fn the_registry_refuses_careless_tools() {
    #[derive(Debug, Deserialize, JsonSchema, Validate)]
    struct Loose {}
    async fn nothing(_: Call, _: NoArguments) -> Result<(), ToolError> {
        std::future::ready(Ok(())).await
    }
    let loose = Tool::new("loose", "Takes anything.", async |_: Call, Loose {}| Ok(()));
    assert!(
        Tools::new("a", "1")
            .with(loose)
            .unwrap_err()
            .to_string()
            .contains("deny_unknown_fields")
    );
    for name in [
        "Upper",
        "with-dash",
        "capabilities",
        "",
        "1st",
        "a_name_that_is_longer_than_forty_characters",
    ] {
        assert!(
            Tools::new("a", "1")
                .with(Tool::new(name, "Does.", nothing))
                .is_err(),
            "{name}"
        );
    }
    assert!(
        Tools::new("a", "1")
            .with(Tool::new("silent", " ", nothing))
            .is_err()
    );
    let twice = Tools::new("a", "1")
        .with(Tool::new("one", "Does.", nothing))
        .unwrap();
    assert!(twice.with(Tool::new("one", "Does.", nothing)).is_err());
}

#[tokio::test]
async fn capabilities_is_first_and_tells_what_the_tools_do() {
    let client = testing::Client::new(sidecar().unwrap()).unwrap();
    let list: serde_json::Value = serde_json::from_str(&client.tool_list()).unwrap();
    let names: Vec<_> = list["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    let mut sorted = names[1..].to_vec();
    sorted.sort_unstable();
    assert_eq!((names[0], &names[1..]), ("capabilities", &*sorted));
    let answer = client
        .as_caller(Caller::named("x", &["read"]))
        .call("capabilities", json!({}))
        .await
        .unwrap();
    assert_eq!(
        (&answer["sidecar"], &answer["version"]),
        (&json!("sample"), &json!("1.2.3"))
    );
    let note = answer["tools"]
        .as_array()
        .unwrap()
        .iter()
        .find(|tool| tool["name"] == "write_note")
        .unwrap();
    assert_eq!(note["scope"], "write");
}
