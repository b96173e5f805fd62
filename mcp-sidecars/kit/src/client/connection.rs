//! One connection to an MCP server, and why there is none.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::anyhow;
use reqwest::StatusCode;
use rmcp::{
    RoleClient,
    model::{
        CancelledNotification, CancelledNotificationParam, ClientCapabilities, ClientConfig,
        ClientRequest, Implementation, ProtocolVersion, RequestId, ServerResult,
    },
    service::{
        ClientInitializeError, ClientLifecycleMode, Peer, PeerRequestOptions, RunningService,
        ServiceError, serve_client_with_lifecycle_and_ct,
    },
    transport::{
        DynamicTransportError, StreamableHttpClientTransport,
        async_rw::AsyncRwTransport,
        streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError},
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    headers::HeaderClient,
    process::{Started, Starter},
};
use crate::{
    error::ToolError,
    provider::{Attempt, Setback},
};

/// JSON within JSON grows: the text of a result is sent beside its structure.
const WIRE_FACTOR: usize = 4;
const WIRE_EXTRA: usize = 64 * 1024;

/// Where the server is.
pub(super) enum Link {
    Http {
        url: Arc<str>,
        token: Option<SecretString>,
        client: reqwest::Client,
    },
    Stdio(Starter),
}

/// A connection on which the protocol has been agreed.
pub(super) struct Connection {
    running: RunningService<RoleClient, ClientConfig>,
    stop: CancellationToken,
    is_retired: AtomicBool,
    /// Ends the connection, and the process behind it, with the last user.
    _ends: DropGuard,
}

/// Why there is no answer, before it is known whether the call may be repeated.
pub(super) struct Trouble {
    pub(super) cause: anyhow::Error,
    /// Nothing has reached the server's tool.
    pub(super) is_safe: bool,
    kind: Kind,
}

enum Kind {
    /// The server is away, or went away.
    Lost,
    /// It asks to be left alone.
    Busy(Option<Duration>),
    /// Its process died, and is not started again before that: waiting for it would not be failing fast.
    Paused(Duration),
    /// It does not take our credentials or does not know what we ask for.
    Misconfigured,
    TooLarge,
}

impl Connection {
    /// Connects; both revisions are tried, the newer first. `limit` is the largest result, in bytes.
    pub(super) async fn open(
        name: &'static str,
        link: &Link,
        limit: usize,
    ) -> Result<Self, Trouble> {
        let stop = CancellationToken::new();
        let ends = stop.clone().drop_guard();
        let wire_limit = limit.saturating_mul(WIRE_FACTOR).saturating_add(WIRE_EXTRA);
        let us = ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("event-planner", env!("CARGO_PKG_VERSION")),
        );
        let mode = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
        };
        let opened = match link {
            Link::Http { url, token, client } => {
                let mut config = StreamableHttpClientTransportConfig::with_uri(Arc::clone(url))
                    .max_sse_event_size(wire_limit)
                    .max_concurrent_requests(usize::from(u16::MAX));
                config.auth_header = token.as_ref().map(|token| token.expose_secret().to_owned());
                let client = HeaderClient(client.clone());
                let transport = StreamableHttpClientTransport::with_client(client, config);
                serve_client_with_lifecycle_and_ct(us, transport, mode, stop.clone()).await
            }
            Link::Stdio(program) => {
                let started = program.start(name, &stop).map_err(Trouble::paused)?;
                let Started { input, output } = started.map_err(Trouble::before)?;
                let transport =
                    AsyncRwTransport::new_client(output, input).with_max_line_length(wire_limit);
                serve_client_with_lifecycle_and_ct(us, transport, mode, stop.clone()).await
            }
        };
        let running = opened.map_err(|error| Trouble::of_start(&error))?;
        Ok(Self {
            running,
            stop,
            is_retired: AtomicBool::new(false),
            _ends: ends,
        })
    }

    pub(super) fn peer(&self) -> &Peer<RoleClient> {
        self.running.peer()
    }

    pub(super) fn is_usable(&self) -> bool {
        let is_over = self.is_retired.load(Ordering::Relaxed) || self.stop.is_cancelled();
        !is_over && !self.peer().is_transport_closed()
    }

    /// Takes no further calls; those on their way may end well.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    /// Ends it now, for all who use it.
    pub(super) fn close(&self) {
        self.stop.cancel();
    }

    /// Sends a request and waits; dropped before, it tells the server.
    pub(super) async fn ask(&self, request: ClientRequest) -> Result<ServerResult, ServiceError> {
        let options = PeerRequestOptions::no_options();
        let sent = self.peer().send_request_with_option(request, options);
        let handle = sent.await?;
        let mut pending = Pending {
            peer: self.peer(),
            id: Some(handle.id.clone()),
        };
        let answer = tokio::select! {
            answer = handle.rx => answer.unwrap_or(Err(ServiceError::TransportClosed)),
            () = self.stop.cancelled() => Err(ServiceError::TransportClosed),
        };
        pending.id = None;
        answer
    }
}

