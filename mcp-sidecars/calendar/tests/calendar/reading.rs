//! Lists, sync tokens, free and busy times, and the list of tools.

use mcp_kit::Code;
use serde_json::{Value, json};

use crate::support::{and, client, dinner, scene};

#[test]
fn the_committed_list_of_tools_is_current() {
    let list = client(&[]).tool_list();
    expect_test::expect_file!["../../tools.json"].assert_eq(&list);
}

#[tokio::test]
async fn a_time_that_is_none_is_told_in_plain_words() {
    let scene = scene(&[]).await;
    for (tool, arguments) in [
        ("list_events", json!({ "from": "tomorrow" })),
        (
            "free_busy",
            json!({ "calendars": ["primary"], "from": "tomorrow", "to": "2027-06-12T00:00:00Z" }),
        ),
    ] {
        let error = scene.error(tool, arguments).await;
        assert_eq!(
            error.message,
            "/from: must be a time of RFC 3339 with an offset, such as 2027-06-12T00:00:00Z"
        );
    }
}

#[tokio::test]
async fn lists_are_narrowed_and_paged() {
    let scene = scene(&[]).await;
    for day in 1..=5 {
        let when = json!({ "title": format!("Day {day}"), "start": format!("2027-07-0{day}T10:00"), "end": format!("2027-07-0{day}T11:00") });
        scene
            .ok("create_event", and(dinner(&format!("k{day}")), when))
            .await;
    }
    let mut titles = Vec::new();
    let mut arguments = json!({ "limit": 2 });
    loop {
        let page = scene.ok("list_events", arguments.clone()).await;
        titles.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["title"].to_string()),
        );
        let Some(cursor) = page.get("next_cursor") else {
            break;
        };
        arguments["cursor"] = cursor.clone();
    }
    assert_eq!(titles.len(), 5);
    assert!(titles.is_sorted());
    let window = json!({ "from": "2027-07-02T12:00:00Z", "to": "2027-07-03T12:00:00Z" });
    assert_eq!(
        scene.ok("list_events", window).await["items"][0]["title"],
        "Day 3"
    );
    let words = scene.ok("list_events", json!({ "query": "day 4" })).await;
    assert_eq!(words["items"].as_array().unwrap().len(), 1);
    let backwards = json!({ "from": "2027-07-02T12:00:00Z", "to": "2027-07-01T12:00:00Z" });
    assert_eq!(
        scene.error("list_events", backwards).await.code,
        Code::Invalid
    );
    let wrong = scene
        .error("list_events", json!({ "cursor": "nonsense" }))
        .await;
    assert_eq!(
        (wrong.code, &wrong.details.unwrap()["provider_code"]),
        (Code::Invalid, &json!("invalidParameter"))
    );
}

#[tokio::test]
async fn changes_are_followed_by_sync_tokens() {
    let scene = scene(&[]).await;
    let (kept, gone) = (scene.dinner("k1").await, scene.dinner("k2").await);
    let first = scene.ok("list_events", json!({ "sync": true })).await;
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let since = |token: &Value| json!({ "sync_token": token });
    assert_eq!(
        scene.ok("list_events", since(&first["sync_token"])).await["items"],
        json!([])
    );
    scene
        .ok("cancel_event", json!({ "event_id": gone["id"] }))
        .await;
    scene
        .ok(
            "update_event",
            json!({ "event_id": kept["id"], "title": "Supper" }),
        )
        .await;
    let changed = scene.ok("list_events", since(&first["sync_token"])).await;
    let mut seen: Vec<_> = changed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["status"].as_str().unwrap())
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, ["cancelled", "confirmed"]);
    let stale = scene
        .error("list_events", since(&json!("sync-99999-true")))
        .await;
    assert_eq!(stale.code, Code::Refused);
    assert_eq!(stale.details.unwrap()["provider_code"], "fullSyncRequired");
    let mixed = json!({ "sync": true, "query": "x" });
    assert_eq!(scene.error("list_events", mixed).await.code, Code::Invalid);
}

#[tokio::test]
async fn free_and_busy_times_are_told_for_people_of_the_domain() {
    let scene = scene(&["--allowed-calendars=primary,*@sandbox.example,*@elsewhere.example"]).await;
    scene.dinner("k1").await;
    let ask = json!({
        "calendars": ["primary", "ann@sandbox.example", "x@elsewhere.example"], "time_zone": "Europe/Zurich",
        "from": "2027-06-12T00:00:00+02:00", "to": "2027-06-13T00:00:00+02:00",
    });
    let answer = scene.ok("free_busy", ask.clone()).await;
    let of = |id: &str| {
        answer["calendars"]
            .as_array()
            .unwrap()
            .iter()
            .find(|each| each["calendar"] == id)
            .unwrap()
    };
    assert_eq!(
        of("primary")["busy"],
        json!([{ "start": "2027-06-12T18:00:00+02:00", "end": "2027-06-12T22:00:00+02:00" }])
    );
    assert_eq!(of("ann@sandbox.example")["busy"], json!([]));
    assert_eq!(of("x@elsewhere.example")["unknown"], "notFound");
    let zone = and(ask, json!({ "time_zone": "Mars/Base" }));
    assert_eq!(scene.error("free_busy", zone).await.code, Code::Invalid);
}

#[tokio::test]
async fn only_allowed_calendars_are_listed() {
    let own = scene(&[]).await.ok("list_calendars", json!({})).await;
    assert_eq!(own["items"][0]["id"], "primary");
    assert_eq!(
        (
            &own["items"][0]["is_primary"],
            own["items"].as_array().unwrap().len()
        ),
        (&json!(true), 1)
    );
    let none = scene(&["--allowed-calendars=team@elsewhere.example"]).await;
    assert_eq!(
        none.ok("list_calendars", json!({})).await["items"],
        json!([])
    );
}
