//! Playbooks: those that are shipped, and an organization's own.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use axum::{body::Body, http::Method};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{scene::playbook, support::TestApp};

const YAML: &str = r#"
name: team-dinner
title: Team dinner
match:
  keywords: {dinner: 9}
steps:
  - id: look
    agent_type: people
    tool: people.confirm
    description: Look
    inputs: {what: "${request.title}"}
    approval: {role: OWNER}
    timeout: PT10S
    deadline: -P14D
"#;

async fn post_yaml(app: &TestApp, yaml: &str) -> crate::support::Answer {
    let request = app.planner.request(Method::POST, "/v1/playbooks");
    let request = request.header("content-type", "application/yaml");
    app.planner.send(request, Body::from(yaml.to_owned())).await
}

#[sqlx::test]
async fn a_playbook_in_yaml_is_the_same_as_in_json(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let added = post_yaml(&app, YAML).await;
    let body = added.expect(201);
    assert_eq!(added.header("location"), "/v1/playbooks/team-dinner");
    assert_eq!(body["steps"][0]["approval"], json!({ "role": "OWNER" }));
    let read = app.viewer.get("/v1/playbooks/team-dinner").await;
    assert_eq!(read.expect(200), body);
    let run = json!({ "description": "A dinner" });
    let run = app
        .planner
        .post("/v1/orchestrations", &run)
        .await
        .expect(202);
    assert_eq!(run["playbook"], "team-dinner");
    assert_eq!(run["facts"]["keywords"], json!(["dinner"]));

    // What was started goes on with what it was started with.
    let mut changed = playbook("team-dinner");
    changed["steps"][0]["id"] = json!("other");
    let request = app
        .planner
        .request(Method::PUT, "/v1/playbooks/team-dinner");
    let request = request
        .header("content-type", "application/json")
        .header("if-match", read.etag());
    let replaced = app
        .planner
        .send(request, Body::from(changed.to_string()))
        .await;
    assert_eq!(replaced.expect(200)["version"], 2);
    let path = format!("/v1/orchestrations/{}", run["id"].as_str().unwrap());
    let still = app.viewer.get(&path).await.expect(200);
    assert_eq!(still["subtasks"][0]["step"], "look");
    assert_eq!(still["playbook_version"], 1);
}

#[sqlx::test]
async fn every_fault_has_a_pointer(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let with = |change: fn(&mut Value)| {
        let mut body = playbook("p");
        change(&mut body);
        body
    };
    let cases: [(Value, &[&str]); 9] = [
        (
            with(|p| p["steps"][0]["tool"] = json!("people.fly")),
            &["#/steps/0/tool"],
        ),
        (
            with(|p| p["steps"][0]["agent_type"] = json!("nobody")),
            &["#/steps/0/agent_type"],
        ),
        (
            with(|p| p["steps"][0]["inputs"]["what"] = json!("${steps.x.output}")),
            &["#/steps/0/inputs/what"],
        ),
        (
            with(|p| p["steps"][0]["inputs"]["whom"] = json!("x")),
            &["#/steps/0/inputs/whom"],
        ),
        (
            with(|p| p["steps"][0]["depends_on"] = json!(["look"])),
            &["#/steps/0/depends_on"],
        ),
        (
            with(|p| p["steps"][0]["timeout"] = json!("PT1H")),
            &["#/steps/0/timeout"],
        ),
        (
            with(|p| p["steps"][0]["deadline"] = json!("soon")),
            &["#/steps/0/deadline"],
        ),
        (
            with(|p| p["steps"][0]["code"] = json!("x")),
            &["#/steps/0/code"],
        ),
        (with(|p| p["steps"] = json!([])), &["#/steps"]),
    ];
    for (body, pointers) in cases {
        app.planner
            .post("/v1/playbooks", &body)
            .await
            .expect_invalid(pointers);
    }
    let twice = YAML.replace("title: Team dinner", "title: Team dinner\ntitle: again");
    post_yaml(&app, &twice)
        .await
        .expect_problem(400, "malformed_request");
    let bomb: String = (1..12).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        format!(
            "{text}a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}]\n",
            n - 1
        )
    });
    post_yaml(&app, &bomb)
        .await
        .expect_problem(400, "malformed_request");
    let request = app
        .planner
        .request(Method::POST, "/v1/playbooks")
        .header("content-type", "text/plain");
    app.planner
        .send(request, Body::from(YAML))
        .await
        .expect_problem(415, "unsupported_media_type");
}

#[sqlx::test]
async fn aliases_that_explode_are_refused_at_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut yaml = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (before, name) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let aliases = vec![format!("*{before}"); 9].join(", ");
        writeln!(yaml, "{name}: &{name} [{aliases}]").unwrap();
    }
    let begun = Instant::now();
    post_yaml(&app, &yaml)
        .await
        .expect_problem(400, "malformed_request");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[sqlx::test]
async fn an_own_playbook_takes_the_place_of_a_shipped_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let list = app.viewer.get("/v1/playbooks").await.expect(200);
    let names: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    let shipped = [
        "booking",
        "conference",
        "general",
        "meetup",
        "offsite",
        "product_launch",
        "software_release",
        "wedding",
    ];
    assert_eq!(names, shipped);
    app.planner
        .delete("/v1/playbooks/offsite", "*")
        .await
        .expect_problem(409, "in_use");
    app.planner
        .post("/v1/playbooks", &playbook("offsite"))
        .await
        .expect(201);
    app.planner
        .post("/v1/playbooks", &playbook("offsite"))
        .await
        .expect_problem(409, "already_exists");
    assert_eq!(
        app.viewer.get("/v1/playbooks/offsite").await.expect(200)["is_shipped"],
        false
    );
    assert_eq!(
        app.stranger.get("/v1/playbooks/offsite").await.expect(200)["is_shipped"],
        true
    );
    let page = app.viewer.get("/v1/playbooks?limit=5").await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 5);
    let next = format!(
        "/v1/playbooks?limit=5&cursor={}",
        page["next_cursor"].as_str().unwrap()
    );
    let rest = app.viewer.get(&next).await.expect(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 3);
    app.planner
        .delete("/v1/playbooks/offsite", "*")
        .await
        .expect(204);
    assert_eq!(
        app.viewer.get("/v1/playbooks/offsite").await.expect(200)["is_shipped"],
        true
    );
}
