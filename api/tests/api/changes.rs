//! The change feed: nothing is missed, whatever the order of commits; nothing is seen that may not be.

use std::{collections::BTreeMap, time::Duration};

use event_planner_api::{jobs as queue, work::Work};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    jobs::until,
    scene::{create, event, venue},
    support::{Client, TestApp},
};

async fn changes(client: &Client, query: &str) -> Value {
    client
        .get(&format!("/v1/changes?{query}"))
        .await
        .expect(200)
}

/// A token from now on.
async fn now(client: &Client) -> String {
    let page = changes(client, "from=now").await;
    assert_eq!(
        (&page["items"], &page["has_more"]),
        (&json!([]), &json!(false))
    );
    page["next_sync_token"].as_str().unwrap().to_owned()
}

/// Waits until nothing older than now is under way: transactions of other databases hold the feed back, too.
async fn settle(app: &TestApp) {
    let db = &app.app.db;
    let latest = "SELECT pg_current_xact_id()::text";
    let latest: String = sqlx::query_scalar(latest).fetch_one(db).await.unwrap();
    until("older transactions have ended", async || {
        let passed = "SELECT pg_snapshot_xmin(pg_current_snapshot()) > $1::text::xid8";
        let passed = sqlx::query_scalar::<_, bool>(passed).bind(&latest);
        passed.fetch_one(db).await.unwrap()
    })
    .await;
}

/// As `read`, when what was committed can be seen.
async fn after(app: &TestApp, client: &Client, token: &str, limit: usize) -> (Vec<Value>, String) {
    settle(app).await;
    read(client, token, limit).await
}

/// Everything after a token, page by page, and the next token.
async fn read(client: &Client, token: &str, limit: usize) -> (Vec<Value>, String) {
    let (mut items, mut token) = (Vec::new(), token.to_owned());
    loop {
        let page = changes(client, &format!("sync_token={token}&limit={limit}")).await;
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        page["next_sync_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut token);
        if page["has_more"] == false {
            return (items, token);
        }
    }
}

fn summary(items: &[Value]) -> Vec<String> {
    let line = |item: &Value| {
        format!(
            "{} {}",
            item["type"].as_str().unwrap(),
            item["action"].as_str().unwrap()
        )
    };
    items.iter().map(line).collect()
}

#[sqlx::test]
async fn what_changed_is_told_in_order_with_tombstones(pool: PgPool) {
    let app = TestApp::new(pool).await;
    settle(&app).await;
    let token = now(&app.viewer).await;
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let path = format!("/v1/events/{event_id}");
    let changed = app
        .planner
        .patch(&path, "*", &json!({"title": "Retreat"}))
        .await
        .expect(200);
    let venue_id = create(&app.planner, "/v1/venues", &venue("Porto")).await;
    app.planner.delete(&path, "*").await.expect(204);
    create(&app.stranger, "/v1/events", &event()).await;
    for limit in [1, 2, 3, 4, 200] {
        let (items, _) = after(&app, &app.viewer, &token, limit).await;
        assert_eq!(
            summary(&items),
            [
                "event CREATED",
                "event UPDATED",
                "venue CREATED",
                "event DELETED"
            ],
            "{limit}"
        );
        assert_eq!(
            (&items[1]["data"], &items[1]["version"]),
            (&changed, &changed["version"])
        );
        assert_eq!(
            (&items[1]["event_type"], &items[1]["changed_at"]),
            (&json!("event.updated"), &json!("2027-01-15T12:00:00Z"))
        );
        assert_eq!(
            (&items[2]["id"], &items[3]["id"]),
            (&json!(venue_id), &json!(event_id))
        );
        assert_eq!(items[3]["data"], Value::Null);
    }
    let (_, token) = after(&app, &app.viewer, &token, 200).await;
    let (nothing, token) = after(&app, &app.viewer, &token, 200).await;
    assert!(nothing.is_empty());
    create(&app.planner, "/v1/events", &event()).await;
    assert_eq!(
        summary(&after(&app, &app.viewer, &token, 200).await.0),
        ["event CREATED"]
    );
    settle(&app).await;
    let all = changes(&app.viewer, "limit=200").await;
    assert_eq!(
        all["items"][0]["event_type"], "organization.created",
        "without a token, from the beginning"
    );
}

#[sqlx::test]
async fn a_change_that_commits_late_is_not_missed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    settle(&app).await;
    let token = now(&app.viewer).await;
    let mut early = Work::system(&app.app, app.organization_id).await.unwrap();
    let id = early.new_id();
    early
        .audit(
            "event.updated",
            ("event", id),
            None::<&()>,
            Some(&json!({"version": 7})),
        )
        .await
        .unwrap();
    let late = create(&app.planner, "/v1/events", &event()).await;
    // The first is still under way: what came after it waits, or it would be passed over.
    let (items, token) = read(&app.viewer, &token, 200).await;
    assert!(items.is_empty(), "{items:?}");
    early.commit_silently().await.unwrap();
    let (items, _) = after(&app, &app.viewer, &token, 200).await;
    let ids: Vec<_> = items.iter().map(|item| item["id"].clone()).collect();
    assert_eq!(ids, [json!(id), json!(late)]);
}

