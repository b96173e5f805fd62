//! Bookings: never two claims on one room and time, fees on the agreed terms, holds that expire.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    scene::{Scene, caterer, create, event, id, venue},
    support::{Answer, TestApp},
};

async fn book(app: &TestApp, key: &str, event_id: Uuid, body: &Value) -> Answer {
    app.planner
        .post_once(key, &format!("/v1/events/{event_id}/bookings"), body)
        .await
}

#[sqlx::test]
async fn a_booking_holds_the_catalogues_price(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "price").await;
    let booking = app
        .viewer
        .get(&format!("/v1/bookings/{}", scene.booking_id))
        .await
        .expect(200);
    assert_eq!(booking["status"], "HELD");
    // 1,000.00 for the hire and four hours at 100.00; a fifth of it as a deposit.
    assert_eq!(
        booking["total"],
        json!({"amount": 140_000, "currency": "EUR"})
    );
    assert_eq!(
        booking["deposit"],
        json!({"amount": 28_000, "currency": "EUR"})
    );
    let codes: Vec<_> = booking["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["code"].clone())
        .collect();
    assert_eq!(codes, ["VENUE_HIRE", "VENUE_HOURS"]);
    assert_eq!(booking["expires_at"], "2027-01-17T12:00:00Z");
    let preview = format!("/v1/events/{}/bookings?validate_only=true", scene.event_id);
    let body = json!({"caterer_id": scene.caterer_id, "number_of_guests": 40});
    assert_eq!(
        app.planner
            .post_once("p", &preview, &body)
            .await
            .expect(200)["status"],
        "HELD"
    );
    let list = app
        .viewer
        .get(&format!("/v1/bookings?event_id={}", scene.event_id))
        .await
        .expect(200);
    assert_eq!(list["items"], json!([]));
}

#[sqlx::test]
async fn a_second_claim_on_a_room_and_time_is_refused_and_told_why(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "twice").await;
    let body = json!({"venue_id": scene.venue_id, "number_of_guests": 40});
    let problem = book(&app, "1", scene.event_id, &body)
        .await
        .expect_problem(409, "double_booking");
    let conflict = &problem["conflicts"][0];
    assert_eq!(conflict["kind"], "BOOKING");
    assert_eq!(id(&conflict["id"]), scene.booking_id);
    assert_eq!(id(&conflict["venue_id"]), scene.venue_id);
}

#[sqlx::test]
async fn money_needs_an_idempotency_key(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "key").await;
    let confirm = format!("/v1/bookings/{}/confirm", scene.booking_id);
    app.planner
        .post(&confirm, &Value::Null)
        .await
        .expect_problem(400, "idempotency_key_missing");
    let first = app.planner.post_once("a", &confirm, &Value::Null).await;
    let again = app.planner.post_once("a", &confirm, &Value::Null).await;
    assert_eq!(first.expect(200)["status"], "CONFIRMED");
    assert_eq!(first.bytes, again.bytes);
    app.planner
        .post_once("b", &confirm, &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
}

#[sqlx::test]
async fn set_up_and_tear_down_keep_events_apart(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut buffered = venue("Buffer");
    buffered["setup_minutes"] = json!(60);
    buffered["teardown_minutes"] = json!(30);
    let venue_id = create(&app.planner, "/v1/venues", &buffered).await;
    let body = json!({"venue_id": venue_id, "number_of_guests": 40});
    let start = async |local: &str| {
        let mut event = event();
        event["local_start"] = json!(local);
        create(&app.planner, "/v1/events", &event).await
    };
    // 18:00 to 22:00, so occupied from 17:00 to 22:30.
    book(&app, "1", start("2027-06-12T18:00:00").await, &body)
        .await
        .expect(201);
    book(&app, "2", start("2027-06-12T23:00:00").await, &body)
        .await
        .expect_problem(409, "double_booking");
    book(&app, "3", start("2027-06-12T23:30:00").await, &body)
        .await
        .expect(201);
    book(&app, "4", start("2027-06-12T12:31:00").await, &body)
        .await
        .expect_problem(409, "double_booking");
    book(&app, "5", start("2027-06-12T12:30:00").await, &body)
        .await
        .expect(201);
}

