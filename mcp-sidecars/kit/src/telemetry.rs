//! Logs, always on standard error: standard output belongs to MCP.

use std::io::IsTerminal;

use anyhow::{Context, anyhow};
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

use crate::settings::{LogFormat, Settings};

/// Sends log lines to standard error: JSON in containers, text for people. A panic is logged by its place only, for
/// its words may hold what a caller sent.
pub(crate) fn init(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log_filter).context("LOG_FILTER")?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let ready = match settings.log_format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .finish()
            .try_init(),
        LogFormat::Text => lines
            .with_ansi(std::io::stderr().is_terminal())
            .finish()
            .try_init(),
    };
    ready.map_err(|error| anyhow!("start the log: {error}"))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panic");
    }));
    Ok(())
}
