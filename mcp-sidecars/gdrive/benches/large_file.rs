//! 500 MB to Drive and back through the sidecar's binary: fails when its memory grows with the file.
//!
//! `cargo bench -p event-planner-mcp-gdrive --bench large_file`

#[path = "../tests/gdrive/large.rs"]
mod large;

use anyhow::ensure;

/// The most that a sidecar may take, in KiB.
const SIDECAR: u64 = 32 * 1024;
/// The same for the sandbox with this client.
const SANDBOX: u64 = 96 * 1024;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
async fn main() -> anyhow::Result<()> {
    let binary = env!("CARGO_BIN_EXE_event-planner-mcp-gdrive");
    for (mib, at_once) in [(500, 1), (100, 4)] {
        let figures = large::transfer(binary, mib, at_once).await?;
        println!(
            "{at_once} x {mib} MiB: up in {:.2?}, one down in {:.2?}; peak memory of the sidecar {} KiB of {SIDECAR}, of sandbox and client {} KiB of {SANDBOX}",
            figures.upload, figures.download, figures.sidecar, figures.sandbox,
        );
        ensure!(
            figures.sidecar <= SIDECAR,
            "the sidecar takes too much memory"
        );
        ensure!(
            figures.sandbox <= SANDBOX,
            "the sandbox takes too much memory"
        );
    }
    Ok(())
}