#[sqlx::test]
async fn a_caterer_serves_as_many_events_a_day_as_it_can(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut busy = caterer("Busy");
    busy["daily_capacity"] = json!(2);
    let caterer_id = create(&app.planner, "/v1/caterers", &busy).await;
    let body = json!({"caterer_id": caterer_id, "number_of_guests": 40});
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let first = book(&app, "1", event_id, &body).await.expect(201);
    assert_eq!(
        first["total"],
        json!({"amount": 120_000, "currency": "EUR"})
    );
    assert_eq!(first["deposit"]["amount"], 12_000);
    book(&app, "2", event_id, &body).await.expect(201);
    let problem = book(&app, "3", event_id, &body)
        .await
        .expect_problem(409, "double_booking");
    assert_eq!(problem["conflicts"].as_array().unwrap().len(), 2);
    assert_eq!(problem["conflicts"][0]["kind"], "DAILY_CAPACITY");
    let cancel = format!("/v1/bookings/{}/cancel", first["id"].as_str().unwrap());
    app.planner
        .post_once("c", &cancel, &Value::Null)
        .await
        .expect(200);
    book(&app, "4", event_id, &body).await.expect(201);
}

#[sqlx::test]
async fn a_blocked_day_cannot_be_booked(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let venue_id = create(&app.planner, "/v1/venues", &venue("Blocked")).await;
    let blocked = json!({"from_date": "2027-06-10", "to_date": "2027-06-12", "reason": "painting"});
    create(
        &app.planner,
        &format!("/v1/venues/{venue_id}/blocked-dates"),
        &blocked,
    )
    .await;
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let body = json!({"venue_id": venue_id, "number_of_guests": 40});
    let problem = book(&app, "1", event_id, &body)
        .await
        .expect_problem(409, "double_booking");
    assert_eq!(problem["conflicts"][0]["kind"], "BLOCKED_DATE");
}

#[sqlx::test]
async fn blocked_days_are_days_of_the_venue_and_touched_by_any_moment(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let venue_id = create(&app.planner, "/v1/venues", &venue("Closed")).await;
    let blocked = json!({"from_date": "2027-06-13", "to_date": "2027-06-13"});
    create(
        &app.planner,
        &format!("/v1/venues/{venue_id}/blocked-dates"),
        &blocked,
    )
    .await;
    let body = json!({"venue_id": venue_id, "number_of_guests": 40});
    let at = async |local: &str, zone: &str, minutes: i32| {
        let mut event = event();
        event["local_start"] = json!(local);
        event["time_zone"] = json!(zone);
        event["duration_minutes"] = json!(minutes);
        let event_id = create(&app.planner, "/v1/events", &event).await;
        let path = format!("/v1/events/{event_id}/bookings?validate_only=true");
        app.planner
            .post_once(&format!("{local}{zone}"), &path, &body)
            .await
    };
    at("2027-06-12T20:00:00", "Europe/Lisbon", 240)
        .await
        .expect(200);
    at("2027-06-12T21:00:00", "Europe/Lisbon", 240)
        .await
        .expect_problem(409, "double_booking");
    at("2027-06-11T12:00:00", "Europe/Lisbon", 4_320)
        .await
        .expect_problem(409, "double_booking");
    // Monday morning in Tokyo is still Sunday in Lisbon, and Sunday evening in Los Angeles is Monday.
    at("2027-06-14T06:00:00", "Asia/Tokyo", 60)
        .await
        .expect_problem(409, "double_booking");
    at("2027-06-13T17:00:00", "America/Los_Angeles", 60)
        .await
        .expect(200);
}

#[sqlx::test]
async fn a_caterer_serves_one_day_and_nobody_the_past(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "days").await;
    let mut long = event();
    long["duration_minutes"] = json!(2_880);
    let long = create(&app.planner, "/v1/events", &long).await;
    let body = json!({"caterer_id": scene.caterer_id, "number_of_guests": 40});
    book(&app, "1", long, &body)
        .await
        .expect_invalid(&["#/caterer_id"]);
    app.advance(Duration::from_hours(24 * 365));
    book(&app, "2", scene.event_id, &body)
        .await
        .expect_problem(409, "invalid_transition");
}

#[sqlx::test]
async fn a_room_too_small_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "small").await;
    let body = json!({"venue_id": scene.venue_id, "number_of_guests": 101});
    book(&app, "1", scene.event_id, &body)
        .await
        .expect_invalid(&["#/number_of_guests"]);
    let both =
        json!({"venue_id": scene.venue_id, "caterer_id": scene.caterer_id, "number_of_guests": 1});
    book(&app, "2", scene.event_id, &both)
        .await
        .expect_problem(422, "invalid_fields");
}

#[sqlx::test]
async fn a_hold_that_nobody_confirms_ends(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "expiry").await;
    let path = format!("/v1/bookings/{}", scene.booking_id);
    app.advance(Duration::from_hours(49));
    let confirm = app
        .planner
        .post_once("a", &format!("{path}/confirm"), &Value::Null)
        .await;
    confirm.expect_problem(409, "hold_expired");
    let body = json!({"venue_id": scene.venue_id, "number_of_guests": 40});
    book(&app, "1", scene.event_id, &body).await.expect(201);
    let released = app.planner.get(&path).await.expect(200);
    assert_eq!(released["status"], "CANCELLED");
    assert_eq!(released["cancellation_reason"], "EXPIRED");
    app.planner
        .post_once("b", &format!("{path}/confirm"), &Value::Null)
        .await
        .expect_problem(409, "hold_expired");
}

