//! Events in the organization's calendar: held once, followed, and watched for what people do there.

use std::time::Duration;

use event_planner_api::{
    calendar::{
        self,
        actions::{self, CancelInput, HoldInput},
    },
    jobs::{Done, Failure, HANDLERS, Job, Options},
    sidecars::Errand,
};
use event_planner_sandbox::{
    Fault, Misbehaviour, Provider, Sandbox,
    google::token::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN},
};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    jobs::{start, until},
    providers,
    scene::{Scene, create, event, id},
    support::TestApp,
};

/// Does what is on the queue.
async fn work(app: &TestApp) {
    let (stop, running) = start(app, HANDLERS, Options::default());
    until("the queue is empty", async || {
        let left = "SELECT count(*) FROM jobs WHERE kind IN ('calendar.sync', 'calendar.read') AND died_at IS NULL";
        sqlx::query_scalar::<_, i64>(left).fetch_one(&app.app.db).await.unwrap() == 0
    })
    .await;
    stop.cancel();
    running.await.unwrap();
}

/// The scene's entry is of no use with a provider, and runs of bookings write there, too.
async fn forget_the_scenes(app: &TestApp) {
    for forget in [
        "DELETE FROM jobs WHERE kind = 'subtask.run'",
        "UPDATE organizations SET booking_run = 'OFF'",
        "DELETE FROM calendar_entries",
    ] {
        sqlx::query(forget).execute(&app.app.db).await.unwrap();
    }
}

/// Looks at the calendar as every few minutes.
async fn look(app: &TestApp) {
    calendar::look_everywhere(&app.app).await.unwrap();
    work(app).await;
}

/// An event in Lisbon, 12 June, 18:00 to 22:00, held in the calendar.
async fn held(app: &TestApp) -> (Uuid, Value) {
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let path = format!("/v1/events/{event_id}/calendar");
    let asked = app.planner.post(&path, &Value::Null).await;
    assert_eq!(asked.expect(201)["status"], "PENDING");
    assert_eq!(asked.header("location"), path);
    work(app).await;
    let entry = entry(app, event_id).await;
    assert_eq!(entry["status"], "HELD", "{entry}");
    (event_id, entry)
}

async fn entry(app: &TestApp, event_id: Uuid) -> Value {
    app.viewer
        .get(&format!("/v1/events/{event_id}/calendar"))
        .await
        .expect(200)
}

async fn patch_event(app: &TestApp, event_id: Uuid, patch: Value) {
    app.planner
        .patch(&format!("/v1/events/{event_id}"), "*", &patch)
        .await
        .expect(200);
}

/// A person with the calendar open in another window.
struct Person {
    client: reqwest::Client,
    events: String,
    token: String,
}

impl Person {
    async fn new(sandbox: &Sandbox) -> Self {
        let (client, google) = (reqwest::Client::new(), sandbox.url("google"));
        let form = format!(
            "grant_type=refresh_token&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&refresh_token={REFRESH_TOKEN}"
        );
        let request = client
            .post(format!("{google}/token"))
            .header("content-type", "application/x-www-form-urlencoded");
        let answer: Value = request
            .body(form)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        Self {
            client,
            events: format!("{google}/calendar/v3/calendars/primary/events"),
            token: answer["access_token"].as_str().unwrap().to_owned(),
        }
    }

    async fn send(&self, method: &str, entry: &Value, body: Value) -> Value {
        let url = format!(
            "{}/{}",
            self.events,
            entry["provider_event_id"].as_str().unwrap()
        );
        let request = self
            .client
            .request(method.parse().unwrap(), url)
            .bearer_auth(&self.token);
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        answer.json().await.unwrap_or_default()
    }

    async fn sees(&self, entry: &Value) -> Value {
        self.send("GET", entry, Value::Null).await
    }

    async fn changes(&self, entry: &Value, patch: Value) {
        self.send("PATCH", entry, patch).await;
    }

    async fn deletes(&self, entry: &Value) {
        self.send("DELETE", entry, Value::Null).await;
    }
}

/// The start of an event there; its offset is that of the calendar.
fn starts_at(seen: &Value) -> String {
    let start = seen["start"]["dateTime"].as_str().unwrap();
    start.parse::<jiff::Timestamp>().unwrap().to_string()
}

