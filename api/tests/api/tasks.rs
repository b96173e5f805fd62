//! Tasks and checklists: due by the event's day in its zone, each item once, moving along.

use std::time::Duration;

use event_planner_api::{
    sidecars::Errand,
    tasks::actions::{self, CreateChecklistInput, DropOpenInput},
};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    scene::{Scene, checklist, create, event, id},
    support::{Answer, TestApp},
};

/// An event at that wall time in that zone.
async fn event_at(app: &TestApp, local_start: &str, time_zone: &str) -> Uuid {
    let mut new = event();
    new["local_start"] = json!(local_start);
    new["time_zone"] = json!(time_zone);
    create(&app.planner, "/v1/events", &new).await
}

/// A task that is due so many days before the event.
async fn due(app: &TestApp, event_id: Uuid, days_before: i32, time: &str) -> Value {
    let new = json!({"title": "Do it", "due": {"days_before": days_before, "time": time}});
    let path = format!("/v1/events/{event_id}/tasks");
    app.planner.post(&path, &new).await.expect(201)
}

async fn apply(app: &TestApp, event_id: Uuid, body: &Value) -> Answer {
    let path = format!("/v1/events/{event_id}/checklist");
    app.planner.post(&path, body).await
}

fn errand(app: &TestApp, key: &str) -> Errand {
    Errand {
        organization_id: app.organization_id,
        member_id: None,
        request_id: None,
        idempotency_key: key.into(),
        account: None,
        deadline: tokio::time::Instant::now() + Duration::from_secs(10),
    }
}

#[sqlx::test]
async fn a_due_day_is_counted_in_the_zone_of_the_event(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let summer = event_at(&app, "2027-06-12T18:00:00", "Europe/Lisbon").await;
    let task = due(&app, summer, 14, "17:00").await;
    assert_eq!(task["due_at"], "2027-05-29T16:00:00Z");
    assert_eq!(task["due"], json!({"days_before": 14, "time": "17:00:00"}));
    assert_eq!(task["is_late"], false);
    // The same wall time in winter is another instant.
    assert_eq!(
        due(&app, summer, 90, "17:00").await["due_at"],
        "2027-03-14T17:00:00Z"
    );
    assert_eq!(
        due(&app, summer, -1, "09:00").await["due_at"],
        "2027-06-13T08:00:00Z"
    );
    // On 28 March 2027 the clock in Lisbon goes from 01:00 to 02:00, on 31 October from 02:00 to 01:00.
    let spring = event_at(&app, "2027-04-01T18:00:00", "Europe/Lisbon").await;
    assert_eq!(
        due(&app, spring, 4, "01:30").await["due_at"],
        "2027-03-28T01:30:00Z"
    );
    let autumn = event_at(&app, "2027-11-01T18:00:00", "Europe/Lisbon").await;
    assert_eq!(
        due(&app, autumn, 1, "01:30").await["due_at"],
        "2027-10-31T00:30:00Z"
    );
    let leap = event_at(&app, "2028-03-01T18:00:00", "Asia/Tokyo").await;
    assert_eq!(
        due(&app, leap, 1, "09:00").await["due_at"],
        "2028-02-29T00:00:00Z"
    );
    // An evening in Los Angeles is the next day in UTC; the day is the local one.
    let west = event_at(&app, "2027-06-12T20:00:00", "America/Los_Angeles").await;
    assert_eq!(
        due(&app, west, 0, "09:00").await["due_at"],
        "2027-06-12T16:00:00Z"
    );
}

