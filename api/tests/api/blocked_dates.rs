//! Days on which a venue or a caterer takes no events.

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    scene::{self, create},
    support::TestApp,
};

fn days(from: &str, to: &str) -> Value {
    json!({"from_date": from, "to_date": to})
}

/// The addresses of the blocked dates of a venue and of a caterer.
async fn both(app: &TestApp) -> [String; 2] {
    let venue = create(&app.owner, "/v1/venues", &scene::venue("Porto")).await;
    let caterer = create(&app.owner, "/v1/caterers", &scene::caterer("Porto")).await;
    [
        format!("/v1/venues/{venue}/blocked-dates"),
        format!("/v1/caterers/{caterer}/blocked-dates"),
    ]
}

#[sqlx::test]
async fn days_are_blocked_and_freed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in both(&app).await {
        let body = json!({"from_date": "2027-12-24", "to_date": "2028-01-01", "reason": "closed"});
        let created = app.planner.post(&path, &body).await;
        let date = created.expect(201);
        assert_eq!(
            (&date["from_date"], &date["to_date"]),
            (&json!("2027-12-24"), &json!("2028-01-01"))
        );
        assert_eq!(date["venue_id"].is_null(), path.contains("caterers"));
        let location = format!("{path}/{}", date["id"].as_str().unwrap());
        assert_eq!(
            app.viewer.get(&path).await.expect(200)["items"],
            json!([date])
        );
        app.planner
            .delete(&location, "\"2\"")
            .await
            .expect_problem(412, "precondition_failed");
        app.planner.delete(&location, "\"1\"").await.expect(204);
        app.planner
            .delete(&location, "\"1\"")
            .await
            .expect_problem(404, "not_found");
        assert_eq!(app.viewer.get(&path).await.expect(200)["items"], json!([]));
        let trail = app
            .owner
            .get(&format!(
                "/v1/audit?subject_id={}",
                date["id"].as_str().unwrap()
            ))
            .await
            .expect(200);
        let actions: Vec<_> = trail["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["action"].as_str().unwrap())
            .collect();
        assert_eq!(actions, ["blocked_date.deleted", "blocked_date.created"]);
    }
}

#[sqlx::test]
async fn blocked_dates_come_by_day_and_page_by_page(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in both(&app).await {
        for day in ["2027-03-01", "2027-01-01", "2027-02-01", "2027-01-01"] {
            create(&app.planner, &path, &days(day, day)).await;
        }
        let mut found = Vec::new();
        let mut next = format!("{path}?limit=1");
        loop {
            let page = app.viewer.get(&next).await.expect(200);
            found.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["from_date"].as_str().unwrap().to_owned()),
            );
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            next = format!("{path}?limit=1&cursor={cursor}");
        }
        assert_eq!(
            found,
            ["2027-01-01", "2027-01-01", "2027-02-01", "2027-03-01"]
        );
    }
}

#[sqlx::test]
async fn only_real_days_in_order_are_taken(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in both(&app).await {
        app.planner
            .post(&path, &days("2027-02-29", "2027-03-01"))
            .await
            .expect_invalid(&["#/from_date"]);
        app.planner
            .post(&path, &days("2028-02-29", "2028-02-28"))
            .await
            .expect_invalid(&["#"]);
        app.planner
            .post(&path, &days("-005000-01-01", "2028-02-28"))
            .await
            .expect_invalid(&["#/from_date"]);
        app.planner
            .post(&path, &days("0000-01-01", "9999-12-31"))
            .await
            .expect(201);
        app.planner
            .post(&path, &days("2028-02-29", "2028-02-29"))
            .await
            .expect(201);
    }
}

#[sqlx::test]
async fn the_days_of_a_place_belong_to_it_alone(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let [venue, caterer] = both(&app).await;
    let theirs = create(&app.planner, &venue, &days("2027-01-01", "2027-01-01")).await;
    app.planner
        .delete(&format!("{caterer}/{theirs}"), "*")
        .await
        .expect_problem(404, "not_found");
    let unknown = format!("/v1/venues/{}/blocked-dates", Uuid::nil());
    for (client, path) in [(&app.stranger, &venue), (&app.planner, &unknown)] {
        client.get(path).await.expect_problem(404, "not_found");
        client
            .post(path, &days("2027-01-01", "2027-01-01"))
            .await
            .expect_problem(404, "not_found");
        client
            .delete(&format!("{path}/{theirs}"), "*")
            .await
            .expect_problem(404, "not_found");
    }
    app.viewer
        .post(&venue, &days("2027-01-01", "2027-01-01"))
        .await
        .expect_problem(403, "forbidden");
}

#[sqlx::test]
async fn the_days_go_with_their_venue(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let [venue, _] = both(&app).await;
    create(&app.planner, &venue, &days("2027-01-01", "2027-01-01")).await;
    let place = venue.trim_end_matches("/blocked-dates");
    app.planner.delete(place, "*").await.expect(204);
    app.planner
        .get(&venue)
        .await
        .expect_problem(404, "not_found");
}