fn moved_to(start: &str, end: &str) -> Value {
    let at = |time: &str| json!({"dateTime": time, "timeZone": "Europe/Lisbon"});
    json!({"start": at(start), "end": at(end)})
}

/// Requests that changed something at the provider.
fn writes(sandbox: &Sandbox) -> usize {
    let arrived = sandbox.arrived(Provider::Google);
    let writes = arrived
        .iter()
        .filter(|entry| entry.path.contains("/calendar/") && entry.method != "GET");
    writes.count()
}

async fn events_outside(sandbox: &Sandbox) -> Value {
    providers::counts(sandbox).await["google"]["calendar"]["events"].clone()
}

fn errand(app: &TestApp, key: &str) -> Errand {
    Errand {
        organization_id: app.organization_id,
        member_id: None,
        request_id: None,
        idempotency_key: key.into(),
        account: None,
        deadline: tokio::time::Instant::now() + Duration::from_secs(20),
    }
}

#[sqlx::test]
async fn an_entry_follows_its_event_from_hold_to_cancellation(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let person = Person::new(&sandbox).await;
    let scene = Scene::new(&app, "follow").await;
    forget_the_scenes(&app).await;
    let (event_id, entry_held) = held(&app).await;
    let seen = person.sees(&entry_held).await;
    assert_eq!(
        (&seen["summary"], &seen["start"]["timeZone"]),
        (&json!("Offsite"), &json!("Europe/Lisbon"))
    );
    assert!(entry_held["link"].as_str().unwrap().starts_with("http"));
    assert_eq!(entry_held["shows"]["starts_at"], "2027-06-12T17:00:00Z");
    // Asked again, it is the same.
    let path = format!("/v1/events/{event_id}/calendar");
    assert_eq!(
        app.planner.post(&path, &Value::Null).await.expect(200)["version"],
        entry_held["version"]
    );

    patch_event(&app, event_id, json!({"title": "Retreat", "notes": "x"})).await;
    assert_eq!(entry(&app, event_id).await["status"], "PENDING");
    work(&app).await;
    let updated = entry(&app, event_id).await;
    assert_eq!(
        (&updated["status"], &updated["shows"]["title"]),
        (&json!("UPDATED"), &json!("Retreat"))
    );
    let before = writes(&sandbox);
    patch_event(&app, event_id, json!({"notes": "nobody sees this there"})).await;
    assert_eq!(entry(&app, event_id).await["version"], updated["version"]);
    // Moved, in another zone, and at a venue.
    let to = json!({"local_start": "2027-07-01T09:00:00", "time_zone": "Asia/Tokyo"});
    let path_move = format!("/v1/events/{event_id}/reschedule");
    let headers = [("idempotency-key", "move"), ("if-match", "*")];
    let moved = app
        .planner
        .post_with(&path_move, &to, &headers)
        .await
        .expect(200);
    assert_eq!(
        id(&moved["calendar"]["calendar_entry_id"]),
        id(&updated["id"])
    );
    create(
        &app.planner,
        &format!("/v1/events/{event_id}/bookings"),
        &json!({"venue_id": scene.venue_id, "number_of_guests": 40}),
    )
    .await;
    work(&app).await;
    let seen = person.sees(&updated).await;
    assert_eq!(seen["start"]["timeZone"], "Asia/Tokyo");
    assert_eq!(
        entry(&app, event_id).await["shows"]["starts_at"],
        "2027-07-01T00:00:00Z"
    );
    assert!(
        seen["location"]
            .as_str()
            .unwrap()
            .starts_with("Hall of follow"),
        "{seen}"
    );
    assert_eq!(
        writes(&sandbox),
        before + 1,
        "the last state wins, in one write"
    );

    app.planner
        .post_once(
            "cancel",
            &format!("/v1/events/{event_id}/cancel"),
            &Value::Null,
        )
        .await
        .expect(200);
    work(&app).await;
    assert_eq!(entry(&app, event_id).await["status"], "CANCELLED");
    assert_eq!(person.sees(&updated).await["status"], "cancelled");
    app.planner
        .post(&path, &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
    let trail = app
        .owner
        .get(&format!("/v1/audit?subject_id={}", id(&updated["id"])))
        .await
        .expect(200);
    let mut actions: Vec<_> = trail["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect();
    actions.reverse();
    assert_eq!(
        actions,
        [
            "calendar.requested",
            "calendar.held",
            "calendar.updated",
            "calendar.updated",
            "calendar.cancelled"
        ]
    );
}

#[sqlx::test]
async fn what_a_person_changes_there_is_told_and_restored(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let person = Person::new(&sandbox).await;
    let (event_id, ours) = held(&app).await;
    look(&app).await;
    let mut change = moved_to("2027-06-12T20:00:00+01:00", "2027-06-13T00:00:00+01:00");
    change["summary"] = json!("Party");
    person.changes(&ours, change).await;
    look(&app).await;
    let drifted = entry(&app, event_id).await;
    assert_eq!(drifted["status"], "DRIFTED");
    assert_eq!(
        drifted["drift"]["differs"],
        json!(["title", "starts_at", "ends_at"])
    );
    assert_eq!(
        drifted["drift"]["shows"]["starts_at"],
        "2027-06-12T19:00:00Z"
    );
    // A change of ours does not write over it.
    patch_event(&app, event_id, json!({"title": "Retreat"})).await;
    work(&app).await;
    assert_eq!(entry(&app, event_id).await["status"], "DRIFTED");
    assert_eq!(person.sees(&ours).await["summary"], "Party");

    let restore = format!("/v1/events/{event_id}/calendar/restore");
    assert_eq!(
        app.planner.post(&restore, &Value::Null).await.expect(200)["status"],
        "PENDING"
    );
    work(&app).await;
    let restored = entry(&app, event_id).await;
    assert_eq!(
        (&restored["status"], &restored["drift"]),
        (&json!("UPDATED"), &Value::Null)
    );
    let seen = person.sees(&ours).await;
    assert_eq!(seen["summary"], "Retreat");
    assert_eq!(starts_at(&seen), "2027-06-12T17:00:00Z");
    app.planner
        .post(&restore, &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
    // It is moved there, and back by the same person: nothing is left to tell.
    person
        .changes(
            &ours,
            moved_to("2027-06-12T20:00:00+01:00", "2027-06-13T00:00:00+01:00"),
        )
        .await;
    look(&app).await;
    assert_eq!(entry(&app, event_id).await["status"], "DRIFTED");
    person
        .changes(
            &ours,
            moved_to("2027-06-12T18:00:00+01:00", "2027-06-12T22:00:00+01:00"),
        )
        .await;
    look(&app).await;
    assert_eq!(entry(&app, event_id).await["status"], "UPDATED");
}

#[sqlx::test]
async fn what_a_person_changes_there_can_be_taken_over(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let person = Person::new(&sandbox).await;
    let (event_id, ours) = held(&app).await;
    let task = json!({"title": "Cake", "due": {"days_before": 14}});
    let task = create(&app.planner, &format!("/v1/events/{event_id}/tasks"), &task).await;
    let mut change = moved_to("2027-06-19T10:00:00+01:00", "2027-06-19T15:00:00+01:00");
    change["summary"] = json!("Brunch");
    person.changes(&ours, change).await;
    look(&app).await;
    let accept = format!("/v1/events/{event_id}/calendar/accept");
    app.planner
        .post(&accept, &json!({}))
        .await
        .expect_problem(400, "idempotency_key_missing");
    let seen = app
        .planner
        .post_once("p", &format!("{accept}?validate_only=true"), &json!({}))
        .await
        .expect(200);
    assert_eq!(entry(&app, event_id).await["status"], "DRIFTED");
    let done = app
        .planner
        .post_once("a", &accept, &json!({}))
        .await
        .expect(200);
    assert_eq!(done["event"], seen["event"]);
    assert_eq!(done["event"]["title"], "Brunch");
    assert_eq!(done["event"]["local_start"], "2027-06-19T10:00:00");
    assert_eq!(
        (
            &done["event"]["duration_minutes"],
            &done["event"]["time_zone"]
        ),
        (&json!(300), &json!("Europe/Lisbon"))
    );
    assert_eq!(id(&done["rescheduled"]["tasks"][0]["task_id"]), task);
    let before = writes(&sandbox);
    work(&app).await;
    look(&app).await;
    assert_eq!(entry(&app, event_id).await["status"], "UPDATED");
    assert_eq!(writes(&sandbox), before, "nothing is written back");

    // By the rules of rescheduling: a taken place is in the way.
    let scene = Scene::new(&app, "accept").await;
    create(
        &app.planner,
        &format!("/v1/events/{event_id}/bookings"),
        &json!({"venue_id": scene.venue_id, "number_of_guests": 40}),
    )
    .await;
    work(&app).await;
    person
        .changes(
            &ours,
            moved_to("2027-06-12T19:00:00+01:00", "2027-06-12T21:00:00+01:00"),
        )
        .await;
    look(&app).await;
    app.planner
        .post_once("b", &accept, &json!({}))
        .await
        .expect_problem(409, "double_booking");
    assert_eq!(entry(&app, event_id).await["status"], "DRIFTED");
    // Whole days are no time.
    let day = |date: &str| json!({"date": date, "dateTime": null, "timeZone": null});
    person
        .changes(
            &ours,
            json!({"start": day("2027-06-20"), "end": day("2027-06-21")}),
        )
        .await;
    look(&app).await;
    assert_eq!(entry(&app, event_id).await["drift"]["shows"], Value::Null);
    app.planner
        .post_once("c", &accept, &json!({}))
        .await
        .expect_problem(409, "invalid_transition");
}

#[sqlx::test]
async fn what_a_person_deletes_there_is_made_anew_or_let_go(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let person = Person::new(&sandbox).await;
    let (event_id, first) = held(&app).await;
    look(&app).await;
    person.deletes(&first).await;
    look(&app).await;
    let gone = entry(&app, event_id).await;
    assert_eq!(
        (&gone["status"], &gone["drift"]["is_deleted"]),
        (&json!("DRIFTED"), &json!(true))
    );
    let path = format!("/v1/events/{event_id}/calendar");
    app.planner
        .post(&format!("{path}/restore"), &Value::Null)
        .await
        .expect(200);
    work(&app).await;
    let second = entry(&app, event_id).await;
    assert_eq!(second["status"], "HELD");
    assert_ne!(second["provider_event_id"], first["provider_event_id"]);
    person.deletes(&second).await;
    look(&app).await;
    let done = app
        .planner
        .post_once("a", &format!("{path}/accept"), &json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&done["calendar"]["status"], &done["rescheduled"]),
        (&json!("CANCELLED"), &Value::Null)
    );
    work(&app).await;
    // Cancelled here, it can be held again, as another event there.
    assert_eq!(
        app.planner.post(&path, &Value::Null).await.expect(200)["status"],
        "PENDING"
    );
    work(&app).await;
    let third = entry(&app, event_id).await;
    assert_eq!(third["status"], "HELD");
    assert_ne!(third["provider_event_id"], second["provider_event_id"]);
    app.planner
        .post(&format!("{path}/cancel"), &Value::Null)
        .await
        .expect(200);
    work(&app).await;
    assert_eq!(person.sees(&third).await["status"], "cancelled");
}

#[sqlx::test]
async fn our_own_writes_are_no_drift_and_nothing_goes_round(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let person = Person::new(&sandbox).await;
    let (event_id, ours) = held(&app).await;
    look(&app).await;
    patch_event(&app, event_id, json!({"title": "Retreat"})).await;
    work(&app).await;
    let (quiet, written) = (entry(&app, event_id).await, writes(&sandbox));
    // What does not concern us, such as a description, changes the version there and nothing here.
    person
        .changes(&ours, json!({"description": "Bring a cake"}))
        .await;
    for _ in 0..3 {
        look(&app).await;
    }
    let mut after = entry(&app, event_id).await;
    after["synced_at"] = quiet["synced_at"].clone();
    assert_eq!(after, quiet);
    assert_eq!(writes(&sandbox), written + 1, "the person's own");
    // A token that is too old: everything is read anew, and what happened meanwhile is found.
    sqlx::query("UPDATE calendar_feeds SET sync_token = 'sync-99999-false'")
        .execute(&app.app.db)
        .await
        .unwrap();
    person.changes(&ours, json!({"summary": "Party"})).await;
    look(&app).await;
    assert_eq!(entry(&app, event_id).await["status"], "DRIFTED");
}

#[sqlx::test]
async fn an_account_that_was_taken_back_fills_no_dead_letters(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    held(&app).await;
    let expired = "INSERT INTO integrations (organization_id, id, provider, status, account_id, account_name, scopes, key_id,
                       access_token, created_at, updated_at)
                   VALUES ($1, $2, 'google', 'EXPIRED', 'a', 'a@example.com', '{}', 'k', '', now(), now())";
    sqlx::query(expired)
        .bind(app.organization_id)
        .bind(app.app.new_id())
        .execute(&app.app.db)
        .await
        .unwrap();
    look(&app).await;
    let dead = app.owner.get("/v1/dead-letters").await.expect(200);
    assert_eq!(dead["items"], json!([]));
}

#[sqlx::test]
async fn a_job_that_died_after_its_effect_finds_it_when_it_is_repeated(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let (event_id, ours) = held(&app).await;
    let before = events_outside(&sandbox).await;
    // As if nobody had heard that it was created, and the event had changed since.
    let forget = "UPDATE calendar_entries SET status = 'PENDING', provider_event_id = NULL, etag = NULL, link = NULL, written = NULL";
    sqlx::query(forget).execute(&app.app.db).await.unwrap();
    patch_event(&app, event_id, json!({"title": "Retreat"})).await;
    work(&app).await;
    let found = entry(&app, event_id).await;
    assert_eq!(found["provider_event_id"], ours["provider_event_id"]);
    assert_eq!(
        (&found["status"], &found["shows"]["title"]),
        (&json!("HELD"), &json!("Retreat"))
    );
    assert_eq!(events_outside(&sandbox).await, before);
    // As if nobody had heard of an update, and another came: the first is still known as ours.
    let unheard = "UPDATE calendar_entries SET intended = written, written = $1, etag = 'old'";
    let older = json!({"title": "Older", "starts_at": "2027-01-01T00:00:00Z", "ends_at": "2027-01-01T01:00:00Z", "location": ""});
    sqlx::query(unheard)
        .bind(older)
        .execute(&app.app.db)
        .await
        .unwrap();
    patch_event(&app, event_id, json!({"title": "Third"})).await;
    work(&app).await;
    let third = entry(&app, event_id).await;
    assert_eq!(
        (&third["status"], &third["shows"]["title"]),
        (&json!("UPDATED"), &json!("Third"))
    );
}

#[sqlx::test]
async fn a_provider_that_is_away_is_waited_for(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let away = Fault::new(Provider::Google, Misbehaviour::Error { status: 503 });
    sandbox.misbehave(away.on("POST", "/calendar/"));
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    app.planner
        .post(&format!("/v1/events/{event_id}/calendar"), &Value::Null)
        .await
        .expect(201);
    let (stop, running) = start(&app, HANDLERS, Options::default());
    until("the lane is paused", async || {
        let paused = "SELECT count(*) FROM job_lanes WHERE lane = 'calendar'";
        sqlx::query_scalar::<_, i64>(paused)
            .fetch_one(&app.app.db)
            .await
            .unwrap()
            == 1
    })
    .await;
    assert_eq!(entry(&app, event_id).await["status"], "PENDING");
    sandbox.world.faults.clear();
    until("held after all", async || {
        entry(&app, event_id).await["status"] == "HELD"
    })
    .await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(events_outside(&sandbox).await, 1);
}

#[sqlx::test]
async fn what_the_provider_refuses_is_told(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let refused = Fault::new(Provider::Google, Misbehaviour::Error { status: 400 });
    sandbox.misbehave(refused.on("POST", "/calendar/"));
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let path = format!("/v1/events/{event_id}/calendar");
    app.planner.post(&path, &Value::Null).await.expect(201);
    work(&app).await;
    let failed = entry(&app, event_id).await;
    assert_eq!(failed["status"], "FAILED", "{failed}");
    assert!(!failed["error"].as_str().unwrap().is_empty());
    // The entry tells it, and goes on with the next change: there is nothing to replay.
    let dead = app
        .owner
        .get("/v1/dead-letters?kind=calendar.sync")
        .await
        .expect(200);
    assert_eq!(dead["items"], json!([]));
    sandbox.world.faults.clear();
    // Asked for once more, it is held.
    app.planner.post(&path, &Value::Null).await.expect(200);
    work(&app).await;
    assert_eq!(entry(&app, event_id).await["status"], "HELD");
}

/// The job of the only entry, taken as a worker takes it.
async fn claim(app: &TestApp) -> Job {
    let claim = "UPDATE jobs SET fence = fence + 1, attempts = attempts + 1, available_at = now() + interval '1 hour'
                 WHERE kind = 'calendar.sync' RETURNING organization_id, id, kind, payload, lane, attempts, fence";
    let (organization_id, id, kind, payload, lane, attempts, fence) =
        sqlx::query_as(claim).fetch_one(&app.app.db).await.unwrap();
    Job {
        organization_id,
        id,
        kind,
        payload,
        lane,
        attempts,
        fence,
        request_id: None,
    }
}

/// What a worker does with a job that is given up.
async fn bury(app: &TestApp, job: &Job, ended: &Result<Done, Failure>) {
    if ended.is_err() {
        sqlx::query("UPDATE jobs SET died_at = now() WHERE id = $1 AND fence = $2")
            .bind(job.id)
            .bind(job.fence)
            .execute(&app.app.db)
            .await
            .unwrap();
    }
}

#[sqlx::test]
async fn a_change_that_comes_while_a_refused_job_is_given_up_is_followed(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let refused = Fault::new(Provider::Google, Misbehaviour::Error { status: 400 });
    sandbox.misbehave(refused.on("POST", "/calendar/"));
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let path = format!("/v1/events/{event_id}/calendar");
    app.planner.post(&path, &Value::Null).await.expect(201);
    let job = claim(&app).await;
    let ended = calendar::sync(app.app.clone(), job.clone()).await;
    assert_eq!(entry(&app, event_id).await["status"], "FAILED");
    patch_event(&app, event_id, json!({"title": "Retreat"})).await;
    bury(&app, &job, &ended).await;
    sandbox.world.faults.clear();
    work(&app).await;
    let held = entry(&app, event_id).await;
    assert_eq!(
        (&held["status"], &held["shows"]["title"]),
        (&json!("HELD"), &json!("Retreat"))
    );
}

#[sqlx::test]
async fn an_entry_whose_job_has_no_attempt_left_is_told_and_followed(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool.clone()).await;
    let (event_id, _) = held(&app).await;
    patch_event(&app, event_id, json!({"title": "Summer"})).await;
    let mut job = claim(&app).await;
    job.attempts = 10;
    // The database fails in the middle.
    for ddl in [
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'",
        "CREATE TRIGGER fail BEFORE UPDATE OF intended ON calendar_entries FOR EACH ROW
         WHEN (NEW.intended IS NOT NULL) EXECUTE FUNCTION fail()",
    ] {
        sqlx::query(ddl).execute(&pool).await.unwrap();
    }
    let ended = calendar::sync(app.app.clone(), job.clone()).await;
    bury(&app, &job, &ended).await;
    sqlx::query("DROP TRIGGER fail ON calendar_entries")
        .execute(&pool)
        .await
        .unwrap();
    let failed = entry(&app, event_id).await;
    assert_eq!(failed["status"], "FAILED", "{ended:?}");
    assert!(failed["error"].is_string());
    patch_event(&app, event_id, json!({"title": "Retreat"})).await;
    work(&app).await;
    let updated = entry(&app, event_id).await;
    assert_eq!(
        (&updated["status"], &updated["shows"]["title"]),
        (&json!("UPDATED"), &json!("Retreat"))
    );
}

