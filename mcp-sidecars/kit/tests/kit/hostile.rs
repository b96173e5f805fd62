//! Raw frames that nobody decent sends: never a 5xx, a panic or a hang.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    mcp::{ACCEPT, JSON},
    support::{app, post, send},
};

#[tokio::test]
async fn odd_frames_are_refused_quickly() {
    let app = app(&[]);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_arguments = format!(
        r#"{{"text":{}1{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note"}}"#;
    let batch = format!("[{call},{call}]");
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"ping"}"#;
    let huge_id = format!(
        r#"{{"jsonrpc":"2.0","id":{},"method":"ping"}}"#,
        "9".repeat(5000)
    );
    let long_id = format!(
        r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#,
        "9".repeat(500_000)
    );
    let frames = [
        "",
        "null",
        "1",
        "\"x\"",
        "{}",
        "[]",
        "{",
        "\u{0}",
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note","arguments":[1]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"\ud800"}"#,
        &deep,
        &deep_arguments,
        &batch,
        twice,
        &huge_id,
        &long_id,
    ];
    for frame in frames {
        for version in [
            "mcp-protocol-version: 2025-11-25",
            "mcp-protocol-version: 2026-07-28",
            "mcp-protocol-version: x",
        ] {
            let begun = Instant::now();
            let answer = send(&app, "POST", "/mcp", &[ACCEPT, JSON, version], frame).await;
            let start: String = frame.chars().take(60).collect();
            assert!(answer.status.as_u16() < 500, "{start} {}", answer.status);
            assert!(begun.elapsed() < Duration::from_millis(500), "{start}");
        }
        let answer = post(&app, "write_note", frame).await;
        assert!(
            (400..500).contains(&answer.status.as_u16()),
            "{}",
            answer.text
        );
    }
    assert_eq!(post(&app, "read_note", "").await.status, 200);
}

#[tokio::test]
async fn headers_that_disagree_with_the_body_are_refused() {
    let app = app(&[]);
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"write_note","arguments":{{"text":"a"}},"_meta":{meta}}}}}"#
    );
    let version = "mcp-protocol-version: 2026-07-28";
    let honest = [
        ACCEPT,
        JSON,
        version,
        "mcp-method: tools/call",
        "mcp-name: write_note",
    ];
    assert_eq!(send(&app, "POST", "/mcp", &honest, &body).await.status, 200);
    for (method, name) in [("tools/list", "write_note"), ("tools/call", "read_note")] {
        let (method, name) = (format!("mcp-method: {method}"), format!("mcp-name: {name}"));
        let answer = send(
            &app,
            "POST",
            "/mcp",
            &[ACCEPT, JSON, version, &method, &name],
            &body,
        )
        .await;
        assert_eq!(answer.status, 400, "{method} {name} {}", answer.text);
    }
}

async fn listening(arguments: &[&str]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app(arguments);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn a_body_that_drips_is_cut_off() {
    let address = listening(&["--body-timeout=1"]).await;
    for path in ["/mcp", "/mcp/tools/read_note"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\n{ACCEPT}\r\n{JSON}\r\ncontent-length: 100\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        let read =
            tokio::time::timeout(Duration::from_secs(3), stream.read_exact(&mut answer)).await;
        assert!(read.is_ok(), "{path}");
        assert_eq!(answer, b"HTTP/1.1 408");
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_its_call() {
    let settings = mcp_kit::testing::settings(&[]).unwrap();
    let metrics = mcp_kit::Metrics::new().unwrap();
    let service = crate::support::sidecar()
        .unwrap()
        .metrics(&metrics)
        .build(&settings)
        .unwrap();
    let app = service.router(&settings).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let arguments = r#"{"milliseconds":20000}"#;
    let frame = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"sleep","arguments":{arguments}}}}}"#
    );
    for (path, body) in [("/mcp/tools/sleep", arguments), ("/mcp", frame.as_str())] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\n{ACCEPT}\r\n{JSON}\r\nmcp-protocol-version: 2025-11-25\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        wait_for(|| metrics.in_flight.get() == 1).await;
        drop(stream);
        wait_for(|| metrics.in_flight.get() == 0).await;
    }
}

async fn wait_for(holds: impl Fn() -> bool) {
    for _ in 0..100 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within a second");
}
