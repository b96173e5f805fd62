//! All roads over HTTP on one screen, and the HTTP wrapper round the tools.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use rmcp::{
    ServerHandler,
    model::JsonObject,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService,
        session::{local::LocalSessionManager, never::NeverSessionManager},
    },
};
use serde_json::{Value, json};

use crate::{
    call::Road,
    entry::{Entrant, Entry, Trace, enter, enter_streaming},
    error::Failure,
    guard::{SharedGuard, Success},
    http_content::{fetch_content, send_content},
    metrics::Metrics,
    problem::Problem,
    ready::Readiness,
    settings::Settings,
    sidecar::Service,
    unique,
};

const LONGEST_KEY: usize = 255;

/// Everything but `/metrics`, which has its own port.
pub(crate) fn router<E: ServerHandler>(
    service: &Service<E>,
    settings: &Settings,
) -> anyhow::Result<Router> {
    let entry = Arc::new(Entry::new(settings)?);
    let tools = Router::new()
        .route("/mcp/tools", get(list_tools))
        .route("/mcp/tools/{tool}", post(call_tool))
        .with_state(Arc::clone(&service.guard));
    let content = Router::new()
        .route(
            "/mcp/tools/{tool}/content",
            get(fetch_content).post(send_content),
        )
        .with_state((Arc::clone(&service.guard), settings.body_timeout))
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(
            Arc::clone(&entry),
            enter_streaming,
        ));
    let readiness = Arc::clone(&service.readiness);
    let (name, version) = (
        service.guard.registry.sidecar,
        service.guard.registry.version,
    );
    Ok(mcp(service, settings)
        .merge(tools)
        .layer(middleware::from_fn_with_state(entry, enter))
        .merge(content)
        .route(
            "/health",
            get(move || async move {
                Json(json!({ "status": "ok", "service": name, "version": version }))
            }),
        )
        .route("/ready", get(move || ready(readiness, name, version)))
        .fallback(|headers: HeaderMap| async move { missing(&headers, StatusCode::NOT_FOUND) })
        .method_not_allowed_fallback(|headers: HeaderMap| async move {
            missing(&headers, StatusCode::METHOD_NOT_ALLOWED)
        }))
}

/// The router of the metrics port.
pub(crate) fn metrics_router(metrics: Metrics) -> Router {
    let render = move || async move {
        metrics.render().map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "metrics not rendered");
            StatusCode::INTERNAL_SERVER_ERROR
        })
    };
    Router::new().route("/metrics", get(render))
}

/// MCP's Streamable HTTP. Sessions exist only where a setting asks for them.
fn mcp<E: ServerHandler>(service: &Service<E>, settings: &Settings) -> Router {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(settings.legacy_session_mode)
        .with_json_response(true)
        .with_allowed_hosts(settings.allowed_hosts.clone())
        .with_allowed_origins(settings.allowed_origins.clone())
        .enforce_origin_validation()
        .with_max_request_body_bytes(settings.body_limit)
        .with_cancellation_token(service.stop.child_token());
    let handler = service.handler.clone();
    let make = move || Ok(handler.clone());
    if settings.legacy_session_mode {
        let service =
            StreamableHttpService::new(make, Arc::new(LocalSessionManager::default()), config);
        Router::new().route_service("/mcp", service)
    } else {
        let service =
            StreamableHttpService::new(make, Arc::new(NeverSessionManager::default()), config);
        Router::new().route_service("/mcp", service)
    }
}

async fn ready(
    readiness: Arc<Readiness>,
    name: &'static str,
    version: &'static str,
) -> impl IntoResponse {
    let state = readiness.state().await;
    let status = if state == "ready" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(json!({ "status": state, "service": name, "version": version })),
    )
}

fn missing(headers: &HeaderMap, status: StatusCode) -> Problem {
    let (code, detail) = match status {
        StatusCode::METHOD_NOT_ALLOWED => ("METHOD_NOT_ALLOWED", "not with this method"),
        _ => ("NOT_FOUND", "there is nothing at this path"),
    };
    Problem::new(status, code, detail, &Trace::of(headers).request_id)
}