#[sqlx::test]
async fn what_may_stand_there_after_an_error_is_still_ours(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let person = Person::new(&sandbox).await;
    let (event_id, ours) = held(&app).await;
    let refused = Fault::new(Provider::Google, Misbehaviour::Error { status: 400 });
    sandbox.misbehave(refused.on("PATCH", "/calendar/"));
    patch_event(&app, event_id, json!({"title": "Summer"})).await;
    work(&app).await;
    assert_eq!(entry(&app, event_id).await["status"], "FAILED");
    sandbox.world.faults.clear();
    // As if it had been written after all.
    person.changes(&ours, json!({"summary": "Summer"})).await;
    patch_event(&app, event_id, json!({"title": "Retreat"})).await;
    work(&app).await;
    let updated = entry(&app, event_id).await;
    assert_eq!(
        (&updated["status"], &updated["shows"]["title"]),
        (&json!("UPDATED"), &json!("Retreat"))
    );
}

#[sqlx::test]
async fn an_event_that_keeps_changing_is_followed_for_as_long(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool.clone()).await;
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let path = format!("/v1/events/{event_id}/calendar");
    app.planner.post(&path, &Value::Null).await.expect(201);
    let mut job = claim(&app).await;
    job.attempts = 1_000;
    // Whenever something was written, something else is wanted.
    for ddl in [
        "CREATE FUNCTION ask_again() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN NEW.asked := NEW.asked + 1; RETURN NEW; END'",
        "CREATE TRIGGER ask_again BEFORE UPDATE OF synced_at ON calendar_entries FOR EACH ROW EXECUTE FUNCTION ask_again()",
    ] {
        sqlx::query(ddl).execute(&pool).await.unwrap();
    }
    let ended = calendar::sync(app.app.clone(), job.clone()).await;
    assert!(matches!(ended, Ok(Done::Settled)), "{ended:?}");
    let next: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM jobs WHERE kind = 'calendar.sync'")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert!(next.len() == 1 && next[0] != job.id, "{next:?}");
    sqlx::query("DROP TRIGGER ask_again ON calendar_entries")
        .execute(&pool)
        .await
        .unwrap();
    work(&app).await;
    assert_eq!(entry(&app, event_id).await["status"], "HELD");
}

