//! Venues: kept, changed, found.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    scene::{self, create, id},
    support::TestApp,
};

/// A venue with nothing but what is required.
fn plain(name: &str) -> Value {
    json!({
        "name": name, "city": "Lisboa", "country": "PT", "latitude": 38.7223, "longitude": -9.1393,
        "time_zone": "Europe/Lisbon", "capacity": 100, "hire_fee": {"amount": 100_000, "currency": "EUR"}
    })
}

fn with(mut venue: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        venue[name] = value.clone();
    }
    venue
}

/// The names that a list gives, in its order.
async fn names(app: &TestApp, query: &str) -> Vec<String> {
    let page = app
        .viewer
        .get(&format!("/v1/venues?{query}"))
        .await
        .expect(200);
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|venue| venue["name"].as_str().unwrap().to_owned())
        .collect()
}

#[sqlx::test]
async fn what_is_left_out_has_documented_defaults(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let created = app.planner.post("/v1/venues", &plain("Hall")).await;
    let venue = created.expect(201);
    assert_eq!(
        created.header("location"),
        format!("/v1/venues/{}", venue["id"].as_str().unwrap())
    );
    let free = json!({"amount": 0, "currency": "EUR"});
    let defaults = json!({
        "external_id": null, "description": "", "address": "", "has_event_room": false, "amenities": [],
        "rating": 50, "hourly_rate": free, "event_room_fee": free, "tax_rate_bps": 0, "deposit_rate_bps": 0,
        "setup_minutes": 0, "teardown_minutes": 0, "outside_catering_allowed": true,
        "catering_price_per_guest": null, "catering_cuisines": [], "catering_dietary_options": [],
        "catering_service_fee_bps": 0, "cancellation_terms": [], "version": 1
    });
    for (name, value) in defaults.as_object().unwrap() {
        assert_eq!(venue[name], *value, "{name}");
    }
    let read = app.viewer.get(created.header("location")).await;
    assert_eq!(read.expect(200), venue);
    assert_eq!(read.etag(), "\"1\"");
}

#[sqlx::test]
async fn a_venue_that_was_read_can_be_sent_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut venue = app
        .planner
        .post("/v1/venues", &scene::venue("Porto"))
        .await
        .expect(201);
    for name in ["id", "version", "created_at", "updated_at"] {
        venue.as_object_mut().unwrap().remove(name).unwrap();
    }
    let again = app.planner.post("/v1/venues", &venue).await.expect(201);
    for (name, value) in venue.as_object().unwrap() {
        assert_eq!(again[name], *value, "{name}");
    }
}

#[sqlx::test]
async fn words_and_zones_are_kept_in_their_usual_spelling(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let spelled =
        json!({"amenities": ["Wi-Fi", " terrace", "wi fi"], "time_zone": "europe/lisbon"});
    let venue = app
        .planner
        .post("/v1/venues", &with(plain("Hall"), &spelled))
        .await
        .expect(201);
    assert_eq!(venue["amenities"], json!(["terrace", "wi_fi"]));
    assert_eq!(venue["time_zone"], "Europe/Lisbon");
}

#[sqlx::test]
async fn what_does_not_hold_is_named(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (change, pointer) in [
        (json!({"name": ""}), "#/name"),
        (json!({"country": "pt"}), "#/country"),
        (json!({"time_zone": "Europe/Atlantis"}), "#/time_zone"),
        (json!({"latitude": 91}), "#/latitude"),
        (json!({"capacity": 0}), "#/capacity"),
        (json!({"capacity": 3_000_000_000_u64}), "#/capacity"),
        (json!({"rating": 101}), "#/rating"),
        (json!({"amenities": ["a|b"]}), "#/amenities"),
        (json!({"amenities": ["x".repeat(51)]}), "#/amenities"),
        (
            json!({"hire_fee": {"amount": -1, "currency": "EUR"}}),
            "#/hire_fee/amount",
        ),
        (
            json!({"hire_fee": {"amount": 1, "currency": "euro"}}),
            "#/hire_fee/currency",
        ),
        (
            json!({"hourly_rate": {"amount": 1, "currency": "USD"}}),
            "#",
        ),
        (json!({"outside_catering_allowed": false}), "#"),
        (
            json!({"cancellation_terms": [{"days_before": 3, "fee_bps": 0}, {"days_before": 7, "fee_bps": 1}]}),
            "#/cancellation_terms",
        ),
        (
            json!({"id": "0190b6f0-0000-7000-8000-000000000000"}),
            "#/id",
        ),
        (
            json!({"organization_id": app.other_organization_id}),
            "#/organization_id",
        ),
    ] {
        let answer = app
            .planner
            .post("/v1/venues", &with(plain("Hall"), &change))
            .await;
        answer.expect_invalid(&[pointer]);
    }
}

