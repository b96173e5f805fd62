//! Runs as their clients see them, with real workers, and the sandbox in place of the providers.

use std::time::{Duration, Instant};

use event_planner_api::jobs::{HANDLERS, Handler, Options, Worker};
use event_planner_sandbox::{Fault, Misbehaviour, Provider};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{providers, scene, support::TestApp};

/// A worker in the background.
pub struct Running(CancellationToken, JoinHandle<()>);

impl Running {
    pub async fn stop(self) {
        self.0.cancel();
        self.1.await.unwrap();
    }
}

pub fn worker(app: &TestApp) -> Running {
    worker_with(app, HANDLERS, Options::default())
}

pub fn worker_with(app: &TestApp, handlers: &'static [Handler], options: Options) -> Running {
    let stop = CancellationToken::new();
    let running = tokio::spawn(Worker::run(
        app.app.clone(),
        handlers,
        options,
        stop.clone(),
    ));
    Running(stop, running)
}

/// The run once it has this status.
pub async fn until(app: &TestApp, run: &Value, status: &str) -> Value {
    until_with(app, run, &format!("status {status}"), |run| {
        run["status"] == status
    })
    .await
}

pub async fn until_with(
    app: &TestApp,
    run: &Value,
    what: &str,
    is_so: impl Fn(&Value) -> bool,
) -> Value {
    let path = path(run);
    let begun = Instant::now();
    loop {
        let now = app.viewer.get(&path).await.expect(200);
        if is_so(&now) {
            return now;
        }
        assert!(
            begun.elapsed() < Duration::from_mins(2),
            "not in time: {what}: {now:#}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub fn path(run: &Value) -> String {
    format!("/v1/orchestrations/{}", run["id"].as_str().unwrap())
}

async fn start(app: &TestApp, playbook: &Value) -> Value {
    app.planner
        .post("/v1/playbooks", playbook)
        .await
        .expect(201);
    let body = json!({ "description": "A run", "playbook": playbook["name"] });
    app.planner
        .post("/v1/orchestrations", &body)
        .await
        .expect(202)
}

/// What a person does with the step of that number.
async fn act(app: &TestApp, run: &Value, step: usize, verb: &str) -> crate::support::Answer {
    let subtask = run["subtasks"][step]["id"].as_str().unwrap();
    let path = format!("{}/subtasks/{subtask}/{verb}", path(run));
    app.planner.post(&path, &Value::Null).await
}

pub fn statuses(run: &Value) -> Vec<&str> {
    let subtasks = run["subtasks"].as_array().unwrap().iter();
    subtasks
        .map(|subtask| subtask["status"].as_str().unwrap())
        .collect()
}

/// A step that posts, and says so in the thread when it is undone.
fn post(id: &str, depends_on: &[&str]) -> Value {
    json!({
        "id": id, "agent_type": "messages", "tool": "slack.post_message", "description": "Post",
        "inputs": { "channel": "#events", "text": id }, "depends_on": depends_on, "attempts": 2,
        "compensate": { "tool": "slack.delete_message", "inputs": { "channel": "${output.channel_id}", "ts": "${output.ts}" } }
    })
}

fn playbook(steps: &[Value]) -> Value {
    json!({ "name": "posts", "title": "Posts", "steps": steps })
}

#[sqlx::test]
async fn a_description_becomes_a_run_with_a_plan(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let body =
        json!({ "description": "Deploy new API endpoint with authentication", "priority": "HIGH" });
    let taken = app.leave_one_connection().await;
    let preview = app
        .planner
        .post("/orchestrate?validate_only=true", &body)
        .await
        .expect(200);
    drop(taken);
    let none = app.viewer.get("/v1/orchestrations").await.expect(200);
    assert_eq!(none["items"], json!([]));
    let answer = app.planner.post_once("k", "/orchestrate", &body).await;
    let run = answer.expect(202);
    assert_eq!(answer.header("location"), path(&run));
    assert_eq!(run["task_id"], run["id"]);
    assert_eq!(run["playbook"], "software_release");
    assert_eq!(
        preview["routing_plan"]["estimated_duration_minutes"],
        run["routing_plan"]["estimated_duration_minutes"]
    );
    let subtasks = run["subtasks"].as_array().unwrap();
    let agents: std::collections::BTreeSet<_> = subtasks
        .iter()
        .map(|subtask| subtask["agent_type"].as_str().unwrap())
        .collect();
    assert_eq!(
        agents.into_iter().collect::<Vec<_>>(),
        [
            "cicd",
            "code-review",
            "documentation",
            "feature-dev",
            "infrastructure"
        ]
    );
    assert!(run["estimated_tokens"].as_i64().unwrap() > 500);
    // Each subtask is in one group, after the groups of what it depends on.
    let groups = run["routing_plan"]["execution_order"].as_array().unwrap();
    let group = |id: &Value| {
        groups
            .iter()
            .position(|group| group.as_array().unwrap().contains(id))
            .unwrap()
    };
    for subtask in subtasks {
        for before in subtask["depends_on"].as_array().unwrap() {
            assert!(group(before) < group(&subtask["id"]));
        }
    }
    let again = app.planner.post_once("k", "/orchestrate", &body).await;
    assert_eq!(again.expect(202), run);
    assert_eq!(again.header("idempotent-replayed"), "true");
    let missing = run["notes"].to_string();
    assert!(missing.contains("GDRIVE_SIDECAR_URL"), "{missing}");
    app.planner
        .post("/orchestrate", &json!({ "description": " " }))
        .await
        .expect_invalid(&["#/description"]);
    let unknown = json!({ "description": "x", "playbook": "nothing", "priority": "LOW" });
    app.planner
        .post("/orchestrate", &unknown)
        .await
        .expect_invalid(&["#/playbook"]);
    let stranger = app.stranger.get("/v1/orchestrations").await.expect(200);
    assert_eq!(stranger["items"], json!([]));
}

#[sqlx::test]
async fn a_step_waits_for_the_approval_of_its_role(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut body = scene::playbook("approved");
    body["steps"][0]["approval"] = json!({ "role": "OWNER" });
    let run = start(&app, &body).await;
    assert_eq!(run["status"], "WAITING");
    act(&app, &run, 0, "approve")
        .await
        .expect_problem(403, "forbidden");
    act(&app, &run, 0, "skip")
        .await
        .expect_problem(403, "forbidden");
    act(&app, &run, 0, "retry")
        .await
        .expect_problem(409, "invalid_transition");
    let subtask = run["subtasks"][0]["id"].as_str().unwrap();
    let approve = format!("{}/subtasks/{subtask}/approve", path(&run));
    app.owner.post(&approve, &Value::Null).await.expect(200);
    app.owner
        .post(&approve, &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
    let working = worker(&app);
    let done = until(&app, &run, "SUCCEEDED").await;
    working.stop().await;
    assert_eq!(done["subtasks"][0]["approved_by"], json!(app.owner_id));
    assert_eq!(
        done["subtasks"][0]["output"],
        json!({ "confirmed": "A run" })
    );
}

#[sqlx::test]
async fn what_failed_is_retried_or_skipped_by_a_person(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let mut first = post("first", &[]);
    first["inputs"]["channel"] = json!("#nowhere");
    let mut optional = first.clone();
    (optional["id"], optional["optional"]) = (json!("optional"), json!(true));
    let run = start(
        &app,
        &playbook(&[
            first,
            post("second", &["first"]),
            post("third", &[]),
            optional,
        ]),
    )
    .await;
    let working = worker(&app);
    let failed = until(&app, &run, "FAILED").await;
    assert_eq!(
        statuses(&failed),
        ["FAILED", "PENDING", "SUCCEEDED", "SKIPPED"],
        "{failed:#}"
    );
    assert!(failed["subtasks"][0]["error"].is_string());
    let again = act(&app, &failed, 0, "retry").await.expect(200);
    assert_eq!(
        (&again["status"], &again["subtasks"][0]["status"]),
        (&json!("RUNNING"), &json!("READY"))
    );
    let failed = until(&app, &run, "FAILED").await;
    act(&app, &failed, 0, "skip").await.expect(200);
    let done = until(&app, &run, "SUCCEEDED").await;
    working.stop().await;
    assert_eq!(
        statuses(&done),
        ["SKIPPED", "SUCCEEDED", "SUCCEEDED", "SKIPPED"]
    );
    assert_eq!(providers::counts(&sandbox).await["slack"]["messages"], 2);
}

#[sqlx::test]
async fn a_run_that_is_cancelled_midway_begins_nothing_more_and_undoes_the_rest(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let mut gate = scene::playbook("x")["steps"][0].clone();
    gate["depends_on"] = json!(["first"]);
    let run = start(
        &app,
        &playbook(&[post("first", &[]), gate, post("never", &["look"])]),
    )
    .await;
    let working = worker(&app);
    let waiting = until(&app, &run, "WAITING").await;
    assert_eq!(
        statuses(&waiting),
        ["SUCCEEDED", "WAITING_APPROVAL", "PENDING"]
    );
    let preview = format!("{}/cancel?validate_only=true", path(&run));
    assert_eq!(
        app.planner.post(&preview, &Value::Null).await.expect(200)["status"],
        "CANCELLING"
    );
    app.planner
        .post(&format!("{}/cancel", path(&run)), &Value::Null)
        .await
        .expect(200);
    let done = until(&app, &run, "CANCELLED").await;
    working.stop().await;
    assert_eq!(statuses(&done), ["COMPENSATED", "SKIPPED", "SKIPPED"]);
    assert_eq!(providers::counts(&sandbox).await["slack"]["messages"], 0);
    app.planner
        .post(&format!("{}/cancel", path(&run)), &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
}

#[sqlx::test]
async fn what_cannot_be_undone_is_marked_and_tried_again_by_a_person(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let mut broken = post("broken", &["first"]);
    broken["compensate"] = json!({
        "tool": "slack.delete_message", "inputs": { "channel": "#nowhere", "ts": "${output.ts}" }
    });
    let run = start(&app, &playbook(&[post("first", &[]), broken])).await;
    let working = worker(&app);
    until(&app, &run, "SUCCEEDED").await;
    app.planner
        .post(&format!("{}/cancel", path(&run)), &Value::Null)
        .await
        .expect(200);
    let marked = until(&app, &run, "COMPENSATION_FAILED").await;
    assert_eq!(
        statuses(&marked),
        ["COMPENSATED", "COMPENSATION_FAILED"],
        "the rest is undone all the same"
    );
    act(&app, &marked, 1, "retry").await.expect(200);
    let marked = until(&app, &run, "COMPENSATION_FAILED").await;
    let settled = act(&app, &marked, 1, "skip").await.expect(200);
    working.stop().await;
    assert_eq!(settled["status"], "CANCELLED");
    assert_eq!(providers::counts(&sandbox).await["slack"]["messages"], 1);
}

#[sqlx::test]
async fn a_provider_that_is_away_holds_the_step_up_and_loses_nothing(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    sandbox.misbehave(Fault::new(
        Provider::Slack,
        Misbehaviour::Error { status: 503 },
    ));
    let folder = json!({
        "id": "folder", "agent_type": "documents", "tool": "gdrive.create_folder", "description": "Make",
        "inputs": { "name": "Papers" }
    });
    let run = start(&app, &playbook(&[post("first", &[]), folder])).await;
    let working = worker(&app);
    let parked = until_with(&app, &run, "parked", |run| {
        run["subtasks"][0]["status"] == "READY"
            && run["subtasks"][0]["error"].is_string()
            && run["subtasks"][1]["status"] == "SUCCEEDED"
    })
    .await;
    assert_eq!(
        (&parked["status"], &parked["subtasks"][0]["attempts"]),
        (&json!("RUNNING"), &json!(0))
    );
    sandbox.world.faults.clear();
    until(&app, &run, "SUCCEEDED").await;
    working.stop().await;
    assert_eq!(providers::counts(&sandbox).await["slack"]["messages"], 1);
}

#[sqlx::test]
async fn two_hundred_runs_at_once_all_end_once(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let step = |id: &str, before: &[&str]| {
        json!({
            "id": id, "agent_type": "people", "tool": "people.confirm", "description": "x", "inputs": { "what": id },
            "depends_on": before,
        })
    };
    let steps = [step("a", &[]), step("b", &[]), step("c", &["a", "b"])];
    app.planner
        .post("/v1/playbooks", &playbook(&steps))
        .await
        .expect(201);
    let workers = [worker(&app), worker(&app)];
    let body = json!({ "description": "One of many", "playbook": "posts" });
    let started = (0..200).map(|_| app.planner.post("/v1/orchestrations", &body));
    for answer in futures_util::future::join_all(started).await {
        answer.expect(202);
    }
    let begun = Instant::now();
    loop {
        let open: i64 =
            sqlx::query_scalar("SELECT count(*) FROM orchestrations WHERE status <> 'SUCCEEDED'")
                .fetch_one(&pool)
                .await
                .unwrap();
        if open == 0 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(2), "{open} are open");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for worker in workers {
        worker.stop().await;
    }
    let done: (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE status = 'SUCCEEDED'), sum(attempts)::bigint FROM subtasks",
    )
    .fetch_one(&pool).await.unwrap();
    assert_eq!(done, (600, 600, 600));
    let told: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_entries WHERE action = 'orchestration.succeeded'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(told, 200);
}

#[sqlx::test]
async fn progress_is_streamed_and_goes_on_where_a_client_left(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let run = start(&app, &scene::playbook("streamed")).await;
    let events = format!("{}/events", path(&run));
    let watching = tokio::spawn({
        let (viewer, events) = (app.viewer.clone(), events.clone());
        async move {
            viewer
                .get_with(&events, &[("accept", "text/event-stream")])
                .await
        }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    act(&app, &run, 0, "approve").await.expect(200);
    let working = worker(&app);
    let done = until(&app, &run, "SUCCEEDED").await;
    let answer = tokio::time::timeout(Duration::from_secs(10), watching)
        .await
        .unwrap()
        .unwrap();
    working.stop().await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("x-accel-buffering"), "no");
    let text = answer.text();
    let ids: Vec<i64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("id: ")?.parse().ok())
        .collect();
    assert!(ids.is_sorted() && ids.len() > 1, "{text}");
    assert_eq!(ids.last().copied(), done["version"].as_i64());
    assert!(
        text.contains("WAITING_APPROVAL") && text.contains("\"status\":\"SUCCEEDED\""),
        "{text}"
    );

    let first = ids[0].to_string();
    let rest = app
        .viewer
        .get_with(&events, &[("last-event-id", &first)])
        .await
        .text();
    assert!(
        !rest.contains("WAITING_APPROVAL") && rest.contains("SUCCEEDED"),
        "{rest}"
    );
    // A browser comes back after the end; 204 tells it not to.
    let last = done["version"].to_string();
    let over = app
        .viewer
        .get_with(&events, &[("last-event-id", &last)])
        .await;
    over.expect(204);
    app.viewer
        .get_with(&events, &[("last-event-id", "x")])
        .await
        .expect_problem(400, "malformed_request");
    app.stranger
        .get(&events)
        .await
        .expect_problem(404, "not_found");
}

#[sqlx::test]
async fn an_organization_that_watches_much_leaves_places_for_others(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let run = start(&app, &scene::playbook("watched")).await;
    let events = format!("{}/events", path(&run));
    let mut watching = Vec::new();
    for _ in 0..64 {
        watching.push(app.viewer.open(&events).await);
    }
    assert!(watching.iter().all(|answer| answer.status() == 200));
    app.planner
        .get(&events)
        .await
        .expect_problem(503, "unavailable");
    let request = json!({ "description": "Offsite" });
    let theirs = app.stranger.post("/orchestrate", &request).await;
    let theirs = theirs.expect(202)["task_id"].as_str().unwrap().to_owned();
    let theirs = format!("/v1/orchestrations/{theirs}/events");
    assert_eq!(app.stranger.open(&theirs).await.status(), 200);
    watching.pop();
    assert_eq!(app.planner.open(&events).await.status(), 200);
}

#[sqlx::test]
async fn a_revoked_key_ends_its_stream(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let run = start(&app, &scene::playbook("watched")).await;
    let key = app
        .owner
        .post("/v1/api-keys", &json!({ "name": "watcher" }))
        .await
        .expect(201);
    let watcher = app.client(key["key"].as_str().unwrap());
    let events = format!("{}/events", path(&run));
    let watching = tokio::spawn(async move { watcher.get(&events).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let id = key["id"].as_str().unwrap();
    app.owner
        .delete(&format!("/v1/api-keys/{id}"), "*")
        .await
        .expect(204);
    tokio::time::timeout(Duration::from_secs(5), watching)
        .await
        .unwrap()
        .unwrap()
        .expect(200);
}

#[sqlx::test]
async fn a_run_of_an_event_that_is_over_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event = app
        .planner
        .post("/v1/events", &scene::event())
        .await
        .expect(201);
    let body = json!({ "description": "Look after it", "event_id": event["id"] });
    let run = app
        .planner
        .post("/v1/orchestrations", &body)
        .await
        .expect(202);
    assert_eq!(run["playbook"], "offsite", "by the type of the event");
    let due = run["subtasks"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|subtask| subtask["due_at"].as_str())
        .unwrap();
    assert_eq!(
        due, "2027-03-14T18:00:00Z",
        "90 days before, at the same wall time"
    );
    let id = event["id"].as_str().unwrap();
    app.planner
        .post_once("c", &format!("/v1/events/{id}/cancel"), &Value::Null)
        .await
        .expect(200);
    assert_eq!(
        app.viewer.get(&path(&run)).await.expect(200)["status"],
        "CANCELLED"
    );
    app.planner
        .post("/v1/orchestrations", &body)
        .await
        .expect_problem(409, "invalid_transition");
    let unknown = json!({ "description": "x", "event_id": run["id"] });
    app.planner
        .post("/v1/orchestrations", &unknown)
        .await
        .expect_invalid(&["#/event_id"]);
    let of_event = app
        .viewer
        .get(&format!(
            "/v1/orchestrations?event_id={id}&status=CANCELLED"
        ))
        .await
        .expect(200);
    assert_eq!(of_event["items"].as_array().unwrap().len(), 1);
}