#[sqlx::test]
async fn a_run_holds_once_and_a_late_repetition_does_not_hold_again(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let hold =
        async |key: &str| actions::hold(&app.app, &errand(&app, key), event_id, HoldInput {}).await;
    let first = hold("a").await.unwrap();
    assert!(first.provider_event_id.is_some());
    assert_eq!(hold("a").await.unwrap(), first);
    let second = hold("b").await.unwrap();
    assert_eq!(second.provider_event_id, first.provider_event_id);
    assert_eq!(events_outside(&sandbox).await, 1);
    // What another held first stays.
    let hold_key = Some(second.hold_key);
    let stays = CancelInput { hold_key };
    let stays = actions::cancel(&app.app, &errand(&app, "undo b"), event_id, stays).await;
    assert!(!stays.unwrap().was_held);
    assert_eq!(entry(&app, event_id).await["status"], "HELD");
    let gone = actions::cancel(
        &app.app,
        &errand(&app, "c"),
        event_id,
        CancelInput::default(),
    )
    .await
    .unwrap();
    assert!(gone.was_held);
    assert_eq!(entry(&app, event_id).await["status"], "CANCELLED");
    assert!(matches!(hold("a").await.unwrap_err(), Failure::Fatal(_)));
    let again = hold("d").await.unwrap();
    assert_ne!(again.provider_event_id, first.provider_event_id);
    let none = create(&app.planner, "/v1/events", &event()).await;
    let gone = actions::cancel(&app.app, &errand(&app, "e"), none, CancelInput::default())
        .await
        .unwrap();
    assert!(!gone.was_held);
}

