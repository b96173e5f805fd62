//! The sidecar as a process.

use std::process::ExitCode;

use clap::Parser;
use event_planner_mcp_calendar::{CalendarSettings, sidecar};
use mcp_kit::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    mcp_kit::run(Cli::<CalendarSettings>::parse(), async |own, metrics| {
        sidecar(&own, &metrics)
    })
    .await
}
