use axum::Router;
use mcp_kit::testing;
use rmcp::{ServiceExt, model::CallToolRequestParams};
use serde_json::{Value, json};

use crate::support::{Answer, app, guarded_app, send, sidecar};

pub const ACCEPT: &str = "accept: application/json, text/event-stream";
pub const JSON: &str = "content-type: application/json";

/// One request of 2026-07-28, which carries everything itself.
async fn modern(app: &Router, method: &str, mut params: Value, head: &[&str]) -> Answer {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let (version, named) = (
        "mcp-protocol-version: 2026-07-28",
        format!("mcp-method: {method}"),
    );
    let name = format!("mcp-name: {}", params["name"].as_str().unwrap_or("-"));
    let mut lines = vec![ACCEPT, JSON, version, &named];
    if method == "tools/call" {
        lines.push(&name);
    }
    lines.extend(head);
    send(app, "POST", "/mcp", &lines, &body).await
}

/// One request of 2025-11-25, without a session.
async fn legacy(app: &Router, method: &str, params: Value) -> Answer {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    send(
        app,
        "POST",
        "/mcp",
        &[ACCEPT, JSON, "mcp-protocol-version: 2025-11-25"],
        &body,
    )
    .await
}

#[tokio::test]
async fn both_eras_are_answered_in_json_without_a_session() {
    let app = app(&[]);
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let answer = legacy(&app, "initialize", hello).await;
    assert_eq!(
        answer.body["result"]["protocolVersion"], "2025-11-25",
        "{}",
        answer.text
    );
    assert_eq!(answer.body["result"]["serverInfo"]["name"], "sample");
    assert!(!answer.headers.contains_key("mcp-session-id"));
    let call = json!({ "name": "write_note", "arguments": { "text": "hi" } });
    for answer in [
        legacy(&app, "tools/call", call.clone()).await,
        modern(&app, "tools/call", call, &[]).await,
    ] {
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(
            answer.body["result"]["structuredContent"]["text"], "hi",
            "{}",
            answer.text
        );
        assert_eq!(
            answer.body["result"]["content"][0]["text"],
            r#"{"idempotency_key":null,"text":"hi"}"#
        );
    }
    let list = modern(&app, "tools/list", json!({}), &[]).await;
    assert_eq!(list.body["result"]["tools"][0]["name"], "capabilities");
    assert_eq!(list.body["result"]["cacheScope"], "private");
}

#[tokio::test]
async fn tool_errors_are_results_and_routing_errors_are_not() {
    let app = app(&["--call-timeout=1"]);
    for (tool, arguments, code) in [
        ("write_note", json!({}), "INVALID"),
        ("panic", json!({}), "INTERNAL"),
        ("sleep", json!({ "milliseconds": 60000 }), "TIMEOUT"),
        ("away", json!({}), "UNAVAILABLE"),
    ] {
        let answer = modern(
            &app,
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
            &[],
        )
        .await;
        let result = &answer.body["result"];
        assert_eq!(result["isError"], true, "{}", answer.text);
        let error: Value =
            serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(error["code"], code);
    }
    let answer = modern(&app, "tools/call", json!({ "name": "nothing" }), &[]).await;
    assert_eq!(answer.body["error"]["code"], -32602, "{}", answer.text);
    for method in [
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "skills/list",
    ] {
        let answer = modern(&app, method, json!({}), &[]).await;
        assert_eq!(
            answer.body["error"]["code"], -32601,
            "{method} {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_reader_is_held_back_over_mcp_too() {
    let app = guarded_app();
    let head = format!("authorization: Bearer {}", crate::support::READ_TOKEN);
    let call = json!({ "name": "write_note", "arguments": { "text": "hi" } });
    for answer in [
        modern(&app, "tools/call", call.clone(), &[&head]).await,
        send(&app, "POST", "/mcp/tools/write_note", &[&head], "{}").await,
    ] {
        assert_eq!(answer.status, 403, "{}", answer.text);
        assert!(answer.text.contains("INSUFFICIENT_SCOPE"));
        assert_eq!(
            answer.headers["www-authenticate"],
            r#"Bearer realm="mcp", error="insufficient_scope", scope="write""#
        );
    }
    let list = modern(&app, "tools/list", json!({}), &[&head]).await;
    assert!(!list.text.contains("write_note"));
}

#[tokio::test]
async fn the_same_server_speaks_over_a_pipe() {
    let settings = testing::settings(&[]).unwrap();
    let server = sidecar().unwrap().build(&settings).unwrap().mcp();
    let (near, far) = tokio::io::duplex(1 << 16);
    let serving = tokio::spawn(async move { server.serve(far).await.unwrap().waiting().await });
    let client = ().serve(near).await.unwrap();
    assert_eq!(
        client.list_all_tools().await.unwrap()[0].name,
        "capabilities"
    );
    let result = client
        .call_tool(CallToolRequestParams::new("panic"))
        .await
        .unwrap();
    assert_eq!(result.is_error, Some(true));
    let arguments = json!({ "text": "hi" }).as_object().cloned().unwrap();
    let result = client
        .call_tool(CallToolRequestParams::new("write_note").with_arguments(arguments))
        .await
        .unwrap();
    assert_eq!(result.structured_content.unwrap()["text"], "hi");
    client.cancel().await.unwrap();
    serving.abort();
}
