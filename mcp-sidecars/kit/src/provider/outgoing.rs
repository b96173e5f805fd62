//! One request to a provider, and its answer.

use anyhow::Context;
use reqwest::{
    Client, Method, RequestBuilder, StatusCode, Url,
    header::{HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::error::ToolError;

/// What is sent. The host is the provider's; path segments are encoded, so that an id cannot leave its place.
#[derive(Debug, Clone)]
pub struct Outgoing {
    method: Method,
    segments: Vec<String>,
    query: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    bearer: Option<SecretString>,
    basic: Option<(String, SecretString)>,
    body: Body,
    is_repeatable: bool,
    takes_problems: bool,
}

#[derive(Debug, Clone)]
enum Body {
    None,
    Json(Value),
    Form(Vec<(String, String)>),
    Bytes(&'static str, Vec<u8>),
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

    #[must_use]
    pub fn bytes(mut self, media_type: &'static str, body: Vec<u8>) -> Self {
        self.body = Body::Bytes(media_type, body);
        self
    }

    /// The provider takes this request twice and does it once: it carries an idempotency key.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
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

    pub(super) fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// Whether every segment stays one: the URL standard drops `.` and `..`, and control characters within them.
    pub(super) fn stays_in_place(&self) -> bool {
        self.segments.iter().all(|segment| {
            !matches!(segment.as_str(), "" | "." | "..") && !segment.contains(char::is_control)
        })
    }

    pub(super) fn build(&self, client: &Client, base_url: &Url) -> RequestBuilder {
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
                .header("content-type", *media_type)
                .body(bytes.clone()),
        }
    }
}

/// What the provider answered, whole.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// INTERNAL if it is not what we expect of this provider.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ToolError> {
        serde_json::from_slice(&self.body)
            .context("the provider's answer is not what we know")
            .map_err(Into::into)
    }
}
