use serde_json::json;

use crate::support::{OLD_TOKEN, READ_TOKEN, TOKEN, app, guarded_app, post, send};

#[tokio::test]
async fn a_call_answers_with_its_result_and_ids() {
    let app = app(&[]);
    let head = ["x-request-id: abc-1", "idempotency-key: \"k1\""];
    let answer = send(
        &app,
        "POST",
        "/mcp/tools/write_note",
        &head,
        r#"{"text":"ab","times":2}"#,
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        json!({ "result": { "text": "abab", "idempotency_key": "k1" } })
    );
    assert_eq!(answer.headers["x-request-id"], "abc-1");
    let both = r#"{"text":"ab","idempotency_key":"other"}"#;
    assert_eq!(
        send(&app, "POST", "/mcp/tools/write_note", &head, both)
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn errors_are_problem_details_with_the_status_that_fits() {
    let app = app(&[]);
    for (tool, query, body, status, code) in [
        ("nothing", "", "{}", 404, "UNKNOWN_TOOL"),
        ("%ff", "", "{}", 400, "MALFORMED_REQUEST"),
        ("read_note", "", "{", 400, "MALFORMED_REQUEST"),
        ("read_note", "", "[]", 400, "MALFORMED_REQUEST"),
        (
            "write_note",
            "",
            r#"{"text":"a","text":"b"}"#,
            400,
            "MALFORMED_REQUEST",
        ),
        ("read_note", "?timeout_ms=0", "{}", 400, "MALFORMED_REQUEST"),
        ("read_note", "?x=1", "{}", 400, "MALFORMED_REQUEST"),
        ("read_note", "", r#"{"x":1}"#, 422, "INVALID"),
        ("away", "", "{}", 503, "UNAVAILABLE"),
        ("fail", "", "{}", 500, "INTERNAL"),
    ] {
        let answer = send(
            &app,
            "POST",
            &format!("/mcp/tools/{tool}{query}"),
            &["x-request-id: r1"],
            body,
        )
        .await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (status, &json!(code)),
            "{tool} {}",
            answer.text
        );
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(
            (&answer.body["status"], &answer.body["instance"]),
            (&json!(status), &json!("r1"))
        );
    }
    assert_eq!(post(&app, "away", "{}").await.headers["retry-after"], "2");
    assert_eq!(
        send(&app, "GET", "/nowhere", &[], "").await.body["code"],
        "NOT_FOUND"
    );
    assert_eq!(
        send(&app, "PUT", "/mcp/tools/read_note", &[], "")
            .await
            .status,
        405
    );
}

#[tokio::test]
async fn nobody_comes_in_without_a_valid_token() {
    let app = guarded_app();
    for head in [
        "x-a: b",
        "authorization: Bearer wrong",
        "authorization: Basic abc",
        "authorization: Bearer",
    ] {
        for (method, path) in [
            ("POST", "/mcp"),
            ("GET", "/mcp/tools"),
            ("POST", "/mcp/tools/read_note"),
        ] {
            let answer = send(&app, method, path, &[head], "{}").await;
            assert_eq!(answer.status, 401, "{method} {path} {head}");
            assert!(
                answer.headers["www-authenticate"]
                    .to_str()
                    .unwrap()
                    .starts_with("Bearer")
            );
        }
    }
    for token in [TOKEN, OLD_TOKEN] {
        let head = format!("authorization: Bearer {token}");
        assert_eq!(
            send(&app, "POST", "/mcp/tools/read_note", &[&head], "{}")
                .await
                .status,
            200
        );
    }
    for path in ["/health", "/ready"] {
        assert_eq!(send(&app, "GET", path, &[], "").await.status, 200);
    }
}

#[tokio::test]
async fn who_is_not_let_in_learns_where_tokens_come_from() {
    let metadata = "https://planner.example/.well-known/oauth-protected-resource";
    let app = app(&[
        &format!("--mcp-tokens={TOKEN}"),
        &format!("--mcp-read-tokens={READ_TOKEN}"),
        &format!("--resource-metadata-url={metadata}"),
    ]);
    let (reader, writer) = (
        format!("authorization: Bearer {READ_TOKEN}"),
        format!("authorization: Bearer {TOKEN}"),
    );
    let scope = r#"error="insufficient_scope", scope="write", "#;
    for (head, status, error) in [
        ("x-a: b", 401, ""),
        (
            "authorization: Bearer wrong",
            401,
            r#"error="invalid_token", "#,
        ),
        (&reader, 403, scope),
    ] {
        let answer = send(&app, "POST", "/mcp/tools/write_note", &[head], "{}").await;
        assert_eq!(answer.status, status, "{head}");
        assert_eq!(
            answer.headers["www-authenticate"].to_str().unwrap(),
            format!(r#"Bearer realm="mcp", {error}resource_metadata="{metadata}""#)
        );
    }
    let body = r#"{"text":"a"}"#;
    let answer = send(&app, "POST", "/mcp/tools/write_note", &[&writer], body).await;
    assert!(answer.status == 200 && !answer.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn foreign_hosts_and_pages_are_turned_away_on_every_road() {
    let app = app(&[]);
    for head in [
        "host: evil.example",
        "origin: http://evil.example",
        "origin: null",
    ] {
        for path in ["/mcp", "/mcp/tools/read_note"] {
            assert_eq!(
                send(&app, "POST", path, &[head], "{}").await.status,
                403,
                "{head} {path}"
            );
        }
    }
    assert_eq!(
        send(
            &app,
            "POST",
            "/mcp/tools/read_note",
            &["origin: http://localhost:3000"],
            ""
        )
        .await
        .status,
        200
    );
}

#[tokio::test]
async fn a_body_over_the_limit_and_a_bad_behalf_are_refused() {
    let app = app(&["--body-limit=1000"]);
    assert_eq!(post(&app, "read_note", &" ".repeat(1001)).await.status, 413);
    let answer = send(
        &app,
        "POST",
        "/mcp/tools/read_note",
        &["on-behalf-of: a b"],
        "",
    )
    .await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        send(
            &app,
            "POST",
            "/mcp/tools/read_note",
            &["on-behalf-of: o/m"],
            ""
        )
        .await
        .status,
        200
    );
}

#[tokio::test]
async fn readiness_asks_the_provider_once_in_a_while() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let sidecar = crate::support::sidecar().unwrap().ready_when(move || {
        count.fetch_add(1, Ordering::Relaxed);
        async { anyhow::bail!("credentials refused") }
    });
    let settings = mcp_kit::testing::settings(&[]).unwrap();
    let app = sidecar.build(&settings).unwrap().router(&settings).unwrap();
    for _ in 0..5 {
        let answer = send(&app, "GET", "/ready", &[], "").await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["status"]),
            (503, &json!("provider_unavailable"))
        );
        assert!(!answer.text.contains("credentials"));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(
        send(&app, "GET", "/health", &[], "").await.body["service"],
        "sample"
    );
}

#[tokio::test]
async fn a_service_brings_somebodys_account_whose_token_never_comes_back() {
    let app = guarded_app();
    let (full, read) = (
        format!("authorization: Bearer {TOKEN}"),
        format!("authorization: Bearer {READ_TOKEN}"),
    );
    let account = [
        "provider-account: acct-1",
        "provider-token: somebodys-0123456789",
    ];
    let call = async |head: &[&str]| send(&app, "POST", "/mcp/tools/whose", head, "{}").await;

    let answer = call(&[&full, account[0], account[1]]).await;
    assert_eq!(answer.body["result"]["text"], "acct-1 with [redacted]");
    assert_eq!(call(&[&full]).await.body["code"], "REFUSED");
    assert_eq!(call(&[&full, account[0]]).await.status, 400);
    assert_eq!(call(&[&read, account[0], account[1]]).await.status, 400);
}
