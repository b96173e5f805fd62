//! The sidecar as a process.

use std::process::ExitCode;

use clap::Parser;
use event_planner_mcp_gdrive::{Settings, sidecar};
use mcp_kit::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::<Settings>::parse();
    mcp_kit::run(cli, async |own, metrics| sidecar(&own, &metrics)).await
}
