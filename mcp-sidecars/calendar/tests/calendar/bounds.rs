//! Allow list, caps, read-only mode, dry runs, and arguments that do not hold.

use mcp_kit::{Code, Failure};
use serde_json::{Value, json};

use crate::support::{and, dinner, scene};

#[tokio::test]
async fn calendars_that_are_not_allowed_are_never_asked_for() {
    let scene = scene(&[]).await;
    let other = json!({ "calendar": "boss@sandbox.example" });
    let id = and(other.clone(), json!({ "event_id": "nothing0" }));
    let guests = and(id.clone(), json!({ "attendees": ["a@x.example"] }));
    let busy = json!({ "calendars": ["boss@sandbox.example"], "from": "2027-06-12T00:00:00Z", "to": "2027-06-13T00:00:00Z" });
    let calls = [
        ("create_event", and(dinner("k"), other.clone())),
        ("update_event", and(id.clone(), json!({ "title": "X" }))),
        ("cancel_event", id.clone()),
        ("get_event", id),
        ("list_events", other),
        ("free_busy", busy),
        ("add_attendees", guests.clone()),
        ("remove_attendees", guests),
    ];
    for (tool, arguments) in calls {
        let error = scene.error(tool, arguments).await;
        assert_eq!(error.code, Code::Refused, "{tool}");
        assert!(error.message.contains("ALLOWED_CALENDARS"), "{tool}");
    }
    assert!(
        scene
            .sandbox
            .arrived(event_planner_sandbox::Provider::Google)
            .is_empty()
    );
}

#[tokio::test]
async fn no_more_guests_than_allowed_are_invited() {
    let scene = scene(&["--max-attendees=2"]).await;
    let three = json!({ "attendees": ["a@x.example", "b@x.example", "c@x.example"] });
    let error = scene.error("create_event", and(dinner("k1"), three)).await;
    assert_eq!(error.code, Code::Refused);
    assert!(error.message.contains("MAX_ATTENDEES"));
    let id = scene.dinner("k2").await["id"].clone();
    let add = |guests: Value| json!({ "event_id": id, "attendees": guests });
    scene
        .ok("add_attendees", add(json!(["a@x.example", "b@x.example"])))
        .await;
    let error = scene
        .error("add_attendees", add(json!(["c@x.example"])))
        .await;
    assert_eq!(error.code, Code::Refused);
}

#[tokio::test]
async fn in_read_only_mode_nothing_that_writes_is_offered() {
    let scene = scene(&["--read-only"]).await;
    for tool in [
        "create_event",
        "update_event",
        "cancel_event",
        "add_attendees",
        "remove_attendees",
    ] {
        let answer = scene.client.call(tool, json!({})).await;
        assert!(matches!(answer, Err(Failure::UnknownTool)), "{tool}");
    }
    assert_eq!(scene.ok("list_events", json!({})).await["items"], json!([]));
    assert_eq!(
        scene.ok("capabilities", json!({})).await["notes"]["read_only"],
        true
    );
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_what_would_be_done() {
    let scene = scene(&[]).await;
    let event = scene.dinner("k1").await;
    let (before, dry) = (
        scene.counts().await,
        json!({ "dry_run": true, "send_updates": "all" }),
    );
    let id = json!({ "event_id": event["id"] });
    let calls = [
        (
            "create_event",
            and(dinner("k2"), dry.clone()),
            "create “Dinner”",
        ),
        (
            "update_event",
            and(and(id.clone(), dry.clone()), json!({ "title": "X" })),
            "change summary",
        ),
        (
            "cancel_event",
            and(id.clone(), dry.clone()),
            "cancel the event",
        ),
        (
            "add_attendees",
            and(
                and(id.clone(), dry),
                json!({ "attendees": ["a@x.example"] }),
            ),
            "from 0 to 1",
        ),
    ];
    for (tool, arguments, words) in calls {
        let answer = scene.ok(tool, arguments).await;
        assert!(
            answer["would"].as_str().unwrap().contains(words),
            "{answer}"
        );
    }
    assert_eq!(scene.counts().await, before);
    assert_eq!(scene.ok("get_event", id).await, event);
}

#[tokio::test]
async fn arguments_that_do_not_hold_are_named_before_google_is_asked() {
    let scene = scene(&[]).await;
    let wrong = [
        (json!({ "title": "" }), "#/title"),
        (json!({ "start": "2027-06-12T18:00:00+02:00" }), "#/start"),
        (
            json!({ "start": "2027-03-28T02:30", "end": "2027-03-28T05:00" }),
            "#/start",
        ),
        (json!({ "end": "2027-06-12T17:00" }), "#/end"),
        (json!({ "time_zone": "Mars/Base" }), "#/time_zone"),
        (
            json!({ "recurrence": ["RRULE:FREQ=SECONDLY"] }),
            "#/recurrence/0",
        ),
        (
            json!({ "attendees": ["ann@x.example", "nobody"] }),
            "#/attendees/1",
        ),
        (json!({ "idempotency_key": "" }), "#/idempotency_key"),
        (json!({ "send_updates": "everybody" }), "#/send_updates"),
    ];
    for (change, pointer) in wrong {
        let error = scene.error("create_event", and(dinner("k1"), change)).await;
        assert_eq!(error.code, Code::Invalid, "{pointer}");
        assert_eq!(error.details.unwrap()["errors"][0]["pointer"], pointer);
    }
    let nothing = json!({ "event_id": "nothing0" });
    assert_eq!(
        scene.error("update_event", nothing.clone()).await.code,
        Code::Invalid
    );
    let half = and(
        nothing,
        json!({ "start": "2027-06-12T18:00", "time_zone": "Europe/Zurich" }),
    );
    assert_eq!(scene.error("update_event", half).await.code, Code::Invalid);
    let unknown = and(dinner("k1"), json!({ "colour": "red" }));
    assert_eq!(
        scene.error("create_event", unknown).await.code,
        Code::Invalid
    );
    assert!(
        scene
            .sandbox
            .arrived(event_planner_sandbox::Provider::Google)
            .is_empty()
    );
}

#[tokio::test]
async fn what_only_google_can_judge_is_told_with_its_words() {
    let scene = scene(&[]).await;
    let never = json!({ "recurrence": ["RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"] });
    let error = scene.error("create_event", and(dinner("k1"), never)).await;
    assert_eq!(error.code, Code::Invalid);
    let details = error.details.unwrap();
    assert_eq!(
        (&details["provider_code"], &details["provider_message"]),
        (&json!("invalid"), &json!("Invalid recurrence rule."))
    );
}

#[tokio::test]
async fn an_id_cannot_lead_elsewhere() {
    let scene = scene(&["--allowed-calendars=*"]).await;
    for id in ["..", ".", "a\nb"] {
        let error = scene.error("get_event", json!({ "event_id": id })).await;
        assert_eq!(error.code, Code::Invalid, "{id}");
        let error = scene.error("list_events", json!({ "calendar": id })).await;
        assert_eq!(error.code, Code::Invalid, "{id}");
    }
    for id in ["../../../users/me/calendarList", "a/b?x=1#y", "%2e%2e"] {
        let error = scene.error("get_event", json!({ "event_id": id })).await;
        assert_eq!(error.code, Code::NotFound, "{id}");
    }
}