#[sqlx::test]
async fn the_later_of_two_equal_times_is_held_right(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let person = Person::new(&sandbox).await;
    let mut new = event();
    new["local_start"] = json!("2027-10-31T01:30:00");
    new["fold"] = json!("LATER");
    let event_id = create(&app.planner, "/v1/events", &new).await;
    app.planner
        .post(&format!("/v1/events/{event_id}/calendar"), &Value::Null)
        .await
        .expect(201);
    work(&app).await;
    let held = entry(&app, event_id).await;
    assert_eq!(
        (&held["status"], &held["shows"]["starts_at"]),
        (&json!("HELD"), &json!("2027-10-31T01:30:00Z"))
    );
    let seen = person.sees(&held).await;
    assert_eq!(starts_at(&seen), "2027-10-31T01:30:00Z");
}

#[sqlx::test]
async fn without_the_sidecar_a_hold_is_refused_and_an_entry_is_its_organizations_own(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "unset").await;
    let path = format!("/v1/events/{}/calendar", scene.event_id);
    app.planner
        .post(&path, &Value::Null)
        .await
        .expect_problem(501, "sidecar_not_configured");
    app.viewer.get(&path).await.expect_problem(404, "not_found");
    let path = format!("/v1/events/{}/calendar", scene.booked_event_id);
    app.viewer.get(&path).await.expect(200);
    app.stranger
        .get(&path)
        .await
        .expect_problem(404, "not_found");
    app.planner
        .delete(&format!("/v1/events/{}", scene.booked_event_id), "*")
        .await
        .expect_problem(409, "in_use");
}
