//! The sidecar as a process.

use std::process::ExitCode;

use mcp_kit::Cli;
use mcp_twilio::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::<Settings>::parse_as(env!("CARGO_BIN_NAME"), env!("CARGO_PKG_DESCRIPTION"));
    mcp_kit::run(cli, async |own, metrics| {
        mcp_twilio::sidecar(&own, &metrics)
    })
    .await
}
