//! Reminders: due by the event's present start in its own zone, and each recipient told once for each start.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    messages::{Working, event_with_contact, until, work},
    providers::counts,
    scene::create,
    support::TestApp,
};

async fn remind(app: &TestApp, event: Uuid, reminder: &Value) -> String {
    let path = format!("/v1/events/{event}/reminders");
    let id = create(&app.planner, &path, reminder).await;
    format!("{path}/{id}")
}

/// Lets time pass up to an instant, and the reminders look.
async fn at(app: &TestApp, pool: &PgPool, instant: &str) {
    let instant: jiff::Timestamp = instant.parse().unwrap();
    let passed = instant.duration_since(app.app.now());
    app.advance(Duration::try_from(passed).unwrap());
    let looks = "SELECT fence FROM jobs WHERE kind = 'reminders.send_due'";
    let look: i64 = until("a first look", || async {
        sqlx::query_scalar(looks)
            .fetch_optional(pool)
            .await
            .unwrap()
    })
    .await;
    // Two more: one may be under way, with the time of before.
    until("a look", || async {
        sqlx::query("UPDATE jobs SET available_at = now() WHERE kind = 'reminders.send_due' AND last_error IS NULL AND available_at > now() + interval '1 s' AND available_at < now() + interval '20 s'")
            .execute(pool)
            .await
            .unwrap();
        let now: i64 = sqlx::query_scalar(looks).fetch_one(pool).await.unwrap();
        (now >= look + 3).then_some(())
    })
    .await;
}

async fn statuses(app: &TestApp) -> Vec<String> {
    let list = app.viewer.get("/v1/messages").await.expect(200);
    let items = list["items"].as_array().unwrap().clone();
    items
        .iter()
        .map(|item| {
            format!(
                "{} {}",
                item["recipient"].as_str().unwrap(),
                item["status"].as_str().unwrap()
            )
        })
        .collect()
}

async fn settled(app: &TestApp, wanted: &[&str]) {
    until(&format!("{wanted:?}"), || async {
        (statuses(app).await == wanted).then_some(())
    })
    .await;
}

async fn scene(pool: &PgPool) -> (TestApp, event_planner_sandbox::Sandbox, Working, Uuid) {
    let (app, sandbox) = TestApp::with_providers(pool.clone()).await;
    let working = work(&app);
    let event = create(&app.planner, "/v1/events", &event_with_contact()).await;
    (app, sandbox, working, event)
}

async fn move_to(app: &TestApp, event: Uuid, local_start: &str) {
    let path = format!("/v1/events/{event}");
    app.planner
        .patch(&path, "*", &json!({"local_start": local_start}))
        .await
        .expect(200);
}

#[sqlx::test]
async fn a_reminder_follows_its_event_and_tells_each_start_once(pool: PgPool) {
    let (app, sandbox, _working, event) = scene(&pool).await;
    let reminder =
        json!({"offset": "P7D", "channel": "SMS", "text": "{{event.title}} on {{event.date}}"});
    let path = remind(&app, event, &reminder).await;
    let due = |reminder: &Value| reminder["due_at"].as_str().unwrap().to_owned();
    assert_eq!(
        due(&app.viewer.get(&path).await.expect(200)),
        "2027-06-05T17:00:00Z"
    );
    move_to(&app, event, "2027-06-20T18:00:00").await;
    assert_eq!(
        due(&app.viewer.get(&path).await.expect(200)),
        "2027-06-13T17:00:00Z"
    );
    // Its old moment is nothing any more.
    at(&app, &pool, "2027-06-05T17:00:10Z").await;
    assert_eq!(statuses(&app).await, [""; 0]);
    at(&app, &pool, "2027-06-13T16:59:50Z").await;
    assert_eq!(statuses(&app).await, [""; 0]);
    at(&app, &pool, "2027-06-13T17:00:00Z").await;
    settled(&app, &["+14155550123 SENT"]).await;
    let told = app.viewer.get(&path).await.expect(200);
    assert_eq!(told["handled_for"], "2027-06-20T17:00:00Z");
    at(&app, &pool, "2027-06-13T17:30:00Z").await;
    // Moved after it was sent: due again, once, for the new date; and not again for the old one.
    move_to(&app, event, "2027-06-21T18:00:00").await;
    at(&app, &pool, "2027-06-14T17:00:00Z").await;
    settled(&app, &["+14155550123 SENT", "+14155550123 SENT"]).await;
    move_to(&app, event, "2027-06-20T18:00:00").await;
    at(&app, &pool, "2027-06-14T17:01:00Z").await;
    assert_eq!(statuses(&app).await.len(), 2);
    let texts = app.viewer.get("/v1/messages").await.expect(200);
    assert_eq!(texts["items"][1]["text"], "Offsite on 21 June 2027");
    assert_eq!(counts(&sandbox).await["twilio"]["messages"], 2);
}

