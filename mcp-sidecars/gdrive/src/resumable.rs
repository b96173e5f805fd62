//! Large files in chunks: what arrived is asked after each mishap, and only what is missing is sent again.

use std::time::Duration;

use bytes::Bytes;
use mcp_kit::{Call, Code, Outgoing, Reply, ToolError};
use reqwest::{Method, StatusCode, Url, header};
use serde_json::Value;

use crate::{
    content::{CHUNK, Source},
    drive::{Drive, uploads},
    files::DriveFile,
};

/// Mishaps in a row, without a byte more at Drive, after which an upload is given up.
const PATIENCE: u32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How far an upload is.
enum State {
    /// So many bytes from the beginning are there.
    Partly(u64),
    Done(Box<DriveFile>),
}

/// A resumable upload at Drive.
struct Session<'a> {
    drive: &'a Drive,
    call: &'a Call,
    /// The query of the session's address; the rest of it is ours.
    query: Vec<(String, String)>,
}

impl Drive {
    /// Stores `first` and what follows it.
    pub(crate) async fn store_in_chunks(
        &self,
        call: &Call,
        metadata: &Value,
        first: Bytes,
        source: &mut Source,
        length: Option<u64>,
    ) -> Result<DriveFile, ToolError> {
        let session = self.begin(call, metadata, length).await?;
        let (mut chunk, mut is_last, mut at) = (first, false, 0);
        loop {
            let total = is_last.then(|| at + size(&chunk));
            if let Some(file) = session.send(chunk, at, total).await? {
                return Ok(file);
            }
            if is_last {
                return Err(lost("Drive does not end the upload"));
            }
            at += size_of_chunk();
            (chunk, is_last) = source.chunk().await?;
        }
    }

    async fn begin<'a>(
        &'a self,
        call: &'a Call,
        metadata: &Value,
        length: Option<u64>,
    ) -> Result<Session<'a>, ToolError> {
        let kind = metadata["mimeType"].as_str().unwrap_or_default();
        let mut request = uploads(Method::POST, "resumable")
            .header("x-upload-content-type", kind)
            .json(metadata)?
            .repeatable();
        if let Some(length) = length {
            request = request.header("x-upload-content-length", length.to_string());
        }
        let reply = self.google().send(call, request).await?;
        let query = session_query(&reply).ok_or_else(|| lost("Drive gave no upload session"))?;
        Ok(Session {
            drive: self,
            call,
            query,
        })
    }
}

impl Session<'_> {
    /// Sends a chunk that begins at `at`, as often as it takes; the file when `total` is reached.
    async fn send(
        &self,
        chunk: Bytes,
        at: u64,
        total: Option<u64>,
    ) -> Result<Option<DriveFile>, ToolError> {
        let end = at + size(&chunk);
        let (mut there, mut mishaps) = (at, 0);
        loop {
            let outcome = match self
                .put(chunk.slice(index(there - at)..), there, total)
                .await
            {
                Err(error) if is_passing(&error) => {
                    mishaps += 1;
                    self.pause(mishaps, error).await?;
                    self.ask(total).await
                }
                outcome => outcome,
            };
            let reached = match outcome {
                Ok(State::Done(file)) => return Ok(Some(*file)),
                Ok(State::Partly(reached)) => reached,
                Err(error) if is_passing(&error) && mishaps < PATIENCE => continue,
                Err(error) => return Err(error),
            };
            if !(at..=end).contains(&reached) {
                return Err(lost("Drive has another part of the upload than was sent"));
            }
            if reached == end && total.is_none() {
                return Ok(None);
            }
            if reached > there {
                mishaps = 0;
            } else {
                mishaps += 1;
            }
            if mishaps >= PATIENCE {
                return Err(lost("the upload does not get on"));
            }
            there = reached;
        }
    }

    /// Waits a little longer after each mishap, or gives up with its error.
    async fn pause(&self, mishaps: u32, error: ToolError) -> Result<(), ToolError> {
        let usual = Duration::from_millis(250).saturating_mul(1 << mishaps.min(6));
        let pause = error
            .retry_after
            .map_or(usual, |wish| wish.min(usual))
            .min(LONGEST_PAUSE);
        if mishaps >= PATIENCE || self.call.remaining() < pause {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    async fn put(&self, part: Bytes, at: u64, total: Option<u64>) -> Result<State, ToolError> {
        let end = at + size(&part);
        let total = total.map_or("*".to_owned(), |total| total.to_string());
        let range = if part.is_empty() {
            format!("bytes */{total}")
        } else {
            format!("bytes {at}-{}/{total}", end - 1)
        };
        let request = self
            .request(range)
            .bytes("application/octet-stream", part)
            .once();
        Self::read(&self.drive.google().exchange(self.call, request).await?)
    }

    async fn ask(&self, total: Option<u64>) -> Result<State, ToolError> {
        let total = total.map_or("*".to_owned(), |total| total.to_string());
        let request = self
            .request(format!("bytes */{total}"))
            .bytes("application/octet-stream", Bytes::new());
        Self::read(&self.drive.google().exchange(self.call, request).await?)
    }

    fn request(&self, range: String) -> Outgoing {
        let request = Outgoing::new(Method::PUT, ["upload", "drive", "v3", "files"]);
        let request = request.header("content-range", range);
        self.query
            .iter()
            .fold(request, |request, (name, value)| request.query(name, value))
    }

    fn read(reply: &Reply) -> Result<State, ToolError> {
        match reply.status {
            StatusCode::PERMANENT_REDIRECT => {
                let range = reply.headers.get(header::RANGE);
                let Some(range) = range else {
                    return Ok(State::Partly(0));
                };
                let last = range
                    .to_str()
                    .ok()
                    .and_then(|text| text.strip_prefix("bytes=0-"));
                let last = last.and_then(|last| last.parse::<u64>().ok());
                let last = last.ok_or_else(|| lost("Drive does not tell how far the upload is"))?;
                Ok(State::Partly(last.saturating_add(1)))
            }
            status if status.is_success() => Ok(State::Done(Box::new(reply.json()?))),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(lost("Drive gave the upload up")),
            _ => Err(event_planner_google::failure(reply)),
        }
    }
}

/// What may go better the next time.
fn is_passing(error: &ToolError) -> bool {
    matches!(error.code, Code::Unavailable | Code::RateLimited)
}

/// The session's address must be what we know it to be; only its query is taken over.
fn session_query(reply: &Reply) -> Option<Vec<(String, String)>> {
    let location = reply.headers.get(header::LOCATION)?.to_str().ok()?;
    let address: Url = location.parse().ok()?;
    let pairs: Vec<(String, String)> = address.query_pairs().into_owned().collect();
    let is_known = address.path().ends_with("/upload/drive/v3/files");
    (is_known && pairs.iter().any(|(name, _)| name == "upload_id")).then_some(pairs)
}

/// Begin anew: with the same key, nothing is made twice.
fn lost(words: &'static str) -> ToolError {
    ToolError::unavailable(words, Duration::from_secs(1))
}

fn size(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn size_of_chunk() -> u64 {
    u64::try_from(CHUNK).unwrap_or(u64::MAX)
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