#[sqlx::test]
async fn a_patch_changes_what_it_names(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let venue = app
        .planner
        .post("/v1/venues", &scene::venue("Porto"))
        .await
        .expect(201);
    let path = format!("/v1/venues/{}", venue["id"].as_str().unwrap());
    let patch = json!({"name": "Salão", "hire_fee": {"amount": 5}, "description": "By the river", "external_id": "v-1"});
    let changed = app.planner.patch(&path, "\"1\"", &patch).await;
    assert_eq!(changed.etag(), "\"2\"");
    let changed = changed.expect(200);
    let expected = json!({
        "name": "Salão", "hire_fee": {"amount": 5, "currency": "EUR"}, "description": "By the river",
        "external_id": "v-1", "version": 2
    });
    assert_eq!(changed, with(venue.clone(), &expected));
    let cleared = app
        .planner
        .patch(
            &path,
            "\"2\"",
            &json!({"external_id": null, "description": null}),
        )
        .await
        .expect(200);
    assert_eq!(
        (&cleared["external_id"], &cleared["description"]),
        (&Value::Null, &json!(""))
    );
    app.planner
        .patch(&path, "\"2\"", &patch)
        .await
        .expect_problem(412, "precondition_failed");
    app.planner
        .patch(&path, "*", &json!({"version": 9}))
        .await
        .expect_invalid(&["#/version"]);
    app.stranger
        .patch(&path, "*", &patch)
        .await
        .expect_problem(404, "not_found");
}

#[sqlx::test]
async fn an_external_id_is_there_once_in_an_organization(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let first = with(plain("First"), &json!({"external_id": "v-1"}));
    app.planner.post("/v1/venues", &first).await.expect(201);
    app.planner
        .post("/v1/venues", &first)
        .await
        .expect_problem(409, "already_exists");
    app.stranger.post("/v1/venues", &first).await.expect(201);
    let second = create(&app.planner, "/v1/venues", &plain("Second")).await;
    let taken = app
        .planner
        .patch(
            &format!("/v1/venues/{second}"),
            "*",
            &json!({"external_id": "v-1"}),
        )
        .await;
    taken.expect_problem(409, "already_exists");
}

#[sqlx::test]
async fn a_venue_with_bookings_stays(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = scene::Scene::new(&app, "Porto").await;
    let path = format!("/v1/venues/{}", scene.venue_id);
    app.planner
        .delete(&path, "*")
        .await
        .expect_problem(409, "in_use");
    let free = create(&app.planner, "/v1/venues", &plain("Free")).await;
    let path = format!("/v1/venues/{free}");
    app.stranger
        .delete(&path, "*")
        .await
        .expect_problem(404, "not_found");
    app.planner
        .delete(&path, "\"7\"")
        .await
        .expect_problem(412, "precondition_failed");
    app.planner.delete(&path, "\"1\"").await.expect(204);
    app.planner
        .get(&path)
        .await
        .expect_problem(404, "not_found");
}

#[sqlx::test]
async fn every_change_is_in_the_trail(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let venue = create(&app.planner, "/v1/venues", &plain("Hall")).await;
    let path = format!("/v1/venues/{venue}");
    app.planner
        .patch(&path, "*", &json!({"capacity": 90}))
        .await
        .expect(200);
    app.planner.delete(&path, "*").await.expect(204);
    let trail = app
        .owner
        .get(&format!("/v1/audit?subject_id={venue}"))
        .await
        .expect(200);
    let entries: Vec<_> = trail["items"].as_array().unwrap().iter().collect();
    let actions: Vec<_> = entries
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["venue.deleted", "venue.updated", "venue.created"]);
    assert_eq!(entries[1]["before"]["capacity"], 100);
    assert_eq!(entries[1]["after"]["capacity"], 90);
}

