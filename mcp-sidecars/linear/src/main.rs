//! The sidecar as a process.

use std::process::ExitCode;

use event_planner_mcp_linear::{LinearSettings, sidecar};
use mcp_kit::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    let cli =
        Cli::<LinearSettings>::parse_as(env!("CARGO_BIN_NAME"), env!("CARGO_PKG_DESCRIPTION"));
    mcp_kit::run(cli, async |own, metrics| sidecar(&own, &metrics)).await
}
