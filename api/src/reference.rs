//! What people read: the OpenAPI document, its rendered form, and a page for each kind of problem.

use axum::{
    Json, Router,
    extract::State,
    http::header,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use crate::{
    extract::Path,
    problem::{KINDS, Kind, Problem},
    state::App,
};

pub fn routes(document: OpenApi) -> Router<App> {
    Router::new()
        .merge(SwaggerUi::new("/docs").url("/openapi.json", document))
        .route("/problems", get(list_problems))
        .route("/problems/{code}", get(get_problem))
        .route("/.well-known/api-catalog", get(api_catalog))
}

/// Where everything is (RFC 9727).
async fn api_catalog(State(app): State<App>) -> Response {
    let base = &app.settings.public_base_url;
    let catalog = json!({"linkset": [{
        "anchor": format!("{base}/v1"),
        "service-desc": [{"href": format!("{base}/openapi.json"), "type": "application/json"}],
        "service-doc": [{"href": format!("{base}/docs/"), "type": "text/html"}],
        "status": [{"href": format!("{base}/health"), "type": "application/json"}],
    }]});
    let content_type =
        "application/linkset+json; profile=\"https://www.rfc-editor.org/info/rfc9727\"";
    (
        [(header::CONTENT_TYPE, content_type)],
        Json(catalog).0.to_string(),
    )
        .into_response()
}

async fn list_problems() -> Html<String> {
    let rows = KINDS.iter().map(|kind| section(kind)).collect::<String>();
    page("Problems", &rows)
}

async fn get_problem(Path(code): Path<String>) -> Result<Html<String>, Problem> {
    let kind = KINDS
        .iter()
        .find(|kind| kind.code == code)
        .ok_or(Problem::NotFound)?;
    Ok(page(kind.title, &section(kind)))
}

/// All text here is our own, from the table of kinds; it holds no markup.
fn section(kind: &Kind) -> String {
    let Kind {
        status,
        code,
        title,
        meaning,
        remedy,
    } = kind;
    let remedy = remedy.replace('<', "&lt;");
    format!(
        "<h2>{title}</h2><p><code>{status} {code}</code></p><p>{meaning}</p><p><b>What to do:</b> {remedy}</p>"
    )
}

fn page(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title} · Event Planner</title>{body}<p><a href=/problems>All kinds of problems</a></html>"
    ))
}
