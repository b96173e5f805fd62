//! One list of expectations, run over all roads against the same sidecar.

use std::time::{Duration, Instant};

use mcp_kit::{Client, Code, Metrics, ToolError};
use serde_json::{Value, json};

use super::{READ_TOKEN, ROADS, Road, both, call, counts, free_port, policy, request, serve};

/// What a caller learns of an error.
fn told(error: &ToolError) -> (Code, String, Option<u64>, Option<Value>) {
    (
        error.code,
        error.message.to_string(),
        error.retry_after_seconds(),
        error.details.clone(),
    )
}

#[tokio::test]
async fn results_and_identities_arrive_on_every_road() {
    for road in ROADS {
        let (client, _server) = both(road).await;
        let mut request =
            request("say", &json!({ "text": "ä" }), 10_000).with_idempotency_key("k-1");
        request.request_id = Some("request-0001".into());
        request.on_behalf_of = Some("organization/member".into());
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        request.traceparent = Some(parent.into());
        let answer = client.call(&request).await.unwrap();
        let wanted = json!({
            "text": "ä", "idempotency_key": "k-1", "on_behalf_of": "organization/member",
            "request_id": "request-0001", "traceparent": parent,
        });
        assert_eq!(answer, wanted, "{road:?}");
    }
}

#[tokio::test]
async fn the_same_tools_are_listed_on_every_road() {
    let mut lists = Vec::new();
    for road in ROADS {
        let (client, _server) = both(road).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        let tools = client.list_tools(deadline).await.unwrap();
        assert_eq!(tools.first().unwrap().name, "capabilities", "{road:?}");
        lists.push(serde_json::to_value(tools).unwrap());
    }
    assert!(lists.iter().all(|list| *list == lists[0]));
}

#[tokio::test]
async fn errors_come_back_whole_on_every_road() {
    let codes = [
        ("INVALID", Code::Invalid),
        ("REFUSED", Code::Refused),
        ("NOT_FOUND", Code::NotFound),
        ("RATE_LIMITED", Code::RateLimited),
        ("UNAVAILABLE", Code::Unavailable),
        ("TIMEOUT", Code::Timeout),
        ("INTERNAL", Code::Internal),
    ];
    for road in ROADS {
        let (client, _server) = both(road).await;
        for (name, code) in codes {
            let error = call(&client, "fail", json!({ "code": name }))
                .await
                .unwrap_err();
            let details = json!({ "why": "a test", "seats": [1, 2] });
            let wanted = (
                code,
                "it was asked to fail".to_owned(),
                Some(7),
                Some(details),
            );
            assert_eq!(told(&error), wanted, "{road:?}");
        }
        let error = call(&client, "fail", json!({ "code": "X" }))
            .await
            .unwrap_err();
        let details = error.details.unwrap();
        assert_eq!(details["errors"][0]["pointer"], "#/code", "{road:?}");
        let error = call(&client, "say", json!({ "text": "", "more": 1 }))
            .await
            .unwrap_err();
        assert_eq!(error.code, Code::Invalid, "{road:?}");
        let error = call(&client, "panic", json!({})).await.unwrap_err();
        assert_eq!(error.code, Code::Internal, "{road:?}");
        let error = call(&client, "no_such_tool", json!({})).await.unwrap_err();
        assert_eq!(error.code, Code::Internal, "{road:?}");
        assert!(
            error.cause.is_some() && !error.message.contains("tool"),
            "{road:?}"
        );
        assert!(
            call(&client, "say", json!({ "text": "a" })).await.is_ok(),
            "{road:?}: still fine"
        );
    }
}

#[tokio::test]
async fn a_key_for_a_tool_that_takes_none_is_refused_rather_than_ignored() {
    for road in ROADS {
        let (client, _server) = both(road).await;
        let request = request("counts", &json!({}), 10_000).with_idempotency_key("k");
        let error = client.call(&request).await.unwrap_err();
        assert_eq!(error.code, Code::Invalid, "{road:?}");
    }
}

#[tokio::test]
async fn a_result_over_the_limit_is_refused_and_the_next_call_works() {
    for road in ROADS {
        let (client, _server) = both(road).await;
        let error = call(&client, "flood", json!({ "bytes": 300_000 }))
            .await
            .unwrap_err();
        assert_eq!(error.code, Code::Refused, "{road:?}: {error:?}");
        assert!(error.message.contains("262144"), "{road:?}: {error:?}");
        assert!(
            call(&client, "flood", json!({ "bytes": 100_000 }))
                .await
                .is_ok(),
            "{road:?}"
        );
    }
}

#[tokio::test]
async fn a_slow_tool_ends_at_the_deadline_and_is_cancelled_there() {
    for road in ROADS {
        let (client, _server) = both(road).await;
        counts(&client).await;
        let begun = Instant::now();
        let request = request("wait", &json!({ "milliseconds": 30_000 }), 600);
        let error = client.call(&request).await.unwrap_err();
        let elapsed = begun.elapsed();
        assert_eq!(error.code, Code::Timeout, "{road:?}");
        assert!(
            elapsed < Duration::from_millis(850),
            "{road:?}: {elapsed:?}"
        );
        ended(&client, 1, road).await;
    }
}

#[tokio::test]
async fn dropping_a_call_cancels_the_tool() {
    for road in ROADS {
        let (client, _server) = both(road).await;
        counts(&client).await;
        let request = request("wait", &json!({ "milliseconds": 30_000 }), 60_000);
        let cut = tokio::time::timeout(Duration::from_millis(300), client.call(&request)).await;
        assert!(cut.is_err());
        ended(&client, 1, road).await;
    }
}

async fn ended(client: &Client, wanted: u32, road: Road) {
    let begun = Instant::now();
    loop {
        let counts = counts(client).await;
        assert_eq!(counts["begun"], wanted, "{road:?}");
        if counts["ended"] == wanted {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{road:?}: it still runs"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_our_defect_not_the_callers() {
    let port = free_port();
    let _server = serve(port).await;
    let metrics = Metrics::new().unwrap();
    let base = format!("http://127.0.0.1:{port}");
    let url = format!("{base}/mcp");
    for token in ["wrong-0123456789-0123456789-0123456789", READ_TOKEN] {
        let given = || Some(token.into());
        let clients = [
            Client::http("contract", &base, given(), policy(), &metrics).unwrap(),
            Client::mcp("contract", &url, given(), policy(), &metrics).unwrap(),
        ];
        for client in clients {
            let error = call(&client, "say", json!({ "text": "a" }))
                .await
                .unwrap_err();
            assert_eq!(error.code, Code::Internal, "{client:?}: {error:?}");
            assert!(!error.message.contains("127.0.0.1"), "{error:?}");
            assert!(error.cause.is_some(), "the log tells why");
        }
    }
}
