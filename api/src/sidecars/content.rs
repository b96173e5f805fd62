//! Bytes to and from a sidecar, piece by piece: see the kit's CONTENT.md.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::body::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use mcp_kit::{Incoming, ToolError};
use serde::{Serialize, de::DeserializeOwned};

use super::{Errand, Sidecar, SidecarError, is_own};

/// Bytes on their way in.
pub struct Upload {
    pub media_type: String,
    /// How many, if that is known.
    pub length: Option<u64>,
    pub pieces: BoxStream<'static, Result<Bytes, ToolError>>,
}

impl Upload {
    /// Breaks off after `limit` bytes; and whether it did.
    #[must_use]
    pub fn within(self, limit: u64) -> (Self, Arc<AtomicBool>) {
        let too_large = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&too_large);
        let mut left = limit;
        let pieces = self.pieces.map(move |piece| {
            let piece = piece?;
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            let Some(less) = left.checked_sub(length) else {
                told.store(true, Ordering::Relaxed);
                return Err(ToolError::refused("it is over the limit"));
            };
            left = less;
            Ok(piece)
        });
        let pieces = pieces.boxed();
        (Self { pieces, ..self }, too_large)
    }
}

impl Sidecar {
    /// Calls a tool that takes bytes, once for the errand's key.
    pub async fn send_content<T: DeserializeOwned>(
        &self,
        errand: &Errand,
        tool: &str,
        arguments: &impl Serialize,
        upload: Upload,
    ) -> Result<T, SidecarError> {
        let Upload {
            media_type,
            length,
            pieces,
        } = upload;
        let client = self.client()?;
        let request = self.request(errand, tool, arguments).await?;
        let is_own = is_own(&request);
        let sent = async {
            let request = request?.with_idempotency_key(&errand.idempotency_key);
            let value = client
                .send_content(&request, &media_type, length, pieces)
                .await?;
            serde_json::from_value(value).map_err(ToolError::internal)
        };
        sent.await
            .map_err(|error| self.error(error, is_own, errand.request_id()))
    }

    /// Calls a tool that gives bytes. The answer's status and headers are there when this returns; the bytes follow.
    pub async fn fetch_content(
        &self,
        errand: &Errand,
        tool: &str,
        arguments: &impl Serialize,
        range: Option<&str>,
    ) -> Result<Incoming, SidecarError> {
        let client = self.client()?;
        let request = self.request(errand, tool, arguments).await?;
        let is_own = is_own(&request);
        let opened = async {
            let request = request?.read_only();
            client.fetch_content(&request, range).await
        };
        opened
            .await
            .map_err(|error| self.error(error, is_own, errand.request_id()))
    }
}
