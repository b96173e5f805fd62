//! `serve` and `worker`: listen, answer, work in the background, and stop without breaking anything off.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use anyhow::Context;
use axum::{Router, serve::ListenerExt};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{self, Serve},
    health, http,
    jobs::{self, HANDLERS},
    state::{self, App},
    telemetry,
};

/// How often callers who have gone are forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or Ctrl-C.
pub async fn run(config: &Serve) -> anyhow::Result<()> {
    until_stopped(config, |app| Ok(http::app(app)), tidy).await
}

/// Works on jobs until SIGTERM or Ctrl-C, and answers about its health.
pub async fn work(config: &config::Worker) -> anyhow::Result<()> {
    let options = jobs::Options {
        concurrency: config.worker_concurrency.into(),
        ..jobs::Options::default()
    };
    let router = |app: App| {
        app.metrics.show_jobs()?;
        Ok(health::routes().with_state(app))
    };
    let work = move |app, stop| jobs::Worker::run(app, HANDLERS, options, stop);
    until_stopped(&config.serve, router, work).await
}

async fn until_stopped<F: Future<Output = ()> + Send + 'static>(
    config: &Serve,
    router: impl FnOnce(App) -> anyhow::Result<Router>,
    in_background: impl FnOnce(App, CancellationToken) -> F,
) -> anyhow::Result<()> {
    let mut signals = Stop::listen()?;
    let db = state::connect_lazily(
        &config.database.url()?,
        config.database.database_connections,
    )?;
    let app = App::from_config(config, db)?;
    let listener = listen(config.listen_addr, "LISTEN_ADDR").await?;
    let metrics = listen(config.metrics_addr, "METRICS_ADDR").await?;
    let stop = CancellationToken::new();
    let background = [
        tokio::spawn(in_background(app.clone(), stop.clone())),
        tokio::spawn(serve_metrics(metrics, app.clone(), stop.clone())),
    ];
    tracing::info!(address = %config.listen_addr, "listening");
    let listener = listener.tap_io(|stream| {
        // A short answer must not wait for the next one.
        let _ = stream.set_nodelay(true);
    });
    let service = router(app.clone())?.into_make_service_with_connect_info::<SocketAddr>();
    let drained = stop.clone();
    let server = axum::serve(listener, service)
        .with_graceful_shutdown(async move { drained.cancelled().await });
    let server = tokio::spawn(server.into_future());
    signals.asked().await;
    tracing::info!("draining");
    app.draining.store(true, Ordering::Relaxed);
    tokio::time::sleep(config.drain_delay).await;
    stop.cancel();
    if let Ok(ended) = tokio::time::timeout(config.drain_timeout, server).await {
        ended.context("the server task")?.context("serve")?;
    } else {
        tracing::warn!("some requests did not end in time");
    }
    for task in background {
        if tokio::time::timeout(config.drain_timeout, task)
            .await
            .is_err()
        {
            tracing::warn!("some work did not end in time");
        }
    }
    app.db.close().await;
    tracing::info!("stopped");
    Ok(())
}

async fn listen(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}; is the port taken? ({setting})"))
}

async fn serve_metrics(listener: TcpListener, app: App, stop: CancellationToken) {
    let server = axum::serve(listener, telemetry::metrics_router(app));
    let ended = server
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await;
    if let Err(error) = ended {
        tracing::error!(%error, "the metrics port failed");
    }
}

async fn tidy(app: App, stop: CancellationToken) {
    let mut interval = tokio::time::interval(TIDY_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        app.rate_limiter.tidy();
        app.insights_limiter.tidy();
    }
}

/// The signals that end us. Listened for before anybody can see us ready: a signal that came
/// before would kill us instead.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("listen for Ctrl-C")?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
