//! What Google's own client does not look at: the page, and the state that is kept.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use clap::Parser;
use event_planner_sandbox::{
    Settings, World,
    google::token::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN},
    router,
};
use serde_json::{Value, json};
use tower::ServiceExt;

fn world(arguments: &[&str]) -> Arc<World> {
    let all = ["sandbox"].iter().chain(arguments);
    let settings = Settings::try_parse_from(all).unwrap();
    Arc::new(World::new(settings, "http://sandbox.test").unwrap())
}

async fn asked(world: &Arc<World>, request: Request<Body>) -> (StatusCode, String) {
    let answer = router(world).oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn page(world: &Arc<World>) -> String {
    let request = Request::get("/sandbox/views/google");
    asked(world, request.body(Body::empty()).unwrap()).await.1
}

/// A new event of that title, by a token that was just fetched.
async fn create(world: &Arc<World>, title: &str) -> StatusCode {
    let form = format!(
        "grant_type=refresh_token&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&refresh_token={REFRESH_TOKEN}"
    );
    let request = Request::post("/google/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let (_, text) = asked(world, request.body(form.into()).unwrap()).await;
    let token: Value = serde_json::from_str(&text).unwrap();
    let (start, end) = (
        json!({ "date": "2027-05-01" }),
        json!({ "date": "2027-05-02" }),
    );
    let body = json!({ "summary": title, "start": start, "end": end }).to_string();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let request = Request::post("/google/calendar/v3/calendars/primary/events")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, bearer);
    asked(world, request.body(body.into()).unwrap()).await.0
}

#[tokio::test]
async fn the_page_shows_events_as_text() {
    let world = world(&[]);
    assert!(page(&world).await.contains("No calendar was used yet."));
    let created = create(&world, "<script>alert(1)</script>").await;
    assert_eq!(created, StatusCode::OK);
    let shown = page(&world).await;
    assert!(shown.contains("2027-05-01"), "{shown}");
    assert!(!shown.contains("<script"), "{shown}");
}

#[tokio::test]
async fn events_outlive_a_restart_with_a_state_file() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("calendar-state.json");
    let _ = std::fs::remove_file(&file);
    let argument = format!("--state-file={}", file.display());
    let before = world(&[&argument]);
    create(&before, "Fair").await;
    before.save().unwrap();
    assert!(page(&world(&[&argument])).await.contains("Fair"));
}

#[tokio::test]
async fn the_token_endpoint_takes_forms_only() {
    let world = world(&[]);
    let request = Request::post("/google/token").header(header::CONTENT_TYPE, "application/json");
    let body = json!({ "grant_type": "refresh_token" }).to_string();
    let (status, text) = asked(&world, request.body(body.into()).unwrap()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("invalid_request"), "{text}");
}
