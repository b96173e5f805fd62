//! No message of the server is read that is larger than a cap: neither a row nor an error can fill our memory.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Largest message, in bytes.
pub(crate) const LARGEST_MESSAGE: u32 = 1024 * 1024;
/// A type byte and a length of four bytes that counts itself (PostgreSQL: "Message Formats").
const HEADER: usize = 5;

/// A stream of backend messages that ends with an error where a message announces more than the cap.
pub(crate) struct Capped<S> {
    stream: S,
    header: [u8; HEADER],
    header_len: usize,
    /// Of the current message's body.
    left: u32,
    is_too_large: Arc<AtomicBool>,
}

impl<S> Capped<S> {
    /// `is_too_large` is set when a message was.
    pub(crate) fn new(stream: S, is_too_large: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            header: [0; HEADER],
            header_len: 0,
            left: 0,
            is_too_large,
        }
    }

    /// Follows the messages through what was read.
    fn follow(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let step = bytes
                    .len()
                    .min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= u32::try_from(step).unwrap_or(self.left);
                bytes = &bytes[step..];
                continue;
            }
            self.header[self.header_len] = bytes[0];
            self.header_len += 1;
            bytes = &bytes[1..];
            if self.header_len == HEADER {
                self.header_len = 0;
                let [_, length @ ..] = self.header;
                self.left = u32::from_be_bytes(length).saturating_sub(4);
                if self.left > LARGEST_MESSAGE {
                    self.is_too_large.store(true, Ordering::Relaxed);
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a message of the database is too large",
                    ));
                }
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Capped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let begin = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let followed = self.follow(&buffer.filled()[begin..]);
        if followed.is_err() {
            // An error means that nothing was read.
            buffer.set_filled(begin);
        }
        Poll::Ready(followed)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Capped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn message(length: u32) -> Vec<u8> {
        let mut bytes = vec![b'D'];
        bytes.extend((length + 4).to_be_bytes());
        bytes
    }

    async fn read(bytes: &[u8]) -> (io::Result<usize>, bool) {
        let flag = Arc::new(AtomicBool::new(false));
        let mut stream = Capped::new(bytes, Arc::clone(&flag));
        let mut seen = Vec::new();
        (
            stream.read_to_end(&mut seen).await,
            flag.load(Ordering::Relaxed),
        )
    }

    #[tokio::test]
    async fn a_message_of_the_cap_passes_and_one_more_byte_does_not() {
        let mut bytes = message(0);
        bytes.extend(message(LARGEST_MESSAGE));
        bytes.extend(vec![0; LARGEST_MESSAGE as usize]);
        let whole = bytes.len();
        assert!(matches!(read(&bytes).await, (Ok(length), false) if length == whole));
        bytes.extend(message(LARGEST_MESSAGE + 1));
        assert!(matches!(read(&bytes).await, (Err(_), true)));
        assert!(matches!(
            read(&[b'E', 0xff, 0xff, 0xff, 0xff]).await,
            (Err(_), true)
        ));
    }
}
