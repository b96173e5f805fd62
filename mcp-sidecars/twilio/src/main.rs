//! The sidecar as a process.

use std::process::ExitCode;

use clap::Parser;
use mcp_kit::Cli;
use mcp_twilio::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    mcp_kit::run(Cli::<Settings>::parse(), async |settings, metrics| {
        mcp_twilio::sidecar(&settings, &metrics)
    })
    .await
}
