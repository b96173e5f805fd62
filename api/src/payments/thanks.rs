//! Where people land when they have paid. Whether the money is there is Stripe's word, not theirs.

use axum::{
    Router,
    http::header,
    response::{Html, IntoResponse, Response},
    routing::get,
};

use crate::state::App;

const PAGE: &str = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Thank you</title>\
<h1>Thank you</h1><p>Your payment is being confirmed. You can close this page.</p></html>\n";

pub fn page() -> Router<App> {
    Router::new().route("/paid", get(show))
}

async fn show() -> Response {
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Html(PAGE)).into_response()
}