#[sqlx::test]
async fn days_are_calendar_days_of_the_events_zone(pool: PgPool) {
    let app = TestApp::new(pool).await;
    // The clock in New York is set forward on 14 March 2027 at two, and back on 7 November at two.
    for (start, offset, local_time, due) in [
        ("2027-03-14T18:00:00", "P1D", None, "2027-03-13T23:00:00Z"),
        ("2027-03-14T18:00:00", "PT24H", None, "2027-03-13T22:00:00Z"),
        ("2027-03-15T02:30:00", "P1D", None, "2027-03-14T07:30:00Z"),
        (
            "2027-03-20T18:00:00",
            "P6D",
            Some("02:30"),
            "2027-03-14T07:30:00Z",
        ),
        ("2027-11-07T18:00:00", "P1D", None, "2027-11-06T22:00:00Z"),
        (
            "2027-11-08T18:00:00",
            "P1D",
            Some("01:30"),
            "2027-11-07T05:30:00Z",
        ),
        (
            "2027-11-08T18:00:00",
            "P1W",
            Some("09:00"),
            "2027-11-01T13:00:00Z",
        ),
        (
            "2027-11-08T18:00:00",
            "P0D",
            Some("09:00"),
            "2027-11-08T14:00:00Z",
        ),
    ] {
        let mut event = event_with_contact();
        event["time_zone"] = json!("America/New_York");
        event["local_start"] = json!(start);
        let event = create(&app.planner, "/v1/events", &event).await;
        let reminder =
            json!({"offset": offset, "local_time": local_time, "channel": "SMS", "text": "x"});
        let path = remind(&app, event, &reminder).await;
        let reminder = app.viewer.get(&path).await.expect(200);
        assert_eq!(reminder["due_at"], due, "{start} {offset} {local_time:?}");
    }
}

#[sqlx::test]
async fn what_is_missed_is_skipped_and_what_is_over_is_not_told(pool: PgPool) {
    let (app, sandbox, _working, event) = scene(&pool).await;
    remind(
        &app,
        event,
        &json!({"offset": "PT2H", "channel": "SMS", "text": "soon"}),
    )
    .await;
    // Back from an outage an hour and a minute after the moment.
    at(&app, &pool, "2027-06-12T16:01:00Z").await;
    settled(&app, &["+14155550123 SKIPPED"]).await;
    let cancelled = create(&app.planner, "/v1/events", &event_with_contact()).await;
    remind(
        &app,
        cancelled,
        &json!({"offset": "PT30M", "channel": "SMS", "text": "soon"}),
    )
    .await;
    app.planner
        .post_once(
            "cancel",
            &format!("/v1/events/{cancelled}/cancel"),
            &Value::Null,
        )
        .await
        .expect(200);
    at(&app, &pool, "2027-06-12T16:31:00Z").await;
    assert_eq!(statuses(&app).await, ["+14155550123 SKIPPED"]);
    assert_eq!(counts(&sandbox).await["twilio"]["messages"], 0);
}

#[sqlx::test]
async fn a_reminder_that_nobody_can_get_says_so(pool: PgPool) {
    let (app, _sandbox, _working, event) = scene(&pool).await;
    let path = remind(
        &app,
        event,
        &json!({"offset": "P1D", "local_time": "09:00", "channel": "SMS", "text": "x"}),
    )
    .await;
    app.planner
        .patch(
            &format!("/v1/events/{event}"),
            "*",
            &json!({"contact_phone": null}),
        )
        .await
        .expect(200);
    at(&app, &pool, "2027-06-11T08:00:00Z").await;
    let reminder = until("a failure", || async {
        let reminder = app.viewer.get(&path).await.expect(200);
        reminder["failure"].is_string().then_some(reminder)
    })
    .await;
    assert!(
        reminder["failure"]
            .as_str()
            .unwrap()
            .contains("contact_phone"),
        "{reminder}"
    );
    // Changed, it is looked at anew.
    let etag = format!("\"{}\"", reminder["version"]);
    let change = json!({"recipients": ["+14155550124"]});
    let reminder = app.planner.patch(&path, &etag, &change).await.expect(200);
    assert_eq!(
        (&reminder["failure"], &reminder["handled_for"]),
        (&Value::Null, &Value::Null)
    );
    at(&app, &pool, "2027-06-11T08:10:00Z").await;
    settled(&app, &["+14155550124 SENT"]).await;
}

#[sqlx::test]
async fn a_reminder_that_makes_no_sense_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event = create(&app.planner, "/v1/events", &event_with_contact()).await;
    let path = format!("/v1/events/{event}/reminders");
    for (body, pointer) in [
        (
            json!({"offset": "7 days", "channel": "SMS", "text": "x"}),
            "#/offset",
        ),
        (
            json!({"offset": "P400D", "channel": "SMS", "text": "x"}),
            "#/offset",
        ),
        (
            json!({"offset": "PT0M", "channel": "SMS", "text": "x"}),
            "#/offset",
        ),
        (
            json!({"offset": "P0D", "local_time": "19:00", "channel": "SMS", "text": "x"}),
            "#/offset",
        ),
        (
            json!({"offset": "P1DT2H", "local_time": "09:00", "channel": "SMS", "text": "x"}),
            "#/offset",
        ),
        (
            json!({"offset": "P1D", "local_time": "9", "channel": "SMS", "text": "x"}),
            "#/local_time",
        ),
        (
            json!({"offset": "P1D", "channel": "SMS", "text": "{{x}}"}),
            "#/text",
        ),
        (json!({"offset": "P1D", "channel": "SMS"}), "#"),
        (
            json!({"offset": "P1D", "channel": "SMS", "text": "x", "recipients": ["me"]}),
            "#/recipients/0",
        ),
    ] {
        app.planner
            .post(&path, &body)
            .await
            .expect_invalid(&[pointer]);
    }
    let cancel = format!("/v1/events/{event}/cancel");
    app.planner
        .post_once("off", &cancel, &json!({}))
        .await
        .expect(200);
    let reminder = json!({"offset": "P1D", "channel": "SMS", "text": "x"});
    app.planner
        .post(&path, &reminder)
        .await
        .expect_problem(409, "invalid_transition");
}
