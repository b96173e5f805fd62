//! Moving events: the preview tells what the live call does, and the database decides who gets a place.

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    scene::{Scene, brief, caterer, create, event, id, venue},
    support::{Answer, Client, TestApp},
};

async fn event_at(app: &TestApp, local_start: &str) -> Uuid {
    let mut new = event();
    new["local_start"] = json!(local_start);
    create(&app.planner, "/v1/events", &new).await
}

async fn book(app: &TestApp, event_id: Uuid, body: Value) -> Uuid {
    create(
        &app.planner,
        &format!("/v1/events/{event_id}/bookings"),
        &body,
    )
    .await
}

async fn confirm(app: &TestApp, event_id: Uuid) {
    let path = format!("/v1/events/{event_id}/confirm");
    app.planner
        .post_once(&format!("confirm {event_id}"), &path, &Value::Null)
        .await
        .expect(200);
}

/// A request under a key of its own.
async fn send(
    client: &Client,
    event_id: Uuid,
    query: &str,
    body: &Value,
    if_match: &str,
) -> Answer {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    let key = Uuid::from_bytes(bytes).to_string();
    let path = format!("/v1/events/{event_id}/reschedule{query}");
    client
        .post_with(
            &path,
            body,
            &[("idempotency-key", &key), ("if-match", if_match)],
        )
        .await
}

async fn preview(app: &TestApp, event_id: Uuid, body: &Value) -> Answer {
    send(&app.planner, event_id, "?validate_only=true", body, "*").await
}

async fn reschedule(app: &TestApp, event_id: Uuid, body: &Value) -> Answer {
    send(&app.planner, event_id, "", body, "*").await
}

async fn booking(app: &TestApp, id: Uuid) -> Value {
    app.viewer
        .get(&format!("/v1/bookings/{id}"))
        .await
        .expect(200)
}

#[sqlx::test]
async fn the_preview_tells_what_the_live_call_does(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "preview").await;
    let event_id = event_at(&app, "2027-06-14T18:00:00").await;
    app.planner
        .patch(
            &format!("/v1/events/{event_id}"),
            "*",
            &json!({"contact_email": "ada@example.com"}),
        )
        .await
        .expect(200);
    let venue = book(
        &app,
        event_id,
        json!({"venue_id": scene.venue_id, "number_of_guests": 40}),
    )
    .await;
    let caterer = book(
        &app,
        event_id,
        json!({"caterer_id": scene.caterer_id, "number_of_guests": 40}),
    )
    .await;
    confirm(&app, event_id).await;
    let task = json!({"title": "Cake", "assignee_id": app.owner_id, "due": {"days_before": 14}});
    let task = app
        .planner
        .post(&format!("/v1/events/{event_id}/tasks"), &task)
        .await
        .expect(201);
    let to = json!({"local_start": "2027-07-03T19:00:00"});
    let before = (booking(&app, venue).await, booking(&app, caterer).await);
    let seen = preview(&app, event_id, &to).await;
    assert_eq!(seen.etag(), "");
    let seen = seen.expect(200);
    assert_eq!(seen["blockers"], json!([]));
    assert_eq!(seen["event"]["starts_at"], "2027-07-03T18:00:00Z");
    let outcomes: Vec<_> = seen["bookings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["MOVED", "MOVED"]);
    let moved = &seen["tasks"][0];
    assert_eq!(moved["task_id"], task["id"]);
    assert_eq!(
        moved["due_at"],
        json!({"from": "2027-05-31T16:00:00Z", "to": "2027-06-19T16:00:00Z"})
    );
    // There is neither Twilio nor Slack, and a draft tells nobody.
    assert_eq!(seen["notices"], json!([]));
    assert_eq!(
        before,
        (booking(&app, venue).await, booking(&app, caterer).await)
    );
    assert_eq!(
        app.viewer
            .get(&format!("/v1/events/{event_id}"))
            .await
            .expect(200)["starts_at"],
        "2027-06-14T17:00:00Z"
    );

    let mut live = to.clone();
    live["preview_token"] = seen["preview_token"].clone();
    let done = reschedule(&app, event_id, &live).await;
    assert_eq!(done.expect(200), seen);
    assert_eq!(
        done.etag(),
        app.viewer
            .get(&format!("/v1/events/{event_id}"))
            .await
            .etag()
    );
    let after = booking(&app, venue).await;
    assert_eq!(
        (&after["starts_at"], &after["service_date"]),
        (&json!("2027-07-03T18:00:00Z"), &json!("2027-07-03"))
    );
    assert_eq!(
        (&after["status"], &after["total"]),
        (&json!("CONFIRMED"), &before.0["total"])
    );
    assert_eq!(booking(&app, caterer).await["service_date"], "2027-07-03");
    let trail = app
        .owner
        .get(&format!(
            "/v1/audit?subject_id={event_id}&action=event.rescheduled"
        ))
        .await
        .expect(200);
    assert_eq!(
        trail["items"][0]["before"]["starts_at"],
        "2027-06-14T17:00:00Z"
    );
    assert_eq!(trail["items"].as_array().unwrap().len(), 1);
    // The old place is free again, the new one is not.
    let other = event_at(&app, "2027-06-14T18:00:00").await;
    book(
        &app,
        other,
        json!({"venue_id": scene.venue_id, "number_of_guests": 40}),
    )
    .await;
    reschedule(&app, other, &to)
        .await
        .expect_problem(409, "double_booking");
}

