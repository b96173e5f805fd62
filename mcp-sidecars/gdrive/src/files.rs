//! A file as Drive tells it, and as our callers read it; and the arguments that tools share.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use validator::ValidationError;

pub(crate) const FOLDER: &str = "application/vnd.google-apps.folder";
pub(crate) const DOCUMENT: &str = "application/vnd.google-apps.document";
pub(crate) const SPREADSHEET: &str = "application/vnd.google-apps.spreadsheet";
/// What we ask of Drive for each file.
pub(crate) const FIELDS: &str = "id,name,mimeType,description,size,md5Checksum,parents,driveId,webViewLink,createdTime,modifiedTime,trashed,appProperties";

/// A file of Drive v3, as far as we ask for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DriveFile {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) mime_type: String,
    pub(crate) description: Option<String>,
    size: Option<String>,
    pub(crate) md5_checksum: Option<String>,
    #[serde(default)]
    pub(crate) parents: Vec<String>,
    pub(crate) drive_id: Option<String>,
    web_view_link: Option<String>,
    created_time: Option<Timestamp>,
    modified_time: Option<Timestamp>,
    #[serde(default)]
    pub(crate) trashed: bool,
    #[serde(default)]
    pub(crate) app_properties: BTreeMap<String, String>,
}

/// A file or folder.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FileInfo {
    /// For later calls: `file_id`, or `folder_id` if it is a folder.
    id: String,
    name: String,
    /// Media type; Google's own begin with `application/vnd.google-apps.`.
    mime_type: String,
    is_folder: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Bytes; Google's own formats have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// MD5 of the content, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    md5: Option<String>,
    /// The folder or shared drive that it is in, if the account may see that.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder_id: Option<String>,
    /// The shared drive that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    drive_id: Option<String>,
    /// Where people open it.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    /// RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    created_at: Option<Timestamp>,
    /// RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    modified_at: Option<Timestamp>,
    /// Whether it is in the trash.
    is_trashed: bool,
}

/// What came of a call that makes something.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Made {
    /// Nothing in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<FileInfo>,
    /// An earlier call with this idempotency key had made it.
    pub(crate) replayed: bool,
    /// Nothing was changed: this says what would be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) would: Option<String>,
}

impl Made {
    pub(crate) fn new(file: DriveFile, replayed: bool) -> Self {
        Self {
            file: Some(file.into()),
            replayed,
            would: None,
        }
    }

    pub(crate) fn would(what: String) -> Self {
        Self {
            file: None,
            replayed: false,
            would: Some(what),
        }
    }
}

impl DriveFile {
    pub(crate) fn is_folder(&self) -> bool {
        self.mime_type == FOLDER
    }

    pub(crate) fn is_google(&self) -> bool {
        self.mime_type.starts_with("application/vnd.google-apps.")
    }

    pub(crate) fn size(&self) -> Option<u64> {
        self.size.as_ref()?.parse().ok()
    }
}

impl From<DriveFile> for FileInfo {
    fn from(file: DriveFile) -> Self {
        Self {
            is_folder: file.is_folder(),
            size: file.size(),
            folder_id: file.parents.into_iter().next(),
            id: file.id,
            name: file.name,
            mime_type: file.mime_type,
            description: file.description,
            md5: file.md5_checksum,
            drive_id: file.drive_id,
            link: file.web_view_link,
            created_at: file.created_time,
            modified_at: file.modified_time,
            is_trashed: file.trashed,
        }
    }
}

/// A name without control characters and not blank.
pub(crate) fn plain_name(name: &str) -> Result<(), ValidationError> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(ValidationError::new("name").with_message(Cow::Borrowed(
            "must not be blank and must not hold control characters or line ends",
        )));
    }
    Ok(())
}

/// An id of Drive: letters, digits, `-` and `_`; or `root`.
pub(crate) fn drive_id(id: &str) -> Result<(), ValidationError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.is_empty() || id.len() > 128 || !id.bytes().all(is_plain) {
        return Err(ValidationError::new("id").with_message(Cow::Borrowed(
            "must be an id of Drive, as other tools give it: letters, digits, - and _",
        )));
    }
    Ok(())
}

/// `type/subtype`, with parameters or without (RFC 6838).
pub(crate) fn media_type(text: &str) -> Result<(), ValidationError> {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_token = |part: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        (1..=127).contains(&part.len()) && part.bytes().all(is_plain)
    };
    let is_sane = essence
        .split_once('/')
        .is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
    let is_line = text.len() <= 200 && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !is_sane || !is_line || essence.starts_with("application/vnd.google-apps.") {
        return Err(ValidationError::new("media_type").with_message(Cow::Borrowed(
            "must be a media type such as application/pdf; Google's own formats are made with create_document and create_folder",
        )));
    }
    Ok(())
}
