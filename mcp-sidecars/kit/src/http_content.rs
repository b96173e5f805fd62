//! `/mcp/tools/{tool}/content`: bytes beside the arguments, which are in the header `Tool-Arguments`.

use std::{fmt::Write, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt;
use rmcp::model::JsonObject;

use crate::{
    call::{Call, Road},
    content::{Content, Download, Fault, broken_body},
    entry::Entrant,
    error::Failure,
    guard::{SharedGuard, Success},
    http::{answer, timeout, with_key},
    problem::Problem,
    unique,
};

/// The arguments as a JSON object, in ASCII (`\u` escapes) or UTF-8; without it, none.
const ARGUMENTS: &str = "tool-arguments";
const LONGEST_ARGUMENTS: usize = 16 * 1024;

/// The guard, and the longest time without a piece of a body.
pub(crate) type Shared = (SharedGuard, Duration);
type Tool = Result<Path<String>, PathRejection>;

/// `POST …/content`: the request's body goes to the tool piece by piece.
pub(crate) async fn send_content(
    State((guard, idle)): State<Shared>,
    Extension(entrant): Extension<Entrant>,
    tool: Tool,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request_id = Arc::clone(&entrant.trace.request_id);
    let (tool, mut call, arguments) = read(&guard, entrant, tool, query.as_deref(), &headers)?;
    let limit = guard.registry.get(&tool).map(|tool| tool.content_limit);
    let Some(limit) = limit.unwrap_or(Some(0)) else {
        let detail = format!("this tool takes no content: POST its arguments to /mcp/tools/{tool}");
        return Err(not_this_way(detail, &request_id));
    };
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    if limit > 0 && length.is_some_and(|length: u64| length > limit) {
        return Err(too_large(limit, &request_id));
    }
    let media_type = text(header::CONTENT_TYPE).unwrap_or("application/octet-stream");
    let content = Content::new(media_type, length, body.into_data_stream(), limit, idle);
    call.content = Some(content.clone());
    let ended = guard.call(&tool, call, arguments).await;
    ended
        .and_then(answer)
        .map_err(|failure| match content.fault() {
            Some(Fault::TooLarge) => too_large(limit, &request_id),
            Some(Fault::TooSlow) => {
                let detail = "the body did not come in time";
                Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "BODY_TOO_SLOW",
                    detail,
                    &request_id,
                )
            }
            Some(Fault::Broken) => malformed("the body ended too soon", &request_id),
            None => Problem::of(failure, &request_id),
        })
}

/// `GET …/content`: what the tool gives, with `Range` where the tool can.
pub(crate) async fn fetch_content(
    State((guard, _)): State<Shared>,
    Extension(entrant): Extension<Entrant>,
    tool: Tool,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let request_id = Arc::clone(&entrant.trace.request_id);
    let (tool, mut call, arguments) = read(&guard, entrant, tool, query.as_deref(), &headers)?;
    if guard
        .registry
        .get(&tool)
        .is_some_and(|tool| !tool.gives_content)
    {
        let detail = format!("this tool gives no content: POST its arguments to /mcp/tools/{tool}");
        return Err(not_this_way(detail, &request_id));
    }
    call.wants_stream = true;
    call.range = headers.get(header::RANGE).and_then(single_range);
    match guard.call(&tool, call, arguments).await {
        Ok(Success::Content(download)) => Ok(stream_of(*download)),
        Ok(_) => Err(Problem::of(Failure::NeedsMcp, &request_id)),
        Err(failure) => Err(Problem::of(failure, &request_id)),
    }
}

/// What both ways read of a request before the guard does.
fn read(
    guard: &SharedGuard,
    entrant: Entrant,
    tool: Tool,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<(String, Call, JsonObject), Problem> {
    let request_id = Arc::clone(&entrant.trace.request_id);
    let bad = |detail: String| malformed(&detail, &request_id);
    let Path(tool) = tool.map_err(|_| bad("the tool's name is not UTF-8".to_owned()))?;
    let timeout = timeout(query).map_err(bad)?;
    let text = headers
        .get(ARGUMENTS)
        .map_or(&b"{}"[..], HeaderValue::as_bytes);
    if text.len() > LONGEST_ARGUMENTS {
        return Err(bad(format!(
            "Tool-Arguments: at most {LONGEST_ARGUMENTS} bytes"
        )));
    }
    let arguments = unique::object(text)
        .map_err(|error| bad(format!("Tool-Arguments: must be a JSON object: {error}")))?;
    let arguments = with_key(guard, &tool, headers, arguments).map_err(bad)?;
    Ok((
        tool,
        entrant.call(Road::Http).with_timeout(timeout),
        arguments,
    ))
}

/// One range of bytes; anything else is ignored, as RFC 9110 allows.
fn single_range(value: &HeaderValue) -> Option<Arc<str>> {
    let text = value.to_str().ok()?.trim();
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let is_number = |text: &str| text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_range = is_number(first) && is_number(last) && !(first.is_empty() && last.is_empty());
    is_range.then(|| text.into())
}

/// An attachment, whatever it is: nothing that comes from a provider is shown as our own page.
fn stream_of(download: Download) -> Response {
    let status = match download.content_range {
        Some(_) => StatusCode::PARTIAL_CONTENT,
        None => StatusCode::OK,
    };
    let attachment = format!("attachment; filename*=UTF-8''{}", encoded(&download.name));
    let fixed = [
        (header::ACCEPT_RANGES, "bytes"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let told = [
        (header::CONTENT_TYPE, Some(download.media_type)),
        (header::CONTENT_DISPOSITION, Some(attachment)),
        (
            header::CONTENT_LENGTH,
            download.length.map(|length| length.to_string()),
        ),
        (header::CONTENT_RANGE, download.content_range),
        (header::ETAG, download.etag),
    ];
    let body = Body::from_stream(download.body.map_err(|error| broken_body(&error)));
    let mut response = (status, fixed, body).into_response();
    for (name, value) in told {
        if let Some(value) = value.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A value of RFC 8187: everything but letters, digits and a few marks as `%XX`.
fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn malformed(detail: &str, request_id: &str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "MALFORMED_REQUEST",
        detail,
        request_id,
    )
}

fn too_large(limit: u64, request_id: &str) -> Problem {
    let detail = format!("the content has more than {limit} bytes");
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "PAYLOAD_TOO_LARGE",
        detail,
        request_id,
    )
}

fn not_this_way(detail: String, request_id: &str) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        detail,
        request_id,
    )
}
