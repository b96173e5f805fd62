//! Content for new and for old files: at once, with metadata, or the beginning of a resumable upload.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, State as AxumState},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;

use super::{
    QUOTA, State, Upload, WRITERS,
    access::Role,
    blobs::{Blobs, quota},
    change, create, enter,
    fields::FILE,
    file::{DOCUMENT, FileContent, Metadata, SPREADSHEET},
    multipart,
    parameters::{Parameters, bad_request, read_json},
};
use crate::{google::error::Refusal, world::World};

/// Largest upload at once; what is larger is to be resumable.
const AT_ONCE: usize = 5 * 1024 * 1024;
const JSON_LIMIT: usize = 1024 * 1024;
/// Resumable uploads under way; the oldest are given up.
const UNDER_WAY: usize = 1000;

/// `files.create` with content.
pub(super) async fn start_create(
    AxumState(world): AxumState<Arc<World>>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    start(&world, None, &parameters, &headers, body).await
}

/// `files.update` with content.
pub(super) async fn start_update(
    AxumState(world): AxumState<Arc<World>>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    start(&world, Some(id), &parameters, &headers, body).await
}

async fn start(
    world: &World,
    target: Option<String>,
    parameters: &Parameters,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let account = enter(world, headers, WRITERS)?.1.account;
    let known = target
        .as_ref()
        .map_or(create::PARAMETERS, |_| change::PARAMETERS);
    parameters.only(known)?;
    parameters.mask(create::FIELDS)?.check(FILE, &[])?;
    let kind = text(headers, &header::CONTENT_TYPE).unwrap_or("application/octet-stream");
    let mut upload = Upload {
        account,
        target,
        metadata: Metadata::default(),
        media_type: None,
        length: None,
        blob: State::new_id()?,
        fields: parameters.get("fields").map(str::to_owned),
        all_drives: parameters.all_drives()?,
        done: None,
    };
    let known = Metadata::WRITABLE;
    match parameters.get("uploadType") {
        Some("resumable") => {
            upload.metadata = read_json(&whole(body, JSON_LIMIT).await?, known)?;
            begin(world, upload, headers)
        }
        Some("multipart") => {
            let body = whole(body, AT_ONCE + JSON_LIMIT).await?;
            let parts = multipart::split(kind, &body);
            let parts = parts.ok_or_else(|| bad_request("Malformed multipart body.".to_owned()))?;
            upload.metadata = read_json(parts.0, known)?;
            upload.media_type = Some(parts.1);
            at_once(world, upload, parts.2.to_vec()).await
        }
        Some("media") => {
            upload.media_type = Some(kind.to_owned());
            at_once(world, upload, whole(body, AT_ONCE).await?).await
        }
        other => Err(Refusal::invalid_parameter(
            "uploadType",
            other.unwrap_or_default(),
        )),
    }
}

async fn at_once(world: &World, upload: Upload, content: Vec<u8>) -> Result<Response, Refusal> {
    if content.len() > AT_ONCE {
        return Err(too_large());
    }
    let (blobs, left) = checked(world, &upload)?;
    blobs
        .append(&upload.blob, 0, 0, left, content.into())
        .await?;
    finish(world, None, upload, blobs).await
}

/// Keeps what is to come, and says where to send it.
fn begin(world: &World, mut upload: Upload, headers: &HeaderMap) -> Result<Response, Refusal> {
    upload.media_type =
        text(headers, &HeaderName::from_static("x-upload-content-type")).map(str::to_owned);
    let length = text(headers, &HeaderName::from_static("x-upload-content-length"));
    upload.length = length
        .map(|length| {
            length
                .parse()
                .map_err(|_| bad_request("Invalid X-Upload-Content-Length".to_owned()))
        })
        .transpose()?;
    let (_, left) = checked(world, &upload)?;
    if upload.length.is_some_and(|length| length > left) {
        return Err(quota());
    }
    let id = State::new_id()?;
    let path = upload
        .target
        .as_ref()
        .map_or_else(String::new, |id| format!("/{id}"));
    let location = format!(
        "{}/google/upload/drive/v3/files{path}?uploadType=resumable&upload_id={id}",
        world.base_url
    );
    let drive = &mut world.things().google.drive;
    if drive.uploads.len() >= UNDER_WAY
        && let Some((_, old)) = drive.uploads.pop_first()
        && old.done.is_none()
    {
        drive.drop_blob(&old.blob);
    }
    drive.uploads.insert(id, upload);
    Ok((StatusCode::OK, [(header::LOCATION, location)]).into_response())
}

