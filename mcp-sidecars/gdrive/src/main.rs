//! The sidecar as a process.

use std::process::ExitCode;

use clap::Parser;
use mcp_kit::{Cli, NoSettings, Sidecar, Tools};

#[tokio::main]
async fn main() -> ExitCode {
    mcp_kit::run(Cli::<NoSettings>::parse(), async |_, _| {
        Ok(Sidecar::new(Tools::new(
            "gdrive",
            env!("CARGO_PKG_VERSION"),
        )))
    })
    .await
}
