//! Bytes beside the arguments, over real sockets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use mcp_kit::{
    Call, Caller, Code, Download, Metrics, NoArguments, Outgoing, Policy, Provider, Road, Sidecar,
    Tool, ToolError, Tools, testing,
};
use reqwest::{Body, Client, Method, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use validator::Validate;

use crate::support::TOKEN;

const LIMIT: u64 = 3 * 1024 * 1024;

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Named {
    #[validate(length(min = 1, max = 10))]
    name: String,
    idempotency_key: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Measured {
    name: String,
    media_type: String,
    bytes: usize,
    idempotency_key: Option<String>,
}

async fn measure(call: Call, arguments: Named) -> Result<Measured, ToolError> {
    let content = call
        .content
        .ok_or_else(|| ToolError::refused("no content"))?;
    let mut bytes = 0;
    while let Some(piece) = content.chunk().await? {
        bytes += piece.len();
    }
    Ok(Measured {
        name: arguments.name,
        media_type: content.media_type.to_string(),
        bytes,
        idempotency_key: arguments.idempotency_key,
    })
}

/// As many pieces of 64 KiB as the name says, then an error if it ends with `!`.
async fn give(call: Call, arguments: Named) -> Result<Download, ToolError> {
    // What is lost before it is sent is lost with the headers.
    let later = async |piece| {
        tokio::time::sleep(Duration::from_millis(10)).await;
        piece
    };
    let is_bad = arguments.name.ends_with('!');
    let count: usize = arguments.name.trim_end_matches('!').parse().unwrap_or(0);
    let pieces = (0..count).map(|_| Ok(vec![b'x'; 65536].into()));
    let last = is_bad.then(|| Err(ToolError::unavailable("away", Duration::from_secs(1))));
    Ok(Download {
        name: format!("{}/ü.bin", arguments.name),
        media_type: "text/html".to_owned(),
        length: u64::try_from(count * 65536).ok().filter(|_| !is_bad),
        content_range: call.range.map(|range| format!("{range}/9")),
        etag: Some("\"e1\"".to_owned()),
        body: stream::iter(pieces.chain(last)).then(later).boxed(),
    })
}

/// Never ends.
async fn drip(_: Call, _: NoArguments) -> Result<Download, ToolError> {
    let body = stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Ok(vec![b'x'].into()), ()))
    });
    Ok(Download {
        name: "drip".to_owned(),
        media_type: "text/plain".to_owned(),
        length: None,
        content_range: None,
        etag: None,
        body: body.boxed(),
    })
}

fn tools() -> anyhow::Result<Tools> {
    Tools::new("files", "1.2.3")
        .with(Tool::new("measure", "Measures content.", measure).takes_content(LIMIT))?
        .with(Tool::download("give", "Gives content.", give))?
        .with(
            Tool::download("drip", "Gives content for ever.", drip)
                .timeout(Duration::from_millis(200)),
        )
}

/// A sidecar that listens; its base URL and its metrics.
async fn serve(arguments: &[&str]) -> (String, Metrics) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = testing::settings(arguments).unwrap();
    let metrics = Metrics::new().unwrap();
    let sidecar = Sidecar::new(tools().unwrap()).metrics(&metrics);
    let app = sidecar.build(&settings).unwrap().router(&settings).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, metrics)
}

async fn post(url: &str, arguments: &str, body: Body) -> Response {
    let request = Client::new()
        .post(format!("{url}/mcp/tools/measure/content"))
        .header("tool-arguments", arguments)
        .header("content-type", "image/png")
        .header("idempotency-key", "k1")
        .body(body);
    request.send().await.unwrap()
}

/// `count` pieces of 64 KiB, of no stated length.
fn pieces(count: usize) -> Body {
    let pieces = (0..count).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 65536]));
    Body::wrap_stream(stream::iter(pieces))
}

