//! Contents on disk, so that a large file does not live in memory.

use std::{
    collections::BTreeSet,
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{body::Body, http::StatusCode};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use md5::{Digest, Md5};
use tempfile::TempDir;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

use super::{State, file::FileContent};
use crate::{google::error::Refusal, settings::Settings};

const PIECE: usize = 64 * 1024;
/// Texts are searched up to here.
const SEARCHED: u64 = 64 * 1024;

/// A directory of contents: beside the state file, or gone with the process.
#[derive(Debug)]
pub(super) struct Blobs {
    dir: PathBuf,
    _temporary: Option<TempDir>,
}

impl State {
    /// Where contents are. What is there and belongs to nothing is deleted when a process first asks.
    pub(super) fn blobs(&mut self, settings: &Settings) -> Result<Arc<Blobs>, Refusal> {
        if let Some(blobs) = &self.blobs {
            return Ok(Arc::clone(blobs));
        }
        let blobs = Blobs::open(settings).map_err(|error| failed(&error))?;
        let contents = self.files.values().filter_map(|file| file.content.as_ref());
        let kept = contents.map(|content| &content.blob);
        let kept = kept.chain(self.uploads.values().map(|upload| &upload.blob));
        blobs
            .keep_only(&kept.collect())
            .map_err(|error| failed(&error))?;
        Ok(Arc::clone(self.blobs.insert(Arc::new(blobs))))
    }

    /// Contents of all files together, in bytes; a content that files share counts once.
    pub(super) fn used(&self) -> u64 {
        let contents = self.files.values().filter_map(|file| file.content.as_ref());
        let sizes = contents.map(|content| (&content.blob, content.size));
        sizes
            .collect::<std::collections::BTreeMap<_, _>>()
            .values()
            .sum()
    }

    /// Deletes a content, if no file has it any more.
    pub(super) fn drop_blob(&self, blob: &str) {
        let contents = self.files.values().filter_map(|file| file.content.as_ref());
        let is_held = contents
            .map(|content| content.blob.as_str())
            .any(|held| held == blob);
        if let Some(blobs) = self.blobs.as_ref().filter(|_| !is_held) {
            blobs.delete(blob);
        }
    }
}

impl Blobs {
    fn open(settings: &Settings) -> io::Result<Self> {
        let (dir, temporary) = if let Some(file) = &settings.state_file {
            (file.with_extension("drive"), None)
        } else {
            let temporary = tempfile::Builder::new()
                .prefix("sandbox-drive-")
                .tempdir()?;
            (temporary.path().to_owned(), Some(temporary))
        };
        std::fs::create_dir_all(&dir)?;
        Ok(Self {
            dir,
            _temporary: temporary,
        })
    }

    fn keep_only(&self, kept: &BTreeSet<&String>) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            if !entry
                .file_name()
                .to_str()
                .is_some_and(|name| kept.contains(&name.to_owned()))
            {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn path(&self, blob: &str) -> PathBuf {
        self.dir.join(blob)
    }

    pub(super) fn delete(&self, blob: &str) {
        if let Err(error) = std::fs::remove_file(self.path(blob)) {
            tracing::debug!(%error, blob, "content not deleted");
        }
    }

    /// Bytes that are there.
    pub(super) fn length(&self, blob: &str) -> u64 {
        std::fs::metadata(self.path(blob)).map_or(0, |metadata| metadata.len())
    }

    /// Cuts a content off.
    pub(super) fn cut(&self, blob: &str, length: u64) -> io::Result<()> {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(blob))?;
        file.set_len(length)
    }

    /// Writes a body from there on, leaving its first `skip` bytes out; at most `most` bytes. What came before a
    /// connection broke stays.
    pub(super) async fn append(
        &self,
        blob: &str,
        from: u64,
        mut skip: u64,
        most: u64,
        body: Body,
    ) -> Result<(), Refusal> {
        let mut options = File::options();
        let opened = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(blob))
            .await;
        let mut file = opened.map_err(|error| failed(&error))?;
        file.seek(SeekFrom::Start(from))
            .await
            .map_err(|error| failed(&error))?;
        let (mut body, mut left) = (body.into_data_stream(), most);
        let mut broken = None;
        while let Some(piece) = body.next().await {
            let Ok(mut piece) = piece else {
                broken = Some(Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "badRequest",
                    "the body broke off",
                ));
                break;
            };
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
            skip -= u64::try_from(skipped).unwrap_or_default();
            piece = piece.split_off(skipped);
            left = left
                .checked_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX))
                .ok_or_else(quota)?;
            file.write_all(&piece)
                .await
                .map_err(|error| failed(&error))?;
        }
        file.flush().await.map_err(|error| failed(&error))?;
        broken.map_or(Ok(()), Err)
    }

    /// Size, digest and searchable text of what is there.
    pub(super) async fn measure(
        self: Arc<Self>,
        blob: String,
        is_text: bool,
    ) -> Result<FileContent, Refusal> {
        let measured =
            tokio::task::spawn_blocking(move || digest(&self.path(&blob), &blob, is_text)).await;
        let measured = measured
            .map_err(io::Error::other)
            .and_then(|measured| measured);
        measured.map_err(|error| failed(&error))
    }

    /// Bytes from `first`, `length` of them.
    pub(super) async fn read(
        &self,
        blob: &str,
        first: u64,
        length: u64,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static, Refusal> {
        let mut file = File::open(self.path(blob))
            .await
            .map_err(|error| failed(&error))?;
        file.seek(SeekFrom::Start(first))
            .await
            .map_err(|error| failed(&error))?;
        Ok(stream::unfold(
            (file, length),
            |(mut file, left)| async move {
                let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
                let mut piece = vec![0; wanted];
                match file.read(&mut piece).await {
                    Ok(0) => None,
                    Ok(read) => {
                        piece.truncate(read);
                        let left = left - u64::try_from(read).unwrap_or_default();
                        Some((Ok(Bytes::from(piece)), (file, left)))
                    }
                    Err(error) => Some((Err(error), (file, 0))),
                }
            },
        ))
    }
}

fn digest(path: &Path, blob: &str, is_text: bool) -> io::Result<FileContent> {
    use std::io::Read;
    let mut file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::File::create_new(path).and_then(|_| std::fs::File::open(path))?
        }
        opened => opened?,
    };
    let (mut hash, mut size, mut text) = (Md5::new(), 0, Vec::new());
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        if is_text && size < SEARCHED {
            text.extend_from_slice(&piece[..read]);
        }
        size += u64::try_from(read).unwrap_or_default();
    }
    Ok(FileContent {
        blob: blob.to_owned(),
        size,
        md5: hex::encode(hash.finalize()),
        text: is_text.then(|| String::from_utf8_lossy(&text).into_owned()),
    })
}

pub(super) fn quota() -> Refusal {
    Refusal::new(
        StatusCode::FORBIDDEN,
        "storageQuotaExceeded",
        "The user's Drive storage quota has been exceeded.",
    )
}

fn failed(error: &io::Error) -> Refusal {
    tracing::error!(%error, "content");
    Refusal::trouble(StatusCode::INTERNAL_SERVER_ERROR)
}
