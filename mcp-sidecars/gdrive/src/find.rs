//! Looking for files and at them.

use jiff::Timestamp;
use mcp_kit::{Call, Limit, Page, ToolError};
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use validator::Validate;

use crate::{
    drive::{Drive, Seen, files},
    files::{DriveFile, FIELDS, FOLDER, FileInfo, drive_id},
};

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchFiles {
    /// The beginning of a word of the name, or of several.
    #[validate(length(min = 1, max = 200))]
    name: Option<String>,
    /// Whole words within the text or the name; a phrase in double quotes.
    #[validate(length(min = 1, max = 200))]
    text: Option<String>,
    /// Only files of this media type, such as `application/pdf` or `application/vnd.google-apps.document`.
    #[validate(length(min = 3, max = 200))]
    mime_type: Option<String>,
    /// Only files directly in this folder or shared drive.
    #[validate(custom(function = "drive_id"))]
    folder_id: Option<String>,
    /// Only files changed after this time: RFC 3339 with an offset, such as `2027-03-01T09:00:00Z`.
    #[schemars(with = "Option<String>")]
    modified_after: Option<Timestamp>,
    /// Also what is in the trash.
    #[serde(default)]
    include_trashed: bool,
    /// Files on a page; a page may hold fewer where a server may not touch all folders.
    #[serde(default)]
    limit: Limit,
    /// `next_cursor` of the page before, with the same other arguments.
    #[validate(length(min = 1, max = 2000))]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListFiles {
    /// The folder or shared drive; the server's own choice without it.
    #[validate(custom(function = "drive_id"))]
    folder_id: Option<String>,
    /// Only folders.
    #[serde(default)]
    only_folders: bool,
    #[serde(default)]
    limit: Limit,
    /// `next_cursor` of the page before, with the same other arguments.
    #[validate(length(min = 1, max = 2000))]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetFile {
    /// The file's or folder's id.
    #[validate(custom(function = "drive_id"))]
    file_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(default)]
    files: Vec<DriveFile>,
    next_page_token: Option<String>,
}

/// `search_files`.
pub(crate) async fn search_files(
    drive: Drive,
    call: Call,
    wanted: SearchFiles,
) -> Result<Page<FileInfo>, ToolError> {
    let terms = [
        wanted
            .name
            .map(|name| format!("name contains {}", quoted(&name))),
        wanted
            .text
            .as_ref()
            .map(|text| format!("fullText contains {}", quoted(text))),
        wanted
            .mime_type
            .map(|kind| format!("mimeType = {}", quoted(&kind))),
        wanted
            .folder_id
            .map(|id| format!("{} in parents", quoted(&id))),
        wanted
            .modified_after
            .map(|at| format!("modifiedTime > '{at:.3}'")),
        (!wanted.include_trashed).then(|| "trashed = false".to_owned()),
    ];
    let terms: Vec<_> = terms.into_iter().flatten().collect();
    // Drive sorts what it finds by text on its own.
    let order = wanted.text.is_none().then_some("modifiedTime desc");
    drive
        .page(
            &call,
            &terms.join(" and "),
            order,
            wanted.limit,
            wanted.cursor,
        )
        .await
}

/// `list_files`.
pub(crate) async fn list_files(
    drive: Drive,
    call: Call,
    wanted: ListFiles,
) -> Result<Page<FileInfo>, ToolError> {
    let folder = drive
        .folder(&call, wanted.folder_id.as_deref(), "/folder_id")
        .await?;
    let mut q = format!("{} in parents and trashed = false", quoted(&folder.id));
    if wanted.only_folders {
        q = format!("{q} and mimeType = '{FOLDER}'");
    }
    drive
        .page(&call, &q, Some("folder,name"), wanted.limit, wanted.cursor)
        .await
}

/// `get_file`.
pub(crate) async fn get_file(
    drive: Drive,
    call: Call,
    wanted: GetFile,
) -> Result<FileInfo, ToolError> {
    drive.file(&call, &wanted.file_id).await.map(Into::into)
}

impl Drive {
    async fn page(
        &self,
        call: &Call,
        q: &str,
        order: Option<&str>,
        limit: Limit,
        cursor: Option<String>,
    ) -> Result<Page<FileInfo>, ToolError> {
        let mut request = files(Method::GET, &[])
            .query("includeItemsFromAllDrives", "true")
            .query("pageSize", limit.get().to_string())
            .query("fields", format!("nextPageToken,files({FIELDS})"));
        if !q.is_empty() {
            request = request.query("q", q);
        }
        if let Some(order) = order {
            request = request.query("orderBy", order);
        }
        if let Some(cursor) = cursor {
            request = request.query("pageToken", cursor);
        }
        let found: Found = self.google().send(call, request).await?.json()?;
        let (mut items, mut seen) = (Vec::new(), Seen::default());
        for file in found.files {
            if self.is_allowed(call, &file, &mut seen).await? {
                items.push(file.into());
            }
        }
        Ok(Page {
            items,
            next_cursor: found.next_page_token,
        })
    }
}

/// A text of Drive's search language.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
