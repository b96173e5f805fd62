//! CSV in and out.

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    scene::{self, create},
    support::{Answer, Client, TestApp},
};

const VENUES: &str = include_str!("../../../database/seed/venues.csv");
const CATERERS: &str = include_str!("../../../database/seed/caterers.csv");
/// The columns that must be there, and a row of them.
const HEADER: &str =
    "external_id,name,city,country,latitude,longitude,time_zone,capacity,currency,hire_fee";
const ROW: &str = "v-1,Hall,Lisboa,PT,38.7,-9.1,Europe/Lisbon,100,EUR,1000.50";

async fn send(client: &Client, path: &str, csv: impl Into<Body>) -> Answer {
    client
        .send(
            client
                .request(Method::POST, path)
                .header("content-type", "text/csv; charset=utf-8"),
            csv.into(),
        )
        .await
}

async fn import(app: &TestApp, csv: impl Into<Body>) -> Value {
    send(&app.planner, "/v1/venues/import", csv)
        .await
        .expect(207)
}

/// created, updated, unchanged, failed.
fn counts(report: &Value) -> [u64; 4] {
    ["created", "updated", "unchanged", "failed"].map(|name| report[name].as_u64().unwrap())
}

/// `code` of each error, by the pointer to its column.
fn errors(item: &Value) -> Vec<(&str, &str)> {
    let errors = item["errors"].as_array().unwrap().iter();
    errors
        .map(|error| {
            (
                error["pointer"].as_str().unwrap(),
                error["code"].as_str().unwrap(),
            )
        })
        .collect()
}

async fn only_venue(app: &TestApp) -> Value {
    let page = app.viewer.get("/v1/venues").await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    page["items"][0].clone()
}

#[sqlx::test]
async fn the_demo_catalogue_goes_in_and_comes_out_the_same(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (name, csv) in [("venues", VENUES), ("caterers", CATERERS)] {
        let rows =
            u64::try_from(csv::Reader::from_reader(csv.as_bytes()).records().count()).unwrap();
        let path = format!("/v1/{name}/import");
        let report = send(&app.planner, &path, csv).await.expect(207);
        assert_eq!(counts(&report), [rows, 0, 0, 0], "{report}");
        let before = app
            .viewer
            .get(&format!("/v1/{name}?limit=200"))
            .await
            .expect(200);

        let export = app.viewer.get(&format!("/v1/{name}/export")).await;
        assert_eq!(export.status, StatusCode::OK);
        assert_eq!(export.header("content-type"), "text/csv; charset=utf-8");
        assert_eq!(
            export.header("content-disposition"),
            format!("attachment; filename=\"{name}.csv\"")
        );
        let text = export.text();
        assert_eq!(text.lines().next(), csv.lines().next());
        let again = send(&app.planner, &path, text.clone()).await.expect(207);
        assert_eq!(counts(&again), [0, 0, rows, 0], "{again}");

        let elsewhere = send(&app.stranger, &path, text.clone()).await.expect(207);
        assert_eq!(counts(&elsewhere), [rows, 0, 0, 0]);
        assert_eq!(
            app.stranger.get(&format!("/v1/{name}/export")).await.text(),
            text
        );
        assert_eq!(
            app.viewer
                .get(&format!("/v1/{name}?limit=200"))
                .await
                .expect(200),
            before
        );
    }
}

#[sqlx::test]
async fn what_people_write_survives_the_round_trip(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (index, text) in [
        "=1+1",
        "+1",
        "-1",
        "@x",
        "\tx",
        "\rx",
        "'=1",
        "''@",
        "'a'",
        " a ",
        "a\r\nb",
        "\"q\", 'q'",
        "a;b|c",
        "\u{feff}é",
    ]
    .iter()
    .enumerate()
    {
        let mut venue = scene::venue("Porto");
        venue["name"] = json!(text);
        venue["description"] = json!(text);
        venue["external_id"] = json!(format!("={index}"));
        create(&app.planner, "/v1/venues", &venue).await;
    }
    let export = app.viewer.get("/v1/venues/export").await.text();
    let mut reader = csv::Reader::from_reader(export.as_bytes());
    for record in reader.records() {
        for cell in &record.unwrap() {
            assert!(!cell.starts_with(['=', '+', '@', '\t', '\r']), "{cell:?}");
            assert!(
                !cell.starts_with('-') || cell.parse::<f64>().is_ok(),
                "{cell:?}"
            );
        }
    }
    assert_eq!(counts(&import(&app, export).await), [0, 0, 14, 0]);
}

