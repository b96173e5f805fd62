//! Servers that go away, come back, hang or never were.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mcp_kit::{Code, Metrics};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpListener};

use super::{Road, call, client_to, free_port, request, serve};

const OVER_HTTP: [Road; 2] = [Road::Wrapper, Road::Mcp];

#[tokio::test]
async fn a_restart_of_the_server_is_survived() {
    for road in OVER_HTTP {
        let port = free_port();
        let mut server = serve(port).await;
        let client = client_to(road, port, &Metrics::new().unwrap());
        assert!(call(&client, "say", json!({ "text": "a" })).await.is_ok());
        server.kill().await.unwrap();
        let error = call(&client, "say", json!({ "text": "b" }))
            .await
            .unwrap_err();
        assert_eq!(error.code, Code::Unavailable, "{road:?}");
        assert!(!error.message.contains("127.0.0.1"), "{road:?}: {error:?}");
        let _server = serve(port).await;
        assert!(
            call(&client, "say", json!({ "text": "c" })).await.is_ok(),
            "{road:?}"
        );
    }
}

#[tokio::test]
async fn an_absent_server_is_told_quickly_left_alone_and_found_again() {
    for road in OVER_HTTP {
        let port = free_port();
        let metrics = Metrics::new().unwrap();
        let client = client_to(road, port, &metrics);
        for _ in 0..3 {
            let begun = Instant::now();
            let error = call(&client, "say", json!({ "text": "a" }))
                .await
                .unwrap_err();
            assert_eq!(error.code, Code::Unavailable, "{road:?}");
            assert!(error.retry_after.is_some(), "{road:?}");
            assert!(begun.elapsed() < Duration::from_secs(1), "{road:?}");
        }
        assert!(
            metrics
                .render()
                .unwrap()
                .contains(r#"mcp_upstream_breaker_open{provider="contract"} 1"#),
            "{road:?}"
        );
        let _server = serve(port).await;
        tokio::time::sleep(Duration::from_millis(650)).await;
        assert!(
            call(&client, "say", json!({ "text": "b" })).await.is_ok(),
            "{road:?}"
        );
        assert!(
            metrics
                .render()
                .unwrap()
                .contains(r#"mcp_upstream_breaker_open{provider="contract"} 0"#),
            "{road:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_never_answers_costs_the_deadline_and_then_nothing() {
    for road in OVER_HTTP {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        });
        let client = client_to(road, port, &Metrics::new().unwrap());
        for number in 0..7 {
            let begun = Instant::now();
            let request = request("say", &json!({ "text": "a" }), 300);
            let error = client.call(&request).await.unwrap_err();
            let elapsed = begun.elapsed();
            let (wanted, longest) = if number < 5 {
                (Code::Timeout, Duration::from_millis(450))
            } else {
                (Code::Unavailable, Duration::from_millis(50))
            };
            assert_eq!(error.code, wanted, "{road:?}, call {number}");
            assert!(elapsed < longest, "{road:?}, call {number}: {elapsed:?}");
        }
        accepting.abort();
    }
}

#[tokio::test]
async fn only_what_is_safe_is_repeated() {
    for road in [Road::Wrapper] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut buffer = vec![0; 4096];
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await;
                let answer =
                    b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer).await;
            }
        });
        let client = client_to(road, port, &Metrics::new().unwrap());
        let plain = request("say", &json!({ "text": "a" }), 5_000);
        let error = client.call(&plain).await.unwrap_err();
        assert_eq!(
            (error.code, count.load(Ordering::SeqCst)),
            (Code::Unavailable, 1)
        );
        let keyed = plain.clone().with_idempotency_key("k");
        assert!(client.call(&keyed).await.is_err());
        assert_eq!(count.load(Ordering::SeqCst), 4);
        serving.abort();
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_taken_does_not_end_the_other_calls() {
    for road in OVER_HTTP {
        let port = free_port();
        let mut server = serve(port).await;
        let client = client_to(road, port, &Metrics::new().unwrap());
        assert!(call(&client, "say", json!({ "text": "a" })).await.is_ok());
        let slow = request("wait", &json!({ "milliseconds": 700 }), 10_000);
        let large = request("flood", &json!({ "bytes": 900_000 }), 10_000);
        let (slow, large) = tokio::join!(client.call(&slow), client.call(&large));
        assert_eq!(large.unwrap_err().code, Code::Refused, "{road:?}");
        assert!(slow.is_ok(), "{road:?}: {slow:?}");
        server.kill().await.unwrap();
    }
}