#[sqlx::test]
async fn the_sweeper_releases_expired_holds_of_everybody(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mine = Scene::new(&app, "mine").await;
    Scene::for_client(&app, &app.stranger, "theirs").await;
    app.advance(Duration::from_hours(49));
    assert_eq!(
        event_planner_api::bookings::release_expired(&app.app)
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        event_planner_api::bookings::release_expired(&app.app)
            .await
            .unwrap(),
        0
    );
    let booking = app
        .planner
        .get(&format!("/v1/bookings/{}", mine.booking_id))
        .await
        .expect(200);
    assert_eq!(booking["cancellation_reason"], "EXPIRED");
    let trail = app
        .owner
        .get("/v1/audit?action=booking.expired")
        .await
        .expect(200);
    assert_eq!(trail["items"][0]["actor_kind"], "SYSTEM");
}

#[sqlx::test]
async fn cancelling_costs_what_was_agreed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "fees").await;
    let path = format!("/v1/bookings/{}", scene.booking_id);
    app.planner
        .post_once("a", &format!("{path}/confirm"), &Value::Null)
        .await
        .expect(200);
    let paid = json!({"kind": "DEPOSIT", "method": "BANK_TRANSFER", "amount": {"amount": 28_000, "currency": "EUR"}});
    app.planner
        .post_once("p", &format!("{path}/payments"), &paid)
        .await
        .expect(201);
    // The terms change in the catalogue; the booking keeps those it was made on.
    let catalogue = format!("/v1/venues/{}", scene.venue_id);
    app.planner
        .patch(&catalogue, "*", &json!({"cancellation_terms": []}))
        .await
        .expect(200);
    // 148 days ahead it is free, and the deposit comes back.
    let preview = format!("{path}/cancel?validate_only=true");
    let early = app
        .planner
        .post_once("b", &preview, &Value::Null)
        .await
        .expect(200);
    assert_eq!(early["fee"]["amount"], 0);
    assert_eq!(early["refund_due"]["amount"], 28_000);
    assert_eq!(
        app.planner.get(&path).await.expect(200)["status"],
        "CONFIRMED"
    );
    // From Friday, 15 January to Saturday, 12 June are 148 days; 10 days ahead, half of 1,400.00.
    app.advance(Duration::from_hours(24 * 138));
    let late = app
        .planner
        .post_once("c", &format!("{path}/cancel"), &Value::Null)
        .await
        .expect(200);
    assert_eq!(late["fee"]["amount"], 70_000);
    assert_eq!(late["balance_due"]["amount"], 42_000);
    assert_eq!(late["booking"]["status"], "CANCELLED");
    app.planner
        .post_once("d", &format!("{path}/cancel"), &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
}

#[sqlx::test]
async fn the_budget_tells_planned_held_committed_and_paid(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "budget").await;
    let mut new = event();
    new["local_start"] = json!("2027-06-14T18:00:00");
    new["budget"] = json!({"amount": 200_000, "currency": "EUR"});
    let event_id = create(&app.planner, "/v1/events", &new).await;
    let path = format!("/v1/events/{event_id}/budget");
    let empty = app.viewer.get(&path).await.expect(200);
    assert_eq!(empty["currencies"][0]["available"]["amount"], 200_000);
    let venue = json!({"venue_id": scene.venue_id, "number_of_guests": 40});
    let venue = book(&app, "1", event_id, &venue).await.expect(201);
    let caterer = json!({"caterer_id": scene.caterer_id, "number_of_guests": 40});
    book(&app, "2", event_id, &caterer).await.expect(201);
    let booking = format!("/v1/bookings/{}", venue["id"].as_str().unwrap());
    app.planner
        .post_once("3", &format!("{booking}/confirm"), &Value::Null)
        .await
        .expect(200);
    let paid = json!({"kind": "DEPOSIT", "method": "CARD", "amount": {"amount": 28_000, "currency": "EUR"}});
    app.planner
        .post_once("4", &format!("{booking}/payments"), &paid)
        .await
        .expect(201);
    let budget = app.viewer.get(&path).await.expect(200)["currencies"][0].clone();
    let amounts = [
        "planned",
        "held",
        "committed",
        "paid",
        "available",
        "exceeded_by",
    ]
    .map(|key| budget[key]["amount"].as_i64());
    assert_eq!(
        amounts,
        [200_000, 120_000, 140_000, 28_000, 0, 60_000].map(Some)
    );
    let payments = app
        .viewer
        .get(&format!("{booking}/payments"))
        .await
        .expect(200);
    assert_eq!(payments["items"][0]["amount"]["amount"], 28_000);
    let more = json!({"kind": "BALANCE", "method": "CARD", "amount": {"amount": 112_001, "currency": "EUR"}});
    app.planner
        .post_once("7", &format!("{booking}/payments"), &more)
        .await
        .expect_invalid(&["#/amount/amount"]);
    let refund = json!({"kind": "REFUND", "method": "CARD", "amount": {"amount": 28_001, "currency": "EUR"}});
    app.planner
        .post_once("5", &format!("{booking}/payments"), &refund)
        .await
        .expect_invalid(&["#/amount/amount"]);
    let other =
        json!({"kind": "DEPOSIT", "method": "CARD", "amount": {"amount": 1, "currency": "USD"}});
    app.planner
        .post_once("6", &format!("{booking}/payments"), &other)
        .await
        .expect_invalid(&["#/amount/currency"]);
}

