//! What the vendor's client cannot show of Stripe's part: requests at the same time, settings, and the file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use clap::Parser;
use event_planner_sandbox::{Sandbox, Settings, World, router};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

const KEY: &str = "sk_test_sandbox-full-access-no-real-key";

async fn send(method: Method, url: &str, key: Option<&str>, form: &str) -> (u16, Value) {
    // The sandbox that is asked has installed the TLS provider.
    let client = Client::builder().no_proxy().build().unwrap();
    let mut request = client
        .request(method, url)
        .bearer_auth(KEY)
        .header("content-type", "application/x-www-form-urlencoded");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let response = request.body(form.to_owned()).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn a_key_is_in_use_until_its_request_is_done() {
    let sandbox = Sandbox::start_with(&["--stripe-latency-ms=400"])
        .await
        .unwrap();
    let url = format!("{}/v1/customers", sandbox.url("stripe"));
    let slow = async { send(Method::POST, &url, Some("k"), "name=Ada").await };
    let hasty = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        send(Method::POST, &url, Some("k"), "name=Ada").await
    };
    let ((status, made), (refused, error)) = tokio::join!(slow, hasty);
    assert_eq!((status, refused), (200, 409));
    assert_eq!(error["error"]["code"], "idempotency_key_in_use");
    let (_, again) = send(Method::POST, &url, Some("k"), "name=Ada").await;
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
        Method::POST,
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
    let (_, made) = send(Method::POST, &url, Some("k"), "name=Ada").await;
    world.save().unwrap();
    let (_, url) = start().await;
    let (_, again) = send(Method::POST, &url, Some("k"), "name=Ada").await;
    let (_, list) = send(Method::GET, &url, None, "").await;
    assert_eq!((&again["id"], &list["data"]), (&made["id"], &json!([made])));
    std::fs::remove_dir_all(&folder).unwrap();
}
