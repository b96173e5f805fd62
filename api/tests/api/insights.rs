use std::time::Instant;

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    scene::event,
    support::{Answer, Client, TestApp},
};

const QUERY: &str = "/v1/insights/query";
const QUERIES: &str = "/v1/insights/queries";

async fn ask(client: &Client, sql: &str, params: Value) -> Answer {
    client
        .post(QUERY, &json!({"sql": sql, "params": params}))
        .await
}

#[sqlx::test]
async fn the_views_say_what_they_hold(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let views = app.viewer.get("/v1/insights/views").await.expect(200);
    let items = views["items"].as_array().unwrap();
    let events = items.iter().find(|view| view["name"] == "events").unwrap();
    assert!(!events["description"].as_str().unwrap().is_empty());
    let column = |name| {
        let columns = events["columns"].as_array().unwrap();
        columns
            .iter()
            .find(|column| column["name"] == name)
            .cloned()
    };
    assert_eq!(column("status").unwrap()["type"], "text");
    assert_eq!(column("organization_id"), None);
    assert!(items.iter().all(|view| view["name"] != "members"));
}

#[sqlx::test]
async fn a_question_sees_the_callers_organization_only(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for _ in 0..3 {
        app.planner.post("/v1/events", &event()).await.expect(201);
    }
    app.stranger.post("/v1/events", &event()).await.expect(201);
    let count = "select count(*) as n, $1::text as city from events";
    let answer = ask(&app.viewer, count, json!(["Lisboa"])).await.expect(200);
    assert_eq!(answer["columns"][0], json!({"name": "n", "type": "int8"}));
    assert_eq!(answer["rows"], json!([[3, "Lisboa"]]));
    assert_eq!(
        (
            &answer["row_count"],
            &answer["truncated"],
            &answer["truncated_by"]
        ),
        (&json!(1), &json!(false), &Value::Null)
    );
    let theirs = ask(&app.stranger, count, json!([null])).await.expect(200);
    assert_eq!(theirs["rows"], json!([[1, null]]));
}

#[sqlx::test]
async fn what_does_not_hold_is_told_where(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let wrong = async |sql: &str, params: Value| ask(&app.owner, sql, params).await;
    wrong("select colour from events", json!([]))
        .await
        .expect_invalid(&["#/sql"]);
    wrong("selec 1", json!([])).await.expect_invalid(&["#/sql"]);
    wrong("", json!([])).await.expect_invalid(&["#/sql"]);
    wrong(&format!("select '{}'", "é".repeat(4_096)), json!([]))
        .await
        .expect_invalid(&["#/sql"]);
    wrong("select $1::int", json!(["many"]))
        .await
        .expect_invalid(&["#/params/0"]);
    for sql in [
        "delete from events",
        "select 1; drop table events",
        "select * from members",
        "select pg_sleep(1)",
    ] {
        let answer = wrong(sql, json!([])).await;
        assert_eq!(answer.status, 422, "{sql}: {}", answer.text());
    }
    let body = json!({"sql": "select 1", "limit": 1_001});
    app.owner
        .post(QUERY, &body)
        .await
        .expect_invalid(&["#/limit"]);
}

#[sqlx::test]
async fn an_answer_comes_as_csv_where_that_is_asked_for(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let sql = "select n, '=1+' || n as formula, null as nothing from generate_series(1, 3) n";
    let body = json!({"sql": sql, "limit": 2});
    let answer = app
        .viewer
        .post_with(QUERY, &body, &[("accept", "text/csv")])
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(answer.headers["truncated-by"], "rows");
    assert_eq!(answer.text(), "n,formula,nothing\n1,'=1+1,\n2,'=1+2,\n");
    let both = [("accept", "application/json, text/csv;q=0.5")];
    let answer = app.viewer.post_with(QUERY, &body, &both).await.expect(200);
    assert_eq!(answer["truncated_by"], "rows");
}