#[sqlx::test]
async fn filters_find_what_is_wanted(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let house = json!({
        "catering_price_per_guest": {"amount": 2_000, "currency": "EUR"},
        "catering_cuisines": ["italian", "portuguese"], "catering_dietary_options": ["vegan", "halal"]
    });
    let sao_paulo = json!({
        "city": "São Paulo", "country": "BR", "latitude": -23.5505, "longitude": -46.6333, "capacity": 300,
        "time_zone": "America/Sao_Paulo", "hire_fee": {"amount": 90_000, "currency": "BRL"}
    });
    let big = json!({"capacity": 500, "amenities": ["wifi", "bar"], "external_id": "big", "description": "Überm Fluß"});
    for (name, change) in [
        ("Plain", json!({})),
        ("House", house),
        ("Paulo", sao_paulo),
        ("Big", big),
    ] {
        create(&app.planner, "/v1/venues", &with(plain(name), &change)).await;
    }
    create(&app.stranger, "/v1/venues", &plain("Foreign")).await;
    for (query, expected) in [
        ("", &["Plain", "House", "Paulo", "Big"][..]),
        ("city=sao%20%20PAULO", &["Paulo"]),
        ("min_capacity=300", &["Paulo", "Big"]),
        ("amenity=wifi&amenity=bar", &["Big"]),
        ("amenity=wifi&amenity=terrace", &[]),
        ("cuisine=Italian", &["House"]),
        ("cuisine=italian&cuisine=indian", &[]),
        ("dietary=vegan&dietary=halal", &["House"]),
        ("currency=BRL", &["Paulo"]),
        ("currency=EUR&max_hire_fee=99999", &[]),
        (
            "currency=EUR&max_hire_fee=100000",
            &["Plain", "House", "Big"],
        ),
        ("external_id=big", &["Big"]),
        ("q=uberm+fluss", &[]),
        ("q=UBERM", &["Big"]),
        ("q=sao+paulo", &["Paulo"]),
        ("q=%22paulo+lisboa%22", &[]),
        ("q=lisboa+-big", &["Plain", "House"]),
        ("latitude=-23.5&longitude=-46.6&radius_km=10", &["Paulo"]),
        ("latitude=-23.5&longitude=-46.6&radius_km=1", &[]),
    ] {
        assert_eq!(names(&app, query).await, expected, "{query}");
    }
}

#[sqlx::test]
async fn a_filter_that_cannot_be_meant_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (query, parameter) in [
        ("max_hire_fee=1", "currency"),
        ("latitude=1&longitude=1", "radius_km"),
        ("radius_km=1", "latitude"),
        ("latitude=NaN&longitude=1&radius_km=1", "latitude"),
        ("latitude=100&longitude=1&radius_km=1", "latitude"),
        ("min_capacity=0", "min_capacity"),
        ("currency=euro", "currency"),
        ("colour=red", "colour"),
    ] {
        let problem = app
            .viewer
            .get(&format!("/v1/venues?{query}"))
            .await
            .expect_problem(400, "malformed_request");
        assert_eq!(
            problem["errors"][0]["parameter"], parameter,
            "{query}: {problem}"
        );
    }
}

#[sqlx::test]
async fn distance_counts_over_the_date_line(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let fiji = json!({"latitude": -16.8, "longitude": 179.98});
    create(&app.planner, "/v1/venues", &with(plain("Taveuni"), &fiji)).await;
    assert_eq!(
        names(&app, "latitude=-16.8&longitude=-179.98&radius_km=10").await,
        ["Taveuni"]
    );
    assert!(
        names(&app, "latitude=-16.8&longitude=-179.98&radius_km=2")
            .await
            .is_empty()
    );
}

#[sqlx::test]
async fn a_filtered_list_is_walked_by_its_cursor(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for name in ["A", "B", "C"] {
        create(&app.planner, "/v1/venues", &plain(name)).await;
    }
    let first = app
        .viewer
        .get("/v1/venues?city=lisboa&limit=2")
        .await
        .expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(
        names(&app, &format!("city=lisboa&limit=2&cursor={cursor}")).await,
        ["C"]
    );
    let other = app
        .viewer
        .get(&format!("/v1/venues?city=porto&limit=2&cursor={cursor}"))
        .await;
    other.expect_problem(400, "invalid_cursor");
    assert_ne!(id(&first["items"][0]["id"]), id(&first["items"][1]["id"]));
}
