//! Linear: OAuth 2.0 and the part of the GraphQL interface that `api.linear.app` offers for teams and issues.

use std::sync::Arc;

use askama::Template;
use axum::{
    Json, Router,
    body::Bytes,
    extract::State as Extract,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::world::World;

mod inputs;
mod issues;
mod schema;
pub mod token;
mod workspace;

use issues::Issue;

const ISSUES_SHOWN: usize = 50;

/// What Linear keeps.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    pub(crate) tokens: token::State,
    issues: Vec<Issue>,
    /// How many changes there were of issues.
    updates: u64,
}

impl State {
    /// How much of each thing there is.
    pub(crate) fn counts(&self) -> Value {
        json!({
            "issues": self.issues.len(),
            "updates": self.updates,
            "tokens_refreshed": self.tokens.refreshed,
            "tokens_revoked": self.tokens.revoked,
        })
    }

    /// What a person would see there: HTML for the page.
    pub(crate) fn view(&self) -> Result<String, askama::Error> {
        let rows = self
            .issues
            .iter()
            .rev()
            .take(ISSUES_SHOWN)
            .map(|issue| Row {
                state: workspace::state(issue.team, issue.state).map_or("", |state| state.name),
                issue,
            });
        View {
            rows: rows.collect(),
            more: self.issues.len().saturating_sub(ISSUES_SHOWN),
        }
        .render()
    }
}

#[derive(Template)]
#[template(path = "linear.html")]
struct View<'a> {
    rows: Vec<Row<'a>>,
    more: usize,
}

struct Row<'a> {
    issue: &'a Issue,
    state: &'static str,
}

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .merge(token::routes())
        .route("/graphql", post(graphql))
}

/// Linear's own body for a status that a switch asks for. Its rate limit is a 400 that names itself.
pub(crate) fn trouble(status: StatusCode) -> Response {
    match status {
        StatusCode::TOO_MANY_REQUESTS => {
            let words = "Rate limit exceeded. Only 5000 requests are allowed per 1 hour.";
            refusal(StatusCode::BAD_REQUEST, "RATELIMITED", "ratelimited", words)
        }
        StatusCode::UNAUTHORIZED => token::unauthenticated(),
        status if status.is_server_error() => {
            let words = "Internal server error";
            refusal(status, "INTERNAL_SERVER_ERROR", "internal error", words)
        }
        status => {
            let words = status.canonical_reason().unwrap_or("Error");
            refusal(status, "INPUT_ERROR", "invalid input", words)
        }
    }
}

/// An error outside of any field, in the form of GraphQL.
fn refusal(status: StatusCode, code: &str, kind: &str, words: &str) -> Response {
    let extensions = json!({
        "code": code, "type": kind, "statusCode": status.as_u16(), "userError": status.is_client_error(),
        "userPresentableMessage": words,
    });
    let body = json!({ "errors": [{ "message": words, "extensions": extensions }] });
    (status, Json(body)).into_response()
}

/// `POST /graphql` with JSON: errors of the query itself are 400, those of a field 200.
async fn graphql(Extract(world): Extract<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    let given = headers.get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok());
    let now = world.now();
    let who = given.and_then(|given| world.things().linear.tokens.who(given, now));
    let Some(who) = who else {
        return token::unauthenticated();
    };
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let request = serde_json::from_slice::<async_graphql::Request>(&body);
    let Some(request) = request.ok().filter(|_| is_json) else {
        let words = "This operation has been blocked as a potential Cross-Site Request Forgery, or its body is not JSON.";
        return refusal(
            StatusCode::BAD_REQUEST,
            "BAD_REQUEST",
            "graphql error",
            words,
        );
    };
    let mut answer = schema::schema()
        .execute(request.data(Arc::clone(&world)).data(who))
        .await;
    let is_of_a_field = |error: &async_graphql::ServerError| !error.path.is_empty();
    let is_carried_out = answer.errors.iter().all(is_of_a_field);
    if is_carried_out {
        return Json(answer).into_response();
    }
    for error in &mut answer.errors {
        let extensions = error.extensions.get_or_insert_default();
        extensions.set("code", "GRAPHQL_VALIDATION_FAILED");
        extensions.set("type", "graphql error");
        extensions.set("statusCode", 400);
        extensions.set("userError", true);
    }
    (StatusCode::BAD_REQUEST, Json(answer)).into_response()
}