#[sqlx::test]
async fn an_export_can_begin_with_a_byte_order_mark(pool: PgPool) {
    let app = TestApp::new(pool).await;
    import(&app, format!("{HEADER}\n{ROW}\n")).await;
    let marked = app.viewer.get("/v1/venues/export?bom=true").await.text();
    let plain = app.viewer.get("/v1/venues/export").await.text();
    assert_eq!(marked, format!("\u{feff}{plain}"));
    assert_eq!(counts(&import(&app, marked).await), [0, 0, 1, 0]);
}

#[sqlx::test]
async fn each_row_is_told_what_became_of_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    import(
        &app,
        format!("{HEADER}\n{ROW}\nv-2,Second,Lisboa,PT,38.7,-9.1,Europe/Lisbon,50,EUR,1\n"),
    )
    .await;
    let csv = format!(
        "{HEADER}\n{ROW}\nv-2,\"Se\ncond\",Lisboa,PT,38.7,-9.1,Europe/Lisbon,50,EUR,1\nv-3,,Lisboa,pt,38.7,x,Europe/Lisbon,0,EUR,1.005\nv-4,New,Lisboa,PT,38.7,-9.1,Europe/Lisbon,5,EUR,1\n"
    );
    let report = import(&app, csv).await;
    assert_eq!(counts(&report), [1, 1, 1, 1], "{report}");
    let items: Vec<_> = report["items"].as_array().unwrap().iter().collect();
    let told: Vec<_> = items
        .iter()
        .map(|item| {
            (
                item["line"].as_u64().unwrap(),
                item["external_id"].as_str().unwrap(),
                item["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (2, "v-1", "UNCHANGED"),
            (3, "v-2", "UPDATED"),
            (5, "v-3", "FAILED"),
            (6, "v-4", "CREATED")
        ]
    );
    assert_eq!(
        errors(items[2]),
        [
            ("#/name", "required"),
            ("#/longitude", "number"),
            ("#/hire_fee", "money")
        ]
    );
    assert!(items[2]["id"].is_null());
    let path = format!("/v1/venues/{}", items[1]["id"].as_str().unwrap());
    let second = app.viewer.get(&path).await.expect(200);
    assert_eq!(
        (&second["name"], &second["version"]),
        (&json!("Se\ncond"), &json!(2))
    );
    let trail = app
        .owner
        .get("/v1/audit?action=venue.imported")
        .await
        .expect(200);
    assert_eq!(
        trail["items"][0]["after"],
        json!({"created": 1, "updated": 1, "unchanged": 1, "failed": 1})
    );
    assert_eq!(trail["items"].as_array().unwrap().len(), 2);
}

#[sqlx::test]
async fn rows_are_held_to_the_rules_of_the_api(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let columns = "external_id,currency,hire_fee,name,city,country,latitude,longitude,time_zone,capacity,amenities,cancellation_terms,outside_catering_allowed,hourly_rate";
    let good = "EUR,1,Hall,Lisboa,PT,38.7,-9.1,Europe/Lisbon,100";
    for (rest, expected) in [
        (
            "EUR,1,Hall,Lisboa,pt,38.7,-9.1,Europe/Lisbon,100,,,,",
            &[("#/country", "country")][..],
        ),
        (
            "EUR,1,Hall,Lisboa,PT,98.7,-9.1,Europe/Lisbon,0,,,,",
            &[("#/capacity", "range"), ("#/latitude", "range")],
        ),
        (
            "EUR,1,Hall,Lisboa,PT,38.7,-9.1,Europe/Atlantis,1,,,,",
            &[("#/time_zone", "time_zone")],
        ),
        (
            "EUR,1,Hall,Lisboa,PT,38.7,-9.1,Europe/Lisbon,3000000000,,,,",
            &[("#/capacity", "invalid")],
        ),
        (
            "euro,1,Hall,Lisboa,PT,38.7,-9.1,Europe/Lisbon,1,,,,",
            &[("#/currency", "currency")],
        ),
        (
            "EUR,99999999999,Hall,Lisboa,PT,38.7,-9.1,Europe/Lisbon,1,,,,",
            &[("#/hire_fee", "range")],
        ),
        (
            "EUR,1,Hall,Lisboa,PT,38.7,-9.1,Europe/Lisbon,1,,soon,maybe,x",
            &[
                ("#/cancellation_terms", "terms"),
                ("#/outside_catering_allowed", "flag"),
                ("#/hourly_rate", "money"),
            ],
        ),
        (
            "EUR,1,Hall,Lisboa,PT,38.7,-9.1,Europe/Lisbon,1,,7:0|14:0,,",
            &[("#/cancellation_terms", "order")],
        ),
        (
            "EUR,1,Hall,Lisboa,PT,38.7,-9.1,Europe/Lisbon,1,,,false,",
            &[("#", "required")],
        ),
        (
            "EUR,1,Hall,Lisboa,PT,38.7,-9.1,Europe/Lisbon,1",
            &[("#", "cells")],
        ),
        (
            "EUR,1,\"Hall,Lisboa,PT,38.7,-9.1,Europe/Lisbon,1,,,,",
            &[("#", "quotes")],
        ),
        (
            "EUR,1,Ha\0ll,Lisboa,PT,38.7,-9.1,Europe/Lisbon,1,,,,",
            &[("#/name", "text")],
        ),
    ] {
        let report = import(&app, format!("{columns}\nbad,{rest}")).await;
        assert_eq!(errors(&report["items"][0]), expected, "{rest}: {report}");
    }
    let report = import(
        &app,
        format!("{columns}\nv,{good},,,,\n,{good},,,,\nv,{good},,,,\n"),
    )
    .await;
    assert_eq!(counts(&report), [1, 0, 0, 2]);
    assert_eq!(errors(&report["items"][1]), [("#/external_id", "required")]);
    assert_eq!(errors(&report["items"][2]), [("#/external_id", "repeated")]);
    assert!(
        report["items"][2]["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("line 2")
    );
}

#[sqlx::test]
async fn a_preview_tells_the_same_and_keeps_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let csv = format!("{HEADER}\n{ROW}\n");
    let preview = send(
        &app.planner,
        "/v1/venues/import?validate_only=true",
        csv.clone(),
    )
    .await
    .expect(200);
    assert_eq!(counts(&preview), [1, 0, 0, 0]);
    assert_eq!(
        app.viewer.get("/v1/venues").await.expect(200)["items"],
        json!([])
    );
    assert_eq!(
        app.owner
            .get("/v1/audit?action=venue.imported")
            .await
            .expect(200)["items"],
        json!([])
    );
    assert_eq!(counts(&import(&app, csv).await), [1, 0, 0, 0]);
}

#[sqlx::test]
async fn columns_that_are_left_out_leave_their_fields(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (header, row) = (
        format!("{HEADER},amenities,rating"),
        format!("{ROW},wifi|bar,90"),
    );
    import(&app, format!("{header}\n{row}\n")).await;
    let changed = import(
        &app,
        format!("{HEADER}\n{}\n", ROW.replace("Hall", "Great Hall")),
    )
    .await;
    assert_eq!(counts(&changed), [0, 1, 0, 0]);
    let venue = only_venue(&app).await;
    assert_eq!(
        (&venue["name"], &venue["rating"]),
        (&json!("Great Hall"), &json!(90))
    );
    assert_eq!(venue["amenities"], json!(["bar", "wifi"]));
    import(&app, format!("{header}\n{ROW},,\n")).await;
    let venue = only_venue(&app).await;
    assert_eq!(
        (&venue["amenities"], &venue["rating"]),
        (&json!([]), &json!(50)),
        "an empty cell sets the default"
    );
}

#[sqlx::test]
async fn the_files_of_spreadsheet_programs_are_understood(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let header = "name;external_id;city;country;latitude;longitude;time_zone;capacity;currency;hire_fee;amenities";
    let row = "\"Salão;\r\nNobre\";v-1;Lisboa;PT;38,7;-9,1;Europe/Lisbon;100;EUR;1000,50;Wi-Fi|Bar";
    let report = import(&app, format!("\u{feff}{header}\r\n{row}\r\n;;;;;;;;;;\r\n")).await;
    assert_eq!(counts(&report), [1, 0, 0, 0], "{report}");
    let venue = only_venue(&app).await;
    assert_eq!(venue["name"], "Salão;\r\nNobre");
    assert_eq!(
        venue["hire_fee"],
        json!({"amount": 100_050, "currency": "EUR"})
    );
    assert_eq!(venue["latitude"], 38.7);
    let tabs = format!(
        "{}\n{}\n",
        HEADER.replace(',', "\t"),
        ROW.replace(',', "\t")
    );
    assert_eq!(counts(&import(&app, tabs).await), [0, 1, 0, 0]);
}

#[sqlx::test]
async fn files_that_cannot_be_meant_are_refused_whole(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = "/v1/venues/import";
    let latin1 = [HEADER.as_bytes(), b"\nv-1,S\xe3o,\n"].concat();
    let problem = send(&app.planner, path, latin1)
        .await
        .expect_problem(400, "malformed_request");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .starts_with("line 2, byte "),
        "{problem}"
    );
    send(&app.planner, path, format!("{HEADER},colour\n"))
        .await
        .expect_invalid(&["#/colour"]);
    send(&app.planner, path, HEADER.replace("hire_fee", "rating"))
        .await
        .expect_invalid(&["#/hire_fee"]);
    let many = format!("{HEADER}\n{}", "v,a,a,PT,1,1,UTC,1,EUR,1\n".repeat(10_001));
    send(&app.planner, path, many).await.expect_invalid(&["#"]);
    send(&app.planner, path, "x".repeat(10 * 1024 * 1024 + 1))
        .await
        .expect_problem(413, "payload_too_large");
    let request = app
        .planner
        .request(Method::POST, path)
        .header("content-type", "application/json");
    app.planner
        .send(request, "{}".into())
        .await
        .expect_problem(415, "unsupported_media_type");
    send(&app.viewer, path, HEADER)
        .await
        .expect_problem(403, "forbidden");
}

