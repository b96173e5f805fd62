use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use futures_util::StreamExt;
use mcp_kit::{Call, Caller, Code, Metrics, Outgoing, Policy, Provider, Road, ToolError};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

/// A provider that answers its n-th request as told, and counts.
async fn provider<F>(policy: Policy, answer: F) -> (Provider, Arc<AtomicUsize>, Metrics)
where
    F: Fn(usize, &Request<Body>) -> Response<Body> + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/base/", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let app = Router::new().fallback(move |request: Request<Body>| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let response = answer(number, &request);
        async move {
            if let Some(delay) = response.headers().get("x-delay-ms") {
                let delay = delay.to_str().unwrap().parse().unwrap();
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            response
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let metrics = Metrics::new().unwrap();
    (
        Provider::new("sample", &base_url, policy, &metrics).unwrap(),
        count,
        metrics,
    )
}

fn status(status: u16) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::from("{}"))
        .unwrap()
}

fn with(header: &str, value: &str, mut response: Response<Body>) -> Response<Body> {
    let name = header.parse::<axum::http::HeaderName>().unwrap();
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}

fn call(seconds: u64) -> Call {
    let mut call = Call::new(Arc::new(Caller::local()), Road::Http, "r");
    call.deadline = tokio::time::Instant::now() + Duration::from_secs(seconds);
    call
}

fn get() -> Outgoing {
    Outgoing::new(Method::GET, ["things", "a/../b c"])
}

fn code(result: Result<mcp_kit::Reply, ToolError>) -> Code {
    result.unwrap_err().code
}

