//! rmcp's HTTP client, which tells when the stream is open on which a server of the older revision asks back.

use std::{collections::HashMap, sync::Arc};

use futures_util::stream::BoxStream;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::{
    model::ClientJsonRpcMessage,
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    },
};
use sse_stream::Sse;
use tokio::sync::Notify;

type Headers = HashMap<HeaderName, HeaderValue>;
type Answer<T> = Result<T, StreamableHttpError<reqwest::Error>>;

#[derive(Clone)]
pub(crate) struct Listening {
    http: reqwest::Client,
    opened: Arc<Notify>,
}

impl Listening {
    pub(crate) fn new(http: reqwest::Client) -> Self {
        Self {
            http,
            opened: Arc::default(),
        }
    }

    /// Returns when a stream has been opened, once for each.
    pub(crate) async fn opened(&self) {
        self.opened.notified().await;
    }
}

impl StreamableHttpClient for Listening {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        headers: Headers,
    ) -> Answer<StreamableHttpPostResponse> {
        self.http
            .post_message(uri, message, session_id, auth_header, headers)
            .await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        headers: Headers,
    ) -> Answer<()> {
        self.http
            .delete_session(uri, session_id, auth_header, headers)
            .await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        headers: Headers,
    ) -> Answer<BoxStream<'static, Result<Sse, SseError>>> {
        let stream = self
            .http
            .get_stream(uri, session_id, last_event_id, auth_header, headers)
            .await?;
        self.opened.notify_one();
        Ok(stream)
    }
}
