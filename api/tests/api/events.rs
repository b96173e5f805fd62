//! Events: wall time, the status machine, lists.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    scene::{Scene, create, event},
    support::{Answer, TestApp},
};

fn at(local_start: &str, time_zone: &str) -> Value {
    let mut event = event();
    event["local_start"] = json!(local_start);
    event["time_zone"] = json!(time_zone);
    event
}

#[sqlx::test]
async fn wall_time_becomes_an_instant(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event = app
        .planner
        .post("/v1/events", &at("2027-07-01T18:00:00", "America/New_York"))
        .await
        .expect(201);
    assert_eq!(event["starts_at"], "2027-07-01T22:00:00Z");
    assert_eq!(event["ends_at"], "2027-07-02T02:00:00Z");
    assert_eq!(event["local_start"], "2027-07-01T18:00:00");
    assert_eq!(event["status"], "DRAFT");
}

#[sqlx::test]
async fn a_time_that_the_clock_skips_is_refused_with_its_neighbours(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let answer = app
        .planner
        .post("/v1/events", &at("2027-03-28T02:30:00", "Europe/Berlin"))
        .await;
    answer.expect_invalid(&["#/local_start"]);
    let problem = answer.expect_problem(422, "invalid_fields");
    assert_eq!(problem["errors"][0]["code"], "nonexistent_local_time");
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("2027-03-28T01:30:00") && detail.contains("2027-03-28T03:30:00"),
        "{detail}"
    );
}

#[sqlx::test]
async fn a_time_that_happens_twice_is_the_earlier_unless_said(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut twice = at("2027-10-31T02:30:00", "Europe/Berlin");
    let earlier = app.planner.post("/v1/events", &twice).await.expect(201);
    assert_eq!(earlier["starts_at"], "2027-10-31T00:30:00Z");
    assert_eq!(earlier["fold"], "EARLIER");
    twice["fold"] = json!("LATER");
    let later = app.planner.post("/v1/events", &twice).await.expect(201);
    assert_eq!(later["starts_at"], "2027-10-31T01:30:00Z");
}

#[sqlx::test]
async fn odd_zones_and_leap_days_are_right_and_nonsense_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let kathmandu = app
        .planner
        .post("/v1/events", &at("2028-02-29T12:00:00", "Asia/Kathmandu"))
        .await
        .expect(201);
    assert_eq!(kathmandu["starts_at"], "2028-02-29T06:15:00Z");
    app.planner
        .post("/v1/events", &at("2027-02-29T12:00:00", "UTC"))
        .await
        .expect_invalid(&["#/local_start"]);
    app.planner
        .post("/v1/events", &at("2027-02-28T12:00:00", "Mars/Olympus"))
        .await
        .expect_invalid(&["#/time_zone"]);
    app.planner
        .post("/v1/events", &at("0001-02-28T12:00:00", "UTC"))
        .await
        .expect_invalid(&["#/local_start"]);
    let mut phone = event();
    phone["contact_phone"] = json!("555-1234");
    phone["contact_email"] = json!("nobody");
    app.planner
        .post("/v1/events", &phone)
        .await
        .expect_invalid(&["#/contact_email", "#/contact_phone"]);
}

#[sqlx::test]
async fn a_patch_changes_what_it_names_and_null_clears(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut new = event();
    new["budget"] = json!({"amount": 100, "currency": "EUR"});
    new["contact_name"] = json!("Ada");
    let created = app.planner.post("/v1/events", &new).await;
    let path = created.header("location").to_owned();
    let patch = json!({"title": "Retreat", "contact_name": null, "budget": {"amount": 200}});
    let changed = app
        .planner
        .patch(&path, created.etag(), &patch)
        .await
        .expect(200);
    assert_eq!(changed["title"], "Retreat");
    assert_eq!(changed["contact_name"], Value::Null);
    assert_eq!(changed["budget"], json!({"amount": 200, "currency": "EUR"}));
    assert_eq!(changed["version"], 2);
    assert_eq!(changed["event_type"], "OFFSITE");
    app.planner
        .patch(&path, "*", &json!({"title": null}))
        .await
        .expect_problem(422, "invalid_fields");
    app.planner
        .patch(&path, "*", &json!([1]))
        .await
        .expect_problem(422, "invalid_fields");
}

