//! All routes on one screen, and what every request goes through.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{
    BoxError, Extension, Router,
    error_handling::HandleErrorLayer,
    extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer, load_shed::LoadShedLayer};
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    access::{self, Arrival, Identity},
    agents, api_keys, audit, bookings, calendar, caterers, changes, documents, events, extract,
    health, insights, integrations, jobs, members, messages, openapi, orchestrations,
    organizations, payments, plans, playbooks,
    problem::{self, Problem},
    rate_limit, reference, reminders,
    state::App,
    tasks, unread, venues, webhooks, webhooks_in, work,
};

/// Every route of the API, each a line or two in its slice.
pub fn routes() -> OpenApiRouter<App> {
    openapi::router()
        .merge(organizations::routes())
        .merge(members::routes())
        .merge(api_keys::routes())
        .merge(audit::routes())
        .merge(venues::routes())
        .merge(caterers::routes())
        .merge(events::routes())
        .merge(plans::routes())
        .merge(bookings::routes())
        .merge(insights::routes())
        .merge(jobs::routes())
        .merge(tasks::routes())
        .merge(calendar::routes())
        .merge(payments::routes())
        .merge(documents::routes())
        .merge(messages::routes())
        .merge(reminders::routes())
        .merge(integrations::routes())
        .merge(orchestrations::routes())
        .merge(playbooks::routes())
        .merge(agents::routes())
        .merge(webhooks::routes())
        .merge(changes::routes())
}

/// The whole application, as it is served and as tests drive it.
pub fn app(app: App) -> Router {
    let (api, _) = routes().split_for_parts();
    let document = openapi::document();
    let parameters = Arc::new(openapi::QueryParameters::of(&document));
    let limits = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(refused))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(app.settings.max_in_flight));
    let api = api
        .layer(from_fn(negotiate))
        .layer(from_fn_with_state(parameters, refuse_unknown_parameters))
        .merge(integrations::callback_routes())
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        ))
        .layer(from_fn_with_state(app.clone(), work::digest_request))
        .layer(DefaultBodyLimit::max(app.settings.body_limit))
        .layer(from_fn_with_state(app.clone(), rate_limit::limit))
        .layer(from_fn_with_state(app.clone(), access::authenticate))
        .layer(from_fn(end_in_time))
        .layer(limits.clone());
    let inbound = webhooks_in::routes()
        .merge(messages::callbacks::routes())
        .layer(from_fn(end_in_time))
        .layer(limits);
    Router::new()
        .merge(api)
        .merge(payments::page())
        .merge(inbound)
        .merge(health::routes())
        .merge(reference::routes(document))
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(from_fn(unread::read_the_rest))
        .layer(from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

/// Whether the body is a file, which passes through us and takes its time.
pub fn is_upload(method: &Method, uri: &Uri) -> bool {
    method == Method::POST && uri.path().ends_with("/documents/content")
}

/// 504 for an answer that has not begun when it is due.
async fn end_in_time(
    Extension(arrival): Extension<Arrival>,
    request: Request,
    next: Next,
) -> Response {
    let answer = tokio::time::timeout_at(arrival.deadline.into(), next.run(request)).await;
    answer.unwrap_or_else(|_| Problem::Timeout.into_response())
}

/// The outermost layer: request id, error bodies, `304`, metrics, and one log line.
async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&app, &request);
    let time = if is_upload(request.method(), request.uri()) {
        app.settings.delivery.upload_timeout
    } else {
        app.settings.request_timeout
    };
    let arrival = Arrival {
        request_id: id.clone(),
        deadline: started + time,
        traceparent: traceparent(&request),
    };
    request.extensions_mut().insert(arrival);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let if_none_match = extract::tags(request.headers(), &header::IF_NONE_MATCH);
    let trace_id = trace_id(&request);

    app.metrics.requests_in_flight.inc();
    let mut response = next.run(request).await;
    app.metrics.requests_in_flight.dec();

    let cause = problem::render(&mut response, &app.settings.public_base_url, &id);
    if matches!(method, Method::GET | Method::HEAD) {
        not_modified(&mut response, &if_none_match);
    }
    if let Ok(value) = HeaderValue::try_from(&id) {
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-request-id"), value);
    }
    let status = response.status().as_u16();
    let duration = started.elapsed();
    let labels = [method.as_str(), route.as_str()];
    app.metrics
        .request_duration
        .with_label_values(&labels)
        .observe(duration.as_secs_f64());
    app.metrics
        .requests
        .with_label_values(&[labels[0], labels[1], &status.to_string()])
        .inc();
    let caller = response.extensions().get::<Identity>().map(Identity::label);
    let caller = caller.as_deref().unwrap_or("anonymous");
    let duration_ms = duration.as_secs_f64() * 1_000.0;
    if let Some(error) = cause {
        tracing::error!(request.id = id, trace.id = trace_id, %method, route, status, duration_ms, caller, error, "request");
    } else {
        tracing::info!(request.id = id, trace.id = trace_id, %method, route, status, duration_ms, caller, "request");
    }
    response
}