#[sqlx::test]
async fn a_saved_query_runs_with_parameters_by_name(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let new = json!({
        "name": "Sum", "sql": "select $1::int + $2::int as sum",
        "parameters": [{"name": "left"}, {"name": "right", "default": 40}]
    });
    app.viewer
        .post(QUERIES, &new)
        .await
        .expect_problem(403, "forbidden");
    let saved = app.planner.post(QUERIES, &new).await.expect(201);
    let path = format!("{QUERIES}/{}", saved["id"].as_str().unwrap());
    let run = async |parameters: Value| {
        let body = json!({"parameters": parameters});
        app.viewer.post(&format!("{path}/run"), &body).await
    };
    assert_eq!(
        run(json!({"left": 2})).await.expect(200)["rows"],
        json!([[42]])
    );
    assert_eq!(
        run(json!({"left": 2, "right": 3})).await.expect(200)["rows"],
        json!([[5]])
    );
    assert_eq!(
        run(json!({"left": null})).await.expect(200)["rows"],
        json!([[null]])
    );
    run(json!({})).await.expect_invalid(&["#/parameters/left"]);
    run(json!({"left": 1, "x/y": 2}))
        .await
        .expect_invalid(&["#/parameters/x~1y"]);
    run(json!({"left": "two"}))
        .await
        .expect_invalid(&["#/parameters/left"]);

    let patch = json!({"sql": "select $1::int * $2::int as product"});
    app.planner.patch(&path, "\"1\"", &patch).await.expect(200);
    assert_eq!(
        run(json!({"left": 2})).await.expect(200)["rows"],
        json!([[80]])
    );
    app.planner.delete(&path, "\"2\"").await.expect(204);
    app.viewer.get(&path).await.expect_problem(404, "not_found");
}

#[sqlx::test]
async fn saved_queries_are_checked_and_named_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let new = json!({"name": "Twice", "sql": "select 1"});
    app.planner.post(QUERIES, &new).await.expect(201);
    let again = json!({"name": "TWICE", "sql": "select 1"});
    app.planner
        .post(QUERIES, &again)
        .await
        .expect_problem(409, "already_exists");
    app.stranger.post(QUERIES, &new).await.expect(201);
    let wrong = json!({
        "name": " ", "sql": "", "parameters": [{"name": "Nice"}]
    });
    app.planner.post(QUERIES, &wrong).await.expect_invalid(&[
        "#/name",
        "#/parameters/0/name",
        "#/sql",
    ]);
    let twice =
        json!({"name": "P", "sql": "select 1", "parameters": [{"name": "a"}, {"name": "a"}]});
    app.planner
        .post(QUERIES, &twice)
        .await
        .expect_invalid(&["#/parameters"]);
}

#[sqlx::test]
async fn every_question_is_in_the_audit_trail_even_a_refused_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    ask(&app.viewer, "select 1", json!([])).await.expect(200);
    ask(&app.viewer, "drop table events", json!([])).await;
    let trail = app
        .owner
        .get("/v1/audit?action=insights.queried")
        .await
        .expect(200);
    let asked: Vec<_> = trail["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["after"]["sql"].clone())
        .collect();
    assert_eq!(asked.len(), 2, "{trail}");
    assert!(asked.contains(&json!("select 1")) && asked.contains(&json!("drop table events")));
}

#[sqlx::test]
async fn an_organization_asks_so_often_and_no_more(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let begun = Instant::now();
    let mut taken = 0;
    let refused = loop {
        let answer = ask(&app.viewer, "select 1", json!([])).await;
        if answer.status != 200 {
            break answer;
        }
        taken += 1;
        assert!(taken < 1_000, "there is a limit");
    };
    // 60 at once, and one more with each second.
    assert!(
        (60..=61 + begun.elapsed().as_secs()).contains(&taken),
        "{taken}"
    );
    let problem = refused.expect_problem(429, "quota_exceeded");
    assert_eq!(problem["violated-policies"], json!(["insights"]));
    ask(&app.stranger, "select 1", json!([])).await.expect(200);
}

#[sqlx::test]
async fn an_unknown_saved_query_is_not_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("{QUERIES}/{}/run", Uuid::nil());
    app.viewer
        .post(&path, &json!({}))
        .await
        .expect_problem(404, "not_found");
}

#[sqlx::test]
async fn the_published_examples_work(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let document = serde_json::to_value(event_planner_api::openapi::document()).unwrap();
    let example = |schema: &str| document["components"]["schemas"][schema]["example"].clone();
    app.viewer
        .post(QUERY, &example("Question"))
        .await
        .expect(200);
    let saved = app
        .planner
        .post(QUERIES, &example("NewSavedQuery"))
        .await
        .expect(201);
    let path = format!("{QUERIES}/{}/run", saved["id"].as_str().unwrap());
    app.viewer
        .post(&path, &example("SavedQueryRun"))
        .await
        .expect(200);
}

#[sqlx::test]
async fn a_fault_says_where_it_is_and_what_helps(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (sql, words) in [
        (
            "select 1 from events where foo = 1",
            "(at character 28); GET /v1/insights/views shows",
        ),
        ("select 1; select 2", "one statement at a time"),
        ("delete from events", "nothing that changes data"),
        (
            "with gone as (delete from events returning 1) select * from gone",
            "nothing can be changed",
        ),
        ("select pg_sleep(1)", "GET /v1/insights/views shows"),
    ] {
        let problem = ask(&app.viewer, sql, json!([]))
            .await
            .expect_problem(422, "invalid_fields");
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{sql}: {detail}");
    }
}