#[sqlx::test]
async fn an_event_goes_its_way_step_by_step(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = create(&app.planner, "/v1/events", &event()).await;
    let step = async |name: &str| -> Answer {
        app.planner
            .post_once(name, &format!("/v1/events/{id}/{name}"), &Value::Null)
            .await
    };
    step("publish")
        .await
        .expect_problem(409, "invalid_transition");
    assert_eq!(step("plan").await.expect(200)["status"], "PLANNED");
    assert_eq!(step("publish").await.expect(200)["status"], "PUBLISHED");
    step("complete")
        .await
        .expect_problem(409, "invalid_transition");
    app.advance(std::time::Duration::from_hours(24 * 200));
    assert_eq!(step("complete").await.expect(200)["status"], "COMPLETED");
    step("cancel")
        .await
        .expect_problem(409, "invalid_transition");
    let path = format!("/v1/events/{id}");
    app.planner
        .patch(&path, "*", &json!({"title": "x"}))
        .await
        .expect_problem(409, "invalid_transition");
}

#[sqlx::test]
async fn events_are_listed_by_their_start(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for day in ["2027-06-03", "2027-06-01", "2027-06-02"] {
        create(
            &app.planner,
            "/v1/events",
            &at(&format!("{day}T10:00:00"), "UTC"),
        )
        .await;
    }
    let first = app.viewer.get("/v1/events?limit=2").await.expect(200);
    assert_eq!(first["items"][0]["starts_at"], "2027-06-01T10:00:00Z");
    assert_eq!(first["items"][1]["starts_at"], "2027-06-02T10:00:00Z");
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = app
        .viewer
        .get(&format!("/v1/events?limit=2&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    let some = app
        .viewer
        .get("/v1/events?starts_before=2027-06-02T00:00:00Z&status=DRAFT")
        .await
        .expect(200);
    assert_eq!(some["items"].as_array().unwrap().len(), 1);
    let other = app
        .viewer
        .get(&format!("/v1/events?limit=2&status=DRAFT&cursor={cursor}"))
        .await;
    other.expect_problem(400, "invalid_cursor");
}

#[sqlx::test]
async fn a_time_beyond_those_of_the_database_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for filter in [
        "events?ends_after",
        "events?starts_before",
        "tasks?due_before",
        "tasks?due_after",
    ] {
        let path = format!("/v1/{filter}=-009000-01-01T00:00:00Z");
        let answer = app.viewer.get(&path).await;
        answer.expect_problem(400, "malformed_request");
    }
}

#[sqlx::test]
async fn an_event_with_bookings_is_neither_moved_nor_deleted(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "moved").await;
    let booking = app
        .viewer
        .get(&format!("/v1/bookings/{}", scene.booking_id))
        .await
        .expect(200);
    let path = format!("/v1/events/{}", booking["event_id"].as_str().unwrap());
    let moved = json!({"local_start": "2027-06-13T18:00:00"});
    app.planner
        .patch(&path, "*", &moved)
        .await
        .expect_problem(409, "event_has_bookings");
    app.planner
        .patch(&path, "*", &json!({"title": "Same time"}))
        .await
        .expect(200);
    app.planner
        .delete(&path, "*")
        .await
        .expect_problem(409, "in_use");
    app.planner
        .delete(&format!("/v1/events/{}", scene.event_id), "*")
        .await
        .expect(204);
}

#[sqlx::test]
async fn a_hundred_changes_of_one_version_have_one_winner(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let created = app.planner.post("/v1/events", &event()).await;
    let path = created.header("location").to_owned();
    let patches = (0..100).map(|number| {
        let (planner, path, etag) = (app.planner.clone(), path.clone(), created.etag().to_owned());
        async move {
            planner
                .patch(&path, &etag, &json!({"title": format!("T{number}")}))
                .await
                .status
                .as_u16()
        }
    });
    let statuses = futures_util::future::join_all(patches).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 99);
}
