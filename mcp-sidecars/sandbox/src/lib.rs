//! Stands for Google, Slack, Stripe, Twilio and Linear: the subset of their real HTTP interfaces that the sidecars use, spoken
//! strictly, with switches for bad days and a page that shows what arrived.
//!
//! In a test: `let sandbox = Sandbox::start().await?;`, point the sidecar at `sandbox.url("slack")`, and look at what it did.

// Stripe's objects are long.
#![recursion_limit = "256"]

mod control;
mod faults;
pub mod google;
mod journal;
pub mod linear;
mod oauth;
mod page;
mod settings;
mod slack;
mod stripe;
mod twilio;
mod world;

pub use faults::{Fault, Misbehaviour};
pub use journal::Entry;
pub use settings::{Command, Settings};
pub use world::{Provider, World};

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{
    RequestExt, Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
};
use clap::Parser;
use tokio::net::TcpListener;

/// The whole sandbox: providers under `/google`, `/slack`, `/stripe`, `/twilio` and `/linear`, control under `/sandbox`, the page at `/`.
pub fn router(world: &Arc<World>) -> Router {
    let behind = |provider: Provider, routes: Router<Arc<World>>| {
        let watched = routes
            .fallback(async move || faults::own(provider, StatusCode::NOT_FOUND))
            .method_not_allowed_fallback(async move || {
                faults::own(provider, StatusCode::METHOD_NOT_ALLOWED)
            })
            .layer(middleware::from_fn_with_state(
                (Arc::clone(world), provider),
                faults::apply,
            ))
            .layer(middleware::from_fn_with_state(
                (Arc::clone(world), provider),
                journal::keep,
            ))
            .layer(middleware::from_fn_with_state(provider, within_limit));
        Router::new().nest(&format!("/{}", provider.as_str()), watched)
    };
    twilio::resume(world);
    Router::new()
        .merge(behind(Provider::Google, google::routes()))
        .merge(behind(Provider::Slack, slack::routes()))
        .merge(behind(Provider::Stripe, stripe::routes()))
        .merge(behind(Provider::Twilio, twilio::routes()))
        .merge(behind(Provider::Linear, linear::routes()))
        .merge(stripe::control())
        .merge(control::routes())
        .merge(page::routes())
        .with_state(Arc::clone(world))
}

/// Holds every reader of the body to axum's limit of 2 MB, not only the extractors. Files for Drive may be larger:
/// there, what reads a stream has its own limit.
async fn within_limit(State(provider): State<Provider>, request: Request, next: Next) -> Response {
    if provider == Provider::Google {
        return next.run(request).await;
    }
    next.run(request.with_limited_body()).await
}

/// A sandbox on a free port of this machine, for tests. It ends with the runtime.
pub struct Sandbox {
    pub world: Arc<World>,
    address: SocketAddr,
}

impl Sandbox {
    /// # Errors
    /// No free port.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with settings, such as `--stripe-latency-ms=300`.
    ///
    /// # Errors
    /// Also settings that clap does not take.
    pub async fn start_with(arguments: &[&str]) -> anyhow::Result<Self> {
        let settings = Settings::try_parse_from(["sandbox"].iter().chain(arguments))?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let address = listener.local_addr()?;
        let world = Arc::new(World::new(settings, &format!("http://{address}"))?);
        let app = router(&world);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { world, address })
    }

    /// The base URL of a provider, such as `google`.
    pub fn url(&self, provider: &str) -> String {
        format!("http://{}/{provider}", self.address)
    }

    /// Misbehaves from now on, as told.
    pub fn misbehave(&self, fault: Fault) {
        self.world.faults.add(fault);
    }

    /// What arrived at a provider so far, oldest first.
    pub fn arrived(&self, provider: Provider) -> Vec<Entry> {
        self.world.journal.of(provider)
    }
}