/// `X-Request-Id` when it looks like one (our proxy makes it), else a new one.
fn request_id(app: &App, request: &Request) -> String {
    let given = request
        .headers()
        .get("x-request-id")
        .and_then(|value| value.to_str().ok());
    let usable = |id: &&str| {
        (8..=64).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    given
        .filter(usable)
        .map_or_else(|| app.new_id().to_string(), str::to_owned)
}

/// The trace of W3C Trace Context: `00-<trace id>-<parent id>-<flags>`.
fn trace_id(request: &Request) -> Option<String> {
    let value = traceparent(request)?;
    let id = value.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// `traceparent`, to be handed on as it is; whoever gets it checks it.
fn traceparent(request: &Request) -> Option<Arc<str>> {
    let value = request.headers().get("traceparent")?.to_str().ok()?;
    Some(value.into())
}

/// RFC 9110, 13.1.2: the client has it already.
fn not_modified(response: &mut Response, if_none_match: &[String]) {
    if response.status() != StatusCode::OK || if_none_match.is_empty() {
        return;
    }
    let Some(tag) = response
        .headers()
        .get(header::ETAG)
        .and_then(|tag| tag.to_str().ok())
    else {
        return;
    };
    let known = |candidate: &String| candidate == "*" || candidate.trim_start_matches("W/") == tag;
    if if_none_match.iter().any(known) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = axum::body::Body::empty();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
}

/// 400 for a query parameter that the route does not know: a misspelt `validate_only` on a route
/// without one must not become the real thing.
async fn refuse_unknown_parameters(
    State(known): State<Arc<openapi::QueryParameters>>,
    request: Request,
    next: Next,
) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    if let (Some(query), Some(route)) = (request.uri().query(), route) {
        let pairs = match extract::parse_pairs(query) {
            Ok(pairs) => pairs,
            Err(problem) => return problem.into_response(),
        };
        let unknown = |name: &String| !known.contains(request.method(), route, name);
        if let Some(name) = pairs
            .iter()
            .map(|(name, _)| name)
            .find(|name| unknown(name))
        {
            return Problem::parameter(name, "unknown_field", "unknown parameter").into_response();
        }
    }
    next.run(request).await
}

/// 406 for clients who accept nothing that we have.
async fn negotiate(request: Request, next: Next) -> Response {
    let Some(accept) = request.headers().get(header::ACCEPT) else {
        return next.run(request).await;
    };
    // A file is of whatever type it is.
    if request.method() == Method::GET && request.uri().path().ends_with("/content") {
        return next.run(request).await;
    }
    let accept = accept.to_str().unwrap_or_default().to_ascii_lowercase();
    let ours = [
        "*/*",
        "application/*",
        "application/json",
        "application/problem+json",
        "text/*",
        "text/calendar",
        "text/csv",
        "text/event-stream",
    ];
    let acceptable = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let is_ours = parts.next().is_some_and(|range| ours.contains(&range));
        is_ours && !parts.any(|part| ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains(&part))
    };
    if accept.is_empty() || accept.split(',').any(acceptable) {
        return next.run(request).await;
    }
    Problem::NotAcceptable.into_response()
}

/// The address that asks: the last entry of `X-Forwarded-For` where our proxy writes it.
pub fn client_address(app: &App, request: &Request) -> String {
    if app.settings.trust_forwarded_for {
        let forwarded = request
            .headers()
            .get("x-forwarded-for")
            .and_then(|value| value.to_str().ok());
        if let Some(last) = forwarded.and_then(|value| value.rsplit(',').next()) {
            return last.trim().to_owned();
        }
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or_else(
        || "local".to_owned(),
        |ConnectInfo(address)| address.ip().to_string(),
    )
}

async fn refused(error: BoxError) -> Problem {
    if error.is::<tower::load_shed::error::Overloaded>() {
        return Problem::Unavailable("more requests than we can work on; try again".into());
    }
    Problem::Internal(anyhow::anyhow!("a layer failed: {error}"))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that CatchPanicLayer calls"
)]
fn panicked(payload: Box<dyn std::any::Any + Send>) -> Response {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Problem::Internal(anyhow::anyhow!("panic: {text}")).into_response()
}