#[sqlx::test]
async fn what_should_have_been_done_before_is_due_today(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event_id = event_at(&app, "2027-01-20T18:00:00", "Europe/Berlin").await;
    // It is 15 January, one in the afternoon there.
    let late = due(&app, event_id, 30, "17:00").await;
    assert_eq!(
        (&late["due_at"], &late["is_late"]),
        (&json!("2027-01-15T22:59:00Z"), &json!(true))
    );
    let noon = due(&app, event_id, 5, "12:00").await;
    assert_eq!(
        (&noon["due_at"], &noon["is_late"]),
        (&json!("2027-01-15T22:59:00Z"), &json!(true))
    );
    let evening = due(&app, event_id, 5, "17:00").await;
    assert_eq!(
        (&evening["due_at"], &evening["is_late"]),
        (&json!("2027-01-15T16:00:00Z"), &json!(false))
    );
}

#[sqlx::test]
async fn tasks_are_listed_by_when_they_are_due(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event_id = event_at(&app, "2027-06-12T18:00:00", "UTC").await;
    let mut wanted = Vec::new();
    for days in [3, 20, 1, 10, 7] {
        wanted.push(due(&app, event_id, days, "12:00").await["due_at"].to_string());
    }
    wanted.sort_unstable();
    let mut path = format!("/v1/tasks?event_id={event_id}&limit=2");
    let mut found = Vec::new();
    loop {
        let page = app.viewer.get(&path).await.expect(200);
        found.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|task| task["due_at"].to_string()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/tasks?event_id={event_id}&limit=2&cursor={cursor}");
    }
    assert_eq!(found, wanted);
    let count = async |filter: &str| {
        let list = app
            .viewer
            .get(&format!("/v1/tasks?{filter}"))
            .await
            .expect(200);
        list["items"].as_array().unwrap().len()
    };
    assert_eq!(count("due_before=2027-06-05T12:00:00Z").await, 2);
    assert_eq!(count("due_after=2027-06-05T12:00:00Z").await, 3);
    assert_eq!(count("status=DONE").await, 0);
    assert_eq!(count(&format!("assignee_id={}", app.owner_id)).await, 0);
    let theirs = app.stranger.get("/v1/tasks").await.expect(200);
    assert_eq!(theirs["items"], json!([]));
}

#[sqlx::test]
async fn a_task_is_changed_completed_and_opened_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "task").await;
    let path = format!("/v1/tasks/{}", scene.task_id);
    let first = app.planner.get(&path).await;
    let etag = first.etag().to_owned();
    let changed = app
        .planner
        .patch(
            &path,
            &etag,
            &json!({"title": "Bake it", "assignee_id": app.owner_id}),
        )
        .await
        .expect(200);
    assert_eq!(
        (&changed["title"], id(&changed["assignee_id"])),
        (&json!("Bake it"), app.owner_id)
    );
    assert_eq!(changed["due_at"], first.expect(200)["due_at"]);
    app.planner
        .patch(&path, &etag, &json!({}))
        .await
        .expect_problem(412, "precondition_failed");
    let stranger = app.stranger.get("/v1/me").await.expect(200)["member"]["id"].clone();
    app.planner
        .patch(&path, "*", &json!({"assignee_id": stranger}))
        .await
        .expect_invalid(&["#/assignee_id"]);
    // An instant takes the place of the day, and back.
    let instant = json!({"due_at": "2027-03-01T10:00:00Z"});
    app.planner
        .patch(&path, "*", &instant)
        .await
        .expect_problem(422, "invalid_fields");
    let instant = json!({"due_at": "2027-03-01T10:00:00Z", "due": null});
    let fixed = app.planner.patch(&path, "*", &instant).await.expect(200);
    assert_eq!(
        (&fixed["due_at"], &fixed["due"]),
        (&json!("2027-03-01T10:00:00Z"), &Value::Null)
    );
    let day = json!({"due_at": null, "due": {"days_before": 1, "time": "09:00"}});
    let again = app.planner.patch(&path, "*", &day).await.expect(200);
    assert_eq!(again["due_at"], "2027-06-11T08:00:00Z");

    app.planner
        .post(&format!("{path}/reopen"), &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
    let done = app
        .planner
        .post(&format!("{path}/complete"), &Value::Null)
        .await
        .expect(200);
    assert_eq!(
        (&done["status"], &done["completed_at"]),
        (&json!("DONE"), &json!("2027-01-15T12:00:00Z"))
    );
    app.planner
        .post(&format!("{path}/complete"), &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
    let open = app
        .planner
        .post(&format!("{path}/reopen"), &Value::Null)
        .await
        .expect(200);
    assert_eq!(
        (&open["status"], &open["completed_at"]),
        (&json!("OPEN"), &Value::Null)
    );
    app.planner.delete(&path, "*").await.expect(204);
    app.planner
        .get(&path)
        .await
        .expect_problem(404, "not_found");
    let trail = app
        .owner
        .get(&format!("/v1/audit?subject_id={}", scene.task_id))
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
        [
            "task.deleted",
            "task.reopened",
            "task.completed",
            "task.updated",
            "task.updated",
            "task.updated",
            "task.created"
        ]
    );
}

