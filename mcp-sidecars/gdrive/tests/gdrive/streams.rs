//! Large files through the HTTP wrapper, with bad days on the way.

use std::time::Duration;

use event_planner_sandbox::{Fault, Misbehaviour, Provider};
use futures_util::stream;
use mcp_kit::testing;
use md5::{Digest, Md5};
use reqwest::{Body, Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{World, credentials, settings, world};

const MIB: usize = 1024 * 1024;

/// The sidecar of this world on a port, as the API would call it.
async fn serve(world: &World, arguments: &[&str]) -> String {
    let credentials = credentials();
    let all: Vec<&str> = credentials
        .iter()
        .map(String::as_str)
        .chain(arguments.iter().copied())
        .collect();
    let own = settings(&world.sandbox, &all);
    let kit = testing::settings(&[]).unwrap();
    let sidecar = event_planner_mcp_gdrive::sidecar(&own, &world.metrics).unwrap();
    let app = sidecar.build(&kit).unwrap().router(&kit).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// Bytes that are not the same everywhere.
fn bytes(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 16).to_le_bytes()[0])
        .collect()
}

fn md5(content: &[u8]) -> String {
    hex::encode(Md5::digest(content))
}

async fn upload(url: &str, arguments: &Value, body: impl Into<Body>) -> Response {
    let request = Client::new()
        .post(format!("{url}/mcp/tools/upload_file/content"))
        .header("tool-arguments", arguments.to_string())
        .header("content-type", "application/pdf");
    request.body(body).send().await.unwrap()
}

/// A body of no stated length.
fn chunked(content: &[u8]) -> Body {
    let pieces: Vec<_> = content
        .chunks(100_000)
        .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
        .collect();
    Body::wrap_stream(stream::iter(pieces))
}

