use std::process::ExitCode;

use clap::Parser;
use event_planner_mcp_postgres::{PostgresSettings, sidecar};
use mcp_kit::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    let running = mcp_kit::run(Cli::<PostgresSettings>::parse(), async |own, _| {
        sidecar(&own)
    });
    Box::pin(running).await
}
