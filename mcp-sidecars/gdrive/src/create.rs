//! Folders, Docs and Sheets.

use mcp_kit::{Call, Code, ToolError};
use reqwest::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use validator::Validate;

use crate::{
    content::multipart,
    drive::{Drive, files, uploads},
    files::{DOCUMENT, DriveFile, FIELDS, FOLDER, Made, SPREADSHEET, drive_id, plain_name},
};

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateFolder {
    /// The folder's name. Drive allows several of one name.
    #[validate(length(min = 1, max = 255), custom(function = "plain_name"))]
    name: String,
    /// The folder or shared drive to make it in; the server's own choice without it.
    #[validate(custom(function = "drive_id"))]
    folder_id: Option<String>,
    /// For people who look at it.
    #[validate(length(max = 1000))]
    description: Option<String>,
    /// Any text, new for each folder wanted: the same again gives back the folder made first.
    #[validate(length(min = 1, max = 255))]
    idempotency_key: Option<String>,
    /// Only check, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateDocument {
    /// The document's name.
    #[validate(length(min = 1, max = 255), custom(function = "plain_name"))]
    name: String,
    /// What to make.
    #[serde(default)]
    kind: Kind,
    /// Markdown for a document, CSV (RFC 4180) for a spreadsheet; empty for an empty one.
    #[serde(default)]
    #[validate(length(max = 500_000))]
    content: String,
    /// The folder or shared drive to make it in; the server's own choice without it.
    #[validate(custom(function = "drive_id"))]
    folder_id: Option<String>,
    /// Any text, new for each document wanted: the same again gives back the document made first.
    #[validate(length(min = 1, max = 255))]
    idempotency_key: Option<String>,
    /// Only check, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// A Google Doc.
    #[default]
    Document,
    /// A Google Sheet.
    Spreadsheet,
}

/// `create_folder`.
pub(crate) async fn create_folder(
    drive: Drive,
    call: Call,
    wanted: CreateFolder,
) -> Result<Made, ToolError> {
    let folder = drive
        .folder(&call, wanted.folder_id.as_deref(), "/folder_id")
        .await?;
    if wanted.dry_run {
        return Ok(Made::would(format!(
            "make the folder {:?} in {:?}",
            wanted.name, folder.name
        )));
    }
    let mut metadata = json!({
        "name": wanted.name, "mimeType": FOLDER, "parents": [folder.id], "description": wanted.description,
    });
    let key = wanted.idempotency_key.as_deref();
    let mark = drive.mark(&call, "create_folder", key, &metadata).await?;
    if key.is_some()
        && let Some(made) = drive.made(&call, &mark).await?
    {
        return Ok(Made::new(made, true));
    }
    metadata["appProperties"] = mark.properties();
    metadata["id"] = drive.new_id(&call).await?.into();
    let request = files(Method::POST, &[])
        .query("fields", FIELDS)
        .json(&metadata)?;
    let file = drive
        .create_with_id(&call, request.repeatable(), &metadata)
        .await?;
    drive.remember(&mark, &file);
    Ok(Made::new(file, false))
}

/// `create_document`.
pub(crate) async fn create_document(
    drive: Drive,
    call: Call,
    wanted: CreateDocument,
) -> Result<Made, ToolError> {
    let (mime_type, media_type) = match wanted.kind {
        Kind::Document => (DOCUMENT, "text/markdown"),
        Kind::Spreadsheet => (SPREADSHEET, "text/csv"),
    };
    let folder = drive
        .folder(&call, wanted.folder_id.as_deref(), "/folder_id")
        .await?;
    if wanted.dry_run {
        return Ok(Made::would(format!(
            "make {:?} in {:?}",
            wanted.name, folder.name
        )));
    }
    let mut metadata =
        json!({ "name": wanted.name, "mimeType": mime_type, "parents": [folder.id] });
    let key = wanted.idempotency_key.as_deref();
    let request = json!([metadata, wanted.content]);
    let mark = drive.mark(&call, "create_document", key, &request).await?;
    if key.is_some()
        && let Some(made) = drive.made(&call, &mark).await?
    {
        return Ok(Made::new(made, true));
    }
    metadata["appProperties"] = mark.properties();
    let (kind, body) = multipart(&metadata, media_type, wanted.content.as_bytes())?;
    let request = uploads(Method::POST, "multipart").bytes(kind, body);
    // Drive takes no ids of ours for its own formats: after a lost answer we look for what was made.
    let sent = drive.google().send(&call, request).await;
    let file: DriveFile = match sent.and_then(|reply| reply.json()) {
        Ok(file) => file,
        Err(error) if matches!(error.code, Code::Unavailable) => {
            drive.made(&call, &mark).await?.ok_or(error)?
        }
        Err(error) => return Err(error),
    };
    drive.remember(&mark, &file);
    Ok(Made::new(file, false))
}

impl Drive {
    /// Sends a request that makes the file with the id in `metadata`: that the id is taken means that an attempt whose
    /// answer was lost has made it.
    pub(crate) async fn create_with_id(
        &self,
        call: &Call,
        request: mcp_kit::Outgoing,
        metadata: &Value,
    ) -> Result<DriveFile, ToolError> {
        let reply = self.google().exchange(call, request).await?;
        if reply.status == StatusCode::CONFLICT {
            return self
                .look(call, metadata["id"].as_str().unwrap_or_default())
                .await;
        }
        if !reply.status.is_success() {
            return Err(event_planner_google::failure(&reply));
        }
        reply.json()
    }
}