/// `GET /mcp/tools`: the tools that this caller may call, with schemas, as `tools/list` of MCP shows them.
async fn list_tools(
    State(guard): State<SharedGuard>,
    Extension(entrant): Extension<Entrant>,
) -> Json<Value> {
    let shown = guard
        .registry
        .tools
        .iter()
        .filter(|tool| entrant.caller.may(tool.scope));
    let tools: Vec<_> = shown.map(|tool| &tool.definition).collect();
    Json(json!({ "tools": tools }))
}

/// `POST /mcp/tools/{tool}`: the arguments are the body, the answer is `{"result": …}`.
async fn call_tool(
    State(guard): State<SharedGuard>,
    Extension(entrant): Extension<Entrant>,
    tool: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let request_id = Arc::clone(&entrant.trace.request_id);
    let malformed = |detail: String| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "MALFORMED_REQUEST",
            detail,
            &request_id,
        )
    };
    let Path(tool) = tool.map_err(|_| malformed("the tool's name is not UTF-8".to_owned()))?;
    let timeout = timeout(query.as_deref()).map_err(&malformed)?;
    let arguments = read_body(&body).map_err(&malformed)?;
    let arguments = with_key(&guard, &tool, &headers, arguments).map_err(&malformed)?;
    let call = entrant.call(Road::Http).with_timeout(timeout);
    let ended = guard.call(&tool, call, arguments).await;
    ended
        .and_then(answer)
        .map_err(|failure| Problem::of(failure, &request_id))
}

/// The arguments with the key of `Idempotency-Key`, where the tool takes one.
pub(crate) fn with_key(
    guard: &SharedGuard,
    tool: &str,
    headers: &HeaderMap,
    mut arguments: JsonObject,
) -> Result<JsonObject, String> {
    let takes_key = guard
        .registry
        .get(tool)
        .is_some_and(|tool| tool.takes("idempotency_key"));
    let Some(key) = idempotency_key(headers)?.filter(|_| takes_key) else {
        return Ok(arguments);
    };
    let given = arguments
        .entry("idempotency_key")
        .or_insert_with(|| key.clone().into());
    if given.as_str() != Some(&key) {
        return Err("Idempotency-Key: differs from the arguments' idempotency_key".to_owned());
    }
    Ok(arguments)
}

/// The arguments: a JSON object, or nothing for none.
fn read_body(body: &[u8]) -> Result<JsonObject, String> {
    if body.is_empty() {
        return Ok(JsonObject::new());
    }
    unique::object(body).map_err(|error| format!("the body must be a JSON object: {error}"))
}

/// `?timeout_ms=`, the only parameter: from 1 ms to an hour.
pub(crate) fn timeout(query: Option<&str>) -> Result<Option<Duration>, String> {
    let Some(query) = query.filter(|query| !query.is_empty()) else {
        return Ok(None);
    };
    let text = query
        .strip_prefix("timeout_ms=")
        .ok_or("the only query parameter is timeout_ms")?;
    let milliseconds = text
        .parse()
        .ok()
        .filter(|milliseconds| (1..=3_600_000).contains(milliseconds));
    milliseconds
        .map(|milliseconds| Some(Duration::from_millis(milliseconds)))
        .ok_or_else(|| "timeout_ms: must be a number from 1 to 3600000".to_owned())
}

/// `Idempotency-Key`, with or without the quotes of its IETF draft.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, String> {
    let Some(header) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = header.to_str().unwrap_or_default();
    let key = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let is_plain = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.is_empty() || key.len() > LONGEST_KEY || !is_plain {
        return Err(format!(
            "Idempotency-Key: must be 1 to {LONGEST_KEY} printable ASCII characters"
        ));
    }
    Ok(Some(key.to_owned()))
}

/// `{"result": …}`.
pub(crate) fn answer(success: Success) -> Result<Response, Failure> {
    let Success::Value(_, text) = success else {
        return Err(Failure::NeedsMcp);
    };
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, format!("{{\"result\":{text}}}")).into_response())
}
