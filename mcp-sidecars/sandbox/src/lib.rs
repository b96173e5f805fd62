//! Stands for Google, Slack, Stripe and Twilio: the subset of their real HTTP interfaces that the sidecars use, spoken
//! strictly, with switches for bad days and a page that shows what arrived.
//!
//! In a test: `let sandbox = Sandbox::start().await?;`, point the sidecar at `sandbox.url("slack")`, and look at what it did.

mod control;
mod faults;
mod google;
mod journal;
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
use axum::{Router, middleware};
use clap::Parser;
use tokio::net::TcpListener;

/// The whole sandbox: providers under `/google`, `/slack`, `/stripe` and `/twilio`, control under `/sandbox`, the page at `/`.
pub fn router(world: &Arc<World>) -> Router {
    let behind = |provider: Provider, routes: Router<Arc<World>>| {
        let watched = routes
            .layer(middleware::from_fn_with_state(
                (Arc::clone(world), provider),
                faults::apply,
            ))
            .layer(middleware::from_fn_with_state(
                (Arc::clone(world), provider),
                journal::keep,
            ));
        Router::new().nest(&format!("/{}", provider.as_str()), watched)
    };
    Router::new()
        .merge(behind(Provider::Google, google::routes()))
        .merge(behind(Provider::Slack, slack::routes()))
        .merge(behind(Provider::Stripe, stripe::routes()))
        .merge(behind(Provider::Twilio, twilio::routes()))
        .merge(control::routes())
        .merge(page::routes())
        .with_state(Arc::clone(world))
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
        let settings = Settings::try_parse_from(["sandbox"])?;
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
