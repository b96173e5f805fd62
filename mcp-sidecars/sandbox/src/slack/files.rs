//! Uploads in three steps: ask for an address, send the bytes there, and share the file.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State as Extract},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::{
    call::{Call, Refusal},
    text::Draft,
    things::{File, Message},
};
use crate::world::World;

/// As at Slack, 1 GB.
const LARGEST: u64 = 1024 * 1024 * 1024;
/// Bytes of a file that are kept to be shown.
const PREVIEW: usize = 2_000;

pub(super) fn upload_url(call: &mut Call) -> Result<Value, Refusal> {
    let name = call.arguments.required("filename")?;
    call.arguments.required("length")?;
    let length = call.arguments.integer("length").and_then(Result::ok);
    let size = length.and_then(|length| u64::try_from(length).ok());
    let size = size.filter(|size| *size > 0);
    let size = size.ok_or_else(|| Refusal::new("missing_argument"))?;
    if size > LARGEST {
        return Err(Refusal::new("file_upload_size_restricted"));
    }
    let id = call.state.next_id("F");
    let ticket = format!("sandbox-ticket-{}", call.state.made);
    let upload_url = format!("{}/slack/upload/v1/{ticket}", call.base_url);
    call.state.files.push(File {
        id: id.clone(),
        ticket,
        title: name.clone(),
        name,
        size,
        user: call.grant.user.clone(),
        created: call.now.as_second(),
        preview: String::new(),
        is_uploaded: false,
        is_complete: false,
    });
    Ok(json!({ "upload_url": upload_url, "file_id": id }))
}

/// Takes the bytes as they come and keeps their beginning. The address is the permission, and works once.
pub(super) async fn take(
    Extract(world): Extract<Arc<World>>,
    Path(ticket): Path<String>,
    body: Body,
) -> Response {
    let wanted = {
        let things = world.things();
        let mut files = things.slack.files.iter();
        files
            .find(|file| file.ticket == ticket && !file.is_uploaded)
            .map(|file| file.size)
    };
    let Some(wanted) = wanted else {
        return (StatusCode::NOT_FOUND, "no such upload").into_response();
    };
    let mut bytes = body.into_data_stream();
    let (mut size, mut preview) = (0_u64, Vec::new());
    while let Some(chunk) = bytes.next().await {
        let Ok(chunk) = chunk else {
            return (StatusCode::BAD_REQUEST, "the upload broke off").into_response();
        };
        size = size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        let room = PREVIEW.saturating_sub(preview.len()).min(chunk.len());
        preview.extend_from_slice(&chunk[..room]);
        if size > wanted {
            break;
        }
    }
    if size != wanted {
        return (StatusCode::BAD_REQUEST, "not the length that was announced").into_response();
    }
    let mut things = world.things();
    let mut files = things.slack.files.iter_mut();
    if let Some(file) = files.find(|file| file.ticket == ticket) {
        file.is_uploaded = true;
        file.preview = String::from_utf8(preview).unwrap_or_default();
    }
    format!("OK - {size}").into_response()
}

pub(super) fn complete(call: &mut Call) -> Result<Value, Refusal> {
    let files = call.arguments.json("files");
    let files = files
        .and_then(Result::ok)
        .and_then(|files| files.as_array().cloned());
    let files = files.filter(|files| !files.is_empty());
    let files = files.ok_or_else(|| Refusal::new("invalid_arguments"))?;
    let mut channels = call.arguments.words("channels");
    channels.extend(call.arguments.text("channel_id"));
    let ids = check(call, &files)?;
    let comment = call.arguments.text("initial_comment").unwrap_or_default();
    let mut messages = Vec::new();
    for wanted in &channels {
        let channel = call.find_channel(wanted);
        let channel = channel.ok_or_else(|| Refusal::new("channel_not_found"))?;
        if !channel.members.contains(&call.grant.user) || channel.is_archived {
            return Err(Refusal::new("not_in_channel"));
        }
        messages.push(Message {
            channel: channel.id,
            user: call.grant.user.clone(),
            text: comment.clone(),
            thread_ts: call.arguments.text("thread_ts"),
            files: ids.clone(),
            ..Message::default()
        });
    }
    if !comment.is_empty() {
        call.arguments.0.insert("text".to_owned(), json!(comment));
        let text = Draft::read(&call.arguments)?.text;
        for message in &mut messages {
            message.text.clone_from(&text);
        }
    }
    for mut message in messages {
        message.ts = call.state.next_ts(call.now);
        call.state.messages.push(message);
    }
    for file in &mut call.state.files {
        if let Some(asked) = files.iter().find(|asked| asked["id"] == file.id.as_str()) {
            file.is_complete = true;
            if let Some(title) = asked["title"].as_str() {
                title.clone_into(&mut file.title);
            }
        }
    }
    let state = &*call.state;
    let shown = state.files.iter().filter(|file| ids.contains(&file.id));
    Ok(json!({ "files": shown.map(|file| state.show_file(file)).collect::<Vec<_>>() }))
}

/// The ids of files that have arrived and are not completed yet.
fn check(call: &Call, files: &[Value]) -> Result<Vec<String>, Refusal> {
    let ready = |asked: &Value| {
        let id = asked["id"].as_str()?;
        let mut files = call.state.files.iter();
        let file = files.find(|file| file.id == id && file.is_uploaded && !file.is_complete)?;
        Some(file.id.clone())
    };
    let ids: Option<Vec<String>> = files.iter().map(ready).collect();
    ids.ok_or_else(|| Refusal::new("file_not_found"))
}

pub(super) fn info(call: &mut Call) -> Result<Value, Refusal> {
    let id = call.arguments.required("file")?;
    let mut files = call.state.files.iter();
    let file = files.find(|file| file.id == id && file.is_complete);
    let file = file.ok_or_else(|| Refusal::new("file_not_found"))?;
    Ok(json!({ "file": call.state.show_file(file) }))
}
