//! From the command line to the end of the last call.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use axum::Router;
use clap::Args;
use rmcp::{ServerHandler, ServiceExt, transport::stdio};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    http::metrics_router,
    metrics::Metrics,
    settings::{Cli, Command, Settings},
    sidecar::{Service, Sidecar},
    telemetry,
};

const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Does what the command line says: serve until SIGTERM or Ctrl-C, speak on standard input, or check health.
///
/// `make` builds the sidecar from its own settings; its provider client counts in the given metrics.
/// What keeps it from starting, or a health check that fails, is one line on standard error and a failure.
#[expect(
    clippy::print_stderr,
    reason = "what went wrong is told where the logs go"
)]
pub async fn run<S: Args, E: ServerHandler>(
    cli: Cli<S>,
    make: impl AsyncFnOnce(S, Metrics) -> anyhow::Result<Sidecar<E>>,
) -> ExitCode {
    match start(cli, make).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start<S: Args, E: ServerHandler>(
    cli: Cli<S>,
    make: impl AsyncFnOnce(S, Metrics) -> anyhow::Result<Sidecar<E>>,
) -> anyhow::Result<()> {
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Some(Command::Healthcheck { healthcheck_url }) = cli.command {
        return healthcheck(&healthcheck_url).await;
    }
    telemetry::init(&cli.kit)?;
    let metrics = Metrics::new()?;
    let sidecar = make(cli.own, metrics.clone()).await?.metrics(&metrics);
    let service = sidecar.build(&cli.kit)?;
    if cli.kit.stdio {
        speak(service).await
    } else {
        serve(service, &cli.kit).await
    }
}

async fn healthcheck(url: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .timeout(HEALTHCHECK_TIMEOUT)
        .no_proxy()
        .build()?;
    let status = client
        .get(url)
        .send()
        .await
        .with_context(|| format!("ask {url}"))?
        .status();
    ensure!(status.is_success(), "{url} answered {status}");
    Ok(())
}

/// MCP on standard input and output, until the input ends.
async fn speak<E: ServerHandler>(service: Service<E>) -> anyhow::Result<()> {
    let running = service
        .handler
        .clone()
        .serve(stdio())
        .await
        .context("start on standard input")?;
    running.waiting().await?;
    Ok(())
}

/// Listens on both ports until told to stop; then `/ready` says no, and running calls may end.
async fn serve<E: ServerHandler>(service: Service<E>, settings: &Settings) -> anyhow::Result<()> {
    let termination = termination()?;
    let app = service.router(settings)?;
    let metrics = metrics_router(service.guard.metrics.clone());
    let listener = listen("LISTEN_ADDR", settings.listen_addr).await?;
    let metrics_listener = listen("METRICS_ADDR", settings.metrics_addr).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, sidecar = service.guard.registry.sidecar, "listening");
    tokio::spawn(async move { axum::serve(metrics_listener, metrics).await });
    let readiness = Arc::clone(&service.readiness);
    let (stop, delay) = (service.stop.clone(), settings.drain_delay);
    let told = async move {
        termination.await;
        readiness.drain();
        tracing::info!("draining");
        tokio::time::sleep(delay).await;
    };
    until_drained(listener, app, told, stop, settings.drain_timeout).await
}

/// Serves until `told` ends, then waits for running requests, but not longer than `patience`.
async fn until_drained(
    listener: TcpListener,
    app: Router,
    told: impl Future<Output = ()> + Send + 'static,
    stop: tokio_util::sync::CancellationToken,
    patience: Duration,
) -> anyhow::Result<()> {
    let (begun, draining) = tokio::sync::oneshot::channel();
    let told = async move {
        told.await;
        // Streams that would stay open for ever end now; calls go on.
        stop.cancel();
        let _ = begun.send(());
    };
    let serving = axum::serve(listener, app).with_graceful_shutdown(told);
    tokio::select! {
        ended = async move { serving.await } => ended.context("serve"),
        () = async move { if draining.await.is_ok() { tokio::time::sleep(patience).await } else { std::future::pending().await } } => {
            tracing::warn!("calls were still running at the end of DRAIN_TIMEOUT");
            Ok(())
        }
    }
}

async fn listen(variable: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{variable}: listen on {address}"))
}

/// SIGTERM or Ctrl-C, listened for from the call on: called before anybody can see us ready, so
/// that no signal kills us instead.
fn termination() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