#[sqlx::test]
async fn what_is_in_the_way_is_named_or_released(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "conflict").await;
    let event_id = event_at(&app, "2027-06-20T18:00:00").await;
    let venue = book(
        &app,
        event_id,
        json!({"venue_id": scene.venue_id, "number_of_guests": 40}),
    )
    .await;
    let caterer = book(
        &app,
        event_id,
        json!({"caterer_id": scene.caterer_id, "number_of_guests": 40}),
    )
    .await;
    confirm(&app, event_id).await;
    // The scene's own booking is at that time.
    let to = json!({"local_start": "2027-06-12T18:00:00"});
    let seen = preview(&app, event_id, &to).await.expect(200);
    assert_eq!(seen["bookings"][0]["outcome"], "CONFLICT");
    assert_eq!(
        id(&seen["bookings"][0]["conflicts"][0]["id"]),
        scene.booking_id
    );
    assert_eq!(seen["bookings"][1]["outcome"], "MOVED");
    assert_eq!(seen["blockers"][0]["code"], "double_booking");
    assert_eq!(seen["blockers"][0]["booking_ids"], json!([venue]));
    let problem = reschedule(&app, event_id, &to)
        .await
        .expect_problem(409, "double_booking");
    assert_eq!(id(&problem["conflicts"][0]["id"]), scene.booking_id);
    // Nothing is half done.
    assert_eq!(booking(&app, caterer).await["service_date"], "2027-06-20");
    assert_eq!(
        app.viewer
            .get(&format!("/v1/events/{event_id}"))
            .await
            .expect(200)["starts_at"],
        "2027-06-20T17:00:00Z"
    );

    let to = json!({"local_start": "2027-06-12T18:00:00", "drop_conflicting": true});
    let seen = preview(&app, event_id, &to).await.expect(200);
    assert_eq!(seen["blockers"], json!([]));
    let done = reschedule(&app, event_id, &to).await.expect(200);
    assert_eq!(done["bookings"][0]["outcome"], "CONFLICT");
    // 156 days ahead of the day it was booked for it costs nothing.
    assert_eq!(done["bookings"][0]["released"]["fee"]["amount"], 0);
    assert_eq!(booking(&app, venue).await["status"], "CANCELLED");
    assert_eq!(booking(&app, caterer).await["service_date"], "2027-06-12");
}

