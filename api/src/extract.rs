//! Our own extractors: what axum's do, with problems that name the place.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use validator::{Validate, ValidationErrors, ValidationErrorsKind};

use crate::{
    merge_patch::merge,
    problem::{FieldError, Problem, kinds},
    strict::{self, Unique, escape},
};

/// A JSON body, read strictly and validated. 400 when it is not JSON, 415 when it does not say it
/// is, 422 with pointers when fields do not hold.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Validate, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = body_of(request, state, "application/json").await?;
        let value =
            strict::from_value(parse(&bytes)?).map_err(|error| Problem::Invalid(vec![error]))?;
        check(&value)?;
        Ok(Self(value))
    }
}

/// A JSON merge patch (RFC 7396). It is applied to the current thing, and the result is read and
/// validated like a new one, so that there is one set of rules.
pub struct MergePatch(serde_json::Map<String, Value>);

impl MergePatch {
    /// A patch that no client sent.
    pub fn new(patch: serde_json::Map<String, Value>) -> Self {
        Self(patch)
    }

    /// Whether it says something of this field.
    pub fn names(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// The wanted state: `current` without its `read_only` fields, patched. Naming a read-only
    /// field is an error, as any unknown field is.
    pub fn apply<T: DeserializeOwned + Validate>(
        &self,
        current: &impl Serialize,
        read_only: &[&str],
    ) -> Result<T, Problem> {
        let mut wanted = serde_json::to_value(current).map_err(anyhow::Error::from)?;
        if let Value::Object(fields) = &mut wanted {
            fields.retain(|name, _| !read_only.contains(&name.as_str()));
            // A resource shows all of its fields, so clearing one that it lacks is a mistake.
            let mut cleared = self.0.iter().filter(|(_, value)| value.is_null());
            if let Some((name, _)) = cleared.find(|(name, _)| !fields.contains_key(*name)) {
                let pointer = format!("/{}", escape(name));
                return Err(Problem::field(&pointer, "unknown_field", "unknown field"));
            }
        }
        merge(&mut wanted, &Value::Object(self.0.clone()));
        let wanted = strict::from_value(wanted).map_err(|error| Problem::Invalid(vec![error]))?;
        check(&wanted)?;
        Ok(wanted)
    }
}

impl<S: Send + Sync> FromRequest<S> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = body_of(request, state, "application/merge-patch+json").await?;
        match parse(&bytes)? {
            Value::Object(patch) => Ok(Self(patch)),
            _ => Err(Problem::field("", "type", "must be a JSON object")),
        }
    }
}

/// Ids and names in the path. What cannot be an id is not found.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::NotFound),
        }
    }
}

/// Query parameters; unknown ones are 400 (`deny_unknown_fields` on the struct).
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Validate, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(parse_query(parts.uri.query().unwrap_or_default())?))
    }
}

/// Reads and validates a query string; errors name the parameter.
pub fn parse_query<T: DeserializeOwned + Validate>(query: &str) -> Result<T, Problem> {
    read_pairs(&parse_pairs(query)?)
}

/// Reads and validates the pairs of a query string; errors name the parameter.
pub fn read_pairs<T: DeserializeOwned + Validate>(
    pairs: &[(String, String)],
) -> Result<T, Problem> {
    if let Some((name, _)) = pairs.iter().find(|(_, value)| value.is_empty()) {
        return Err(Problem::parameter(
            name,
            "empty",
            "is empty; leave it out instead",
        ));
    }
    let value: T = strict::from_pairs(pairs).map_err(|error| in_query(vec![error]))?;
    value
        .validate()
        .map_err(|errors| in_query(field_errors(&errors)))?;
    Ok(value)
}

/// The pairs of a query string, in order. 400 for an escape that is none, or that is not UTF-8.
pub fn parse_pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let wrong = || malformed("the query has an escape (%) that is not valid UTF-8");
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let escapes_fit = text
            .split('%')
            .skip(1)
            .all(|rest| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit));
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8();
        decoded
            .ok()
            .filter(|_| escapes_fit)
            .map(std::borrow::Cow::into_owned)
            .ok_or_else(wrong)
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .map(|(name, value)| Ok((decode(name)?, decode(value)?)))
        .collect()
}

/// The same errors, on parameters instead of fields of a body.
fn in_query(errors: Vec<FieldError>) -> Problem {
    let errors = errors.into_iter().map(|error| FieldError {
        parameter: error
            .pointer
            .map(|pointer| pointer.trim_start_matches("#/").to_owned()),
        pointer: None,
        ..error
    });
    let errors: Vec<_> = errors.collect();
    let detail = errors.first().map_or_else(String::new, |error| {
        format!(
            "{}: {}",
            error.parameter.as_deref().unwrap_or_default(),
            error.detail
        )
    });
    Problem::Malformed(&kinds::MALFORMED_REQUEST, detail, errors)
}

/// `?validate_only=true` answers what the live call would, and changes nothing.
#[derive(Debug, Default, serde::Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ValidateOnly {
    /// Answer what the live call would, and change nothing.
    #[serde(default)]
    #[param(required = false)]
    pub validate_only: bool,
}

/// The version that `If-Match` asks for: 428 when the header is missing. `*` is any version.
pub struct IfMatch(Vec<String>);

