//! The sandbox as a process.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use clap::Parser;
use event_planner_sandbox::{Command, Settings, World, router};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
};

const SAVE_EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(3);
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Settings::parse();
    tracing_subscriber::fmt()
        .with_env_filter(&settings.log_filter)
        .with_writer(std::io::stderr)
        .init();
    let ended = match settings.command {
        Some(Command::Healthcheck) => healthcheck(settings.listen_addr).await,
        None => serve(settings).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    let listener = TcpListener::bind(settings.listen_addr)
        .await
        .with_context(|| format!("listen on {}", settings.listen_addr))?;
    let address = format!("http://{}", listener.local_addr()?);
    let world = Arc::new(World::new(settings, &address)?);
    tracing::info!(%address, "listening; open it in a browser");
    let app = router(&world);
    let told = {
        let world = Arc::clone(&world);
        async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            world.stop();
        }
    };
    let serving = axum::serve(listener, app).with_graceful_shutdown(told);
    tokio::select! {
        ended = async { serving.await } => ended.context("serve")?,
        () = keep_saving(&world) => {}
        () = patience(&world) => tracing::warn!("a request was still running at the end"),
    }
    world.save()
}

/// A crash loses one second.
async fn keep_saving(world: &World) {
    let mut changes = world.journal.changes();
    while changes.changed().await.is_ok() {
        tokio::time::sleep(SAVE_EVERY).await;
        changes.mark_unchanged();
        if let Err(error) = world.save() {
            tracing::warn!("{error:#}");
        }
    }
}

/// The longest that running requests may take to end.
async fn patience(world: &World) {
    world.stopped().await;
    tokio::time::sleep(PATIENCE).await;
}

/// For containers, which have no other program to ask with. (To connect to `0.0.0.0` is to connect to this machine.)
async fn healthcheck(address: SocketAddr) -> anyhow::Result<()> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.take(1024).read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(HEALTHCHECK_TIMEOUT, ask).await??;
    let status = answer.lines().next().unwrap_or_default();
    ensure!(status.contains(" 200 "), "{address} answered {status:?}");
    Ok(())
}