/// Refuses what could not be done in the end; else where contents are, and how many bytes there is room for.
pub(super) fn checked(world: &World, upload: &Upload) -> Result<(Arc<Blobs>, u64), Refusal> {
    let drive = &mut world.things().google.drive;
    let (account, metadata) = (&upload.account, &upload.metadata);
    if let Some(target) = &upload.target {
        let file = drive.may(target, account, upload.all_drives, Role::Writer)?;
        change::check(metadata)?;
        if file.is_folder() {
            return Err(bad_request("A folder has no content.".to_owned()));
        }
    } else {
        drive.check_new(metadata, account, upload.all_drives)?;
    }
    let left = QUOTA.saturating_sub(drive.used());
    Ok((drive.blobs(&world.settings)?, left))
}

/// All bytes are there: the file is made or changed, once.
pub(super) async fn finish(
    world: &World,
    id: Option<&str>,
    upload: Upload,
    blobs: Arc<Blobs>,
) -> Result<Response, Refusal> {
    let media_type = upload
        .media_type
        .clone()
        .unwrap_or_else(|| "application/octet-stream".to_owned());
    let content = blobs
        .measure(upload.blob.clone(), media_type.starts_with("text/"))
        .await?;
    let drive = &mut world.things().google.drive;
    let file = settle(drive, &upload, &media_type, content, world.now());
    let file = file.inspect_err(|_| drive.drop_blob(&upload.blob))?;
    if let Some(kept) = id.and_then(|id| drive.uploads.get_mut(id)) {
        kept.done = Some(file.clone());
    }
    answer(drive, &upload, &file)
}

/// The id of the file that the upload became.
fn settle(
    drive: &mut State,
    upload: &Upload,
    media_type: &str,
    content: FileContent,
    now: Timestamp,
) -> Result<String, Refusal> {
    if let Some(target) = &upload.target {
        drive.may(target, &upload.account, upload.all_drives, Role::Writer)?;
        let file = drive
            .files
            .get_mut(target)
            .ok_or_else(|| Refusal::not_found("File not found"))?;
        upload.metadata.apply(file);
        if !file.is_google() {
            file.mime_type = upload
                .metadata
                .mime_type
                .clone()
                .unwrap_or_else(|| media_type.to_owned());
        }
        (file.modified, file.version) = (now, file.version + 1);
        let old = file.content.replace(content);
        if let Some(old) = old {
            drive.drop_blob(&old.blob);
        }
        return Ok(target.clone());
    }
    let wished = upload.metadata.mime_type.as_deref().unwrap_or_default();
    let is_convertible = match wished {
        DOCUMENT => media_type.starts_with("text/"),
        SPREADSHEET => media_type.starts_with("text/csv") || media_type.starts_with("text/tab"),
        other => !other.starts_with("application/vnd.google-apps."),
    };
    if !is_convertible {
        return Err(
            bad_request("The requested conversion is not supported.".to_owned())
                .at("parameter", "convertTo"),
        );
    }
    drive.check_new(&upload.metadata, &upload.account, upload.all_drives)?;
    let file = drive.add(
        &upload.metadata,
        media_type,
        Some(content),
        &upload.account,
        now,
    )?;
    Ok(file.id.clone())
}

/// The file, as far as it was wished when the upload began.
pub(super) fn answer(drive: &State, upload: &Upload, id: &str) -> Result<Response, Refusal> {
    let (file, role) = drive.see(id, &upload.account, true)?;
    let mask = super::fields::Mask::read(upload.fields.as_deref().unwrap_or(create::FIELDS))?;
    Ok(Json(mask.apply(file.resource(&upload.account, role))).into_response())
}

async fn whole(body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    let read = axum::body::to_bytes(body, limit).await;
    read.map(Vec::from).map_err(|_| too_large())
}

fn too_large() -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "uploadTooLarge",
        "Request Too Large",
    )
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