/// A request that nobody has answered yet.
struct Pending<'a> {
    peer: &'a Peer<RoleClient>,
    id: Option<RequestId>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let mut params = CancelledNotificationParam::new(Some(id), None);
        params.reason = Some("nobody waits for it any more".to_owned());
        let peer = self.peer.clone();
        runtime.spawn(async move {
            let notification = CancelledNotification::new(params);
            let _ = peer.send_notification(notification.into()).await;
        });
    }
}

impl Trouble {
    fn new(kind: Kind, cause: anyhow::Error) -> Self {
        Self {
            cause,
            is_safe: false,
            kind,
        }
    }

    /// Nothing was sent.
    fn before(cause: anyhow::Error) -> Self {
        Self {
            is_safe: true,
            ..Self::new(Kind::Lost, cause)
        }
    }

    fn paused(wait: Duration) -> Self {
        let cause = anyhow!("its process died; it is started again in {wait:?}");
        Self {
            is_safe: true,
            ..Self::new(Kind::Paused(wait), cause)
        }
    }

    pub(super) fn late() -> Self {
        Self::before(anyhow!("the server did not agree on a protocol in time"))
    }

    pub(super) fn stopped() -> Self {
        Self::before(anyhow!("the client was dropped"))
    }

    fn of_start(error: &ClientInitializeError) -> Self {
        let mut trouble = match error {
            ClientInitializeError::TransportError { error, .. } => Self::of_transport(error),
            ClientInitializeError::LegacyFallbackFailed { fallback, .. } => {
                Self::of_start(fallback)
            }
            ClientInitializeError::NoCompatibleProtocolVersion { .. }
            | ClientInitializeError::JsonRpcError(_) => {
                Self::new(Kind::Misconfigured, anyhow!("{error}"))
            }
            other => Self::new(Kind::Lost, anyhow!("{other}")),
        };
        trouble.is_safe = true;
        trouble
    }

    pub(super) fn of_request(error: &ServiceError) -> Self {
        match error {
            ServiceError::TransportSend(error) => Self::of_transport(error),
            ServiceError::McpError(error) => Self::new(
                Kind::Misconfigured,
                anyhow!("JSON-RPC error {}: {}", error.code.0, error.message),
            ),
            other => Self::new(Kind::Lost, anyhow!("{other}")),
        }
    }

    fn of_transport(error: &DynamicTransportError) -> Self {
        let mut link: Option<&(dyn Error + 'static)> = Some(error.error.as_ref());
        let mut found = None;
        while let Some(current) = link {
            found = found.or_else(|| current.downcast_ref::<StreamableHttpError<reqwest::Error>>());
            link = current.source();
        }
        let cause = anyhow!("{error}");
        match found {
            Some(StreamableHttpError::Client(error)) if error.is_connect() => Self::before(cause),
            Some(StreamableHttpError::Client(error))
                if error
                    .status()
                    .is_some_and(|status| status.is_client_error()) =>
            {
                Self::new(Kind::Misconfigured, cause)
            }
            Some(StreamableHttpError::HttpStatus(error)) => {
                let seconds = error
                    .retry_after
                    .as_ref()
                    .and_then(|text| text.parse().ok());
                let wait = seconds.map(Duration::from_secs);
                let is_limit = error.status == StatusCode::TOO_MANY_REQUESTS.as_u16();
                let kind = if is_limit {
                    Kind::Busy(wait)
                } else {
                    Kind::Lost
                };
                Self::new(kind, cause)
            }
            Some(
                StreamableHttpError::AuthRequired(_) | StreamableHttpError::InsufficientScope(_),
            ) => Self::new(Kind::Misconfigured, cause),
            Some(
                StreamableHttpError::ResponseBodyTooLarge { .. } | StreamableHttpError::Sse(_),
            ) => Self::new(Kind::TooLarge, cause),
            _ => Self::new(Kind::Lost, cause),
        }
    }

    /// Whether another connection would help.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.kind, Kind::Lost)
    }

    /// The end of an attempt at the server of that name. Words about it stay in the cause.
    pub(super) fn into_attempt<T>(self, name: &str, too_large: ToolError) -> Attempt<T> {
        let cause = anyhow!("{name}: {:#}", self.cause);
        let second = Duration::from_secs(1);
        let away =
            |wait| ToolError::unavailable(format!("{name} is not reachable right now"), wait);
        let setback = match self.kind {
            Kind::Misconfigured => return Attempt::Never(ToolError::internal(cause), "refused"),
            Kind::TooLarge => return Attempt::Never(too_large.with_cause(cause), "too_large"),
            Kind::Lost => Setback {
                error: away(second).with_cause(cause),
                is_safe: self.is_safe,
                wait: None,
                outcome: "lost",
            },
            Kind::Paused(wait) => Setback {
                error: away(wait).with_cause(cause),
                is_safe: true,
                wait: None,
                outcome: "paused",
            },
            Kind::Busy(wait) => Setback {
                error: away(wait.unwrap_or(second)).with_cause(cause),
                is_safe: true,
                wait,
                outcome: "busy",
            },
        };
        Attempt::Again(setback)
    }
}