#[sqlx::test]
async fn a_cancelled_event_gives_its_places_back(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "cancel").await;
    let booked = app
        .planner
        .post_once(
            "1",
            &format!("/v1/plans/{}/options/1/book", scene.plan_id),
            &json!({}),
        )
        .await;
    let booked = booked.expect(201);
    let event = format!("/v1/events/{}", booked["event"]["id"].as_str().unwrap());
    app.planner
        .post_once("2", &format!("{event}/confirm"), &Value::Null)
        .await
        .expect(200);
    let preview = app
        .planner
        .post_once(
            "3",
            &format!("{event}/cancel?validate_only=true"),
            &Value::Null,
        )
        .await;
    assert_eq!(preview.expect(200)["bookings"].as_array().unwrap().len(), 2);
    let cancelled = app
        .planner
        .post_once("4", &format!("{event}/cancel"), &Value::Null)
        .await
        .expect(200);
    assert_eq!(cancelled["event"]["status"], "CANCELLED");
    assert_eq!(cancelled["bookings"], preview.expect(200)["bookings"]);
    let again = app
        .planner
        .post_once(
            "5",
            &format!("/v1/plans/{}/options/1/book", scene.plan_id),
            &json!({}),
        )
        .await;
    again.expect(201);
    app.planner
        .post_once("6", &format!("{event}/cancel"), &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
}

#[sqlx::test]
async fn of_two_hundred_who_want_one_room_exactly_one_gets_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let venue_id = create(&app.planner, "/v1/venues", &venue("Storm")).await;
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let body = json!({"venue_id": venue_id, "number_of_guests": 40});
    let wanting = (0..200).map(|number| {
        let (planner, body) = (app.planner.clone(), body.clone());
        let path = format!("/v1/events/{event_id}/bookings");
        tokio::spawn(async move { planner.post_once(&format!("{number}"), &path, &body).await })
    });
    let answers = futures_util::future::join_all(wanting).await;
    let statuses: Vec<u16> = answers
        .iter()
        .map(|answer| answer.as_ref().unwrap().status.as_u16())
        .collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 409).count(),
        199,
        "{statuses:?}"
    );
}

#[sqlx::test]
async fn the_database_itself_forbids_two_claims(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let scene = Scene::new(&app, "wall").await;
    let error = sqlx::query(
        "INSERT INTO bookings (organization_id, id, event_id, venue_id, status, number_of_guests, starts_at, ends_at,
             occupied_from, occupied_until, service_date, currency, total_amount, deposit_amount, lines,
             cancellation_terms, expires_at, availability_version, created_at, updated_at)
         SELECT organization_id, gen_random_uuid(), event_id, venue_id, status, number_of_guests, starts_at, ends_at,
             occupied_from, occupied_until, service_date, currency, total_amount, deposit_amount, lines,
             cancellation_terms, expires_at, availability_version, created_at, updated_at
         FROM bookings WHERE id = $1",
    )
    .bind(scene.booking_id)
    .execute(&pool)
    .await
    .unwrap_err();
    assert_eq!(
        error.as_database_error().unwrap().constraint(),
        Some("booking_venue_once_per_time")
    );
}

#[sqlx::test]
async fn an_event_can_be_booked_from_a_plan_only_at_its_time(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "existing").await;
    let path = format!("/v1/plans/{}/options/1/book", scene.plan_id);
    let body = json!({"event_id": scene.event_id});
    app.planner
        .post_once("1", &path, &body)
        .await
        .expect_invalid(&["#/event_id"]);
    let mut right = event();
    right["local_start"] = json!("2027-06-19T18:00:00");
    let event_id = create(&app.planner, "/v1/events", &right).await;
    let booked = app
        .planner
        .post_once("2", &path, &json!({"event_id": event_id}))
        .await
        .expect(201);
    assert_eq!(id(&booked["event"]["id"]), event_id);
    assert_eq!(booked["event"]["status"], "PLANNED");
}
