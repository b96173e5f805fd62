//! One request to a provider, and its answer.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use reqwest::{
    Client, Method, RequestBuilder, StatusCode, Url,
    header::{HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::Instant;

use super::gate::Repeat;
use crate::error::ToolError;

/// When to ask again somebody who is not the provider.
const STRANGE_RETRY: Duration = Duration::from_secs(5);

/// What is sent. The host is the provider's; path segments are encoded, so that an id cannot leave its place.
#[derive(Debug, Clone)]
pub struct Outgoing {
    method: Method,
    segments: Vec<String>,
    query: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    secret_headers: Vec<(&'static str, SecretString)>,
    bearer: Option<SecretString>,
    basic: Option<(String, SecretString)>,
    body: Body,
    is_repeatable: bool,
    takes_problems: bool,
}

#[derive(Clone)]
enum Body {
    None,
    Json(Value),
    Form(Vec<(String, String)>),
    Bytes(String, Bytes),
    Stream {
        media_type: String,
        length: Option<u64>,
        source: Source,
    },
}

/// A stream that is sent once; clones share it.
type Source = Arc<Mutex<Option<BoxStream<'static, Result<Bytes, ToolError>>>>>;

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Json(_) => "Json",
            Self::Form(_) => "Form",
            Self::Bytes(..) => "Bytes",
            Self::Stream { .. } => "Stream",
        })
    }
}

impl Outgoing {
    /// A request to that path below the base URL, such as `["v3", "files", id]`.
    pub fn new<S: Into<String>>(method: Method, segments: impl IntoIterator<Item = S>) -> Self {
        let is_repeatable = method.is_idempotent();
        let segments = segments.into_iter().map(Into::into).collect();
        let (query, headers) = (Vec::new(), Vec::new());
        Self {
            method,
            segments,
            query,
            headers,
            secret_headers: Vec::new(),
            bearer: None,
            basic: None,
            body: Body::None,
            is_repeatable,
            takes_problems: false,
        }
    }

    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// A header; one whose value is not printable is left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A header that no log shows; left out like the others.
    #[must_use]
    pub fn secret_header(mut self, name: &'static str, value: &SecretString) -> Self {
        self.secret_headers.push((name, value.clone()));
        self
    }

    #[must_use]
    pub fn bearer(mut self, token: &SecretString) -> Self {
        self.bearer = Some(token.clone());
        self
    }

    #[must_use]
    pub fn basic(mut self, user: &str, password: &SecretString) -> Self {
        self.basic = Some((user.to_owned(), password.clone()));
        self
    }

    /// # Errors
    /// INTERNAL if the value has no JSON form.
    pub fn json(mut self, body: &impl Serialize) -> Result<Self, ToolError> {
        self.body = Body::Json(serde_json::to_value(body).map_err(ToolError::internal)?);
        Ok(self)
    }

    #[must_use]
    pub fn form<N: Into<String>, V: Into<String>>(
        mut self,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.body = Body::Form(
            fields
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        );
        self
    }

    /// A body that is at hand whole: an attempt more costs no copy.
    #[must_use]
    pub fn bytes(mut self, media_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        self.body = Body::Bytes(media_type.into(), body.into());
        self
    }

    /// A body that comes piece by piece, `length` bytes if that is known. It is sent once and the request never
    /// repeated: cut what is large into [`bytes`](Self::bytes) where the provider takes it in parts. An error of the
    /// stream ends the request with that error.
    #[must_use]
    pub fn stream(
        mut self,
        media_type: impl Into<String>,
        length: Option<u64>,
        body: impl Stream<Item = Result<Bytes, ToolError>> + Send + 'static,
    ) -> Self {
        self.body = Body::Stream {
            media_type: media_type.into(),
            length,
            source: Arc::new(Mutex::new(Some(body.boxed()))),
        };
        self
    }

