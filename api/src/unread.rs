//! What a handler leaves of a request's body, such as that of somebody who may not come in. A connection that is closed
//! with bytes unread is reset, and a proxy that is still sending then loses the answer (RFC 9112, 9.6).

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::header,
    middleware::Next,
    response::Response,
};
use futures_util::StreamExt;
use http_body::{Frame, SizeHint};

use crate::catalogue::import;

/// As much as the largest body that any route takes.
const MOST: usize = import::MAX_BYTES;
/// A proxy sends what it has at once; who is slower is cut off.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes in the rest of the body before the answer goes out.
pub async fn read_the_rest(request: Request, next: Next) -> Response {
    // Who expects `100 Continue` sends no body unless somebody wants to read it.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = Shared(Arc::new(Mutex::new(body)));
    let response = next
        .run(Request::from_parts(parts, Body::new(body.clone())))
        .await;
    // Too much, too slow or broken off: the connection ends with the answer.
    let _ = tokio::time::timeout(PATIENCE, discard(body)).await;
    response
}

async fn discard(body: Shared) {
    let mut left = MOST;
    let mut chunks = Body::new(body).into_data_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        let Some(less) = left.checked_sub(chunk.len()) else {
            return;
        };
        left = less;
    }
}

/// A body that is still there when its reader has dropped it.
#[derive(Clone)]
struct Shared(Arc<Mutex<Body>>);

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Body) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::StatusCode, middleware::from_fn, routing::post};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn connect() -> anyhow::Result<TcpStream> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = Router::new()
            .route("/refuse", post(async || StatusCode::UNAUTHORIZED))
            .route("/count", post(async |body: Bytes| body.len().to_string()))
            .layer(from_fn(read_the_rest));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(TcpStream::connect(address).await?)
    }

    async fn post_to(stream: &mut TcpStream, path: &str, length: usize) -> anyhow::Result<String> {
        let head = format!("POST {path} HTTP/1.1\r\nHost: api\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&vec![b'x'; length]).await?;
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await?;
        answer.truncate(read);
        Ok(String::from_utf8(answer)?)
    }

    #[tokio::test]
    async fn a_large_body_that_nobody_reads_costs_neither_answer_nor_connection()
    -> anyhow::Result<()> {
        let mut stream = connect().await?;
        for _ in 0..3 {
            let answer = post_to(&mut stream, "/refuse", 8 << 20).await?;
            assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_body_that_is_read_arrives_whole() -> anyhow::Result<()> {
        let mut stream = connect().await?;
        let answer = post_to(&mut stream, "/count", 1 << 20).await?;
        assert!(answer.ends_with("\r\n\r\n1048576"), "{answer}");
        Ok(())
    }

    #[tokio::test]
    async fn more_than_any_route_takes_is_cut_off() -> anyhow::Result<()> {
        let mut stream = connect().await?;
        let sent = post_to(&mut stream, "/refuse", 8 * MOST).await;
        assert!(sent.is_err() || TcpStream::read(&mut stream, &mut [0]).await.unwrap_or(0) == 0);
        Ok(())
    }

    #[tokio::test]
    async fn who_asks_before_sending_need_not_send() -> anyhow::Result<()> {
        let mut stream = connect().await?;
        let head = "POST /refuse HTTP/1.1\r\nHost: api\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"HTTP/1.1 401");
        Ok(())
    }
}
