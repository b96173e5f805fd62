//! `/`: what people would see at the providers, live.

use std::{convert::Infallible, sync::Arc};

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{
        Html, IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use futures_util::{Stream, stream};

use crate::world::{Provider, World};

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    sections: Vec<Section>,
}

struct Section {
    id: &'static str,
    name: &'static str,
    /// HTML, so that the page shows something before its script runs.
    view: String,
}

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/", get(page))
        .route("/sandbox/views/{provider}", get(view))
        .route("/sandbox/changes", get(changes))
        .route(
            "/assets/page.css",
            get(async || asset("text/css", include_str!("../assets/page.css"))),
        )
        .route(
            "/assets/page.js",
            get(async || asset("text/javascript", include_str!("../assets/page.js"))),
        )
}

async fn page(State(world): State<Arc<World>>) -> Response {
    let names = [
        "Google Drive and Calendar",
        "Slack",
        "Stripe",
        "Twilio",
        "Linear",
    ];
    let sections = Provider::ALL
        .into_iter()
        .zip(names)
        .map(|(provider, name)| {
            let view = shown(&world, provider)?;
            let id = provider.as_str();
            Ok(Section { id, name, view })
        });
    html(
        sections
            .collect::<Result<_, _>>()
            .and_then(|sections| Page { sections }.render()),
    )
}

async fn view(State(world): State<Arc<World>>, Path(provider): Path<Provider>) -> Response {
    html(shown(&world, provider))
}

fn shown(world: &World, provider: Provider) -> Result<String, askama::Error> {
    let things = world.things();
    match provider {
        Provider::Google => things.google.view(),
        Provider::Slack => things.slack.view(),
        Provider::Stripe => things.stripe.view(),
        Provider::Twilio => things.twilio.view(),
        Provider::Linear => things.linear.view(),
    }
}

/// Text on the page is text: nothing runs but our own script.
pub(crate) fn html(rendered: Result<String, askama::Error>) -> Response {
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'";
    match rendered {
        Ok(text) => (
            [(
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(policy),
            )],
            Html(text),
        )
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "page not rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn asset(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    (
        [
            (header::CONTENT_TYPE, media_type),
            (header::CACHE_CONTROL, "no-cache"),
        ],
        text,
    )
}

/// Server-sent events: one whenever anything changed, until the sandbox stops.
async fn changes(
    State(world): State<Arc<World>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = stream::unfold(
        (world.journal.changes(), world),
        |(mut changes, world)| async {
            tokio::select! {
                changed = changes.changed() => changed.ok()?,
                () = world.stopped() => return None,
            }
            let count = changes.borrow_and_update().to_string();
            Some((Ok(Event::default().data(count)), (changes, world)))
        },
    );
    Sse::new(changes).keep_alive(KeepAlive::default())
}
