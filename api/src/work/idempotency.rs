//! Knowing a request again (draft-ietf-httpapi-idempotency-key-header-07).

use axum::{
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, Method, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    access::Person,
    catalogue::import::MAX_BYTES as MAX_IMPORT_BYTES,
    extract::{bytes_of, media_type},
    http::is_upload,
    problem::Problem,
    state::{App, sha256},
};

/// The key of a request that may be repeated (draft-ietf-httpapi-idempotency-key-header-07).
#[derive(Debug, Clone)]
pub struct Idempotency {
    pub(super) key: String,
    request: RequestDigest,
}

impl Idempotency {
    /// The header of a POST, if it has one; other methods are idempotent by themselves.
    pub fn from_parts(parts: &Parts) -> Result<Option<Self>, Problem> {
        let digest = parts.extensions.get::<RequestDigest>().copied();
        let Some(request) = digest else {
            return Ok(None);
        };
        let key = key_of(&parts.headers)?;
        Ok(key.map(|key| Self { key, request }))
    }

    /// The key itself.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// SHA-256 of what was asked, and by whom.
    pub(super) fn fingerprint(&self, actor: Option<&Person>) -> [u8; 32] {
        let who = actor.map(Person::label).unwrap_or_default();
        sha256(&[&self.request.0, who.as_bytes()])
    }
}

/// SHA-256 of method, path, query and body.
#[derive(Debug, Clone, Copy)]
struct RequestDigest([u8; 32]);

/// Reads the body of a POST that has an idempotency key, to know it again.
pub async fn digest_request(State(app): State<App>, request: Request, next: Next) -> Response {
    let keyed =
        request.method() == Method::POST && request.headers().contains_key("idempotency-key");
    if !keyed {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let uri = parts.uri.path_and_query().map_or("", |uri| uri.as_str());
    if is_upload(&parts.method, &parts.uri) {
        // It is as large as it likes; who takes it knows its bytes again.
        let digest = sha256(&[parts.method.as_str().as_bytes(), uri.as_bytes()]);
        parts.extensions.insert(RequestDigest(digest));
        return next.run(Request::from_parts(parts, body)).await;
    }
    let mut request = Request::from_parts(parts.clone(), body);
    if media_type(request.headers()) == "text/csv" {
        DefaultBodyLimit::max(MAX_IMPORT_BYTES).apply(&mut request);
    }
    let bytes = match bytes_of(request, &app).await {
        Ok(bytes) => bytes,
        Err(problem) => return problem.into_response(),
    };
    let uri = parts.uri.path_and_query().map_or("", |uri| uri.as_str());
    let digest = sha256(&[parts.method.as_str().as_bytes(), uri.as_bytes(), &bytes]);
    parts.extensions.insert(RequestDigest(digest));
    next.run(Request::from_parts(parts, Body::from(bytes)))
        .await
}

/// A quoted string, or bare; 1 to 255 visible characters.
fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let wrong = |detail| Problem::parameter("Idempotency-Key", "invalid", detail);
    if values.next().is_some() {
        return Err(wrong("is given more than once"));
    }
    let text = value
        .to_str()
        .map_err(|_| wrong("must be visible ASCII"))?
        .trim();
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    if text.is_empty() || text.len() > 255 {
        return Err(wrong("must be 1 to 255 characters"));
    }
    Ok(Some(text.to_owned()))
}
