//! A sidecar, put together: its tools behind the guard, and what else it serves.

use std::sync::Arc;

use axum::Router;
use rmcp::ServerHandler;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::{
    guard::{Bounds, Guard, SharedGuard},
    http,
    limits::Limits,
    mcp::Handler,
    metrics::Metrics,
    ready::Readiness,
    redact::Redactor,
    settings::Settings,
    tools::Tools,
};

/// A sidecar before it has its settings. `E` answers what MCP has beside tools: prompts, resources, tasks.
pub struct Sidecar<E = NoExtras> {
    tools: Tools,
    metrics: Option<Metrics>,
    secrets: Vec<SecretString>,
    readiness: Readiness,
    extras: E,
}

/// No prompts, no resources: tools only.
#[derive(Debug, Clone, Copy)]
pub struct NoExtras;

impl ServerHandler for NoExtras {}

impl Sidecar {
    /// A sidecar with these tools.
    pub fn new(tools: Tools) -> Self {
        Self {
            tools,
            metrics: None,
            secrets: Vec::new(),
            readiness: Readiness::default(),
            extras: NoExtras,
        }
    }
}

impl<E: ServerHandler> Sidecar<E> {
    /// Counts here, where the provider client counts too.
    #[must_use]
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        self.metrics = Some(metrics.clone());
        self
    }

    /// Values that must never leave: credentials of the provider.
    #[must_use]
    pub fn secrets(mut self, secrets: impl IntoIterator<Item = SecretString>) -> Self {
        self.secrets.extend(secrets);
        self
    }

    /// How `/ready` finds out whether the provider is there and takes our credentials; asked every 5 s at most.
    #[must_use]
    pub fn ready_when<F, Fut>(mut self, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.readiness = Readiness::new(move || Box::pin(check()));
        self
    }

    /// Serves what `extras` declares in its capabilities beside the tools; its tool methods are never asked.
    #[must_use]
    pub fn extras<N: ServerHandler>(self, extras: N) -> Sidecar<N> {
        let Self {
            tools,
            metrics,
            secrets,
            readiness,
            ..
        } = self;
        Sidecar {
            tools,
            metrics,
            secrets,
            readiness,
            extras,
        }
    }

    /// Puts it together under these settings.
    ///
    /// # Errors
    /// A token is missing or too short, or a secret's file cannot be read.
    pub fn build(self, settings: &Settings) -> anyhow::Result<Service<E>> {
        let metrics = self.metrics.map_or_else(Metrics::new, Ok)?;
        let redactor = Redactor::new(self.secrets.into_iter().chain(settings.secrets()?));
        let guard = Guard {
            registry: self.tools.finish(),
            limits: Limits::new(settings.rate_limit, settings.max_in_flight),
            bounds: Bounds {
                timeout: settings.call_timeout,
                result_limit: settings.result_limit,
            },
            redactor,
            metrics,
        };
        let guard = Arc::new(guard);
        let handler = Handler {
            guard: Arc::clone(&guard),
            extras: Arc::new(self.extras),
        };
        let readiness = Arc::new(self.readiness);
        Ok(Service {
            guard,
            handler,
            readiness,
            stop: CancellationToken::new(),
        })
    }
}

/// A sidecar ready to serve.
pub struct Service<E = NoExtras> {
    pub(crate) guard: SharedGuard,
    pub(crate) handler: Handler<E>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) stop: CancellationToken,
}

impl<E: ServerHandler> Service<E> {
    /// The MCP server for any other transport, such as a pipe in memory.
    pub fn mcp(&self) -> impl ServerHandler + Clone + use<E> {
        self.handler.clone()
    }

    /// All roads over HTTP but `/metrics`.
    ///
    /// # Errors
    /// As [`Sidecar::build`].
    pub fn router(&self, settings: &Settings) -> anyhow::Result<Router> {
        http::router(self, settings)
    }
}