#[tokio::test]
async fn failures_are_tried_again_and_ids_stay_in_their_place() {
    let (provider, count, metrics) = provider(Policy::default(), |number, request| {
        assert_eq!(request.uri().path(), "/base/things/a%2F..%2Fb%20c");
        if number < 2 { status(500) } else { status(200) }
    })
    .await;
    assert_eq!(provider.send(&call(10), get()).await.unwrap().status, 200);
    assert_eq!(count.load(Ordering::SeqCst), 3);
    let text = metrics.render().unwrap();
    assert!(
        text.contains(r#"mcp_upstream_requests_total{outcome="failed",provider="sample"} 2"#),
        "{text}"
    );
}

#[tokio::test]
async fn an_id_that_would_leave_its_place_is_never_sent() {
    let (provider, count, _) = provider(Policy::default(), |_, _| status(200)).await;
    for id in ["..", ".", "", ".\n.", "a\tb"] {
        let request = Outgoing::new(Method::DELETE, ["things", id]);
        assert_eq!(code(provider.send(&call(5), request).await), Code::Invalid);
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_may_have_happened_is_not_repeated_without_a_key() {
    let (provider, count, _) = provider(Policy::default(), |_, _| status(500)).await;
    let post = || Outgoing::new(Method::POST, ["pay"]);
    assert_eq!(
        code(provider.send(&call(10), post()).await),
        Code::Unavailable
    );
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!(
        code(provider.send(&call(10), post().repeatable()).await),
        Code::Unavailable
    );
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn retry_after_is_obeyed_when_there_is_time_and_told_when_not() {
    let (provider, count, _) = provider(Policy::default(), |number, _| match number {
        0 => with("retry-after", "1", status(429)),
        1 => status(200),
        _ => with("retry-after", "7", status(429)),
    })
    .await;
    let begun = Instant::now();
    provider
        .send(&call(5), Outgoing::new(Method::POST, ["pay"]))
        .await
        .unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let error = provider.send(&call(5), get()).await.unwrap_err();
    assert_eq!(
        (error.code, error.retry_after_seconds()),
        (Code::RateLimited, Some(7))
    );
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_hanging_provider_ends_at_the_deadline_and_is_left_alone_after_five_but_not_for_haste() {
    let policy = Policy {
        attempts: 1,
        patience: Duration::from_millis(50),
        ..Policy::default()
    };
    let (provider, count, _) =
        provider(policy, |_, _| with("x-delay-ms", "60000", status(200))).await;
    for _ in 0..7 {
        let mut call = call(1);
        call.deadline = tokio::time::Instant::now() + Duration::from_millis(5);
        assert_eq!(code(provider.send(&call, get()).await), Code::Timeout);
    }
    count.store(0, Ordering::SeqCst);
    for _ in 0..5 {
        let mut call = call(1);
        call.deadline = tokio::time::Instant::now() + Duration::from_millis(100);
        let begun = Instant::now();
        assert_eq!(code(provider.send(&call, get()).await), Code::Timeout);
        assert!(begun.elapsed() < Duration::from_millis(350));
    }
    let begun = Instant::now();
    assert_eq!(
        code(provider.send(&call(10), get()).await),
        Code::Unavailable
    );
    assert!(begun.elapsed() < Duration::from_millis(50));
    assert_eq!(count.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn no_more_than_the_places_are_under_way_at_once() {
    let policy = Policy {
        at_once: 2,
        ..Policy::default()
    };
    let (provider, count, _) =
        provider(policy, |_, _| with("x-delay-ms", "600", status(200))).await;
    let (outgoing, shared) = (get(), call(10));
    let calls = (0..5).map(|_| provider.send(&shared, outgoing.clone()));
    let ended = futures_util::future::join_all(calls).await;
    assert_eq!(ended.iter().filter(|answer| answer.is_ok()).count(), 2);
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn answers_are_capped_refusals_are_answers_and_redirects_are_not_followed() {
    let policy = Policy {
        response_limit: 1000,
        ..Policy::default()
    };
    let (provider, count, _) = provider(policy, |number, _| match number {
        0 => Response::new(Body::from(vec![b'x'; 5000])),
        1 => status(404),
        _ => with("location", "http://169.254.169.254/", status(302)),
    })
    .await;
    assert_eq!(code(provider.send(&call(5), get()).await), Code::Refused);
    assert_eq!(provider.send(&call(5), get()).await.unwrap().status, 404);
    assert_eq!(provider.send(&call(5), get()).await.unwrap().status, 302);
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn nobody_listening_is_unavailable_and_names_no_address() {
    let metrics = Metrics::new().unwrap();
    let provider = Provider::new(
        "sample",
        "http://127.0.0.1:9/?key=k",
        Policy::default(),
        &metrics,
    )
    .unwrap();
    let error = provider.send(&call(5), get()).await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
    let cause = format!("{:#}", error.cause.unwrap());
    assert!(
        !error.message.contains("127.0.0.1") && !cause.contains("key=k"),
        "{cause}"
    );
    assert!(Provider::new("sample", "file:///etc/passwd", Policy::default(), &metrics).is_err());
}

#[tokio::test]
async fn an_error_says_whether_surely_nothing_was_done() {
    let key = || Outgoing::new(Method::POST, ["things"]).repeatable();
    let (away, _, metrics) = provider(Policy::default(), |_, _| status(429)).await;
    assert!(away.send(&call(1), key()).await.unwrap_err().is_undone);
    let nobody = Provider::new("sample", "http://127.0.0.1:1", Policy::default(), &metrics);
    let refused = nobody.unwrap().send(&call(1), key()).await;
    assert!(refused.unwrap_err().is_undone);
    let (failing, ..) = provider(Policy::default(), |_, _| status(500)).await;
    assert!(!failing.send(&call(3), key()).await.unwrap_err().is_undone);
    // The last attempt was turned away, but the one before may have come through.
    let (mixed, ..) = provider(Policy::default(), |number, _| {
        status(if number == 0 { 500 } else { 429 })
    })
    .await;
    assert!(!mixed.send(&call(9), key()).await.unwrap_err().is_undone);
}

#[tokio::test]
async fn a_failure_tells_what_the_provider_says_of_it_as_far_as_that_comes_at_once() {
    let policy = Policy {
        attempts: 1,
        explain: Some(|reply| {
            Some(json!({ "bytes": reply.body.len(), "status": reply.status.as_u16() }))
        }),
        ..Policy::default()
    };
    let (provider, ..) = provider(policy, |number, _| {
        let body = match number {
            0 => Body::from("four"),
            1 => Body::from(vec![b'x'; 1024 * 1024]),
            _ => {
                let first = futures_util::stream::iter([Ok::<_, std::io::Error>("first")]);
                Body::from_stream(first.chain(futures_util::stream::pending()))
            }
        };
        let status = if number == 0 { 429 } else { 500 };
        Response::builder().status(status).body(body).unwrap()
    })
    .await;
    for (bytes, status, code) in [
        (4, 429, Code::RateLimited),
        (16 * 1024, 500, Code::Unavailable),
        (5, 500, Code::Unavailable),
    ] {
        let begun = Instant::now();
        let error = provider.send(&call(10), get()).await.unwrap_err();
        assert_eq!(error.code, code);
        let details = json!({ "bytes": bytes, "status": status });
        assert_eq!(error.details, Some(details));
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}
