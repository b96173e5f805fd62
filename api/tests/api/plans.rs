//! Plans: from a brief to a booking, at the price shown.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    scene::{Scene, brief, create, id, venue},
    support::TestApp,
};

#[sqlx::test]
async fn a_brief_becomes_a_priced_option(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "plan").await;
    let plan = app
        .viewer
        .get(&format!("/v1/plans/{}", scene.plan_id))
        .await
        .expect(200);
    assert_eq!(plan["expires_at"], "2027-01-15T13:00:00Z");
    assert_eq!(plan["options"].as_array().unwrap().len(), 1);
    let option = &plan["options"][0];
    assert_eq!(id(&option["venue"]["id"]), scene.venue_id);
    assert_eq!(id(&option["catering"]["caterer_id"]), scene.caterer_id);
    // 1,000.00 and four hours at 100.00; forty guests at 30.00.
    assert_eq!(
        option["total"],
        json!({"amount": 260_000, "currency": "EUR"})
    );
    assert_eq!(option["per_guest"]["amount"], 6_500);
    assert_eq!(option["starts_at"], "2027-06-19T17:00:00Z");
    let sum: i64 = option["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["amount"]["amount"].as_i64().unwrap())
        .sum();
    assert_eq!(sum, 260_000);
    let list = app.viewer.get("/v1/plans").await.expect(200);
    assert_eq!(list["items"][0]["options"], 1);
    assert_eq!(list["items"][0]["summary"], plan["summary"]);
}

#[sqlx::test]
async fn an_option_is_booked_at_the_price_shown(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "book").await;
    let dearer = json!({"hire_fee": {"amount": 900_000}});
    app.planner
        .patch(&format!("/v1/venues/{}", scene.venue_id), "*", &dearer)
        .await
        .expect(200);
    let path = format!("/v1/plans/{}/options/1/book", scene.plan_id);
    let preview = app
        .planner
        .post_once("0", &format!("{path}?validate_only=true"), &json!({}))
        .await
        .expect(200);
    assert_eq!(preview["bookings"].as_array().unwrap().len(), 2);
    let booked = app
        .planner
        .post_once("1", &path, &json!({"title": "Summer party"}))
        .await
        .expect(201);
    assert_eq!(booked["event"]["title"], "Summer party");
    assert_eq!(booked["event"]["status"], "PLANNED");
    assert_eq!(booked["event"]["budget"]["amount"], 500_000);
    let totals: Vec<_> = booked["bookings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["total"]["amount"].clone())
        .collect();
    assert_eq!(totals, [140_000, 120_000]);
    app.planner
        .post_once("2", &path, &json!({}))
        .await
        .expect_problem(409, "double_booking");
    let event = format!("/v1/events/{}", booked["event"]["id"].as_str().unwrap());
    let confirmed = app
        .planner
        .post_once("3", &format!("{event}/confirm"), &Value::Null)
        .await
        .expect(200);
    assert!(
        confirmed["bookings"]
            .as_array()
            .unwrap()
            .iter()
            .all(|b| b["status"] == "CONFIRMED")
    );
    app.planner
        .post_once("4", &format!("{event}/confirm"), &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
}

#[sqlx::test]
async fn either_all_places_of_an_option_are_held_or_none(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "all").await;
    let mut same_day = crate::scene::event();
    same_day["local_start"] = json!("2027-06-19T09:00:00");
    let other = create(&app.planner, "/v1/events", &same_day).await;
    let body = json!({"caterer_id": scene.caterer_id, "number_of_guests": 40});
    app.planner
        .post_once("1", &format!("/v1/events/{other}/bookings"), &body)
        .await
        .expect(201);
    let path = format!("/v1/plans/{}/options/1/book", scene.plan_id);
    app.planner
        .post_once("2", &path, &json!({}))
        .await
        .expect_problem(409, "double_booking");
    let venue = app
        .viewer
        .get(&format!(
            "/v1/bookings?venue_id={}&status=HELD",
            scene.venue_id
        ))
        .await
        .expect(200);
    assert_eq!(
        venue["items"].as_array().unwrap().len(),
        1,
        "only the scene's own booking"
    );
    let events = app
        .viewer
        .get("/v1/events?starts_before=2028-01-01T00:00:00Z")
        .await
        .expect(200);
    assert_eq!(
        events["items"].as_array().unwrap().len(),
        3,
        "no event was left behind"
    );
}

