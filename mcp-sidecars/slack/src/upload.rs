//! Files: ask for an address, send the bytes there, share the file.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use mcp_kit::{Call, Code, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use validator::{Validate, ValidationError};

use crate::{
    channels::Channel,
    error::is_unknown,
    ledger::Turn,
    messages::{timestamp, unknown},
    text::outgoing,
    workspace::Workspace,
};

#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadFile {
    /// Id (`C…`) or name of the channel in which the file is shared.
    #[validate(length(min = 1, max = 100))]
    channel: String,
    /// With its ending, such as `guests.csv`.
    #[validate(length(min = 1, max = 255), custom(function = "file_name"))]
    filename: String,
    /// The bytes in base64 (RFC 4648, with padding); capabilities says how many at most.
    #[schemars(extend("contentEncoding" = "base64"))]
    #[validate(length(min = 1))]
    content_base64: String,
    /// Shown instead of the file's name.
    #[validate(length(min = 1, max = 255))]
    title: Option<String>,
    /// A message to go with it, as in `post_message`.
    #[validate(length(min = 1, max = 40_000))]
    comment: Option<String>,
    /// `ts` of a message, to share the file in its thread.
    #[validate(custom(function = "timestamp"))]
    thread_ts: Option<String>,
    /// Any text, unique for this file; the same call with it again shares nothing more, as long as this server runs.
    #[validate(length(min = 1, max = 200))]
    idempotency_key: Option<String>,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct UploadedFile {
    channel_id: String,
    channel_name: String,
    /// Missing in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_id: Option<String>,
    filename: String,
    /// Bytes.
    size: usize,
    /// It was shared by an earlier call with this key.
    replayed: bool,
    dry_run: bool,
}

#[derive(Deserialize)]
struct Address {
    upload_url: String,
    file_id: String,
}

#[derive(Deserialize)]
struct Info {
    file: Value,
}

fn file_name(name: &str) -> Result<(), ValidationError> {
    if !name
        .chars()
        .any(|char| char.is_control() || matches!(char, '/' | '\\'))
    {
        return Ok(());
    }
    Err(ValidationError::new("filename").with_message("a name without folders".into()))
}

/// What is shared, once.
struct Parcel<'a> {
    channel: Channel,
    arguments: &'a UploadFile,
    bytes: Vec<u8>,
    comment: Option<String>,
}

pub(crate) async fn upload_file(
    workspace: Arc<Workspace>,
    call: Call,
    arguments: UploadFile,
) -> Result<UploadedFile, ToolError> {
    let settings = &workspace.settings;
    let bytes = decode(&arguments.content_base64, settings.max_file_bytes)?;
    let comment = arguments
        .comment
        .as_deref()
        .map(|text| outgoing(settings, text, false));
    let parcel = Parcel {
        comment: comment.transpose()?,
        channel: workspace.channel(&call, &arguments.channel).await?,
        arguments: &arguments,
        bytes,
    };
    workspace
        .check_thread(&call, &parcel.channel.id, arguments.thread_ts.as_deref())
        .await?;
    if arguments.dry_run {
        return Ok(parcel.shared(None, false));
    }
    let key = arguments.idempotency_key.as_deref();
    let work = |turn| workspace.share(&call, &parcel, turn);
    workspace
        .ledger
        .once(&call, "upload_file", key, &arguments, work)
        .await
}

fn decode(text: &str, most: u32) -> Result<Vec<u8>, ToolError> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    // Before anything is decoded.
    if text.len() / 4 > most.div_ceil(3) {
        let detail = format!("more than {most} bytes (MAX_FILE_BYTES)");
        return Err(ToolError::field("/content_base64", "size", &detail));
    }
    let bytes = BASE64.decode(text).map_err(|_| {
        ToolError::field(
            "/content_base64",
            "base64",
            "not base64 as in RFC 4648, with padding",
        )
    })?;
    if bytes.is_empty() || bytes.len() > most {
        let detail = format!("between 1 and {most} bytes (MAX_FILE_BYTES)");
        return Err(ToolError::field("/content_base64", "size", &detail));
    }
    Ok(bytes)
}

impl Parcel<'_> {
    fn shared(&self, file_id: Option<String>, replayed: bool) -> UploadedFile {
        UploadedFile {
            channel_id: self.channel.id.clone(),
            channel_name: self.channel.name.clone(),
            dry_run: file_id.is_none(),
            file_id,
            filename: self.arguments.filename.clone(),
            size: self.bytes.len(),
            replayed,
        }
    }
}

impl Workspace {
    /// Only the last step shows anything to anybody. Whether it was done is asked of the file itself.
    async fn share(
        &self,
        call: &Call,
        parcel: &Parcel<'_>,
        turn: Turn,
    ) -> Result<UploadedFile, ToolError> {
        if let Some(file_id) = turn.note()
            && self.is_shared(call, &file_id, &parcel.channel.id).await?
        {
            return Ok(parcel.shared(Some(file_id), true));
        }
        self.count_message()?;
        let arguments = vec![
            ("filename", parcel.arguments.filename.clone()),
            ("length", parcel.bytes.len().to_string()),
        ];
        let address: Address = self
            .slack
            .write(call, "files.getUploadURLExternal", arguments)
            .await?;
        self.slack
            .upload(call, &address.upload_url, parcel.bytes.clone())
            .await?;
        turn.leave(&address.file_id);
        let ended = self.complete(call, parcel, &address.file_id).await;
        match ended {
            Err(error) if is_unknown(&error) => {
                let is_shared = self
                    .is_shared(call, &address.file_id, &parcel.channel.id)
                    .await;
                if matches!(is_shared, Ok(true)) {
                    return Ok(parcel.shared(Some(address.file_id), false));
                }
                Err(unknown(error, turn.mark.is_some()))
            }
            other => other.map(|_| parcel.shared(Some(address.file_id), false)),
        }
    }

    async fn complete(
        &self,
        call: &Call,
        parcel: &Parcel<'_>,
        file_id: &str,
    ) -> Result<Value, ToolError> {
        let title = parcel
            .arguments
            .title
            .as_ref()
            .unwrap_or(&parcel.arguments.filename);
        let mut fields = vec![
            (
                "files",
                json!([{ "id": file_id, "title": title }]).to_string(),
            ),
            ("channel_id", parcel.channel.id.clone()),
        ];
        fields.extend(parcel.comment.clone().map(|text| ("initial_comment", text)));
        fields.extend(
            parcel
                .arguments
                .thread_ts
                .clone()
                .map(|ts| ("thread_ts", ts)),
        );
        self.slack
            .write(call, "files.completeUploadExternal", fields)
            .await
    }

    async fn is_shared(
        &self,
        call: &Call,
        file_id: &str,
        channel: &str,
    ) -> Result<bool, ToolError> {
        let arguments = vec![("file", file_id.to_owned())];
        match self.slack.read::<Info>(call, "files.info", arguments).await {
            Ok(info) => {
                let shares = &info.file["shares"];
                Ok(["public", "private"]
                    .iter()
                    .any(|kind| shares[kind][channel].is_array()))
            }
            Err(error) if error.code == Code::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