#[sqlx::test]
async fn the_run_of_a_booking_ends_with_the_last_that_is_released(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "released").await;
    let organization = format!("/v1/organizations/{}", app.organization_id);
    let on = json!({"booking_run": "ON"});
    app.owner.patch(&organization, "*", &on).await.expect(200);
    let event_id = event_at(&app, "2027-06-20T18:00:00").await;
    let room = json!({"venue_id": scene.venue_id, "number_of_guests": 40});
    book(&app, event_id, room).await;
    let run = async || {
        let path = format!("/v1/orchestrations?event_id={event_id}");
        app.viewer.get(&path).await.expect(200)["items"][0]["status"].clone()
    };
    assert_eq!(run().await, "QUEUED");
    // The scene's own booking is at that time.
    let to = json!({"local_start": "2027-06-12T18:00:00", "drop_conflicting": true});
    reschedule(&app, event_id, &to).await.expect(200);
    assert_eq!(run().await, "CANCELLED");
}

#[sqlx::test]
async fn a_closed_day_is_told_from_a_taken_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "closed").await;
    let event_id = event_at(&app, "2027-06-20T18:00:00").await;
    book(
        &app,
        event_id,
        json!({"venue_id": scene.venue_id, "number_of_guests": 40}),
    )
    .await;
    // The scene's places are closed on the first two days of 2028.
    let seen = preview(
        &app,
        event_id,
        &json!({"local_start": "2028-01-01T18:00:00"}),
    )
    .await
    .expect(200);
    assert_eq!(seen["bookings"][0]["outcome"], "BLOCKED_DATE");
    assert_eq!(seen["bookings"][0]["conflicts"][0]["kind"], "BLOCKED_DATE");
}

