//! Caterers: what differs from venues. The code behind both is largely the same.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    scene::{self, Scene, create},
    support::TestApp,
};

fn plain(name: &str) -> Value {
    json!({
        "name": name, "city": "Lisboa", "country": "PT", "latitude": 38.7223, "longitude": -9.1393,
        "time_zone": "Europe/Lisbon", "cuisines": ["Portuguese"], "maximum_guests": 100,
        "price_per_guest": {"amount": 3_000, "currency": "EUR"}
    })
}

fn with(mut caterer: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        caterer[name] = value.clone();
    }
    caterer
}

#[sqlx::test]
async fn what_is_left_out_has_documented_defaults(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let created = app.planner.post("/v1/caterers", &plain("Kitchen")).await;
    let caterer = created.expect(201);
    let free = json!({"amount": 0, "currency": "EUR"});
    let defaults = json!({
        "external_id": null, "description": "", "delivery_radius_km": 25, "cuisines": ["portuguese"],
        "dietary_options": [], "rating": 50, "minimum_order": free, "delivery_fee": free, "service_fee_bps": 0,
        "tax_rate_bps": 0, "deposit_rate_bps": 0, "minimum_guests": 1, "daily_capacity": 1,
        "cancellation_terms": [], "version": 1
    });
    for (name, value) in defaults.as_object().unwrap() {
        assert_eq!(caterer[name], *value, "{name}");
    }
    assert_eq!(
        app.viewer.get(created.header("location")).await.expect(200),
        caterer
    );
}

#[sqlx::test]
async fn what_does_not_hold_is_named(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (change, pointer) in [
        (json!({"cuisines": []}), "#/cuisines"),
        (json!({"cuisines": [" "]}), "#/cuisines"),
        (json!({"minimum_guests": 101}), "#"),
        (json!({"daily_capacity": 0}), "#/daily_capacity"),
        (json!({"delivery_radius_km": 1_001}), "#/delivery_radius_km"),
        (
            json!({"delivery_fee": {"amount": 1, "currency": "USD"}}),
            "#",
        ),
        (json!({"capacity": 1}), "#/capacity"),
    ] {
        let answer = app
            .planner
            .post("/v1/caterers", &with(plain("Kitchen"), &change))
            .await;
        answer.expect_invalid(&[pointer]);
    }
}

#[sqlx::test]
async fn a_caterer_is_changed_and_removed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let new = with(plain("Kitchen"), &json!({"external_id": "c-1"}));
    let caterer = create(&app.planner, "/v1/caterers", &new).await;
    app.planner
        .post("/v1/caterers", &new)
        .await
        .expect_problem(409, "already_exists");
    let path = format!("/v1/caterers/{caterer}");
    let changed = app
        .planner
        .patch(
            &path,
            "\"1\"",
            &json!({"maximum_guests": 50, "cuisines": ["Thai", "thai"]}),
        )
        .await;
    assert_eq!(changed.expect(200)["cuisines"], json!(["thai"]));
    app.planner
        .patch(&path, "\"1\"", &json!({}))
        .await
        .expect_problem(412, "precondition_failed");
    app.stranger
        .get(&path)
        .await
        .expect_problem(404, "not_found");
    app.planner.delete(&path, "\"2\"").await.expect(204);
    let trail = app
        .owner
        .get(&format!("/v1/audit?subject_id={caterer}"))
        .await
        .expect(200);
    let actions: Vec<_> = trail["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["caterer.deleted", "caterer.updated", "caterer.created"]
    );
}

#[sqlx::test]
async fn a_caterer_with_bookings_stays(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "Porto").await;
    let event = create(&app.planner, "/v1/events", &scene::event()).await;
    let booking = json!({"caterer_id": scene.caterer_id, "number_of_guests": 40});
    create(
        &app.planner,
        &format!("/v1/events/{event}/bookings"),
        &booking,
    )
    .await;
    let path = format!("/v1/caterers/{}", scene.caterer_id);
    app.planner
        .delete(&path, "*")
        .await
        .expect_problem(409, "in_use");
}

#[sqlx::test]
async fn filters_find_what_is_wanted(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let large = json!({"minimum_guests": 80, "maximum_guests": 500, "dietary_options": ["vegan"], "external_id": "large"});
    let far = json!({"city": "Porto", "latitude": 41.15, "longitude": -8.61, "cuisines": ["Indian", "thai"]});
    let dear = json!({"price_per_guest": {"amount": 9_000, "currency": "EUR"}, "description": "Degustação"});
    for (name, change) in [
        ("Plain", json!({})),
        ("Large", large),
        ("Far", far),
        ("Dear", dear),
    ] {
        create(&app.planner, "/v1/caterers", &with(plain(name), &change)).await;
    }
    for (query, expected) in [
        ("number_of_guests=60", &["Plain", "Far", "Dear"][..]),
        ("number_of_guests=100", &["Plain", "Large", "Far", "Dear"]),
        ("number_of_guests=101", &["Large"]),
        ("cuisine=indian&cuisine=Thai", &["Far"]),
        ("dietary=Vegan", &["Large"]),
        (
            "currency=EUR&max_price_per_guest=3000",
            &["Plain", "Large", "Far"],
        ),
        ("city=PORTO", &["Far"]),
        ("external_id=large", &["Large"]),
        ("q=degustacao", &["Dear"]),
        ("latitude=41.1&longitude=-8.6&radius_km=20", &["Far"]),
    ] {
        let page = app
            .viewer
            .get(&format!("/v1/caterers?{query}"))
            .await
            .expect(200);
        let names: Vec<_> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected, "{query}");
    }
    let alone = app
        .viewer
        .get("/v1/caterers?max_price_per_guest=1")
        .await
        .expect_problem(400, "malformed_request");
    assert_eq!(alone["errors"][0]["parameter"], "currency");
}