#[sqlx::test]
async fn ten_thousand_rows_go_in_at_once_and_come_out(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let rows = |name: &str| {
        (0..10_000).fold(format!("{HEADER}\n"), |csv, number| {
            csv + &ROW
                .replace("v-1", &format!("v-{number}"))
                .replace("Hall", name)
                + "\n"
        })
    };
    assert_eq!(counts(&import(&app, rows("Hall")).await), [10_000, 0, 0, 0]);
    assert_eq!(counts(&import(&app, rows("Room")).await), [0, 10_000, 0, 0]);
    assert_eq!(counts(&import(&app, rows("Room")).await), [0, 0, 10_000, 0]);
    let export = app.viewer.get("/v1/venues/export").await.text();
    assert_eq!(export.lines().count(), 10_001);
    let version: i64 =
        sqlx::query_scalar("SELECT catalogue FROM planning_versions WHERE organization_id = $1")
            .bind(app.organization_id)
            .fetch_one(&app.app.db)
            .await
            .unwrap();
    assert_eq!(version, 20, "one for each statement of a thousand rows");
}

#[sqlx::test]
async fn imports_at_the_same_time_create_nothing_twice(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let rows: Vec<_> = (0..300)
        .map(|number| ROW.replace("v-1", &format!("v-{number}")))
        .collect();
    let turned: Vec<_> = rows.iter().rev().cloned().collect();
    let files = [rows, turned].map(|rows| format!("{HEADER}\n{}\n", rows.join("\n")));
    let sent = files.iter().cycle().take(6);
    let sent = sent.map(|csv| send(&app.planner, "/v1/venues/import", csv.clone()));
    let answers = futures_util::future::join_all(sent).await;
    let created = answers.iter().filter(|answer| {
        answer.status == StatusCode::MULTI_STATUS && answer.expect(207)["created"] == 300
    });
    assert_eq!(created.count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 207) {
        answer.expect_problem(409, "concurrent_change");
    }
    let export = app.viewer.get("/v1/venues/export").await.text();
    assert_eq!(export.lines().count(), 301);
}

#[sqlx::test]
async fn a_repeated_import_has_one_effect_and_one_answer(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let once = async || {
        let request = app.planner.request(Method::POST, "/v1/venues/import");
        let request = request
            .header("content-type", "text/csv")
            .header("idempotency-key", "one");
        app.planner
            .send(request, format!("{HEADER}\n{ROW}\n").into())
            .await
    };
    let first = once().await;
    assert_eq!(counts(&first.expect(207)), [1, 0, 0, 0]);
    let again = once().await;
    assert_eq!(again.status, StatusCode::MULTI_STATUS);
    assert_eq!(again.bytes, first.bytes);
    assert_eq!(again.header("idempotent-replayed"), "true");
}