#[sqlx::test]
async fn an_event_is_not_in_its_own_way(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut buffered = venue("Own");
    buffered["setup_minutes"] = json!(60);
    buffered["teardown_minutes"] = json!(30);
    let venue_id = create(&app.planner, "/v1/venues", &buffered).await;
    let mut twice = caterer("Own");
    twice["daily_capacity"] = json!(2);
    let caterer_id = create(&app.planner, "/v1/caterers", &twice).await;
    let event_id = event_at(&app, "2027-06-12T18:00:00").await;
    let hall = book(
        &app,
        event_id,
        json!({"venue_id": venue_id, "number_of_guests": 40}),
    )
    .await;
    let food = [
        book(
            &app,
            event_id,
            json!({"caterer_id": caterer_id, "number_of_guests": 40}),
        )
        .await,
        book(
            &app,
            event_id,
            json!({"caterer_id": caterer_id, "number_of_guests": 20}),
        )
        .await,
    ];
    reschedule(
        &app,
        event_id,
        &json!({"local_start": "2027-06-12T19:00:00"}),
    )
    .await
    .expect(200);
    let moved = booking(&app, hall).await;
    assert_eq!(
        (&moved["occupied_from"], &moved["occupied_until"]),
        (
            &json!("2027-06-12T17:00:00Z"),
            &json!("2027-06-12T22:30:00Z")
        )
    );
    // Both of the caterer's places move to another day; with one of them taken there, only one does.
    reschedule(
        &app,
        event_id,
        &json!({"local_start": "2027-06-13T19:00:00"}),
    )
    .await
    .expect(200);
    let other = event_at(&app, "2027-06-15T18:00:00").await;
    book(
        &app,
        other,
        json!({"caterer_id": caterer_id, "number_of_guests": 40}),
    )
    .await;
    let seen = preview(
        &app,
        event_id,
        &json!({"local_start": "2027-06-15T12:00:00"}),
    )
    .await
    .expect(200);
    let outcomes: Vec<_> = seen["bookings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["MOVED", "MOVED", "CONFLICT"]);
    assert_eq!(seen["blockers"][0]["booking_ids"], json!([food[1]]));
    assert_eq!(booking(&app, food[0]).await["service_date"], "2027-06-13");
    // A caterer serves one day.
    reschedule(
        &app,
        event_id,
        &json!({"local_start": "2027-06-18T12:00:00", "duration_minutes": 2_880}),
    )
    .await
    .expect_invalid(&["#/duration_minutes"]);
}

#[sqlx::test]
async fn only_hours_are_charged_anew_and_a_confirmed_price_changes_with_consent(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "price").await;
    let event_id = event_at(&app, "2027-06-20T18:00:00").await;
    let venue = book(
        &app,
        event_id,
        json!({"venue_id": scene.venue_id, "number_of_guests": 40}),
    )
    .await;
    // The catalogue's price is another by now; the booking keeps its own.
    let dearer = json!({"hourly_rate": {"amount": 99_000, "currency": "EUR"}, "hire_fee": {"amount": 1, "currency": "EUR"}});
    app.planner
        .patch(&format!("/v1/venues/{}", scene.venue_id), "*", &dearer)
        .await
        .expect(200);
    let longer =
        |hours: i32| json!({"local_start": "2027-06-21T18:00:00", "duration_minutes": hours * 60});
    // Held: 1,000.00 and five hours at 100.00, a fifth of it as a deposit.
    let done = reschedule(&app, event_id, &longer(5)).await.expect(200);
    assert_eq!(done["bookings"][0]["outcome"], "MOVED");
    assert_eq!(done["bookings"][0]["price"]["from"]["amount"], 140_000);
    assert_eq!(done["bookings"][0]["price"]["to"]["amount"], 150_000);
    let held = booking(&app, venue).await;
    assert_eq!(
        (&held["total"]["amount"], &held["deposit"]["amount"]),
        (&json!(150_000), &json!(30_000))
    );
    confirm(&app, event_id).await;
    let seen = preview(&app, event_id, &longer(6)).await.expect(200);
    assert_eq!(seen["bookings"][0]["outcome"], "NEEDS_RECONFIRMATION");
    assert_eq!(seen["blockers"][0]["code"], "price_changed");
    let problem = reschedule(&app, event_id, &longer(6))
        .await
        .expect_problem(409, "price_changed");
    assert_eq!(problem["bookings"][0]["price"]["to"]["amount"], 160_000);
    assert_eq!(booking(&app, venue).await["total"]["amount"], 150_000);
    let mut agreed = longer(6);
    agreed["reconfirm"] = json!(true);
    assert_eq!(
        reschedule(&app, event_id, &agreed).await.expect(200)["bookings"][0]["outcome"],
        "MOVED"
    );
    let confirmed = booking(&app, venue).await;
    assert_eq!(
        (&confirmed["status"], &confirmed["total"]["amount"]),
        (&json!("CONFIRMED"), &json!(160_000))
    );
    assert_eq!(confirmed["lines"][1]["quantity"], 360);
}

#[sqlx::test]
async fn a_preview_that_is_no_longer_true_is_not_carried_out(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "outdated").await;
    let event_id = event_at(&app, "2027-06-20T18:00:00").await;
    book(
        &app,
        event_id,
        json!({"venue_id": scene.venue_id, "number_of_guests": 40}),
    )
    .await;
    let task = json!({"title": "Cake", "due": {"days_before": 14}});
    let task = create(&app.planner, &format!("/v1/events/{event_id}/tasks"), &task).await;
    let to = json!({"local_start": "2027-07-03T19:00:00"});
    let with_token = async || {
        let seen = preview(&app, event_id, &to).await.expect(200);
        let mut live = to.clone();
        live["preview_token"] = seen["preview_token"].clone();
        live
    };
    let live = with_token().await;
    assert_eq!(
        live,
        with_token().await,
        "the same state gives the same token"
    );
    app.planner
        .patch(
            &format!("/v1/tasks/{task}"),
            "*",
            &json!({"due": {"days_before": 7}}),
        )
        .await
        .expect(200);
    reschedule(&app, event_id, &live)
        .await
        .expect_problem(409, "preview_outdated");
    let live = with_token().await;
    let other = event_at(&app, "2027-07-03T19:00:00").await;
    book(
        &app,
        other,
        json!({"venue_id": scene.venue_id, "number_of_guests": 40}),
    )
    .await;
    reschedule(&app, event_id, &live)
        .await
        .expect_problem(409, "preview_outdated");
    let mut elsewhere = live.clone();
    elsewhere["local_start"] = json!("2027-07-10T19:00:00");
    reschedule(&app, event_id, &elsewhere)
        .await
        .expect_problem(409, "preview_outdated");
    elsewhere.as_object_mut().unwrap().remove("preview_token");
    reschedule(&app, event_id, &elsewhere).await.expect(200);
}