async fn made(answer: Response) -> Value {
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(status, 200, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["result"]["file"].clone()
}

#[tokio::test]
async fn files_of_every_size_come_back_as_they_went() {
    let world = world(&[]).await;
    let url = serve(&world, &[]).await;
    for length in [0, 1, 2 * MIB, 2 * MIB + 1, 4 * MIB, 5 * MIB + 17] {
        let content = bytes(length);
        for body in [Body::from(content.clone()), chunked(&content)] {
            let file = made(upload(&url, &json!({ "name": "a.pdf" }), body).await).await;
            assert_eq!(
                (&file["size"], &file["md5"]),
                (&json!(length), &json!(md5(&content)))
            );
            let fetch = |range: &str| {
                let request = Client::new()
                    .get(format!("{url}/mcp/tools/download_file/content"))
                    .header(
                        "tool-arguments",
                        json!({ "file_id": file["id"] }).to_string(),
                    );
                let request = if range.is_empty() {
                    request
                } else {
                    request.header("range", range)
                };
                request.send()
            };
            let answer = fetch("").await.unwrap();
            assert_eq!(answer.headers()["content-type"], "application/pdf");
            assert!(answer.bytes().await.unwrap() == content, "{length}");
            if length > 10 {
                let part = fetch("bytes=5-9").await.unwrap();
                assert_eq!(part.status(), 206);
                assert_eq!(
                    part.headers()["content-range"],
                    format!("bytes 5-9/{length}").as_str()
                );
                assert_eq!(&part.bytes().await.unwrap()[..], &content[5..10]);
                assert_eq!(fetch("bytes=99999999-").await.unwrap().status(), 422);
            }
        }
    }
}

#[tokio::test]
async fn an_upload_survives_cuts_errors_and_limits_and_makes_one_file() {
    let world = world(&[]).await;
    let url = serve(&world, &[]).await;
    let content = bytes(13 * MIB + 5);
    let on = |misbehaviour| {
        Fault::new(Provider::Google, misbehaviour)
            .on("PUT", "/upload")
            .times(1)
    };
    for (number, bad) in [
        vec![on(Misbehaviour::Cut)],
        vec![on(Misbehaviour::Cut).after()],
        vec![
            on(Misbehaviour::Error { status: 503 }),
            on(Misbehaviour::Error { status: 500 }).after(),
            on(Misbehaviour::Cut),
        ],
        vec![
            on(Misbehaviour::RateLimited { retry_after: 1 }),
            on(Misbehaviour::ExpiredToken),
        ],
        vec![
            on(Misbehaviour::Cut).times(2),
            on(Misbehaviour::Error { status: 502 }).after().times(2),
        ],
    ]
    .into_iter()
    .enumerate()
    {
        for fault in bad {
            world.sandbox.misbehave(fault);
        }
        let arguments = json!({ "name": "big.pdf", "idempotency_key": format!("k{number}") });
        let file = made(upload(&url, &arguments, content.clone()).await).await;
        assert_eq!(file["md5"], json!(md5(&content)), "{number}");
        let again = upload(&url, &arguments, content.clone()).await;
        assert_eq!(made(again).await["id"], file["id"]);
        assert_eq!(
            world.count("files").await,
            u64::try_from(number).unwrap() + 1
        );
    }
}

#[tokio::test]
async fn a_key_never_drops_other_streamed_content() {
    let world = world(&[]).await;
    let url = serve(&world, &[]).await;
    let content = bytes(3 * MIB);
    let arguments = json!({ "name": "a.pdf", "idempotency_key": "k" });
    let file = made(upload(&url, &arguments, content.clone()).await).await;
    let mut other = content.clone();
    other[2 * MIB] ^= 1;
    let longer = [&content[..], b"x"].concat();
    for body in [
        Body::from(other.clone()),
        chunked(&other),
        Body::from(longer),
    ] {
        assert_eq!(upload(&url, &arguments, body).await.status(), 422);
    }
    let again = upload(&url, &arguments, chunked(&content)).await;
    assert_eq!(made(again).await["id"], file["id"]);
    assert_eq!(world.count("files").await, 1);
}

#[tokio::test]
async fn the_last_answer_lost_is_asked_for_again() {
    let world = world(&[]).await;
    let url = serve(&world, &[]).await;
    let content = bytes(3 * MIB);
    // The first of the two chunks goes well.
    world.sandbox.misbehave(
        Fault::new(Provider::Google, Misbehaviour::Latency { milliseconds: 1 })
            .on("PUT", "/upload")
            .times(1),
    );
    world.sandbox.misbehave(
        Fault::new(Provider::Google, Misbehaviour::Cut)
            .on("PUT", "/upload")
            .times(1)
            .after(),
    );
    let file = made(upload(&url, &json!({ "name": "a.pdf" }), content.clone()).await).await;
    assert_eq!(file["md5"], json!(md5(&content)));
    assert_eq!(world.count("files").await, 1);
}

#[tokio::test]
async fn a_google_that_stays_away_ends_an_upload_without_a_file() {
    let world = world(&[]).await;
    let url = serve(&world, &[]).await;
    world.sandbox.misbehave(
        Fault::new(Provider::Google, Misbehaviour::Error { status: 503 }).on("PUT", "/upload"),
    );
    let answer = upload(&url, &json!({ "name": "a.pdf" }), bytes(6 * MIB)).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(world.count("files").await, 0);
}

#[tokio::test]
async fn a_caller_who_leaves_leaves_no_file() {
    let world = world(&[]).await;
    let url = serve(&world, &[]).await;
    let stalled = stream::iter([Ok::<_, std::io::Error>(bytes(5 * MIB))]);
    let broken =
        futures_util::StreamExt::chain(stalled, stream::iter([Err(std::io::Error::other("left"))]));
    let request = Client::new().post(format!("{url}/mcp/tools/upload_file/content"));
    let request = request.header("tool-arguments", json!({ "name": "b.pdf" }).to_string());
    assert!(
        request
            .body(Body::wrap_stream(broken))
            .send()
            .await
            .is_err()
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.count("files").await, 0);
}

#[tokio::test]
async fn the_limit_holds_for_both_directions() {
    let world = world(&[]).await;
    let large = crate::support::id(
        &world
            .call(
                "upload_file",
                json!({ "name": "a", "text": "x".repeat(2000) }),
            )
            .await,
    );
    let url = serve(&world, &["--max-file-bytes=1000"]).await;
    for body in [Body::from(bytes(1001)), chunked(&bytes(1001))] {
        let answer = upload(&url, &json!({ "name": "a.pdf" }), body).await;
        assert_eq!(answer.status(), 413);
    }
    let fetch = Client::new()
        .get(format!("{url}/mcp/tools/download_file/content"))
        .header("tool-arguments", json!({ "file_id": large }).to_string());
    assert_eq!(fetch.send().await.unwrap().status(), 422);
    assert_eq!(world.count("files").await, 1);
}

#[tokio::test]
async fn a_download_that_breaks_off_is_seen() {
    let world = world(&[]).await;
    let url = serve(&world, &[]).await;
    let file = made(upload(&url, &json!({ "name": "a.pdf" }), bytes(MIB)).await).await;
    world.sandbox.misbehave(
        Fault::new(Provider::Google, Misbehaviour::Cut)
            .on("GET", "/files")
            .times(9),
    );
    let fetch = Client::new()
        .get(format!("{url}/mcp/tools/download_file/content"))
        .header(
            "tool-arguments",
            json!({ "file_id": file["id"] }).to_string(),
        );
    assert_eq!(fetch.send().await.unwrap().status(), 503);
}
