//! The typed view of the sidecars, against a sidecar of the kit over a real socket.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Extension, Json, Router, middleware::from_fn_with_state, routing::get};
use event_planner_api::{
    access::{self, Access, Arrival, ReadEvents},
    config,
    problem::{self, Problem},
    sidecars::{Errand, Postgres, SidecarError, Sidecars, postgres::QueryResult},
};
use mcp_kit::{Call, Metrics, Sidecar, Tool, ToolError, Tools, testing};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::{providers, support::TestApp};

const TOKEN: &str = "4kPz7QvW1xYbN8sLr2TfHc6JmUaGd9Ei-sidecar";

#[derive(Debug, serde::Deserialize, schemars::JsonSchema, validator::Validate)]
#[serde(deny_unknown_fields)]
struct Query {
    #[validate(length(min = 1))]
    sql: String,
    params: Vec<Value>,
    limit: u16,
}

async fn query(call: Call, query: Query) -> Result<Value, ToolError> {
    match query.sql.as_str() {
        "slow" => tokio::time::sleep(Duration::from_secs(20)).await,
        "refused" => return Err(ToolError::refused("only one SELECT is allowed")),
        "away" => {
            let wait = Duration::from_secs(7);
            return Err(ToolError::unavailable("the database is away", wait));
        }
        _ => {}
    }
    let row = [
        json!(call.caller.on_behalf_of.as_deref()),
        json!(&*call.request_id),
        json!(call.traceparent.as_deref()),
        json!([query.params, query.limit]),
    ];
    Ok(json!({
        "columns": [{ "name": "who", "type": "text" }], "rows": [row], "row_count": 1,
        "truncated": true, "truncated_by": "rows", "cut_cells": 0, "added_later": {},
    }))
}

/// A sidecar with one tool; gives its address.
async fn sidecar() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tools = Tools::new("postgres", "1.0.0")
        .with(Tool::new("query", "Asks.", query).read_only())
        .unwrap();
    let settings = testing::settings(&[&format!("--mcp-tokens={TOKEN}")]).unwrap();
    let service = Sidecar::new(tools).build(&settings).unwrap();
    let router = service.router(&settings).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn sidecars(address: Option<SocketAddr>, metrics: &Metrics) -> Sidecars {
    let config = config::Sidecars {
        postgres_sidecar_url: address.map(|address| format!("http://{address}")),
        postgres_sidecar_token: Some(TOKEN.into()),
        ..config::Sidecars::default()
    };
    Sidecars::from_config(&config, metrics).unwrap()
}

struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: Value,
}

/// One request to a route that asks the sidecar, as the owner; it has `left` of its time.
async fn ask(app: &TestApp, sidecars: Sidecars, sql: &'static str, left: Duration) -> Answer {
    let handler = async move |access: Access<ReadEvents>,
                              postgres: Extension<Arc<Postgres>>|
                -> Result<Json<QueryResult>, Problem> {
        let asked = postgres.query(&access, sql, &[json!(1)], 5).await;
        asked.map(Json).map_err(|error| match error {
            SidecarError::Refused(refusal) => refusal.at("/sql"),
            error => error.into(),
        })
    };
    let arrival = Arrival {
        request_id: "request-0001".into(),
        deadline: Instant::now() + left,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    };
    let router = Router::new()
        .route("/ask", get(handler))
        .layer(from_fn_with_state(app.app.clone(), access::authenticate))
        .layer(Extension(arrival))
        .layer(Extension(Arc::new(sidecars.postgres)))
        .with_state(app.app.clone());
    let request = axum::http::Request::get("/ask")
        .header(
            "authorization",
            format!("Bearer {}", app.owner.key.as_deref().unwrap()),
        )
        .body(axum::body::Body::empty())
        .unwrap();
    let mut response = tower::ServiceExt::oneshot(router, request).await.unwrap();
    problem::render(&mut response, "https://events.example", "request-0001");
    let header = response.headers().get("retry-after");
    let retry_after = header.map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body()).await;
    Answer {
        status,
        retry_after,
        body: serde_json::from_slice(&body.unwrap().to_bytes()).unwrap(),
    }
}

const SECONDS: Duration = Duration::from_secs(10);

#[sqlx::test]
async fn a_query_goes_out_for_the_member_under_the_requests_id_and_trace(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let sidecars = sidecars(Some(sidecar().await), &app.app.metrics.sidecars);
    let answer = ask(&app, sidecars, "select 1", SECONDS).await;
    let member = format!("{}/{}", app.organization_id, app.owner_id);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        answer.body["rows"][0],
        json!([member, "request-0001", trace, [[1], 5]])
    );
    assert_eq!(answer.body["truncated_by"], "rows");
    let metrics = app.app.metrics.render(&app.app.db).unwrap();
    let counted = r#"mcp_upstream_requests_total{outcome="ok",provider="postgres_sidecar"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[sqlx::test]