impl IfMatch {
    /// 412 unless `version` is one of those named.
    pub fn check(&self, version: i64) -> Result<(), Problem> {
        let current = etag(version);
        if self.0.iter().any(|tag| tag == "*" || *tag == current) {
            return Ok(());
        }
        Err(Problem::PreconditionFailed)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let tags = tags(&parts.headers, &header::IF_MATCH);
        if tags.is_empty() {
            return Err(Problem::PreconditionRequired);
        }
        let quoted = |tag: &str| {
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"')
        };
        if tags.iter().any(|tag| tag != "*" && !quoted(tag)) {
            let detail = "must be * or the ETag that was read, with its quotes";
            return Err(Problem::parameter("If-Match", "invalid", detail));
        }
        Ok(Self(tags))
    }
}

/// The strong entity tag of a version: `"7"`.
pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The entity tags of a header, as written.
pub fn tags(headers: &HeaderMap, name: &header::HeaderName) -> Vec<String> {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.filter(|tag| !tag.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether `Accept` would rather have CSV than JSON.
pub fn prefers_csv(headers: &HeaderMap) -> bool {
    prefers(headers, ["text/csv", "text/*", "*/*"])
}

/// Whether `Accept` would rather have a page than JSON, as browsers that go somewhere do.
pub fn prefers_html(headers: &HeaderMap) -> bool {
    prefers(headers, ["text/html", "text/*", "*/*"])
}

/// Whether `Accept` (RFC 9110, 12.5.1) would rather have this than JSON; without a word it is JSON.
fn prefers(headers: &HeaderMap, wanted: [&str; 3]) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let accept = accept.unwrap_or_default().to_ascii_lowercase();
    // The most telling range counts: `text/csv` before `text/*` before `*/*`.
    let quality = |ranges: [&str; 3]| {
        ranges.iter().find_map(|range| {
            accept.split(',').find_map(|offer| {
                let mut parts = offer.split(';').map(str::trim);
                let quality = |part: &str| part.strip_prefix("q=")?.parse::<f32>().ok();
                (parts.next() == Some(range)).then(|| parts.find_map(quality).unwrap_or(1.0))
            })
        })
    };
    let wanted = quality(wanted).unwrap_or_default();
    wanted > quality(["application/json", "application/*", "*/*"]).unwrap_or_default()
}

/// The whole body, within the limit. 415 when it does not say that it is of the wanted media type.
pub async fn body_of<S: Send + Sync>(
    request: Request,
    state: &S,
    wanted: &'static str,
) -> Result<Bytes, Problem> {
    if media_type(request.headers()) != wanted {
        return Err(Problem::UnsupportedMediaType(wanted));
    }
    bytes_of(request, state).await
}

/// The `Content-Type` without parameters, in lower case.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// The whole body, within the limit. 415 when it is compressed: nobody can send us a bomb.
pub async fn bytes_of<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    use axum::{http::StatusCode, response::IntoResponse};
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::UnsupportedMediaType(
            "it is, without Content-Encoding",
        ));
    }
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| {
            if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
                return Problem::PayloadTooLarge;
            }
            malformed("the body broke off")
        })
}

/// JSON in which no name comes twice in an object.
pub fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    match serde_json::from_slice(bytes) {
        Ok(Unique(value)) => Ok(value),
        Err(error) => Err(malformed(format!("not JSON: {error}"))),
    }
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::Malformed(&kinds::MALFORMED_REQUEST, detail.into(), Vec::new())
}

fn check(value: &impl Validate) -> Result<(), Problem> {
    value
        .validate()
        .map_err(|errors| Problem::Invalid(field_errors(&errors)))
}

/// validator's errors as pointers, without the offending values.
pub fn field_errors(errors: &ValidationErrors) -> Vec<FieldError> {
    let mut found = Vec::new();
    collect(errors, "", &mut found);
    found.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    found
}

fn collect(errors: &ValidationErrors, prefix: &str, found: &mut Vec<FieldError>) {
    for (name, kind) in errors.errors() {
        let here = if name == "__all__" {
            prefix.to_owned()
        } else {
            format!("{prefix}/{}", escape(name))
        };
        match kind {
            ValidationErrorsKind::Struct(inner) => collect(inner, &here, found),
            ValidationErrorsKind::List(items) => {
                for (index, inner) in items {
                    collect(inner, &format!("{here}/{index}"), found);
                }
            }
            ValidationErrorsKind::Field(errors) => {
                found.extend(errors.iter().map(|error| FieldError {
                    pointer: Some(format!("#{here}")),
                    parameter: None,
                    code: error.code.clone(),
                    detail: explain(error),
                }));
            }
        }
    }
}

fn explain(error: &validator::ValidationError) -> String {
    if let Some(message) = &error.message {
        return message.to_string();
    }
    let limit = |name: &str| error.params.get(name).map(ToString::to_string);
    // Of the value itself only its kind is told.
    let unit = match (error.code.as_ref(), error.params.get("value")) {
        ("length", Some(Value::Array(_))) => " items",
        ("length", _) => " characters",
        _ => "",
    };
    match (limit("equal"), limit("min"), limit("max")) {
        (Some(equal), ..) => format!("must be exactly {equal}{unit}"),
        (_, Some(min), Some(max)) => format!("must be {min} to {max}{unit}"),
        (_, Some(min), None) => format!("must be at least {min}{unit}"),
        (_, None, Some(max)) => format!("must be at most {max}{unit}"),
        _ => format!("is not a valid {}", error.code),
    }
}
