//! Events as files for anybody's calendar.

use calcard::icalendar::{ICalendar, ICalendarComponentType, ICalendarProperty};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    scene::{Scene, create, event},
    support::{Answer, TestApp},
};

async fn file(app: &TestApp, event_id: Uuid) -> Answer {
    let path = format!("/v1/events/{event_id}/calendar.ics");
    let accept = [("accept", "text/calendar")];
    app.viewer.get_with(&path, &accept).await
}

/// The lines of a file, unfolded, after a check of its form.
fn lines(file: &Answer) -> Vec<String> {
    assert_eq!(file.status, 200, "{}", file.text());
    let text = file.text();
    let folded: Vec<_> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
    for line in &folded {
        assert!(line.len() <= 75, "{} octets: {line}", line.len());
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    let mut lines: Vec<String> = Vec::new();
    for line in folded {
        match line.strip_prefix(' ') {
            Some(rest) => lines.last_mut().unwrap().push_str(rest),
            None => lines.push(line.to_owned()),
        }
    }
    lines
}

/// The event's own text of a property, as a parser reads it.
fn read(file: &Answer, property: &ICalendarProperty) -> String {
    let calendar = ICalendar::parse(file.text()).unwrap();
    let mut components = calendar.components.iter();
    let event = components.find(|one| one.component_type == ICalendarComponentType::VEvent);
    let entry = event.unwrap().property(property).unwrap();
    entry.values[0].as_text().unwrap().to_owned()
}

#[sqlx::test]
async fn an_event_is_a_file_for_a_calendar(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let first = file(&app, event_id).await;
    assert_eq!(first.header("content-type"), "text/calendar; charset=utf-8");
    assert_eq!(
        first.header("content-disposition"),
        "attachment; filename=\"Offsite.ics\"; filename*=UTF-8''Offsite.ics"
    );
    let uid = format!("UID:{event_id}");
    let shown = lines(&first);
    for wanted in [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Event Planner//EN",
        "BEGIN:VTIMEZONE",
        "TZID:Europe/Lisbon",
        // In June Lisbon is an hour ahead of UTC.
        "TZOFFSETTO:+0100",
        &uid,
        "DTSTAMP:20270115T120000Z",
        "SEQUENCE:1",
        "SUMMARY:Offsite",
        "STATUS:TENTATIVE",
        "DTSTART;TZID=Europe/Lisbon:20270612T180000",
        "DTEND;TZID=Europe/Lisbon:20270612T220000",
        "END:VCALENDAR",
    ] {
        assert!(
            shown.iter().any(|line| line == wanted),
            "{wanted}: {shown:#?}"
        );
    }
    assert!(!first.text().contains("LOCATION"));
    app.advance(std::time::Duration::from_mins(1));
    let path = format!("/v1/events/{event_id}");
    let patch = json!({"local_start": "2027-06-13T18:00:00"});
    app.planner.patch(&path, "*", &patch).await.expect(200);
    let shown = lines(&file(&app, event_id).await);
    for wanted in [&*uid, "SEQUENCE:2", "DTSTAMP:20270115T120100Z"] {
        assert!(
            shown.iter().any(|line| line == wanted),
            "{wanted}: {shown:#?}"
        );
    }
    file_of_nobody(&app, event_id).await;
}

async fn file_of_nobody(app: &TestApp, event_id: Uuid) {
    let path = format!("/v1/events/{event_id}/calendar.ics");
    app.stranger
        .get(&path)
        .await
        .expect_problem(404, "not_found");
    app.anonymous
        .get(&path)
        .await
        .expect_problem(401, "unauthenticated");
}

#[sqlx::test]
async fn no_text_breaks_out_of_its_line(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let title = format!("Grüße; {}, \\n C:\\temp \"x\":y", "東京🎉".repeat(50));
    let mut new = event();
    new["title"] = json!(title);
    let event_id = create(&app.planner, "/v1/events", &new).await;
    let answer = file(&app, event_id).await;
    lines(&answer);
    assert_eq!(read(&answer, &ICalendarProperty::Summary), title);

    new["title"] = json!("One\r\nEND:VEVENT\u{7}\nTwo\rThree");
    let event_id = create(&app.planner, "/v1/events", &new).await;
    let answer = file(&app, event_id).await;
    assert_eq!(
        lines(&answer)
            .iter()
            .filter(|line| *line == "END:VEVENT")
            .count(),
        1
    );
    let read = read(&answer, &ICalendarProperty::Summary);
    assert_eq!(read, "One\nEND:VEVENT\nTwo\nThree");
}

#[sqlx::test]
async fn a_time_that_happens_twice_is_told_in_utc_where_the_later_one_is_meant(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut new = event();
    new["local_start"] = json!("2027-10-31T01:30:00");
    new["duration_minutes"] = json!(15);
    for (fold, start) in [
        ("EARLIER", "DTSTART;TZID=Europe/Lisbon:20271031T013000"),
        ("LATER", "DTSTART:20271031T013000Z"),
    ] {
        new["fold"] = json!(fold);
        let event_id = create(&app.planner, "/v1/events", &new).await;
        let shown = lines(&file(&app, event_id).await);
        assert!(shown.iter().any(|line| line == start), "{shown:#?}");
    }
}

#[sqlx::test]
async fn place_and_standing_are_told(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "ics").await;
    let venue = app
        .viewer
        .get(&format!("/v1/venues/{}", scene.venue_id))
        .await;
    let venue = venue.expect(200);
    let answer = file(&app, scene.booked_event_id).await;
    let location = read(&answer, &ICalendarProperty::Location);
    assert!(
        location.starts_with(venue["name"].as_str().unwrap()),
        "{location}"
    );
    let cancel = format!("/v1/events/{}/cancel", scene.booked_event_id);
    app.planner
        .post_once("cancel", &cancel, &Value::Null)
        .await
        .expect(200);
    let shown = lines(&file(&app, scene.booked_event_id).await);
    assert!(
        shown.iter().any(|line| line == "STATUS:CANCELLED"),
        "{shown:#?}"
    );
}
