//! The permission table against the running router, and every route against every kind of caller.

use std::collections::BTreeSet;

use axum::{body::Body, http::Method};
use event_planner_api::openapi;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    scene::{Scene, brief, caterer, event, venue},
    support::{Answer, Client, TestApp},
};

/// A row of `permissions.txt`.
struct Row {
    method: Method,
    path: &'static str,
    /// viewer, planner, owner, service
    allowed: [bool; 4],
}

fn table() -> Vec<Row> {
    let lines = include_str!("permissions.txt").lines();
    let rows = lines
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let cells: Vec<_> = line.split_whitespace().collect();
            let [method, path, allowed @ ..] = cells.as_slice() else {
                panic!("{line}")
            };
            let allowed: Vec<_> = allowed.iter().map(|cell| *cell == "yes").collect();
            Row {
                method: method.parse().unwrap(),
                path,
                allowed: allowed.try_into().unwrap(),
            }
        });
    rows.collect()
}

#[test]
fn the_table_has_every_route_and_no_other() {
    let listed: BTreeSet<_> = table()
        .iter()
        .map(|row| format!("{} {}", row.method, row.path))
        .collect();
    let document = serde_json::to_value(openapi::document()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| *key != "parameters")
        {
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let missing: Vec<_> = routes.difference(&listed).collect();
    let surplus: Vec<_> = listed.difference(&routes).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "missing {missing:?}, surplus {surplus:?}"
    );
}

#[sqlx::test]
async fn nobody_gets_in_anywhere(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "nobody").await;
    for row in table() {
        let answer = send(
            &app.anonymous,
            &row,
            &scene.path(row.path),
            scene.body(&row.method, row.path),
        )
        .await;
        answer.expect_problem(401, "unauthenticated");
    }
}

#[sqlx::test]
async fn each_role_does_what_the_table_says_and_no_more(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let clients = [&app.viewer, &app.planner, &app.owner, &app.service];
    let refused = Scene::new(&app, "refused").await;
    for (row, column) in table()
        .iter()
        .flat_map(|row| (0..4).map(move |column| (row, column)))
    {
        let allowed = row.allowed[column];
        // What is refused changes nothing, so all of it may meet the same things.
        let own;
        let scene = if allowed {
            own = Scene::new(&app, &format!("{column}")).await;
            &own
        } else {
            &refused
        };
        let path = scene.path(row.path);
        let answer = send(
            clients[column],
            row,
            &path,
            scene.body(&row.method, row.path),
        )
        .await;
        let what = format!(
            "{} {path} by {column}: {} {}",
            row.method,
            answer.status,
            answer.text()
        );
        if allowed {
            // 409: it got past the door, and the thing is not in the right status.
            assert!(answer.status.is_success() || answer.status == 409, "{what}");
        } else {
            assert_eq!(answer.status, 403, "{what}");
        }
    }
}

#[sqlx::test]
async fn a_stranger_learns_and_changes_nothing(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let scene = Scene::new(&app, "private").await;
    let before = fingerprint(&pool, app.organization_id).await;
    // A provider is nobody's: there everybody asks for their own account.
    let names_a_thing =
        |row: &&Row| row.path.contains('{') && !row.path.starts_with("/oauth/{provider}");
    for row in table().iter().filter(names_a_thing) {
        let body = || scene.body(&row.method, row.path);
        let real = send(&app.stranger, row, &scene.path(row.path), body()).await;
        let random = send(&app.stranger, row, &Scene::unknown(row.path), body()).await;
        let problem = |answer: &Answer| {
            let mut problem = answer.expect_problem(404, "not_found");
            problem["instance"] = Value::Null;
            problem
        };
        assert_eq!(
            problem(&real),
            problem(&random),
            "{} {}",
            row.method,
            row.path
        );
    }
    assert_eq!(before, fingerprint(&pool, app.organization_id).await);
}

#[sqlx::test]
async fn a_strangers_ids_in_a_body_are_as_unknown_as_any(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "private").await;
    let theirs = app.stranger.post("/v1/events", &event()).await.expect(201);
    let path = format!("/v1/events/{}/bookings", theirs["id"].as_str().unwrap());
    for (field, id) in [
        ("venue_id", scene.venue_id),
        ("caterer_id", scene.caterer_id),
    ] {
        for id in [id, Uuid::nil()] {
            let body = json!({field: id, "number_of_guests": 40});
            let answer = app
                .stranger
                .post_once(&format!("{field}{id}"), &path, &body)
                .await;
            answer.expect_invalid(&[&format!("#/{field}")]);
        }
    }
    let mine = Scene::for_client(&app, &app.stranger, "stranger").await;
    for id in [scene.event_id, Uuid::nil()] {
        let body = json!({"event_id": id});
        let path = format!("/v1/plans/{}/options/1/book", mine.plan_id);
        app.stranger
            .post_once(&format!("{id}"), &path, &body)
            .await
            .expect_invalid(&["#/event_id"]);
    }
    let member = app.viewer.get("/v1/me").await.expect(200)["member"]["id"].clone();
    let body = json!({"name": "stolen", "member_id": member});
    app.stranger
        .post("/v1/api-keys", &body)
        .await
        .expect_invalid(&["#/member_id"]);
}

#[sqlx::test]
async fn what_only_we_decide_cannot_be_sent(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "extra").await;
    let bodies = [
        ("/v1/venues", venue("extra")),
        ("/v1/caterers", caterer("extra")),
        ("/v1/events", event()),
        ("/v1/plans", brief("extra")),
        (
            "/v1/members",
            json!({"name": "M", "email": "m@example.com", "role": "VIEWER"}),
        ),
        ("/v1/api-keys", json!({"name": "k"})),
    ];
    for (path, body) in bodies {
        for field in ["organization_id", "id", "status", "version", "created_at"] {
            let mut body = body.clone();
            body[field] = json!("x");
            app.owner
                .post(path, &body)
                .await
                .expect_invalid(&[&format!("#/{field}")]);
        }
    }
    for (path, field) in [
        (format!("/v1/venues/{}", scene.venue_id), "organization_id"),
        (format!("/v1/events/{}", scene.event_id), "status"),
        (format!("/v1/members/{}", app.owner_id), "created_at"),
    ] {
        app.owner
            .patch(&path, "*", &json!({field: "x"}))
            .await
            .expect_invalid(&[&format!("#/{field}")]);
    }
}

/// A request that is right in everything but perhaps its caller.
async fn send(client: &Client, row: &Row, path: &str, body: Body) -> Answer {
    let content_type = match row.method {
        Method::PATCH => "application/merge-patch+json",
        _ if path.contains("/import") => "text/csv",
        _ => "application/json",
    };
    let mut request = client
        .request(row.method.clone(), path)
        .header("content-type", content_type);
    if row.method == Method::POST {
        request = request.header("idempotency-key", Uuid::from_u128(rand()).to_string());
    }
    client.send(request.header("if-match", "*"), body).await
}

fn rand() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    u128::from_le_bytes(bytes)
}

/// A hash of every row that belongs to an organization.
async fn fingerprint(pool: &PgPool, organization_id: Uuid) -> Vec<(String, Option<String>)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.columns
         WHERE column_name = 'organization_id' AND table_schema = 'public' ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut hashes = Vec::new();
    for table in tables {
        // `last_used_at` of the stranger's own key is not in this organization; nothing may differ.
        let sql = format!(
            "SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t WHERE organization_id = $1"
        );
        let hash = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(organization_id)
            .fetch_one(pool)
            .await;
        hashes.push((table, hash.unwrap()));
    }
    hashes
}
