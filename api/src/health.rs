//! Liveness and readiness.

use std::{sync::atomic::Ordering, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use crate::state::App;

pub fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
}

/// We are alive; nothing else is asked.
async fn health() -> Response {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({"status": "ok", "service": "event-planner-api", "version": version}))
        .into_response()
}

/// We can do our work: Postgres answers and has our schema. Redis is not asked: we work without.
async fn ready(State(app): State<App>) -> Response {
    let draining = app.draining.load(Ordering::Relaxed);
    let question =
        sqlx::query_scalar!(r#"SELECT to_regclass('public.bookings') IS NOT NULL AS "migrated!""#);
    let answer =
        tokio::time::timeout(Duration::from_millis(1_500), question.fetch_one(&app.db)).await;
    let database = match answer {
        Ok(Ok(true)) => "ok",
        Ok(Ok(false)) => "not migrated",
        _ => "unreachable",
    };
    let ready = database == "ok" && !draining;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let text = if draining {
        "draining"
    } else if ready {
        "ready"
    } else {
        "not ready"
    };
    (status, Json(json!({"status": text, "database": database}))).into_response()
}