#[sqlx::test]
async fn wrong_tasks_are_told_what_is_wrong(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "wrong").await;
    let path = format!("/v1/events/{}/tasks", scene.event_id);
    for (body, pointer) in [
        (json!({"title": " ", "due": {"days_before": 1}}), "#/title"),
        (
            json!({"title": "x", "due": {"days_before": 4_000}}),
            "#/due/days_before",
        ),
        (
            json!({"title": "x", "due": {"days_before": 1, "time": "25:00"}}),
            "#/due/time",
        ),
        (
            json!({"title": "x", "due_at": "1999-01-01T00:00:00Z"}),
            "#/due_at",
        ),
        (
            json!({"title": "x", "due": {"days_before": 1}, "status": "DONE"}),
            "#/status",
        ),
        (json!({"title": "x"}), "#"),
        (
            json!({"title": "x", "due": {"days_before": 1}, "due_at": "2027-01-01T00:00:00Z"}),
            "#",
        ),
    ] {
        app.planner
            .post(&path, &body)
            .await
            .expect_invalid(&[pointer]);
    }
}

#[sqlx::test]
async fn a_checklist_applied_again_makes_nothing_twice(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event_id = event_at(&app, "2027-03-01T18:00:00", "Europe/Lisbon").await;
    let path = format!("/v1/events/{event_id}/checklist?validate_only=true");
    let preview = app.planner.post(&path, &json!({})).await.expect(200);
    assert_eq!(preview["template"], "offsite");
    let count = preview["created_count"].as_u64().unwrap();
    assert!(count > 5);
    let list = format!("/v1/tasks?event_id={event_id}&limit=200");
    assert_eq!(app.viewer.get(&list).await.expect(200)["items"], json!([]));
    let applying = (0..8).map(|_| {
        let (planner, path) = (
            app.planner.clone(),
            format!("/v1/events/{event_id}/checklist"),
        );
        tokio::spawn(async move {
            planner
                .post(&path, &json!({"template": "offsite"}))
                .await
                .expect(200)
        })
    });
    let answers = futures_util::future::join_all(applying).await;
    let created: u64 = answers
        .iter()
        .map(|answer| answer.as_ref().unwrap()["created_count"].as_u64().unwrap())
        .sum();
    assert_eq!(created, count);
    let tasks = app.viewer.get(&list).await.expect(200)["items"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(tasks.len() as u64, count);
    // The event is 45 days ahead: what is wanted 56 days before is due today.
    let late: Vec<_> = tasks
        .iter()
        .filter(|task| task["is_late"] == true)
        .map(|task| task["checklist_item"].as_str().unwrap())
        .collect();
    assert_eq!(late, ["goals"]);
    assert_eq!(tasks[0]["due_at"], "2027-01-15T23:59:00Z");
    // What people did to a task stays.
    let first = format!("/v1/tasks/{}", tasks[0]["id"].as_str().unwrap());
    app.planner
        .post(&format!("{first}/complete"), &Value::Null)
        .await
        .expect(200);
    assert_eq!(
        apply(&app, event_id, &json!({})).await.expect(200)["created_count"],
        0
    );
    assert_eq!(app.planner.get(&first).await.expect(200)["status"], "DONE");
    apply(&app, event_id, &json!({"template": "nothing"}))
        .await
        .expect_invalid(&["#/template"]);
}

#[sqlx::test]
async fn an_own_checklist_takes_the_place_of_a_shipped_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let keys = async || {
        let list = app.viewer.get("/v1/checklist-templates").await.expect(200);
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|each| each["key"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let shipped = [
        "conference",
        "default",
        "meetup",
        "offsite",
        "product_launch",
        "wedding",
    ];
    assert_eq!(keys().await, shipped);
    let path = "/v1/checklist-templates/offsite";
    app.planner
        .patch(path, "*", &json!({"name": "Mine"}))
        .await
        .expect_problem(409, "invalid_transition");
    app.planner
        .post("/v1/checklist-templates", &checklist("offsite"))
        .await
        .expect(201);
    app.planner
        .post("/v1/checklist-templates", &checklist("offsite"))
        .await
        .expect_problem(409, "already_exists");
    assert_eq!(keys().await, shipped);
    assert_eq!(app.viewer.get(path).await.expect(200)["is_shipped"], false);
    assert_eq!(app.stranger.get(path).await.expect(200)["is_shipped"], true);
    let event_id = event_at(&app, "2027-06-12T18:00:00", "Europe/Lisbon").await;
    let applied = apply(&app, event_id, &json!({})).await.expect(200);
    assert_eq!(applied["created_count"], 2);
    let items = json!({"items": [{"key": "x", "title": "Y", "due": {"days_before": 2}}]});
    app.planner.patch(path, "*", &items).await.expect(200);
    app.planner
        .patch(path, "*", &json!({"key": "other"}))
        .await
        .expect_invalid(&["#/key"]);
    assert_eq!(
        apply(&app, event_id, &json!({})).await.expect(200)["created_count"],
        1
    );
    app.planner.delete(path, "*").await.expect(204);
    assert_eq!(app.viewer.get(path).await.expect(200)["is_shipped"], true);
    let twice = json!({"key": "k", "name": "K", "items": [
        {"key": "a", "title": "A", "due": {"days_before": 1}}, {"key": "a", "title": "B", "due": {"days_before": 1}}]});
    app.planner
        .post("/v1/checklist-templates", &twice)
        .await
        .expect_invalid(&["#/items"]);
    // Pages meet between the two kinds.
    app.planner
        .post("/v1/checklist-templates", &checklist("lunch"))
        .await
        .expect(201);
    let page = app
        .viewer
        .get("/v1/checklist-templates?limit=3")
        .await
        .expect(200);
    let next = format!(
        "/v1/checklist-templates?limit=3&cursor={}",
        page["next_cursor"].as_str().unwrap()
    );
    let second = app.viewer.get(&next).await.expect(200);
    assert_eq!(
        (&page["items"][2]["key"], &second["items"][0]["key"]),
        (&json!("lunch"), &json!("meetup"))
    );
}

#[sqlx::test]
async fn tasks_move_with_their_event_and_end_with_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event_id = event_at(&app, "2027-06-12T18:00:00", "Europe/Lisbon").await;
    let relative = due(&app, event_id, 14, "17:00").await;
    let done = due(&app, event_id, 10, "17:00").await;
    let fixed = json!({"title": "Fixed", "due_at": "2027-05-01T10:00:00Z"});
    let fixed = app
        .planner
        .post(&format!("/v1/events/{event_id}/tasks"), &fixed)
        .await
        .expect(201);
    let path = |task: &Value| format!("/v1/tasks/{}", task["id"].as_str().unwrap());
    app.planner
        .post(&format!("{}/complete", path(&done)), &Value::Null)
        .await
        .expect(200);
    let event = format!("/v1/events/{event_id}");
    // Later on the same day: no day changes, and no task.
    app.planner
        .patch(&event, "*", &json!({"local_start": "2027-06-12T20:00:00"}))
        .await
        .expect(200);
    assert_eq!(
        app.planner.get(&path(&relative)).await.expect(200)["version"],
        1
    );
    app.planner
        .patch(&event, "*", &json!({"local_start": "2027-07-12T18:00:00"}))
        .await
        .expect(200);
    assert_eq!(
        app.planner.get(&path(&relative)).await.expect(200)["due_at"],
        "2027-06-28T16:00:00Z"
    );
    app.planner
        .patch(&event, "*", &json!({"time_zone": "Asia/Tokyo"}))
        .await
        .expect(200);
    assert_eq!(
        app.planner.get(&path(&relative)).await.expect(200)["due_at"],
        "2027-06-28T08:00:00Z"
    );
    // So near that its day has passed.
    app.planner
        .patch(&event, "*", &json!({"local_start": "2027-01-20T18:00:00"}))
        .await
        .expect(200);
    let late = app.planner.get(&path(&relative)).await.expect(200);
    assert_eq!(
        (&late["due_at"], &late["is_late"]),
        (&json!("2027-01-15T14:59:00Z"), &json!(true))
    );
    assert_eq!(
        app.planner.get(&path(&fixed)).await.expect(200)["due_at"],
        "2027-05-01T10:00:00Z"
    );
    assert_eq!(
        app.planner.get(&path(&done)).await.expect(200)["due_at"],
        done["due_at"]
    );

    app.planner
        .post_once("c", &format!("{event}/cancel"), &Value::Null)
        .await
        .expect(200);
    let statuses =
        async |task: &Value| app.planner.get(&path(task)).await.expect(200)["status"].clone();
    assert_eq!(
        [
            statuses(&relative).await,
            statuses(&done).await,
            statuses(&fixed).await
        ],
        ["CANCELLED", "DONE", "CANCELLED"]
    );
    app.planner
        .post(&format!("{}/reopen", path(&relative)), &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
    apply(&app, event_id, &json!({}))
        .await
        .expect_problem(409, "invalid_transition");
}

#[sqlx::test]
async fn a_run_makes_a_checklist_once_and_takes_back_what_nobody_did(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event_id = event_at(&app, "2027-06-12T18:00:00", "Europe/Lisbon").await;
    let own = due(&app, event_id, 14, "17:00").await;
    let input = || CreateChecklistInput { template: None };
    let first = actions::create_checklist(&app.app, &errand(&app, "a"), event_id, input())
        .await
        .unwrap();
    let again = actions::create_checklist(&app.app, &errand(&app, "a"), event_id, input())
        .await
        .unwrap();
    assert_eq!(first, again);
    let done = first.task_ids[0];
    app.planner
        .post(&format!("/v1/tasks/{done}/complete"), &Value::Null)
        .await
        .expect(200);
    let dropped = actions::drop_open(
        &app.app,
        &errand(&app, "b"),
        event_id,
        DropOpenInput::default(),
    )
    .await
    .unwrap();
    assert_eq!(dropped.task_ids, first.task_ids[1..]);
    let left = app
        .viewer
        .get(&format!("/v1/tasks?event_id={event_id}"))
        .await
        .expect(200);
    let mut left: Vec<_> = left["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| id(&task["id"]))
        .collect();
    left.sort_unstable();
    let mut kept = vec![id(&own["id"]), done];
    kept.sort_unstable();
    assert_eq!(left, kept);
    let stranger = Errand {
        organization_id: app.other_organization_id,
        ..errand(&app, "c")
    };
    actions::create_checklist(&app.app, &stranger, event_id, input())
        .await
        .unwrap_err();
}