#[sqlx::test]
async fn a_move_needs_a_version_and_a_key(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event_id = event_at(&app, "2027-06-20T18:00:00").await;
    let to = json!({"local_start": "2027-07-03T19:00:00"});
    let path = format!("/v1/events/{event_id}/reschedule");
    app.planner
        .post_once("k", &path, &to)
        .await
        .expect_problem(428, "precondition_required");
    app.planner
        .post_with(&path, &to, &[("if-match", "*")])
        .await
        .expect_problem(400, "idempotency_key_missing");
    send(&app.planner, event_id, "", &to, "\"7\"")
        .await
        .expect_problem(412, "precondition_failed");
    send(&app.planner, event_id, "", &to, "\"1\"")
        .await
        .expect(200);
    send(&app.planner, event_id, "", &to, "\"1\"")
        .await
        .expect_problem(412, "precondition_failed");
}

#[sqlx::test]
async fn wall_time_instants_and_zones_mean_what_they_say(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event_id = event_at(&app, "2027-06-20T18:00:00").await;
    let to = async |body: Value| preview(&app, event_id, &body).await;
    // On 28 March 2027 the clock in Lisbon goes from 01:00 to 02:00, on 31 October from 02:00 to 01:00.
    let gap = to(json!({"local_start": "2027-03-28T01:30:00"}))
        .await
        .expect(422);
    assert_eq!(gap["errors"][0]["code"], "nonexistent_local_time");
    let start = |answer: &Answer| {
        let event = answer.expect(200)["event"].clone();
        [
            &event["local_start"],
            &event["fold"],
            &event["starts_at"],
            &event["ends_at"],
        ]
        .map(|value| value.as_str().unwrap().to_owned())
    };
    let later = [
        "2027-10-31T01:30:00",
        "LATER",
        "2027-10-31T01:30:00Z",
        "2027-10-31T05:30:00Z",
    ];
    assert_eq!(
        start(&to(json!({"starts_at": "2027-10-31T01:30:00Z"})).await),
        later
    );
    assert_eq!(
        start(&to(json!({"local_start": "2027-10-31T01:30:00", "fold": "LATER"})).await),
        later
    );
    let earlier = [
        "2027-10-31T01:30:00",
        "EARLIER",
        "2027-10-31T00:30:00Z",
        "2027-10-31T04:30:00Z",
    ];
    assert_eq!(
        start(&to(json!({"starts_at": "2027-10-31T00:30:00Z"})).await),
        earlier
    );
    assert_eq!(
        start(&to(json!({"local_start": "2027-10-31T01:30:00"})).await),
        earlier
    );
    let leap = [
        "2028-02-29T09:00:00",
        "EARLIER",
        "2028-02-29T00:00:00Z",
        "2028-02-29T02:30:00Z",
    ];
    let body = json!({"local_start": "2028-02-29T09:00:00", "time_zone": "Asia/Tokyo", "duration_minutes": 150});
    assert_eq!(start(&to(body).await), leap);
    let body = json!({"starts_at": "2028-02-29T00:00:00Z", "ends_at": "2028-02-29T02:30:00Z", "time_zone": "Asia/Tokyo"});
    assert_eq!(start(&to(body).await), leap);
    to(json!({"local_start": "2027-02-29T09:00:00"}))
        .await
        .expect_invalid(&["#/local_start"]);
    for (body, pointer) in [
        (json!({"starts_at": "2027-01-15T07:59:00Z"}), "#/starts_at"),
        (
            json!({"starts_at": "2027-06-01T10:00:00.5Z"}),
            "#/starts_at",
        ),
        (
            json!({"starts_at": "2027-06-01T10:00:00Z", "ends_at": "2027-06-01T10:00:00Z"}),
            "#/ends_at",
        ),
        (
            json!({"starts_at": "2027-06-01T10:00:00Z", "ends_at": "2027-06-01T11:00:30Z"}),
            "#/ends_at",
        ),
        (
            json!({"starts_at": "2027-06-01T10:00:00Z", "time_zone": "Mars/Base"}),
            "#/time_zone",
        ),
        (
            json!({"starts_at": "2027-06-01T10:00:00Z", "local_start": "2027-06-01T10:00:00"}),
            "#",
        ),
        (
            json!({"starts_at": "2027-06-01T10:00:00Z", "fold": "LATER"}),
            "#",
        ),
        (json!({}), "#"),
    ] {
        to(body).await.expect_invalid(&[pointer]);
    }
}

