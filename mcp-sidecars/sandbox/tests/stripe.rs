//! What the vendor's client cannot show of Stripe's part: requests at the same time, settings, and the file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use clap::Parser;
use event_planner_sandbox::{Sandbox, Settings, World, router};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

const KEY: &str = "sk_test_sandbox-full-access-no-real-key";

async fn send(method: &str, url: &str, key: Option<&str>, form: &str) -> (u16, Value) {
    let mut request = axum::http::Request::builder()
        .method(method)
        .uri(url)
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/x-www-form-urlencoded");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = request
        .body(Full::new(Bytes::from(form.to_owned())))
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client.request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_key_is_in_use_until_its_request_is_done() {
    let sandbox = Sandbox::start_with(&["--stripe-latency-ms=400"])
        .await
        .unwrap();
    let url = format!("{}/v1/customers", sandbox.url("stripe"));
    let slow = async { send("POST", &url, Some("k"), "name=Ada").await };
    let hasty = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        send("POST", &url, Some("k"), "name=Ada").await
    };
    let ((status, made), (refused, error)) = tokio::join!(slow, hasty);
    assert_eq!((status, refused), (200, 409));
    assert_eq!(error["error"]["code"], "idempotency_key_in_use");
    let (_, again) = send("POST", &url, Some("k"), "name=Ada").await;
    assert_eq!(again["id"], made["id"]);
}

#[tokio::test]
async fn the_set_address_hears_of_every_event() {
    let (heard, mut inbox) = mpsc::unbounded_channel();
    let hook = move |headers: HeaderMap, body: Bytes| {
        let heard = heard.clone();
        async move {
            let signature = headers["stripe-signature"]
                .to_str()
                .unwrap_or_default()
                .to_owned();
            let _ = heard.send((
                signature,
                serde_json::from_slice::<Value>(&body).unwrap_or_default(),
            ));
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!(
        "--stripe-webhook-url=http://{}/",
        listener.local_addr().unwrap()
    );
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(hook))).await });
    let sandbox = Sandbox::start_with(&[&target]).await.unwrap();
    send(
        "POST",
        &format!("{}/v1/customers", sandbox.url("stripe")),
        None,
        "name=Ada",
    )
    .await;
    let (signature, event) = tokio::time::timeout(Duration::from_secs(5), inbox.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(event["type"], "customer.created");
    assert!(
        signature.starts_with("t=") && signature.contains(",v1="),
        "{signature}"
    );
}

#[tokio::test]
async fn the_file_keeps_everything_over_a_restart() {
    let folder = std::env::temp_dir().join(format!("sandbox-stripe-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = format!("--state-file={}", folder.join("state.json").display());
    let start = async || {
        let settings = Settings::try_parse_from(["sandbox", &file]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(World::new(settings, &url).unwrap());
        let app = router(&world);
        tokio::spawn(async move { axum::serve(listener, app).await });
        (world, format!("{url}/stripe/v1/customers"))
    };
    let (world, url) = start().await;
    let (_, made) = send("POST", &url, Some("k"), "name=Ada").await;
    world.save().unwrap();
    let (_, url) = start().await;
    let (_, again) = send("POST", &url, Some("k"), "name=Ada").await;
    let (_, list) = send("GET", &url, None, "").await;
    assert_eq!((&again["id"], &list["data"]), (&made["id"], &json!([made])));
    std::fs::remove_dir_all(&folder).unwrap();
}
