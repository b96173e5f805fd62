//! The bytes of documents: they pass through us piece by piece, whatever their size.

use std::sync::atomic::Ordering;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use jiff::SignedDuration;
use mcp_kit::ToolError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use utoipa::IntoParams;
use uuid::Uuid;
use validator::Validate;

use super::{
    Document, DocumentKind, DocumentStatus, audit, file_of, make, no_folder, plain_name, queries,
};
use crate::{
    access::{Access, ReadEvents, WriteEvents},
    events,
    extract::{Path, Query},
    jobs::{Done, Failure, Job},
    problem::{Problem, kinds},
    shares::Place,
    sidecars::{Errand, SidecarError, Upload},
    state::App,
    work::{Answer, Work},
};

/// What RFC 8187 lets stand in an extended value.
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What the uploaded file is.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UploadOf {
    /// The file's name, with its extension.
    #[validate(length(min = 1, max = 255), custom(function = plain_name))]
    #[param(min_length = 1, max_length = 255)]
    pub name: String,
    /// `OTHER` when left out; never `FOLDER`.
    #[serde(default)]
    #[validate(custom(function = no_folder))]
    #[param(required = false)]
    pub kind: DocumentKind,
}

/// Upload a file: the body is its bytes, `Content-Type` its media type. Needs an `Idempotency-Key`: the same file with the same
/// key again is the same document, other bytes are refused.
#[utoipa::path(post, path = "/v1/events/{event_id}/documents/content", tag = "documents",
    params(("event_id" = Uuid, Path, description = "The event."), UploadOf),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "The document.", body = Document)))]
pub async fn upload_event_document(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(event_id): Path<Uuid>,
    Query(of): Query<UploadOf>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let upload = read(&app, &headers, body)?;
    let key = access
        .idempotency
        .as_ref()
        .map(|idempotency| idempotency.key().to_owned());
    let Some(key) = key else {
        let kind = &kinds::IDEMPOTENCY_KEY_MISSING;
        return Err(Problem::Malformed(kind, kind.detail(), Vec::new()));
    };
    let _place = place(&app, access.organization_id())?;
    let effect_key = format!("upload:{}:{key}", access.person.label());
    let (organization_id, errand) = (access.organization_id(), access.errand());
    let row = reserve(&app, access, event_id, &of, &upload.media_type, &effect_key).await?;
    let (_, folder_id) = make::folder(&app, &errand, event_id, None).await?;
    let arguments = json!({ "name": of.name, "folder_id": folder_id });
    let errand = make::keyed(&errand, row.id);
    let made = store(&app, &errand, &arguments, upload).await?;
    let was_ready = row.status == DocumentStatus::Ready;
    if was_ready {
        return match made {
            Ok(_) => Ok(created(&row)?.replayed()),
            // Other bytes, or another name, than the key has stored.
            Err((_, Problem::Invalid(_))) => Err(Problem::IdempotencyKeyReused),
            Err((_, problem)) => Err(problem),
        };
    }
    let mut work = Work::system(&app, organization_id).await?;
    let kept = made.as_ref().map_err(|(why, _)| why.as_str());
    let document = make::keep(&mut work, row.id, kept).await?;
    work.commit_silently().await?;
    match made {
        Ok(_) => Ok(created(&document)?.into_response()),
        Err((_, problem)) => Err(problem),
    }
}

/// Sends the bytes to Drive. What is refused comes with a word for the row; after any other trouble the upload may be tried
/// again with its key, and the row stays as it is.
async fn store(
    app: &App,
    errand: &Errand,
    arguments: &Value,
    upload: Upload,
) -> Result<Result<make::Made, (String, Problem)>, Problem> {
    let limit = app.settings.delivery.upload_limit;
    let (content, too_large) = upload.within(limit);
    let gdrive = &app.sidecars.gdrive;
    let stored = gdrive
        .send_content(errand, "upload_file", arguments, content)
        .await;
    match stored {
        Ok(made) => Ok(Ok(made)),
        Err(_) if too_large.load(Ordering::Relaxed) => {
            let why = format!("it has more than {limit} bytes");
            Ok(Err((why, Problem::PayloadTooLarge)))
        }
        Err(SidecarError::Refused(refusal)) => Ok(Err((refusal.message.clone(), refusal.at("")))),
        Err(error) => Err(error.into()),
    }
}