#[sqlx::test]
async fn what_is_over_does_not_move(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event_id = event_at(&app, "2027-06-20T18:00:00").await;
    app.planner
        .post_once("c", &format!("/v1/events/{event_id}/cancel"), &Value::Null)
        .await
        .expect(200);
    let to = json!({"local_start": "2027-07-03T19:00:00"});
    reschedule(&app, event_id, &to)
        .await
        .expect_problem(409, "invalid_transition");
    send(&app.stranger, event_id, "", &to, "*")
        .await
        .expect_problem(404, "not_found");
}

#[sqlx::test]
async fn of_all_who_want_one_place_by_moving_or_booking_exactly_one_gets_it(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let venue_id = create(&app.planner, "/v1/venues", &venue("Storm")).await;
    let claim = json!({"venue_id": venue_id, "number_of_guests": 40});
    let to = json!({"local_start": "2027-09-04T18:00:00"});
    let mut movers = Vec::new();
    for day in 1..=20 {
        let event_id = event_at(&app, &format!("2027-08-{day:02}T18:00:00")).await;
        movers.push((event_id, book(&app, event_id, claim.clone()).await));
    }
    let newcomer = event_at(&app, "2027-09-04T18:00:00").await;
    let moving = movers.iter().map(|(event_id, _)| {
        let (planner, to, event_id) = (app.planner.clone(), to.clone(), *event_id);
        tokio::spawn(async move { send(&planner, event_id, "", &to, "*").await.status.as_u16() })
    });
    let booking_too = (0..20).map(|number| {
        let (planner, claim) = (app.planner.clone(), claim.clone());
        let path = format!("/v1/events/{newcomer}/bookings");
        tokio::spawn(async move {
            planner
                .post_once(&format!("{number}"), &path, &claim)
                .await
                .status
                .as_u16()
        })
    });
    let answers: Vec<_> = moving.zip(booking_too).flat_map(|(a, b)| [a, b]).collect();
    let mut won = 0;
    for answer in answers {
        match answer.await.unwrap() {
            200 | 201 => won += 1,
            409 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(won, 1);
    let there: i64 = sqlx::query_scalar("SELECT count(*) FROM bookings WHERE venue_id = $1 AND status <> 'CANCELLED' AND starts_at = '2027-09-04T17:00:00Z'")
        .bind(venue_id)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(there, 1);
    // Event and booking are together in every case.
    let apart: i64 = sqlx::query_scalar("SELECT count(*) FROM bookings b JOIN events e ON e.id = b.event_id WHERE b.starts_at <> e.starts_at")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(apart, 0);
}

#[sqlx::test]
async fn of_two_moves_from_one_version_one_is_made(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event_id = event_at(&app, "2027-06-20T18:00:00").await;
    let moving = (1..=10).map(|day| {
        let planner = app.planner.clone();
        let to = json!({"local_start": format!("2027-07-{day:02}T18:00:00")});
        tokio::spawn(async move {
            send(&planner, event_id, "", &to, "\"1\"")
                .await
                .status
                .as_u16()
        })
    });
    let mut statuses = Vec::new();
    for answer in moving.collect::<Vec<_>>() {
        statuses.push(answer.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(
        statuses[1..].iter().all(|status| *status == 412),
        "{statuses:?}"
    );
}

#[sqlx::test]
async fn planning_sees_where_bookings_went(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "planning").await;
    let venue = app
        .viewer
        .get(&format!("/v1/venues/{}", scene.venue_id))
        .await
        .expect(200);
    let offered = async |date: &str| {
        let mut brief = brief("");
        brief["event_date"] = json!(date);
        brief["location"] = json!({"city": venue["city"]});
        let plan = app.planner.post("/v1/plans", &brief).await.expect(201);
        !plan["options"].as_array().unwrap().is_empty()
    };
    assert!(!offered("2027-06-12").await);
    assert!(offered("2027-06-26").await);
    reschedule(
        &app,
        scene.booked_event_id,
        &json!({"local_start": "2027-06-26T18:00:00"}),
    )
    .await
    .expect(200);
    assert!(offered("2027-06-12").await);
    assert!(!offered("2027-06-26").await);
}

/// A planned event with somebody to text.
async fn planned(app: &TestApp) -> Uuid {
    let mut new = event();
    new["contact_phone"] = json!("+14155550123");
    let event_id = create(&app.planner, "/v1/events", &new).await;
    let plan = format!("/v1/events/{event_id}/plan");
    app.planner.post(&plan, &Value::Null).await.expect(200);
    event_id
}

async fn messages(app: &TestApp, event_id: Uuid) -> Vec<Value> {
    let path = format!("/v1/messages?event_id={event_id}");
    let listed = app.viewer.get(&path).await.expect(200);
    listed["items"].as_array().unwrap().clone()
}

#[sqlx::test]
async fn exactly_the_notices_of_the_preview_are_queued(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let event_id = planned(&app).await;
    let template = json!({"name": "Moved", "channel": "SMS", "text": "Now on {{event.date}}"});
    let template_id = create(&app.planner, "/v1/message-templates", &template).await;
    let mut to = json!({"local_start": "2027-06-19T19:00:00", "notify": [
        {"recipient": "CONTACT", "template_id": template_id}, {"recipient": "TEAM"}]});
    let seen = preview(&app, event_id, &to).await.expect(200);
    assert_eq!(
        seen["notices"],
        json!([
            {"recipient": "CONTACT", "channel": "SMS", "to": "+14155550123", "text": "Now on 19 June 2027",
             "template_id": template_id, "template_version": 1, "status": "QUEUED"},
            {"recipient": "TEAM", "channel": "SLACK", "to": "events",
             "text": "Offsite has moved: Saturday, 19 June 2027, 19:00 (Europe/Lisbon).",
             "template_id": null, "template_version": null, "status": "QUEUED"},
        ])
    );
    assert_eq!(messages(&app, event_id).await, Vec::<Value>::new());

    // Other words than were seen are not sent.
    to["preview_token"] = seen["preview_token"].clone();
    let path = format!("/v1/message-templates/{template_id}");
    let patch = json!({"text": "Now on {{event.weekday}}"});
    app.planner.patch(&path, "*", &patch).await.expect(200);
    let outdated = reschedule(&app, event_id, &to).await;
    outdated.expect_problem(409, "preview_outdated");
    assert_eq!(messages(&app, event_id).await, Vec::<Value>::new());

    to["preview_token"] = Value::Null;
    let seen = preview(&app, event_id, &to).await.expect(200);
    to["preview_token"] = seen["preview_token"].clone();
    let moved = reschedule(&app, event_id, &to).await.expect(200);
    assert_eq!(moved["notices"], seen["notices"]);
    let told = |message: &Value| json!({"to": message["recipient"], "text": message["text"], "template_version": message["template_version"]});
    let sent: Vec<_> = messages(&app, event_id).await.iter().map(told).collect();
    assert_eq!(
        sent,
        [
            json!({"to": "+14155550123", "text": "Now on Saturday", "template_version": 2}),
            json!({"to": "events", "text": moved["notices"][1]["text"], "template_version": null}),
        ]
    );
}

#[sqlx::test]
async fn who_is_told_of_a_move_is_chosen(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let draft = event_at(&app, "2027-06-14T18:00:00").await;
    let to = json!({"local_start": "2027-06-19T19:00:00"});
    let moved = reschedule(&app, draft, &to).await.expect(200);
    assert_eq!(moved["notices"], json!([]), "a draft tells nobody");

    let event_id = planned(&app).await;
    let moved = reschedule(&app, event_id, &to).await.expect(200);
    let channels = |moved: &Value| {
        let notices = moved["notices"].as_array().unwrap().iter();
        notices
            .map(|notice| notice["channel"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(channels(&moved), ["SMS", "SLACK"]);
    // Another move is another notice, also back to where it was.
    let back = json!({"local_start": "2027-06-12T18:00:00"});
    reschedule(&app, event_id, &back).await.expect(200);
    reschedule(&app, event_id, &to).await.expect(200);
    assert_eq!(messages(&app, event_id).await.len(), 6);
    // The same one twice is one message.
    let twice = json!({"local_start": "2027-06-12T18:00:00",
        "notify": [{"recipient": "TEAM"}, {"recipient": "TEAM"}]});
    reschedule(&app, event_id, &twice).await.expect(200);
    assert_eq!(messages(&app, event_id).await.len(), 7);
    let nobody = json!({"local_start": "2027-06-19T19:00:00", "notify": []});
    let moved = reschedule(&app, event_id, &nobody).await.expect(200);
    assert_eq!(moved["notices"], json!([]));

    let wrong = json!({"local_start": "2027-06-20T19:00:00", "notify": [{"recipient": "CONTACT"}]});
    reschedule(&app, draft, &wrong)
        .await
        .expect_invalid(&["#/notify/0"]);
    let wrong = json!({"local_start": "2027-06-20T19:00:00",
        "notify": [{"recipient": "TEAM"}, {"recipient": "TEAM", "template_id": event_id}]});
    reschedule(&app, event_id, &wrong)
        .await
        .expect_invalid(&["#/notify/1/template_id"]);
    assert_eq!(messages(&app, event_id).await.len(), 7);
}

#[sqlx::test]
async fn a_move_tells_when_reminders_are_due_then(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event_id = event_at(&app, "2027-06-14T18:00:00").await;
    let path = format!("/v1/events/{event_id}/reminders");
    let reminder =
        json!({"offset": "P1D", "local_time": "09:00", "channel": "SLACK", "text": "Tomorrow"});
    let reminder_id = create(&app.planner, &path, &reminder).await;
    let to = json!({"local_start": "2027-01-16T08:00:00"});
    let seen = preview(&app, event_id, &to).await.expect(200);
    assert_eq!(
        seen["reminders"],
        json!([{"reminder_id": reminder_id, "channel": "SLACK", "is_past": true,
                "due_at": {"from": "2027-06-13T08:00:00Z", "to": "2027-01-15T09:00:00Z"}}])
    );
    let moved = reschedule(&app, event_id, &to).await.expect(200);
    assert_eq!(moved["reminders"], seen["reminders"]);
    let reminder = app
        .viewer
        .get(&format!("{path}/{reminder_id}"))
        .await
        .expect(200);
    assert_eq!(reminder["due_at"], "2027-01-15T09:00:00Z");
    // A longer event begins when it began.
    let longer = json!({"local_start": "2027-01-16T08:00:00", "duration_minutes": 300});
    let moved = reschedule(&app, event_id, &longer).await.expect(200);
    assert_eq!(moved["reminders"], json!([]));
}
