//! Our own extractors: what axum's do, with problems that name the place.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use validator::{Validate, ValidationErrors, ValidationErrorsKind};

use crate::problem::{FieldError, Problem, kinds};

/// A JSON body, read strictly and validated. 400 when it is not JSON, 415 when it does not say it
/// is, 422 with pointers when fields do not hold.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Validate, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = body_of(request, state, "application/json").await?;
        let value = parse(&bytes)?;
        check(&value)?;
        Ok(Self(value))
    }
}

/// A JSON merge patch (RFC 7396). It is applied to the current thing, and the result is read and
/// validated like a new one, so that there is one set of rules.
pub struct MergePatch(serde_json::Map<String, Value>);

impl MergePatch {
    /// The wanted state: `current` without its `read_only` fields, patched. Naming a read-only
    /// field is an error, as any unknown field is.
    pub fn apply<T: DeserializeOwned + Validate>(
        &self,
        current: &impl Serialize,
        read_only: &[&str],
    ) -> Result<T, Problem> {
        let Ok(Value::Object(mut wanted)) = serde_json::to_value(current) else {
            return Err(anyhow::anyhow!("a resource is a JSON object").into());
        };
        wanted.retain(|name, _| !read_only.contains(&name.as_str()));
        merge(&mut wanted, &self.0);
        let wanted = serde_path_to_error::deserialize(Value::Object(wanted)).map_err(|error| {
            let pointer = pointer(error.path());
            Problem::Invalid(vec![FieldError::new(&pointer, "invalid", error.inner().to_string())])
        })?;
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

/// RFC 7396, section 2.
fn merge(target: &mut serde_json::Map<String, Value>, patch: &serde_json::Map<String, Value>) {
    for (name, value) in patch {
        match (value, target.get_mut(name)) {
            (Value::Null, _) => {
                target.remove(name);
            }
            (Value::Object(inner), Some(Value::Object(current))) => merge(current, inner),
            (Value::Object(inner), _) => {
                let mut fresh = serde_json::Map::new();
                merge(&mut fresh, inner);
                target.insert(name.clone(), Value::Object(fresh));
            }
            _ => {
                target.insert(name.clone(), value.clone());
            }
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
    if let Some((name, _)) = parse_pairs(query)?.iter().find(|(_, value)| value.is_empty()) {
        return Err(Problem::parameter(name, "empty", "is empty; leave it out instead"));
    }
    let deserializer = serde_html_form::Deserializer::from_bytes(query.as_bytes());
    let value: T = serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        Problem::parameter(&path, "invalid", error.inner().to_string())
    })?;
    match value.validate() {
        Ok(()) => Ok(value),
        Err(errors) => {
            let errors = field_errors(&errors).into_iter().map(|error| FieldError {
                parameter: error.pointer.map(|pointer| pointer.trim_start_matches("#/").to_owned()),
                pointer: None,
                ..error
            });
            let errors: Vec<_> = errors.collect();
            let detail = errors.first().map_or_else(String::new, |error| {
                format!("{}: {}", error.parameter.as_deref().unwrap_or_default(), error.detail)
            });
            Err(Problem::Malformed(&kinds::MALFORMED_REQUEST, detail, errors))
        }
    }
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
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

async fn body_of<S: Send + Sync>(
    request: Request,
    state: &S,
    wanted: &'static str,
) -> Result<Bytes, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let essence = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(wanted) {
        return Err(Problem::UnsupportedMediaType(wanted));
    }
    bytes_of(request, state).await
}

/// The whole body, within the limit.
pub async fn bytes_of<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    use axum::{extract::rejection::BytesRejection, response::IntoResponse};
    Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
        if rejection.into_response().status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
            return Problem::PayloadTooLarge;
        }
        Problem::Malformed(&kinds::MALFORMED_REQUEST, "the body broke off".into(), Vec::new())
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        if inner.is_data() {
            return Problem::Invalid(vec![FieldError::new(&pointer, "invalid", plain(&inner))]);
        }
        Problem::Malformed(&kinds::MALFORMED_REQUEST, format!("not JSON: {inner}"), Vec::new())
    })?;
    deserializer.end().map_err(|error| {
        Problem::Malformed(&kinds::MALFORMED_REQUEST, format!("not JSON: {error}"), Vec::new())
    })?;
    Ok(value)
}

/// serde's message without the position, which the pointer tells better.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escape(key),
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    pointer
}

/// RFC 6901: `~` and `/` inside a name.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn check(value: &impl Validate) -> Result<(), Problem> {
    value.validate().map_err(|errors| Problem::Invalid(field_errors(&errors)))
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
        let here =
            if name == "__all__" { prefix.to_owned() } else { format!("{prefix}/{}", escape(name)) };
        match kind {
            ValidationErrorsKind::Struct(inner) => collect(inner, &here, found),
            ValidationErrorsKind::List(items) => {
                for (index, inner) in items {
                    collect(inner, &format!("{here}/{index}"), found);
                }
            }
            ValidationErrorsKind::Field(errors) => found.extend(errors.iter().map(|error| FieldError {
                pointer: Some(format!("#{here}")),
                parameter: None,
                code: error.code.clone(),
                detail: explain(error),
            })),
        }
    }
}

fn explain(error: &validator::ValidationError) -> String {
    if let Some(message) = &error.message {
        return message.to_string();
    }
    let limit = |name: &str| error.params.get(name).map(ToString::to_string);
    let unit = if error.code == "length" { " characters or items" } else { "" };
    match (limit("equal"), limit("min"), limit("max")) {
        (Some(equal), ..) => format!("must be exactly {equal}{unit}"),
        (_, Some(min), Some(max)) => format!("must be {min} to {max}{unit}"),
        (_, Some(min), None) => format!("must be at least {min}{unit}"),
        (_, None, Some(max)) => format!("must be at most {max}{unit}"),
        _ => format!("is not a valid {}", error.code),
    }
}

/// The pairs of a query string, in order.
pub fn parse_pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    serde_html_form::from_str(query).map_err(|error| {
        Problem::Malformed(&kinds::MALFORMED_REQUEST, format!("query: {error}"), Vec::new())
    })
}