/// The document's row, written before its bytes are sent. A key stands for one file.
async fn reserve(
    app: &App,
    mut access: Access<WriteEvents>,
    event_id: Uuid,
    of: &UploadOf,
    media_type: &str,
    effect_key: &str,
) -> Result<Document, Problem> {
    let organization_id = access.organization_id();
    // The answer is not kept: the key is the row's.
    access.idempotency = None;
    let mut work = access.begin(app).await?;
    events::queries::lock(&mut work, organization_id, event_id).await?;
    let new = queries::NewRow {
        id: work.new_id(),
        event_id,
        kind: of.kind,
        name: &of.name,
        content: None,
        media_type: Some(media_type),
        effect_key: Some(effect_key),
    };
    let now = work.now;
    let is_new = queries::insert(&mut work, organization_id, &new, now).await?;
    let document = queries::of_effect(&mut work, organization_id, effect_key).await?;
    if is_new {
        audit(&mut work, "document.created", None, &document).await?;
        work.commit_silently().await?;
        return Ok(document);
    }
    // What is in Drive may have another name here since; Drive's sidecar knows its first one.
    let is_same = document.event_id == event_id
        && document.media_type.as_deref() == Some(media_type)
        && (document.name == of.name || document.status == DocumentStatus::Ready);
    if !is_same {
        return Err(Problem::IdempotencyKeyReused);
    }
    if document.status == DocumentStatus::Trashed {
        let detail = "the document is TRASHED; upload it under a new key";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    Ok(document)
}

fn created(document: &Document) -> Result<Answer, Problem> {
    let location = format!("/v1/documents/{}", document.id);
    Answer::created(location, document.version, document)
}

/// The body as it will be sent on.
fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Upload, Problem> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let encoding = text(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Problem::UnsupportedMediaType(
            "it is, without Content-Encoding",
        ));
    }
    let length: Option<u64> = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    if length.is_some_and(|length| length > app.settings.delivery.upload_limit) {
        return Err(Problem::PayloadTooLarge);
    }
    let pieces = body
        .into_data_stream()
        .map(|piece| piece.map_err(|_| ToolError::invalid("the body broke off")));
    Ok(Upload {
        media_type: text(header::CONTENT_TYPE)
            .unwrap_or("application/octet-stream")
            .to_owned(),
        length,
        pieces: pieces.boxed(),
    })
}

/// Download a document: an uploaded file as it is, a document as Markdown, a sheet as CSV. `Range` works for uploaded files.
#[utoipa::path(get, path = "/v1/documents/{document_id}/content", tag = "documents",
    params(("document_id" = Uuid, Path, description = "The document.")),
    responses((status = 200, description = "The bytes, as an attachment.", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "A part of them.", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 416, description = "`Range` begins after the last byte.")))]
pub async fn get_document_content(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let document = queries::get(&app.db, access.organization_id(), id).await?;
    if document.kind == DocumentKind::Folder {
        let detail = "a folder has no content; list its documents";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    let place = place(&app, access.organization_id())?;
    let mut errand = access.errand();
    // The headers come within the request's time; the bytes may take longer.
    errand.deadline = Instant::now() + app.settings.delivery.upload_timeout;
    let arguments = json!({ "file_id": file_of(&document)? });
    let range = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    let incoming = app
        .sidecars
        .gdrive
        .fetch_content(&errand, "download_file", &arguments, range)
        .await
        .map_err(beyond_the_end)?;
    let status = incoming.status;
    let mut told = HeaderMap::new();
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::ETAG,
    ] {
        told.extend(
            incoming
                .headers
                .get(&name)
                .map(|value| (name, value.clone())),
        );
    }
    told.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    told.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-store"),
    );
    told.extend(attachment(&document.name).map(|value| (header::CONTENT_DISPOSITION, value)));
    let body = incoming
        .into_stream()
        .map(move |piece: Result<Bytes, ToolError>| {
            let _until_the_end = &place;
            piece.map_err(|error| std::io::Error::other(error.message.into_owned()))
        });
    Ok((status, told, Body::from_stream(body)).into_response())
}

/// A place is kept until the last byte is through, however slow the client is.
fn place(app: &App, organization_id: Uuid) -> Result<Place, Problem> {
    app.transfers.enter(organization_id).ok_or_else(|| {
        Problem::Unavailable("too many files are on their way already; try again".into())
    })
}

/// What the sidecar says of a range that begins after the last byte (RFC 9110, section 15.5.17).
fn beyond_the_end(error: SidecarError) -> Problem {
    match error {
        SidecarError::Refused(refusal) if refusal.details["reason"] == "range_not_satisfiable" => {
            Problem::RangeNotSatisfiable(refusal.details["size"].as_u64())
        }
        error => error.into(),
    }
}

/// `Content-Disposition` (RFC 6266) that no name can break out of: plain ASCII for old clients, all of it for others.
pub fn attachment(name: &str) -> Option<HeaderValue> {
    let is_plain =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '.' | '-' | '_');
    let plain: String = name
        .chars()
        .map(|letter| if is_plain(letter) { letter } else { '_' })
        .collect();
    let exact = utf8_percent_encode(name, ATTRIBUTE);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}")
        .parse()
        .ok()
}

/// `documents.forget_broken_uploads`: uploads whose client went away are told as failed.
pub async fn forget_broken_uploads(app: App, _: Job) -> Result<Done, Failure> {
    let longest = SignedDuration::try_from(app.settings.delivery.upload_timeout)
        .unwrap_or(SignedDuration::from_hours(1));
    for (organization_id, id) in queries::broken_uploads(&app.db, app.now() - longest * 2).await? {
        let mut work = Work::system(&app, organization_id).await?;
        let current = queries::lock(&mut work, organization_id, id).await?;
        if current.status == DocumentStatus::Pending {
            make::keep(&mut work, id, Err("the upload was broken off")).await?;
            work.commit_silently().await?;
        }
    }
    Ok(Done::Finished)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_out_of_its_header() {
        let told =
            |name| attachment(name).map(|value| value.to_str().unwrap_or_default().to_owned());
        assert_eq!(
            told("a\"b;c\r\nX-Evil: 1\\ü.pdf").as_deref(),
            Some(
                "attachment; filename=\"a_b_c__X-Evil_ 1__.pdf\"; filename*=UTF-8''a%22b%3Bc%0D%0AX-Evil%3A%201%5C%C3%BC.pdf"
            )
        );
    }
}
