//! Where an upload's bytes come from, and how small ones are sent.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use mcp_kit::{Content, ToolError};
use md5::{Digest, Md5};
use serde_json::Value;

/// Bytes of a chunk: a multiple of 256 KiB, as Drive wants it. What fits into one goes in a single request.
pub(crate) const CHUNK: usize = 2 * 1024 * 1024;
/// Room for the piece that fills a chunk over.
const SPARE: usize = 256 * 1024;

/// The bytes of an upload, read in chunks and hashed on the way.
pub(crate) struct Source {
    content: Option<Content>,
    buffer: BytesMut,
    hash: Md5,
    /// Bytes read so far.
    pub(crate) read: u64,
}

impl Source {
    pub(crate) fn stream(content: Content) -> Self {
        Self {
            content: Some(content),
            buffer: BytesMut::with_capacity(CHUNK + SPARE),
            hash: Md5::new(),
            read: 0,
        }
    }

    pub(crate) fn whole(content: Vec<u8>) -> Self {
        let mut source = Self {
            content: None,
            buffer: BytesMut::from(Bytes::from(content)),
            hash: Md5::new(),
            read: 0,
        };
        source.read = u64::try_from(source.buffer.len()).unwrap_or(u64::MAX);
        source.hash.update(&source.buffer);
        source
    }

    /// The next chunk; the last one, and only that, may be shorter or empty.
    pub(crate) async fn chunk(&mut self) -> Result<(Bytes, bool), ToolError> {
        // One byte more than a chunk tells that this one is not the last.
        while self.buffer.len() <= CHUNK {
            let Some(content) = &self.content else {
                break;
            };
            match content.chunk().await? {
                Some(piece) => {
                    self.hash.update(&piece);
                    self.read += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                    self.buffer.reserve(
                        (CHUNK + SPARE)
                            .saturating_sub(self.buffer.len())
                            .max(piece.len()),
                    );
                    self.buffer.extend_from_slice(&piece);
                }
                None => self.content = None,
            }
        }
        let is_last = self.buffer.len() <= CHUNK && self.content.is_none();
        let length = self.buffer.len().min(CHUNK);
        Ok((self.buffer.split_to(length).freeze(), is_last))
    }

    /// MD5 of everything, in hex, as Drive tells it.
    pub(crate) fn md5(self) -> String {
        hex::encode(self.hash.finalize())
    }
}

/// Content from the arguments.
pub(crate) fn decoded(base64: &str) -> Result<Vec<u8>, ToolError> {
    BASE64_STANDARD.decode(base64).map_err(|_| {
        ToolError::field(
            "/content_base64",
            "base64",
            "must be base64 with padding (RFC 4648)",
        )
    })
}

/// A body of `multipart/related` (RFC 2387), and its media type.
pub(crate) fn multipart(
    metadata: &Value,
    media_type: &str,
    content: &[u8],
) -> Result<(String, Bytes), ToolError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| ToolError::internal(anyhow::anyhow!("{error}")))?;
    let boundary = hex::encode(random);
    let head = format!(
        "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n--{boundary}\r\nContent-Type: {media_type}\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let body = [head.as_bytes(), content, tail.as_bytes()].concat();
    Ok((
        format!("multipart/related; boundary={boundary}"),
        body.into(),
    ))
}