#[tokio::test]
async fn content_goes_to_the_tool_beside_its_arguments() {
    let (url, metrics) = serve(&["--body-limit=1000"]).await;
    let answer = post(&url, r#"{"name":"ü"}"#, pieces(40)).await;
    assert_eq!(answer.status(), 200);
    let wanted = json!({ "name": "ü", "media_type": "image/png", "bytes": 40 * 65536, "idempotency_key": "k1" });
    assert_eq!(answer.json::<Value>().await.unwrap()["result"], wanted);
    let text = metrics.render().unwrap();
    assert!(
        text.contains(r#"outcome="ok",sidecar="files",tool="measure"} 1"#),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_wrong_with_content_is_a_problem_with_the_status_that_fits() {
    let (url, _) = serve(&["--body-timeout=1"]).await;
    let large = vec![b'x'; usize::try_from(LIMIT).unwrap() + 1];
    for (arguments, body, status, code) in [
        (
            r#"{"name":"a"}"#,
            Body::from(large),
            413,
            "PAYLOAD_TOO_LARGE",
        ),
        (r#"{"name":"a"}"#, pieces(49), 413, "PAYLOAD_TOO_LARGE"),
        (r#"{"name":""}"#, Body::from("x"), 422, "INVALID"),
        ("[]", Body::from("x"), 400, "MALFORMED_REQUEST"),
    ] {
        let answer = post(&url, arguments, body).await;
        assert_eq!(answer.status(), status, "{arguments}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], code);
    }
    let stalled = stream::iter([Ok::<_, std::io::Error>("x")]).chain(stream::pending());
    let answer = post(&url, r#"{"name":"a"}"#, Body::wrap_stream(stalled)).await;
    assert_eq!(answer.status(), 408);
    for (method, tool, status) in [
        (Method::GET, "measure", 405),
        (Method::POST, "give", 405),
        (Method::GET, "none", 404),
        (Method::POST, "none", 404),
        (Method::PUT, "give", 405),
    ] {
        let path = format!("{url}/mcp/tools/{tool}/content");
        let answer = Client::new().request(method, path).send().await.unwrap();
        assert_eq!(answer.status(), status, "{tool}");
    }
}

#[tokio::test]
async fn content_needs_a_token_and_its_scope_like_any_call() {
    let read = "read-0123456789-0123456789-0123456789";
    let (url, _) = serve(&[
        &format!("--mcp-tokens={TOKEN}"),
        &format!("--mcp-read-tokens={read}"),
    ])
    .await;
    for (token, send, fetch) in [("", 401, 401), (read, 403, 200), (TOKEN, 200, 200)] {
        let request = |method, tool| {
            let path = format!("{url}/mcp/tools/{tool}/content");
            let request = Client::new().request(method, path).bearer_auth(token);
            request
                .header("tool-arguments", r#"{"name":"1"}"#)
                .body("x")
                .send()
        };
        assert_eq!(
            request(Method::POST, "measure").await.unwrap().status(),
            send
        );
        assert_eq!(request(Method::GET, "give").await.unwrap().status(), fetch);
    }
}

#[tokio::test]
async fn a_download_is_an_attachment_and_small_ones_fit_into_json() {
    let (url, _) = serve(&[]).await;
    let get = |name: &str| {
        Client::new()
            .get(format!("{url}/mcp/tools/give/content"))
            .header("tool-arguments", json!({ "name": name }).to_string())
    };
    let answer = get("9").header("range", "bytes=5-7").send().await.unwrap();
    assert_eq!(answer.status(), 206);
    assert_eq!(answer.headers()["content-range"], "bytes=5-7/9");
    let answer = get("9").send().await.unwrap();
    let headers = answer.headers().clone();
    assert_eq!(
        (&headers["content-length"], &headers["etag"]),
        (&"589824".parse().unwrap(), &"\"e1\"".parse().unwrap())
    );
    assert_eq!(
        headers["content-disposition"],
        "attachment; filename*=UTF-8''9%2F%C3%BC.bin"
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.bytes().await.unwrap().len(), 9 * 65536);

    let client = testing::Client::new(Sidecar::new(tools().unwrap())).unwrap();
    let small = client.call("give", json!({ "name": "1" })).await.unwrap();
    assert_eq!(small["size"], 65536);
    let large = client
        .call("give", json!({ "name": "5" }))
        .await
        .unwrap_err();
    assert!(format!("{large:?}").contains("/content"), "{large:?}");
}

#[tokio::test]
async fn a_download_that_breaks_off_or_takes_too_long_is_seen_and_counted() {
    let (url, metrics) = serve(&[]).await;
    let get = |tool: &str, name: &str| {
        Client::new()
            .get(format!("{url}/mcp/tools/{tool}/content"))
            .header("tool-arguments", name.to_owned())
    };
    let answer = get("give", r#"{"name":"2!"}"#).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err());
    let answer = get("drip", "{}").send().await.unwrap();
    assert!(answer.bytes().await.is_err());
    let left = get("drip", "{}").send().await.unwrap();
    assert!(
        metrics
            .render()
            .unwrap()
            .contains("mcp_tool_calls_in_flight 1")
    );
    drop(left);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let text = metrics.render().unwrap();
    for wanted in [
        r#"outcome="unavailable",sidecar="files",tool="give"} 1"#,
        r#"outcome="timeout",sidecar="files",tool="drip"} 1"#,
        r#"outcome="abandoned",sidecar="files",tool="drip"} 1"#,
        "mcp_tool_calls_in_flight 0",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
}

fn call() -> Call {
    let mut call = Call::new(Arc::new(Caller::local()), Road::Http, "r");
    call.deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    call
}

/// A provider of files on a sidecar's address, with half a second of patience.
fn provider(url: &str) -> (Provider, Metrics) {
    let policy = Policy {
        attempt_timeout: Duration::from_millis(300),
        response_limit: 1000,
        ..Policy::default()
    };
    let metrics = Metrics::new().unwrap();
    (
        Provider::new("sample", url, policy, &metrics).unwrap(),
        metrics,
    )
}

/// Pieces of 1 KiB, 100 ms apart.
fn slow(count: usize) -> impl futures_util::Stream<Item = Result<bytes::Bytes, ToolError>> + Send {
    stream::iter(0..count).then(async |_| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(vec![b'x'; 1024].into())
    })
}

#[tokio::test]
async fn a_streamed_body_may_take_long_as_long_as_it_moves() {
    let (url, _) = serve(&[]).await;
    let (provider, _) = provider(&url);
    let request = |length| {
        let path = ["mcp", "tools", "measure", "content"];
        Outgoing::new(Method::POST, path)
            .header("tool-arguments", r#"{"name":"a"}"#)
            .stream("text/plain", length, slow(8))
    };
    for length in [None, Some(8192)] {
        let reply = provider.send(&call(), request(length)).await.unwrap();
        assert_eq!(reply.json::<Value>().unwrap()["result"]["bytes"], 8192);
    }
    let stuck = Outgoing::new(Method::POST, ["mcp", "tools", "measure", "content"])
        .header("tool-arguments", r#"{"name":"a"}"#)
        .stream("text/plain", None, slow(1).chain(stream::pending()));
    assert_eq!(
        provider.send(&call(), stuck).await.unwrap_err().code,
        Code::Unavailable
    );
    let given_up = stream::iter([Ok(vec![b'x'].into()), Err(ToolError::refused("given up"))]);
    let given_up = Outgoing::new(Method::POST, ["mcp", "tools", "measure", "content"])
        .header("tool-arguments", r#"{"name":"a"}"#)
        .stream("text/plain", None, given_up);
    let error = provider.send(&call(), given_up).await.unwrap_err();
    assert_eq!((error.code, &*error.message), (Code::Refused, "given up"));
}

#[tokio::test]
async fn an_answer_is_read_piece_by_piece_beyond_what_is_read_whole_and_capped() {
    let (url, _) = serve(&[]).await;
    let (provider, metrics) = provider(&url);
    let request = || {
        Outgoing::new(Method::GET, ["mcp", "tools", "give", "content"])
            .header("tool-arguments", r#"{"name":"20"}"#)
    };
    assert_eq!(
        provider.send(&call(), request()).await.unwrap_err().code,
        Code::Refused
    );
    let mut incoming = provider.open(&call(), request()).await.unwrap();
    let mut bytes = 0;
    while let Some(piece) = incoming.chunk().await.unwrap() {
        bytes += piece.len();
    }
    assert_eq!(bytes, 20 * 65536);
    let limited = provider
        .open(&call(), request())
        .await
        .unwrap()
        .limit(100_000);
    let pieces: Vec<_> = limited.into_stream().collect().await;
    assert_eq!(
        pieces.last().unwrap().as_ref().unwrap_err().code,
        Code::Refused
    );
    drop(provider.open(&call(), request()).await.unwrap());
    let text = metrics.render().unwrap();
    for (outcome, count) in [("ok", 1), ("too_large", 2), ("abandoned", 1)] {
        let wanted = format!(
            r#"mcp_upstream_requests_total{{outcome="{outcome}",provider="sample"}} {count}"#
        );
        assert!(text.contains(&wanted), "{wanted}\n{text}");
    }
}

#[tokio::test]
async fn an_answer_that_stops_coming_ends_and_what_was_streamed_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let arrived = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&arrived);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(stop_halfway(stream));
        }
    });
    let (provider, _) = provider(&url);
    let mut incoming = provider
        .open(&call(), Outgoing::new(Method::GET, ["a"]))
        .await
        .unwrap();
    assert_eq!(incoming.chunk().await.unwrap().unwrap(), "half");
    assert_eq!(incoming.chunk().await.unwrap_err().code, Code::Unavailable);
    assert_eq!(arrived.load(Ordering::SeqCst), 1);
    let put = Outgoing::new(Method::PUT, ["a"]).stream("text/plain", None, slow(1));
    assert_eq!(
        provider.send(&call(), put).await.unwrap_err().code,
        Code::Unavailable
    );
    assert_eq!(
        arrived.load(Ordering::SeqCst),
        2,
        "a PUT may be repeated, its stream not"
    );
}

async fn stop_halfway(mut stream: TcpStream) {
    let mut request = [0; 1024];
    let _ = stream.read(&mut request).await;
    let _ = stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf")
        .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
}
