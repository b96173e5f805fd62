//! `serve`: listen, answer, tidy up in the background, and stop without breaking a request.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use anyhow::Context;
use axum::serve::ListenerExt;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    bookings,
    config::Serve,
    http,
    state::{self, App},
    telemetry, work,
};

/// How often expired holds and old idempotency records are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or Ctrl-C.
pub async fn run(config: &Serve) -> anyhow::Result<()> {
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
        tokio::spawn(tidy(app.clone(), stop.clone())),
        tokio::spawn(serve_metrics(metrics, app.clone(), stop.clone())),
    ];
    tracing::info!(address = %config.listen_addr, "listening");
    let listener = listener.tap_io(|stream| {
        // A short answer must not wait for the next one.
        let _ = stream.set_nodelay(true);
    });
    let service = http::app(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
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
        let _ = task.await;
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

/// Releases holds that nobody confirmed, and forgets what need not be kept.
async fn tidy(app: App, stop: CancellationToken) {
    let mut interval = tokio::time::interval(TIDY_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        app.rate_limiter.tidy();
        app.insights_limiter.tidy();
        if let Err(problem) = bookings::release_expired(&app).await {
            tracing::warn!(?problem, "expired holds were not released; trying again");
        }
        if let Err(error) = work::forget_old_answers(&app).await {
            tracing::warn!(%error, "old idempotency records were not removed; trying again");
        }
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