#[sqlx::test]
async fn a_reader_misses_nothing_while_writers_commit_out_of_order(pool: PgPool) {
    const WRITERS: usize = 6;
    const CHANGES: usize = 40;
    let app = TestApp::new(pool).await;
    settle(&app).await;
    let mut token = now(&app.viewer).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (app, organization_id) = (app.app.clone(), app.organization_id);
            tokio::spawn(async move {
                let mut written = Vec::new();
                for round in 0..CHANGES {
                    let mut work = Work::system(&app, organization_id).await.unwrap();
                    let id = work.new_id();
                    work.audit(
                        "event.updated",
                        ("event", id),
                        None::<&()>,
                        Some(&json!({})),
                    )
                    .await
                    .unwrap();
                    // Each stays open for another time, some are taken back.
                    let pause = (writer * 7 + round * 13) % 23;
                    tokio::time::sleep(Duration::from_millis(pause as u64)).await;
                    if round % 8 == 3 {
                        drop(work);
                    } else {
                        work.commit_silently().await.unwrap();
                        written.push(id);
                    }
                }
                written
            })
        })
        .collect();
    let mut seen: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut take = async |token: &mut String| {
        let (items, next) = read(&app.viewer, token, 7).await;
        *token = next;
        for item in items {
            *seen.entry(crate::scene::id(&item["id"])).or_default() += 1;
        }
    };
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        take(&mut token).await;
    }
    settle(&app).await;
    take(&mut token).await;
    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    assert_eq!(written.len(), WRITERS * 35);
    let expected: BTreeMap<_, _> = written.into_iter().map(|id| (id, 1)).collect();
    assert!(
        seen == expected,
        "{} seen, {} written",
        seen.len(),
        expected.len()
    );
}

#[sqlx::test]
async fn a_reader_sees_what_their_role_and_scopes_may_read(pool: PgPool) {
    let app = TestApp::new(pool).await;
    settle(&app).await;
    let token = now(&app.owner).await;
    let narrow = json!({"name": "narrow", "scopes": ["catalogue:read"]});
    let key = app.owner.post("/v1/api-keys", &narrow).await.expect(201);
    let narrow = app.client(key["key"].as_str().unwrap());
    create(&app.planner, "/v1/events", &event()).await;
    create(&app.planner, "/v1/venues", &venue("Faro")).await;
    let seen = async |client: &Client| summary(&after(&app, client, &token, 200).await.0);
    assert_eq!(
        seen(&app.owner).await,
        ["api_key CREATED", "event CREATED", "venue CREATED"]
    );
    assert_eq!(seen(&app.viewer).await, ["event CREATED", "venue CREATED"]);
    assert_eq!(seen(&narrow).await, ["venue CREATED"]);
    settle(&app).await;
    let strange = now(&app.stranger).await;
    assert!(after(&app, &app.stranger, &strange, 200).await.0.is_empty());
}

#[sqlx::test]
async fn an_import_tells_of_each_thing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    settle(&app).await;
    let token = now(&app.viewer).await;
    let csv = include_str!("../../../database/seed/venues.csv");
    let import = async |csv: String| {
        let request = app
            .planner
            .request(axum::http::Method::POST, "/v1/venues/import");
        app.planner
            .send(request.header("content-type", "text/csv"), csv.into())
            .await
            .expect(207)
    };
    let lines: Vec<_> = csv.lines().take(6).collect();
    let report = import(lines.join("\n")).await;
    assert_eq!(report["created"], 5);
    let (items, token) = after(&app, &app.viewer, &token, 2).await;
    assert_eq!(summary(&items), ["venue CREATED"; 5]);
    let ids: Vec<_> = report["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].clone())
        .collect();
    let seen: Vec<_> = items.iter().map(|item| item["id"].clone()).collect();
    assert_eq!(seen, ids);
    assert_eq!(import(lines.join("\n")).await["unchanged"], 5);
    assert!(after(&app, &app.viewer, &token, 2).await.0.is_empty());
}

