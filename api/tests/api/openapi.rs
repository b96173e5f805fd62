//! The contract: the committed document is the one that is served.

use std::io::Read;

use event_planner_api::{openapi, problem::KINDS};
use expect_test::expect_file;
use flate2::read::GzDecoder;
use serde_json::Value;
use sqlx::PgPool;

use crate::support::TestApp;

#[test]
fn the_committed_document_is_current() {
    let document = openapi::document().to_pretty_json().unwrap();
    expect_file!["../../openapi.json"].assert_eq(&(document + "\n"));
}

#[test]
fn every_operation_is_named_and_described() {
    let document = serde_json::to_value(openapi::document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            assert!(id.contains('_'), "{method} {path}: {id}");
            assert!(
                operation["summary"].is_string(),
                "{method} {path} has no summary"
            );
            let get_list = id.starts_with("list_");
            let parameters = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            assert_eq!(
                get_list,
                parameters.iter().any(|p| p["name"] == "cursor"),
                "{method} {path}"
            );
        }
    }
}

#[test]
fn every_reference_in_the_document_exists() {
    let document = serde_json::to_value(openapi::document()).unwrap();
    let mut found = 0;
    walk(&document, &mut |value| {
        if let Some(reference) = value["$ref"].as_str() {
            found += 1;
            assert!(
                document
                    .pointer(reference.trim_start_matches('#'))
                    .is_some(),
                "{reference}"
            );
        }
    });
    assert!(found > 100);
}

fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    visit(value);
    match value {
        Value::Object(map) => map.values().for_each(|value| walk(value, visit)),
        Value::Array(items) => items.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

#[sqlx::test]
async fn the_reference_is_served_without_outside_help(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let page = app.anonymous.get("/docs/").await;
    page.expect(200);
    let mut html = String::new();
    GzDecoder::new(page.bytes.as_ref())
        .read_to_string(&mut html)
        .unwrap();
    assert!(html.contains("swagger-ui-bundle.js"), "{html}");
    assert!(!html.contains("https://"), "{html}");
    let document = app.anonymous.get("/openapi.json").await.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    app.anonymous
        .get("/.well-known/api-catalog")
        .await
        .expect(200);
}

#[sqlx::test]
async fn every_kind_of_problem_has_its_page(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for kind in KINDS {
        let page = app.anonymous.get(&format!("/problems/{}", kind.code)).await;
        page.expect(200);
        assert!(page.text().contains(kind.title));
    }
    app.anonymous
        .get("/problems/nothing")
        .await
        .expect_problem(404, "not_found");
}

#[test]
fn every_kind_of_problem_is_in_the_docs() {
    let docs = include_str!("../../../docs/api-design.md");
    for kind in KINDS {
        let row = format!("| {} | `{}` |", kind.status, kind.code);
        assert!(docs.contains(&row), "docs/api-design.md lacks {row}");
    }
}