    /// The provider takes this request twice and does it once: it carries an idempotency key.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// Never sent again after it may have arrived, whatever its method: the caller asks first how far it came.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.is_repeatable = false;
        self
    }

    /// Problem details (RFC 9457) are an answer whatever their status: for a server whose errors say more than that.
    pub(crate) fn take_problems(mut self) -> Self {
        self.takes_problems = true;
        self
    }

    /// Whether an answer with these headers is one, whatever its status.
    pub(super) fn takes(&self, headers: &HeaderMap) -> bool {
        let media_type = headers.get("content-type");
        self.takes_problems
            && media_type
                .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"))
    }

    /// A body that comes piece by piece is there for one attempt only.
    pub(super) fn repeat(&self) -> Repeat {
        if matches!(self.body, Body::Stream { .. }) {
            return Repeat::Never;
        }
        Repeat::freely_if(self.is_repeatable)
    }

    /// Whether every segment stays one: the URL standard drops `.` and `..`, and control characters within them.
    pub(super) fn check(&self) -> Result<(), ToolError> {
        let stays = |segment: &String| {
            !matches!(segment.as_str(), "" | "." | "..") && !segment.contains(char::is_control)
        };
        if self.segments.iter().all(stays) {
            return Ok(());
        }
        let message = "an id must not be empty, . or .., nor hold control characters";
        Err(ToolError::invalid(message).undone(true))
    }

    pub(super) fn build(
        &self,
        client: &Client,
        base_url: &Url,
        progress: &Progress,
    ) -> RequestBuilder {
        let mut url = base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&self.segments);
        }
        let mut request = client.request(self.method.clone(), url);
        if !self.query.is_empty() {
            request = request.query(&self.query);
        }
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                request = request.header(*name, value);
            }
        }
        for (name, value) in &self.secret_headers {
            if let Ok(mut value) = HeaderValue::from_str(value.expose_secret()) {
                value.set_sensitive(true);
                request = request.header(*name, value);
            }
        }
        if let Some(token) = &self.bearer {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some((user, password)) = &self.basic {
            request = request.basic_auth(user, Some(password.expose_secret()));
        }
        match &self.body {
            Body::None => request,
            Body::Json(value) => request.json(value),
            Body::Form(fields) => request.form(fields),
            Body::Bytes(media_type, bytes) => request
                .header("content-type", media_type)
                .body(bytes.clone()),
            Body::Stream {
                media_type,
                length,
                source,
            } => {
                if let Some(length) = length {
                    request = request.header("content-length", *length);
                }
                let taken = lock(source).take();
                let watched =
                    progress.watch(taken.unwrap_or_else(|| futures_util::stream::empty().boxed()));
                request
                    .header("content-type", media_type)
                    .body(reqwest::Body::wrap_stream(watched))
            }
        }
    }
}

/// How far a body is on its way, and why its source gave up.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<(Instant, Option<ToolError>)>>);

impl Progress {
    pub(super) fn begin() -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), None))))
    }

    /// What made the source give up, once.
    pub(super) fn fault(&self) -> Option<ToolError> {
        lock(&self.0).1.take()
    }

    /// The work's end, or nothing when there was no progress for so long.
    pub(super) async fn within<T>(
        &self,
        idle: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let due = lock(&self.0).0 + idle;
            if let Ok(ended) = tokio::time::timeout_at(due, &mut work).await {
                return Some(ended);
            }
            if lock(&self.0).0 + idle <= Instant::now() {
                return None;
            }
        }
    }

    fn watch(
        &self,
        source: BoxStream<'static, Result<Bytes, ToolError>>,
    ) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
        let shared = Arc::clone(&self.0);
        source.map(move |piece| {
            let mut state = lock(&shared);
            state.0 = Instant::now();
            piece.map_err(|error| {
                state.1 = Some(error);
                std::io::Error::other("the body's source gave up")
            })
        })
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the provider answered, whole.
#[derive(Debug)]
pub struct Reply {
    /// Who answered.
    pub provider: &'static str,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// UNAVAILABLE if it is not what we expect of this provider: somebody in between may have answered. What a request that
    /// changes something came to is unknown then.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ToolError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let words = format!(
                "{} answered with something that is not its interface",
                self.provider
            );
            let cause = anyhow::Error::new(error).context(format!("status {}", self.status));
            ToolError::unavailable(words, STRANGE_RETRY).with_cause(cause)
        })
    }
}