#[sqlx::test]
async fn a_plan_sees_every_booking_at_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "sees").await;
    let city = app
        .viewer
        .get(&format!("/v1/venues/{}", scene.venue_id))
        .await
        .expect(200)["city"]
        .clone();
    let brief = brief(city.as_str().unwrap());
    let options = async || {
        let plan = app.planner.post("/v1/plans", &brief).await.expect(201);
        plan["options"].as_array().unwrap().len()
    };
    assert_eq!(options().await, 1);
    let path = format!("/v1/plans/{}/options/1/book", scene.plan_id);
    let booked = app
        .planner
        .post_once("1", &path, &json!({}))
        .await
        .expect(201);
    assert_eq!(options().await, 0);
    let cancel = format!(
        "/v1/bookings/{}/cancel",
        booked["bookings"][0]["id"].as_str().unwrap()
    );
    app.planner
        .post_once("2", &cancel, &Value::Null)
        .await
        .expect(200);
    assert_eq!(options().await, 0, "the caterer is still taken");
    app.advance(Duration::from_hours(49));
    assert_eq!(options().await, 1, "an expired hold no longer counts");
    let blocked = json!({"from_date": "2027-06-19", "to_date": "2027-06-19"});
    create(
        &app.planner,
        &format!("/v1/venues/{}/blocked-dates", scene.venue_id),
        &blocked,
    )
    .await;
    assert_eq!(options().await, 0, "a blocked day counts");
}

#[sqlx::test]
async fn a_brief_that_nothing_fits_is_explained(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "explain").await;
    let city = app
        .viewer
        .get(&format!("/v1/venues/{}", scene.venue_id))
        .await
        .expect(200)["city"]
        .clone();
    let mut tight = brief(city.as_str().unwrap());
    tight["budget_total"] = json!({"amount": 200_000, "currency": "EUR"});
    let plan = app.planner.post("/v1/plans", &tight).await.expect(201);
    assert_eq!(plan["options"], json!([]));
    let change = plan["changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|change| change["field"] == "budget_total")
        .unwrap();
    assert_eq!(change["to"], json!({"amount": 260_000, "currency": "EUR"}));
    let mut patched = tight.clone();
    patched["budget_total"] = change["brief_patch"]["budget_total"].clone();
    let plan = app.planner.post("/v1/plans", &patched).await.expect(201);
    assert_eq!(
        plan["options"].as_array().unwrap().len() as u64,
        change["opens"].as_u64().unwrap()
    );
}

#[sqlx::test]
async fn an_old_plan_is_no_longer_booked(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "old").await;
    app.advance(Duration::from_secs(3_601));
    let path = format!("/v1/plans/{}/options/1/book", scene.plan_id);
    app.planner
        .post_once("1", &path, &json!({}))
        .await
        .expect_problem(409, "option_expired");
    let other = format!("/v1/plans/{}/options/2/book", scene.plan_id);
    app.planner
        .post_once("2", &other, &json!({}))
        .await
        .expect_problem(404, "not_found");
}

#[sqlx::test]
async fn a_wrong_brief_is_told_field_by_field(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut brief = brief("X");
    brief["number_of_guests"] = json!(0);
    brief["time_zone"] = json!("Mars/Olympus");
    app.planner
        .post("/v1/plans", &brief)
        .await
        .expect_invalid(&["#/number_of_guests", "#/time_zone"]);
    let mut past = crate::scene::brief("X");
    past["event_date"] = json!("2026-01-01");
    app.planner
        .post("/v1/plans", &past)
        .await
        .expect_invalid(&["#/event_date"]);
    let mut both = crate::scene::brief("X");
    both["date_window"] = json!({"from": "2027-06-01", "to": "2027-06-30"});
    app.planner
        .post("/v1/plans", &both)
        .await
        .expect_invalid(&["#/event_date"]);
}

#[sqlx::test]
async fn a_house_with_its_own_kitchen_is_one_booking(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut house = venue("House");
    house["outside_catering_allowed"] = json!(false);
    house["catering_price_per_guest"] = json!({"amount": 2_000, "currency": "EUR"});
    house["catering_cuisines"] = json!(["italian"]);
    create(&app.planner, "/v1/venues", &house).await;
    let plan = app
        .planner
        .post("/v1/plans", &brief("House"))
        .await
        .expect(201);
    assert_eq!(plan["options"][0]["catering"]["in_house"], true);
    let path = format!("/v1/plans/{}/options/1/book", plan["id"].as_str().unwrap());
    let booked = app
        .planner
        .post_once("1", &path, &json!({}))
        .await
        .expect(201);
    assert_eq!(booked["bookings"].as_array().unwrap().len(), 1);
    assert_eq!(booked["bookings"][0]["total"]["amount"], 140_000 + 80_000);
}
