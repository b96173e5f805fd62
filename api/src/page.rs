//! Lists: filters, `limit` and an opaque keyset `cursor` that is bound to the filters.

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;
use validator::Validate;

use crate::{
    extract,
    problem::{Problem, kinds},
    state::sha256,
};

/// How many items a page has when nobody says.
const DEFAULT_LIMIT: usize = 50;
/// And at most.
const MAX_LIMIT: usize = 200;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Send it as `cursor`, with the same filters, for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// The extractor of a list: the filter `F`, and which page is wanted.
pub struct List<F> {
    pub filter: F,
    limit: usize,
    after: Option<serde_json::Value>,
    /// Path and filters, for the `Link` and to bind the cursor.
    path: String,
    filters: Vec<(String, String)>,
}

/// What a cursor holds: a digest of path and filters, and the key of the last item.
#[derive(Serialize, Deserialize)]
struct Cursor(u32, serde_json::Value);

impl<F> List<F> {
    /// Rows to ask for: one more than the page, to know whether there is another.
    pub fn fetch(&self) -> i64 {
        i64::try_from(self.limit + 1).unwrap_or(i64::MAX)
    }

    /// The key after which the page starts.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        let key = self.after.clone().map(serde_json::from_value).transpose();
        key.map_err(|_| invalid_cursor())
    }

    /// The answer from `fetch()` rows or fewer; `key` gives the sort key of an item.
    pub fn page<T: Serialize, K: Serialize>(
        self,
        mut items: Vec<T>,
        key: impl Fn(&T) -> K,
    ) -> Response {
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next_cursor = items
            .last()
            .filter(|_| more)
            .map(|last| self.cursor(&key(last)));
        let link = next_cursor.as_ref().and_then(|cursor| self.link(cursor));
        let mut response = axum::Json(Page { items, next_cursor }).into_response();
        response
            .headers_mut()
            .extend(link.map(|link| (header::LINK, link)));
        response
    }

    fn cursor(&self, key: &impl Serialize) -> String {
        let key = serde_json::to_value(key).unwrap_or_default();
        let cursor = Cursor(digest(&self.path, &self.filters), key);
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default())
    }

    fn link(&self, cursor: &str) -> Option<HeaderValue> {
        let mut pairs = self.filters.clone();
        pairs.push(("limit".into(), self.limit.to_string()));
        pairs.push(("cursor".into(), cursor.to_owned()));
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        format!("<{}?{query}>; rel=\"next\"", self.path)
            .parse()
            .ok()
    }
}

impl<F: DeserializeOwned + Validate, S: Send + Sync> FromRequestParts<S> for List<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let mut filters: Vec<(String, String)> = extract::parse_pairs(query)?;
        let limit = take(&mut filters, "limit")?.map_or(Ok(DEFAULT_LIMIT), |text| limit(&text))?;
        let cursor = take(&mut filters, "cursor")?;
        let path = parts.uri.path().to_owned();
        let after = cursor
            .map(|text| key_of(&text, digest(&path, &filters)))
            .transpose()?;
        Ok(Self {
            filter: extract::read_pairs(&filters)?,
            limit,
            after,
            path,
            filters,
        })
    }
}

/// For lists without filters.
#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct NoFilter {}

fn take(pairs: &mut Vec<(String, String)>, name: &str) -> Result<Option<String>, Problem> {
    let found: Vec<_> = pairs
        .extract_if(.., |pair| pair.0 == name)
        .map(|pair| pair.1)
        .collect();
    if found.len() > 1 {
        return Err(Problem::parameter(
            name,
            "repeated",
            "is given more than once",
        ));
    }
    Ok(found.into_iter().next())
}

fn limit(text: &str) -> Result<usize, Problem> {
    let limit = text
        .parse()
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Problem::parameter("limit", "range", format!("must be 1 to {MAX_LIMIT}")))
}

fn key_of(text: &str, wanted: u32) -> Result<serde_json::Value, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid_cursor())?;
    match serde_json::from_slice(&bytes) {
        Ok(Cursor(digest, key)) if digest == wanted => Ok(key),
        _ => Err(invalid_cursor()),
    }
}

fn invalid_cursor() -> Problem {
    Problem::Malformed(
        &kinds::INVALID_CURSOR,
        kinds::INVALID_CURSOR.detail(),
        Vec::new(),
    )
}

fn digest(path: &str, filters: &[(String, String)]) -> u32 {
    let mut sorted: Vec<_> = filters
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()])
        .collect();
    sorted.insert(0, path.as_bytes());
    let hash = sha256(&sorted);
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}