#[sqlx::test]
async fn a_token_that_is_no_good_means_to_start_over(pool: PgPool) {
    let app = TestApp::new(pool).await;
    settle(&app).await;
    let token = now(&app.viewer).await;
    for bad in ["x", "AAAA", &now(&app.stranger).await, &token[1..]] {
        let answer = app
            .viewer
            .get(&format!("/v1/changes?sync_token={bad}"))
            .await;
        answer.expect_problem(410, "sync_token_expired");
    }
    for query in [
        format!("from=now&sync_token={token}"),
        "from=then".into(),
        "limit=0".into(),
        "limit=201".into(),
        "cursor=x".into(),
    ] {
        app.viewer
            .get(&format!("/v1/changes?{query}"))
            .await
            .expect_problem(400, "malformed_request");
    }
    app.advance(Duration::from_hours(30 * 24));
    changes(&app.viewer, &format!("sync_token={token}")).await;
    app.advance(Duration::from_secs(1));
    let answer = app
        .viewer
        .get(&format!("/v1/changes?sync_token={token}"))
        .await;
    answer.expect_problem(410, "sync_token_expired");
}

#[sqlx::test]
async fn old_changes_are_forgotten_only_when_no_token_needs_them(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create(&app.planner, "/v1/events", &event()).await;
    app.advance(Duration::from_hours(31 * 24));
    assert_eq!(
        event_planner_api::changes::forget(&app.app.db, app.app.now())
            .await
            .unwrap(),
        0
    );
    create(&app.planner, "/v1/events", &event()).await;
    app.advance(Duration::from_secs(1));
    assert!(
        event_planner_api::changes::forget(&app.app.db, app.app.now())
            .await
            .unwrap()
            > 0
    );
    settle(&app).await;
    let left = changes(&app.owner, "").await;
    assert_eq!(
        summary(left["items"].as_array().unwrap()),
        ["event CREATED"]
    );
}

#[sqlx::test]
async fn a_reading_from_the_start_comes_to_its_end(pool: PgPool) {
    let app = TestApp::new(pool).await;
    create(&app.planner, "/v1/events", &event()).await;
    settle(&app).await;
    app.advance(Duration::from_hours(29 * 24));
    let first = changes(&app.viewer, "limit=1").await;
    assert_eq!(first["items"][0]["event_type"], "organization.created");
    // There is a day to ask for the second page.
    app.advance(Duration::from_hours(24));
    let token = first["next_sync_token"].as_str().unwrap();
    let (rest, _) = read(&app.viewer, token, 1).await;
    assert_eq!(summary(&rest).last().unwrap(), "event CREATED");
    // What is kept but too old for a token is not begun with.
    let anew = changes(&app.viewer, "limit=1").await;
    assert_eq!(
        (&anew["items"], &anew["has_more"]),
        (&json!([]), &json!(false))
    );
}

#[sqlx::test]
async fn on_a_restored_copy_the_feed_begins_anew(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    create(&app.planner, "/v1/events", &event()).await;
    settle(&app).await;
    queue::release_deliveries(&app.app.db).await.unwrap();
    assert!(
        !changes(&app.owner, "").await["items"]
            .as_array()
            .unwrap()
            .is_empty(),
        "at home nothing is lost"
    );
    sqlx::query("UPDATE deliveries SET home = 'elsewhere'")
        .execute(&pool)
        .await
        .unwrap();
    app.owner
        .get("/v1/changes")
        .await
        .expect_problem(503, "unavailable");
    queue::release_deliveries(&app.app.db).await.unwrap();
    assert_eq!(changes(&app.owner, "").await["items"], json!([]));
    create(&app.planner, "/v1/events", &event()).await;
    settle(&app).await;
    assert_eq!(
        summary(changes(&app.owner, "").await["items"].as_array().unwrap()),
        ["event CREATED"]
    );
}
