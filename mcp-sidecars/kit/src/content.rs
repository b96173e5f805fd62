//! Bytes that travel beside the arguments: what a tool takes, and what it gives.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use anyhow::anyhow;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::{
    Stream, StreamExt, TryStreamExt, stream,
    stream::{BoxStream, Fuse},
};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit},
    time::Instant,
};

use crate::{call::Call, error::ToolError, record::Record};

/// What a tool gives where bytes must fit in JSON; larger content goes over the HTTP wrapper.
pub(crate) const INLINE_LIMIT: usize = 256 * 1024;

type Pieces<E> = BoxStream<'static, Result<Bytes, E>>;

/// Bytes that come with a call: the body of `POST /mcp/tools/{tool}/content`. Read once; clones share the stream.
#[derive(Clone)]
pub struct Content {
    /// `Content-Type` of the body, `application/octet-stream` without one.
    pub media_type: Arc<str>,
    /// `Content-Length`; not known of a body that comes in chunks.
    pub length: Option<u64>,
    limit: u64,
    idle: Duration,
    fault: Arc<AtomicU8>,
    source: Arc<Mutex<(u64, Fuse<Pieces<anyhow::Error>>)>>,
}

/// Why the content could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    TooLarge,
    TooSlow,
    Broken,
}

impl Content {
    /// At most `limit` bytes, each piece within `idle`.
    pub(crate) fn new<E: Into<anyhow::Error> + 'static>(
        media_type: &str,
        length: Option<u64>,
        body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
        limit: u64,
        idle: Duration,
    ) -> Self {
        let pieces: Pieces<anyhow::Error> = body.map_err(Into::into).boxed();
        Self {
            media_type: media_type.into(),
            length,
            limit,
            idle,
            fault: Arc::default(),
            source: Arc::new(Mutex::new((0, pieces.fuse()))),
        }
    }

    /// The next piece, or nothing at the end.
    ///
    /// # Errors
    /// REFUSED over the tool's limit, UNAVAILABLE when the caller is too slow or gone.
    pub async fn chunk(&self) -> Result<Option<Bytes>, ToolError> {
        let mut source = self.source.lock().await;
        let Ok(next) = tokio::time::timeout(self.idle, source.1.next()).await else {
            return Err(self.fail(Fault::TooSlow));
        };
        let Some(piece) = next else {
            return Ok(None);
        };
        let piece = piece.map_err(|error| {
            tracing::debug!(%error, "content not read");
            self.fail(Fault::Broken)
        })?;
        source.0 += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if source.0 > self.limit {
            return Err(self.fail(Fault::TooLarge));
        }
        Ok(Some(piece))
    }

    /// Why [`chunk`](Self::chunk) failed, if it did.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match self.fault.load(Ordering::Relaxed) {
            1 => Some(Fault::TooLarge),
            2 => Some(Fault::TooSlow),
            3 => Some(Fault::Broken),
            _ => None,
        }
    }

    fn fail(&self, fault: Fault) -> ToolError {
        let number = match fault {
            Fault::TooLarge => 1,
            Fault::TooSlow => 2,
            Fault::Broken => 3,
        };
        self.fault.store(number, Ordering::Relaxed);
        let again = Duration::from_secs(1);
        match fault {
            Fault::TooLarge => {
                ToolError::refused(format!("the content has more than {} bytes", self.limit))
            }
            Fault::TooSlow => ToolError::unavailable("the content did not come in time", again),
            Fault::Broken => ToolError::unavailable("the content ended too soon", again),
        }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({}, {:?} bytes)", self.media_type, self.length)
    }
}

/// What a tool made by [`Tool::download`](crate::Tool::download) gives: the body of `GET /mcp/tools/{tool}/content`,
/// and base64 in JSON for all who cannot take a stream.
pub struct Download {
    /// A file name for the receiver.
    pub name: String,
    pub media_type: String,
    /// Bytes of the body, if known.
    pub length: Option<u64>,
    /// `Content-Range` (RFC 9110) where the body is the part that [`Call::range`] asked for.
    pub content_range: Option<String>,
    /// A validator for later requests, with its quotes.
    pub etag: Option<String>,
    pub body: Pieces<ToolError>,
}

/// A download in JSON.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InlineDownload {
    /// File name.
    name: String,
    /// Media type (RFC 6838) of the decoded content.
    media_type: String,
    /// Bytes of the decoded content.
    size: usize,
    /// The content, base64 with padding (RFC 4648).
    content_base64: String,
}

impl Download {
    /// The whole body, if it is small enough for JSON.
    pub(crate) async fn inline(mut self) -> Result<InlineDownload, ToolError> {
        let too_large = || {
            ToolError::refused(format!(
                "the content has more than {INLINE_LIMIT} bytes: fetch it with GET /mcp/tools/<tool>/content, \
                 the arguments in the header Tool-Arguments"
            ))
        };
        let most = u64::try_from(INLINE_LIMIT).unwrap_or(u64::MAX);
        if self.length.is_some_and(|length| length > most) {
            return Err(too_large());
        }
        let mut content = Vec::new();
        while let Some(piece) = self.body.next().await {
            content.extend_from_slice(&piece?);
            if content.len() > INLINE_LIMIT {
                return Err(too_large());
            }
        }
        Ok(InlineDownload {
            name: self.name,
            media_type: self.media_type,
            size: content.len(),
            content_base64: BASE64_STANDARD.encode(&content),
        })
    }

    /// Keeps the call's place, deadline and record until the last piece is gone.
    pub(crate) fn guarded(
        mut self,
        call: &Call,
        place: OwnedSemaphorePermit,
        record: Record,
    ) -> Self {
        let (deadline, cancelled) = (call.deadline, call.cancelled.clone());
        let guarded = stream::unfold(Some((self.body, place, record)), move |state| {
            let cancelled = cancelled.clone();
            async move {
                let (mut body, place, mut record) = state?;
                let next = tokio::select! {
                    next = next_piece(&mut body, deadline) => next,
                    () = cancelled.cancelled() => Some(Err(ToolError::refused("the call was cancelled"))),
                };
                match next {
                    Some(Ok(piece)) => Some((Ok(piece), Some((body, place, record)))),
                    Some(Err(error)) => {
                        record.broken(&error);
                        Some((Err(error), None))
                    }
                    None => {
                        record.sent();
                        None
                    }
                }
            }
        });
        self.body = guarded.boxed();
        self
    }
}

async fn next_piece(
    body: &mut Pieces<ToolError>,
    deadline: Instant,
) -> Option<Result<Bytes, ToolError>> {
    tokio::time::timeout_at(deadline, body.next())
        .await
        .unwrap_or_else(|_| Some(Err(ToolError::timeout())))
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Download({}, {:?} bytes)", self.media_type, self.length)
    }
}

/// The error with which a broken body ends its connection.
pub(crate) fn broken_body(error: &ToolError) -> anyhow::Error {
    anyhow!("{}", error.code.as_str())
}