async fn what_the_tool_refuses_is_told_on_the_field_it_came_from(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let address = sidecar().await;
    for (sql, code, detail) in [
        ("refused", "refused", "only one SELECT is allowed"),
        ("", "length", ""),
    ] {
        let sidecars = sidecars(Some(address), &Metrics::new().unwrap());
        let answer = ask(&app, sidecars, sql, SECONDS).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (422, &json!("invalid_fields"))
        );
        let error = &answer.body["errors"][0];
        assert_eq!(error["pointer"], "#/sql", "{error}");
        assert_eq!(error["code"], code, "{error}");
        assert!(
            error["detail"].as_str().unwrap().contains(detail),
            "{error}"
        );
    }
}

#[sqlx::test]
async fn a_sidecar_that_is_unset_away_or_slow_is_told_apart(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let metrics = Metrics::new().unwrap();
    let unset = ask(&app, sidecars(None, &metrics), "x", SECONDS).await;
    assert_eq!(
        (unset.status, &unset.body["code"]),
        (501, &json!("sidecar_not_configured"))
    );
    assert!(
        unset.body["detail"]
            .as_str()
            .unwrap()
            .contains("POSTGRES_SIDECAR_URL")
    );

    let address = sidecar().await;
    let busy = ask(&app, sidecars(Some(address), &metrics), "away", SECONDS).await;
    assert_eq!(
        (busy.status, &busy.body["code"]),
        (503, &json!("sidecar_unavailable"))
    );
    assert_eq!(busy.retry_after.as_deref(), Some("7"));

    let begun = Instant::now();
    let left = Duration::from_millis(900);
    let late = ask(&app, sidecars(Some(address), &metrics), "slow", left).await;
    assert_eq!(
        (late.status, &late.body["code"]),
        (504, &json!("sidecar_timeout"))
    );
    assert!(
        begun.elapsed() < left,
        "the answer is ours, not the time-out layer's"
    );

    let nobody = "127.0.0.1:9".parse().unwrap();
    let gone = ask(&app, sidecars(Some(nobody), &metrics), "x", SECONDS).await;
    assert_eq!(
        (gone.status, &gone.body["code"]),
        (503, &json!("sidecar_unavailable"))
    );
    assert!(
        !gone.body.to_string().contains("127.0.0.1:9"),
        "{}",
        gone.body
    );
}

#[sqlx::test]
async fn a_token_that_is_not_taken_is_an_internal_error(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let config = config::Sidecars {
        postgres_sidecar_url: Some(format!("http://{}", sidecar().await)),
        ..config::Sidecars::default()
    };
    let sidecars = Sidecars::from_config(&config, &Metrics::new().unwrap()).unwrap();
    let answer = ask(&app, sidecars, "x", SECONDS).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (500, &json!("internal"))
    );
}

#[sqlx::test]
async fn an_errand_has_its_effect_once_however_often_it_is_run(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let sidecars = &app.app.sidecars;
    let errand = Errand {
        organization_id: app.organization_id,
        member_id: Some(app.owner_id),
        request_id: None,
        idempotency_key: "an-errand".into(),
        account: None,
        deadline: tokio::time::Instant::now() + SECONDS,
    };
    let event = json!({
        "title": "Offsite", "start": "2027-05-03T09:00:00", "end": "2027-05-03T17:00:00", "time_zone": "Europe/Lisbon",
    });
    for _ in 0..2 {
        let message = json!({ "channel": "#events", "text": "Booked" });
        let _: Value = sidecars
            .slack
            .run(&errand, "post_message", &message)
            .await
            .unwrap();
        let folder = json!({ "name": "Offsite" });
        let _: Value = sidecars
            .gdrive
            .run(&errand, "create_folder", &folder)
            .await
            .unwrap();
        let _: Value = sidecars
            .calendar
            .run(&errand, "create_event", &event)
            .await
            .unwrap();
        let text = json!({ "to": "+14155550100", "body": "Booked" });
        let _: Value = sidecars
            .twilio
            .run(&errand, "send_sms", &text)
            .await
            .unwrap();
        let customer = json!({ "name": "Ada", "email": "ada@example.com" });
        let _: Value = sidecars
            .stripe
            .run(&errand, "create_customer", &customer)
            .await
            .unwrap();
    }
    let counts = providers::counts(&sandbox).await;
    assert_eq!(counts["slack"]["messages"], 1, "{counts}");
    assert_eq!(counts["twilio"]["messages"], 1, "{counts}");
    assert_eq!(counts["stripe"]["customers"], 1, "{counts}");
}
