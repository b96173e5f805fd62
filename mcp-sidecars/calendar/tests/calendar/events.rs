//! Creating, changing and cancelling, and the guest list.

use mcp_kit::{Caller, Code};
use serde_json::json;

use crate::support::{Scene, and, dinner, refusal, scene};

#[tokio::test]
async fn an_event_is_created_once_however_often_it_is_asked_for() {
    let scene = scene(&[]).await;
    let first = scene.ok("create_event", dinner("k1")).await;
    assert_eq!(first["replayed"], false);
    assert_eq!(first["event"]["start"], "2027-06-12T18:00:00+02:00");
    let again = scene.ok("create_event", dinner("k1")).await;
    assert_eq!(again["replayed"], true);
    assert_eq!(again["event"], first["event"]);
    let calls = (0..20).map(|_| scene.client.call("create_event", dinner("k2")));
    let mut replayed = 0;
    for answer in futures(calls).await {
        replayed += u32::from(answer.unwrap()["replayed"] == true);
    }
    assert_eq!((replayed, &scene.counts().await["events"]), (19, &json!(2)));
}

async fn futures<F: Future>(calls: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    let mut answers = Vec::new();
    // All are polled before the first is awaited, so that they are under way at once.
    std::future::poll_fn(|context| {
        let mut index = 0;
        while let Some(call) = calls.get_mut(index) {
            if let std::task::Poll::Ready(answer) = call.as_mut().poll(context) {
                answers.push(answer);
                drop(calls.remove(index));
            } else {
                index += 1;
            }
        }
        if calls.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    answers
}

#[tokio::test]
async fn a_key_of_another_request_is_refused_and_of_another_organization_is_another() {
    let scene = scene(&[]).await;
    scene.dinner("k1").await;
    let other = and(dinner("k1"), json!({ "title": "Supper" }));
    let error = scene.error("create_event", other).await;
    assert_eq!(error.code, Code::Refused);
    assert!(error.message.contains("idempotency_key"));
    let stranger = Caller::local()
        .acting_for("other-organization/somebody")
        .unwrap();
    let theirs = scene
        .client
        .as_caller(stranger)
        .call("create_event", dinner("k1"))
        .await;
    assert_eq!(theirs.unwrap()["replayed"], false);
}

#[tokio::test]
async fn a_repetition_finds_the_event_even_when_it_was_changed_meanwhile() {
    let scene = scene(&[]).await;
    let event = scene.dinner("k1").await;
    scene
        .ok(
            "update_event",
            json!({ "event_id": event["id"], "title": "Supper" }),
        )
        .await;
    let again = scene.ok("create_event", dinner("k1")).await;
    assert_eq!(
        (&again["replayed"], &again["event"]["title"]),
        (&json!(true), &json!("Supper"))
    );
}

#[tokio::test]
async fn everything_that_can_be_said_of_an_event_arrives() {
    let scene = scene(&[]).await;
    let arguments = json!({
        "idempotency_key": "k1", "title": "Rehearsal", "time_zone": "America/New_York",
        "start": "2027-03-10T18:00", "end": "2027-03-10T20:00", "description": "Bring music.",
        "location": "Town hall", "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=2"], "shows_as_free": true,
        "attendees": ["ann@guests.example"], "video_call": true, "send_updates": "all",
    });
    let event = scene.ok("create_event", arguments).await["event"].clone();
    assert_eq!(
        (&event["is_series"], &event["shows_as_free"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        event["start"], "2027-03-10T18:00:00-05:00",
        "in the event's zone, not the calendar's"
    );
    assert_eq!(
        event["attendees"],
        json!([{ "email": "ann@guests.example", "response": "needsAction" }])
    );
    assert!(
        event["video_call"]
            .as_str()
            .unwrap()
            .starts_with("https://meet.google.com/")
    );
    assert_eq!(scene.counts().await["invitations"], 1);
    let list = scene.ok("list_events", json!({})).await;
    // The clocks change there on 2027-03-14.
    assert_eq!(list["items"][1]["start"], "2027-03-17T18:00:00-04:00");
    let got = scene
        .ok("get_event", json!({ "event_id": event["id"] }))
        .await;
    assert_eq!(got, event);
}

#[tokio::test]
async fn whole_days_stay_whole_days() {
    let scene = scene(&[]).await;
    let fair = json!({ "idempotency_key": "k1", "title": "Fair", "start": "2027-05-01", "end": "2027-05-03" });
    let event = scene.ok("create_event", fair).await["event"].clone();
    assert_eq!(
        (&event["start"], &event["end"]),
        (&json!("2027-05-01"), &json!("2027-05-03"))
    );
    let moved = json!({ "event_id": event["id"], "start": "2027-05-01T10:00", "end": "2027-05-01T12:00", "time_zone": "Europe/Zurich" });
    let moved = scene.ok("update_event", moved).await["event"].clone();
    assert_eq!(moved["start"], "2027-05-01T10:00:00+02:00");
    let back = json!({ "event_id": event["id"], "start": "2027-05-01", "end": "2027-05-02" });
    assert_eq!(
        scene.ok("update_event", back).await["event"]["end"],
        "2027-05-02"
    );
}

#[tokio::test]
async fn a_change_leaves_the_rest_and_empty_text_removes() {
    let scene = scene(&[]).await;
    let arguments = and(
        dinner("k1"),
        json!({ "location": "Town hall", "description": "Soup" }),
    );
    let event = scene.ok("create_event", arguments).await["event"].clone();
    let change = json!({ "event_id": event["id"], "location": "", "title": "Supper" });
    let changed = scene.ok("update_event", change).await["event"].clone();
    assert_eq!(
        (&changed["title"], &changed["description"]),
        (&json!("Supper"), &json!("Soup"))
    );
    assert!(changed.get("location").is_none());
    assert_ne!(changed["etag"], event["etag"]);
}

#[tokio::test]
async fn a_lost_update_is_refused_with_the_version_that_holds() {
    let scene = scene(&[]).await;
    let event = scene.dinner("k1").await;
    let change = |etag, title| json!({ "event_id": event["id"], "etag": etag, "title": title });
    let mine = scene
        .ok("update_event", change(&event["etag"], "Mine"))
        .await;
    assert_eq!(mine["replayed"], false);
    let error = scene
        .error("update_event", change(&event["etag"], "Theirs"))
        .await;
    assert_eq!(error.code, Code::Refused);
    assert_eq!(
        error.details.unwrap()["current_etag"],
        mine["event"]["etag"]
    );
    let same = scene
        .ok("update_event", change(&event["etag"], "Mine"))
        .await;
    assert_eq!(
        same["replayed"], true,
        "the same change again is no lost update"
    );
    let stale = json!({ "event_id": event["id"], "etag": event["etag"] });
    assert_eq!(scene.error("cancel_event", stale).await.code, Code::Refused);
    assert_eq!(scene.counts().await["cancelled"], 0);
}

#[tokio::test]
async fn an_event_is_cancelled_once() {
    let scene = scene(&[]).await;
    let event = scene.dinner("k1").await;
    let cancel = json!({ "event_id": event["id"] });
    assert_eq!(
        scene.ok("cancel_event", cancel.clone()).await,
        json!({ "replayed": false })
    );
    assert_eq!(
        scene.ok("cancel_event", cancel.clone()).await,
        json!({ "replayed": true })
    );
    assert_eq!(
        scene.ok("get_event", cancel.clone()).await["status"],
        "cancelled"
    );
    let change = and(cancel, json!({ "title": "Supper" }));
    assert_eq!(
        scene.error("update_event", change).await.code,
        Code::Refused
    );
    let missing = json!({ "event_id": "nothing0" });
    for tool in ["cancel_event", "get_event"] {
        assert_eq!(
            scene.error(tool, missing.clone()).await.code,
            Code::NotFound
        );
    }
}

#[tokio::test]
async fn one_instance_of_a_series_is_changed_or_cancelled_alone() {
    let scene = scene(&[]).await;
    let series = and(
        dinner("k1"),
        json!({ "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"] }),
    );
    scene.ok("create_event", series).await;
    let listed = scene.ok("list_events", json!({})).await;
    let id = |index: usize| listed["items"][index]["id"].clone();
    scene.ok("cancel_event", json!({ "event_id": id(0) })).await;
    scene
        .ok(
            "update_event",
            json!({ "event_id": id(1), "title": "Feast" }),
        )
        .await;
    let listed = scene.ok("list_events", json!({})).await;
    let titles: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["title"])
        .collect();
    assert_eq!(titles, ["Feast", "Dinner"]);
}

async fn guests(scene: &Scene, id: &serde_json::Value) -> Vec<String> {
    let event = scene.ok("get_event", json!({ "event_id": id })).await;
    let list = event["attendees"].as_array().unwrap();
    list.iter()
        .map(|guest| guest["email"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn guests_are_added_and_removed_once() {
    let scene = scene(&[]).await;
    let id = scene.dinner("k1").await["id"].clone();
    let both = json!({ "event_id": id, "attendees": ["ann@x.example", "bob@x.example"], "send_updates": "all" });
    assert_eq!(
        scene.ok("add_attendees", both.clone()).await["replayed"],
        false
    );
    assert_eq!(scene.ok("add_attendees", both).await["replayed"], true);
    assert_eq!(scene.counts().await["invitations"], 2);
    let bob = json!({ "event_id": id, "attendees": ["BOB@x.example"] });
    assert_eq!(
        scene.ok("remove_attendees", bob.clone()).await["replayed"],
        false
    );
    assert_eq!(scene.ok("remove_attendees", bob).await["replayed"], true);
    assert_eq!(guests(&scene, &id).await, ["ann@x.example"]);
}

#[tokio::test]
async fn guests_that_are_added_at_the_same_time_are_all_there() {
    let scene = scene(&[]).await;
    let id = scene.dinner("k1").await["id"].clone();
    let add = |n: usize| {
        let guest = format!("guest{n}@x.example");
        scene.client.call(
            "add_attendees",
            json!({ "event_id": id, "attendees": [guest] }),
        )
    };
    for answer in futures((0..4).map(add)).await {
        assert!(answer.is_ok(), "{answer:?}");
    }
    let mut there = guests(&scene, &id).await;
    there.sort();
    assert_eq!(
        there,
        [
            "guest0@x.example",
            "guest1@x.example",
            "guest2@x.example",
            "guest3@x.example"
        ]
    );
}

#[tokio::test]
async fn an_account_that_comes_with_the_call_is_used_instead_of_ours() {
    let scene = scene(&[]).await;
    let account = mcp_kit::Account::new("acc", "ya29.unknown-token-of-somebody").unwrap();
    let client = scene.client.with_account(account);
    let error = refusal(client.call("list_events", json!({})).await);
    assert_eq!(error.code, Code::Refused);
    assert!(error.message.contains("connect the account anew"));
    assert_eq!(error.details.unwrap()["provider_code"], "authError");
    assert!(
        !scene
            .sandbox
            .arrived(event_planner_sandbox::Provider::Google)
            .iter()
            .any(|entry| entry.path == "/token")
    );
}
