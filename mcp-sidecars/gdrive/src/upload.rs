//! Files, from the arguments or from a stream.

use mcp_kit::{Call, ToolError};
use md5::Md5;
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use validator::Validate;

use crate::{
    content::{Source, decoded, multipart},
    drive::{Drive, uploads},
    files::{DriveFile, Made, drive_id, media_type, plain_name},
    keys::reused,
};

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadFile {
    /// The file's name, with its extension.
    #[validate(length(min = 1, max = 255), custom(function = "plain_name"))]
    name: String,
    /// The folder or shared drive to store it in; the server's own choice without it.
    #[validate(custom(function = "drive_id"))]
    folder_id: Option<String>,
    /// Media type such as `application/pdf`; that of the content without it.
    #[validate(custom(function = "media_type"))]
    mime_type: Option<String>,
    /// The content, if it is a text.
    #[validate(length(max = 500_000))]
    text: Option<String>,
    /// The content, base64 with padding (RFC 4648), if it is no text.
    #[validate(length(max = 700_000))]
    content_base64: Option<String>,
    /// Any text, new for each file wanted: the same again gives back the file made first.
    #[validate(length(min = 1, max = 255))]
    idempotency_key: Option<String>,
    /// Only check, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// `upload_file`.
pub(crate) async fn upload_file(
    drive: Drive,
    call: Call,
    mut wanted: UploadFile,
) -> Result<Made, ToolError> {
    let (given, told) = content_of(&mut wanted, &call)?;
    if let Given::Whole(content) = &given
        && u64::try_from(content.len()).is_ok_and(|length| length > drive.max_file_bytes())
    {
        let words = format!("the content has more than {} bytes", drive.max_file_bytes());
        return Err(ToolError::refused(words));
    }
    let folder = drive
        .folder(&call, wanted.folder_id.as_deref(), "/folder_id")
        .await?;
    if wanted.dry_run {
        return Ok(Made::would(format!(
            "store {:?} in {:?}",
            wanted.name, folder.name
        )));
    }
    let kind = wanted.mime_type.unwrap_or(told);
    let mut metadata = json!({ "name": wanted.name, "mimeType": kind, "parents": [folder.id] });
    let key = wanted.idempotency_key.as_deref();
    let request = json!([metadata, given.identity()]);
    let mark = drive.mark(&call, "upload_file", key, &request).await?;
    if key.is_some()
        && let Some(made) = drive.made(&call, &mark).await?
    {
        given.check_same(&made).await?;
        return Ok(Made::new(made, true));
    }
    metadata["appProperties"] = mark.properties();
    metadata["id"] = drive.new_id(&call).await?.into();
    let _turn = drive.turn().await?;
    let (source, length) = match given {
        Given::Whole(content) => (Source::whole(content), None),
        Given::Stream(content) => {
            let length = content.length;
            (Source::stream(content), length)
        }
    };
    let file = drive.store(&call, &metadata, source, length).await?;
    drive.remember(&mark, &file);
    Ok(Made::new(file, false))
}

enum Given {
    Whole(Vec<u8>),
    Stream(mcp_kit::Content),
}

impl Given {
    /// What tells this content from other content before it is read; nothing for a stream.
    fn identity(&self) -> Value {
        match self {
            Self::Whole(content) => json!([content.len(), hex::encode(Sha256::digest(content))]),
            Self::Stream(_) => Value::Null,
        }
    }

    /// Refuses a stream that is not what the key has stored. It is read to its end, unless its length tells.
    async fn check_same(self, stored: &DriveFile) -> Result<(), ToolError> {
        let Self::Stream(content) = self else {
            return Ok(());
        };
        if content.length.is_some() && content.length != stored.size() {
            return Err(reused());
        }
        let (mut read, mut hash) = (0, Md5::new());
        while let Some(piece) = content.chunk().await? {
            read += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            hash.update(&piece);
        }
        let md5 = hex::encode(hash.finalize());
        if (Some(read), Some(&md5)) != (stored.size(), stored.md5_checksum.as_ref()) {
            return Err(reused());
        }
        Ok(())
    }
}

/// The content from its one place, and its media type.
fn content_of(wanted: &mut UploadFile, call: &Call) -> Result<(Given, String), ToolError> {
    match (
        wanted.text.take(),
        wanted.content_base64.take(),
        call.content.clone(),
    ) {
        (Some(text), None, None) => Ok((Given::Whole(text.into()), "text/plain".to_owned())),
        (None, Some(base64), None) => Ok((
            Given::Whole(decoded(&base64)?),
            "application/octet-stream".to_owned(),
        )),
        (None, None, Some(content)) => {
            let kind = content.media_type.to_string();
            if wanted.mime_type.is_none() && media_type(&kind).is_err() {
                let words = "send the content's media type as Content-Type, or name it";
                return Err(ToolError::field("/mime_type", "media_type", words));
            }
            Ok((Given::Stream(content), kind))
        }
        _ => Err(ToolError::invalid(
            "give the content in one way: text, content_base64, or the body of POST /mcp/tools/upload_file/content",
        )),
    }
}

impl Drive {
    /// Stores the bytes under the id in `metadata`: in one request if they fit into a chunk, else resumable.
    async fn store(
        &self,
        call: &Call,
        metadata: &Value,
        mut source: Source,
        length: Option<u64>,
    ) -> Result<DriveFile, ToolError> {
        let (first, is_last) = source.chunk().await?;
        let file = if is_last {
            let kind = metadata["mimeType"].as_str().unwrap_or_default();
            let (kind, body) = multipart(metadata, kind, &first)?;
            drop(first);
            let request = uploads(Method::POST, "multipart")
                .bytes(kind, body)
                .repeatable();
            self.create_with_id(call, request, metadata).await?
        } else {
            self.store_in_chunks(call, metadata, first, &mut source, length)
                .await?
        };
        let wanted = (source.read, source.md5());
        let got = (
            file.size().unwrap_or_default(),
            file.md5_checksum.clone().unwrap_or_default(),
        );
        if got != wanted {
            let cause = anyhow::anyhow!("sent {wanted:?}, Drive has {got:?}");
            let words = "Drive has other bytes than were sent: trash the file and upload it anew";
            let error = ToolError::refused(words).with_details(json!({ "file_id": file.id }));
            return Err(error.with_cause(cause));
        }
        Ok(file)
    }
}
