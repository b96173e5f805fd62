//! The sidecar as a process.

use std::process::ExitCode;

use clap::Parser;
use event_planner_mcp_stripe::{StripeSettings, sidecar};
use mcp_kit::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    mcp_kit::run(Cli::<StripeSettings>::parse(), async |settings, metrics| {
        sidecar(&settings, &metrics)
    })
    .await
}
