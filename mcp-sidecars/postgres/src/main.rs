use std::process::ExitCode;

use event_planner_mcp_postgres::{PostgresSettings, sidecar};
use mcp_kit::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    let cli =
        Cli::<PostgresSettings>::parse_as(env!("CARGO_BIN_NAME"), env!("CARGO_PKG_DESCRIPTION"));
    let running = mcp_kit::run(cli, async |own, _| sidecar(&own));
    Box::pin(running).await
}
