//! Contents: bytes of files, with ranges, and Google's own formats exported.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State as AxumState},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    READERS, enter,
    file::{DOCUMENT, FileContent, SPREADSHEET},
    parameters::{Parameters, bad_request},
    upload::text,
};
use crate::{google::error::Refusal, world::World};

const LARGEST_EXPORT: u64 = 10 * 1024 * 1024;

/// `files.get` with `alt=media`.
pub(super) async fn media(
    world: &World,
    id: &str,
    all_drives: bool,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let (content, media_type) = {
        let (things, identity) = enter(world, headers, READERS)?;
        let (file, _) = things.google.drive.see(id, &identity.account, all_drives)?;
        let content = file.content.clone().filter(|_| !file.is_google());
        let content = content.ok_or_else(|| {
            let words = "Only files with binary content can be downloaded. Use Export with Docs Editors files.";
            Refusal::new(StatusCode::FORBIDDEN, "fileNotDownloadable", words).at("parameter", "alt")
        })?;
        (content, file.mime_type.clone())
    };
    let size = content.size;
    let wished = text(headers, &header::RANGE).and_then(|range| read_range(range, size));
    let (mut response, range) = match wished {
        None => return send(world, &content, &media_type, 0, size).await,
        Some(Err(refusal)) => (refusal.into_response(), format!("bytes */{size}")),
        Some(Ok((first, last))) => {
            let mut response = send(world, &content, &media_type, first, last - first + 1).await?;
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            (response, format!("bytes {first}-{last}/{size}"))
        }
    };
    if let Ok(range) = HeaderValue::from_str(&range) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    Ok(response)
}

/// `files.export`: Docs as Markdown or plain text, Sheets as CSV.
pub(super) async fn export(
    AxumState(world): AxumState<Arc<World>>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (content, wished) = {
        let (things, identity) = enter(&world, &headers, READERS)?;
        parameters.only(&["mimeType"])?;
        let wished = parameters.get("mimeType").ok_or_else(|| {
            Refusal::required("Required parameter: mimeType").at("parameter", "mimeType")
        })?;
        // This method knows shared drives without being told.
        let (file, _) = things.google.drive.see(&id, &identity.account, true)?;
        let is_possible = match file.mime_type.as_str() {
            DOCUMENT => matches!(wished, "text/markdown" | "text/plain"),
            SPREADSHEET => wished == "text/csv",
            _ => {
                let words = "Export only supports Docs Editors files.";
                return Err(Refusal::new(
                    StatusCode::FORBIDDEN,
                    "fileNotExportable",
                    words,
                ));
            }
        };
        if !is_possible {
            let words = "The requested conversion is not supported.";
            return Err(bad_request(words.to_owned()).at("parameter", "convertTo"));
        }
        (file.content.clone(), wished.to_owned())
    };
    let Some(content) = content else {
        return Ok(([(header::CONTENT_TYPE, wished)], Body::empty()).into_response());
    };
    if content.size > LARGEST_EXPORT {
        let words = "This file is too large to be exported.";
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "exportSizeLimitExceeded",
            words,
        ));
    }
    send(&world, &content, &wished, 0, content.size).await
}

async fn send(
    world: &World,
    content: &FileContent,
    media_type: &str,
    first: u64,
    length: u64,
) -> Result<Response, Refusal> {
    let body = if content.size == 0 {
        Body::empty()
    } else {
        let blobs = world.things().google.drive.blobs(&world.settings)?;
        Body::from_stream(blobs.read(&content.blob, first, length).await?)
    };
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// First and last byte; nothing for what is no single range, a refusal for one beyond the end.
fn read_range(text: &str, size: u64) -> Option<Result<(u64, u64), Refusal>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = size.checked_sub(1);
    let range = if first.is_empty() {
        let count: u64 = last.parse().ok()?;
        end.filter(|_| count > 0)
            .map(|end| (size.saturating_sub(count), end))
    } else {
        let first: u64 = first.parse().ok()?;
        let last = if last.is_empty() {
            u64::MAX
        } else {
            last.parse().ok()?
        };
        end.filter(|end| first <= *end && first <= last)
            .map(|end| (first, last.min(end)))
    };
    Some(range.ok_or_else(|| {
        let words = "Request range not satisfiable";
        Refusal::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "requestedRangeNotSatisfiable",
            words,
        )
        .at("header", "Range")
    }))
}
