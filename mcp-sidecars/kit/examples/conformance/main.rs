//! The server that the official conformance suite is run against: the kit, with tools of the names that the suite
//! knows. `mcp-sidecars/kit/conformance/run` starts it.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use mcp_kit::{Cli, NoSettings, Sidecar, Tools};

mod asking;
mod extras;
mod jobs;
mod rounds;
mod shared;
mod simple;

use extras::Extras;
use shared::Shared;

#[tokio::main]
async fn main() -> ExitCode {
    mcp_kit::run(Cli::<NoSettings>::parse(), async |_, _| {
        let shared = Arc::new(Shared::new()?);
        let tools = Tools::new("conformance", env!("CARGO_PKG_VERSION")).names_up_to(64);
        let tools = jobs::add(
            rounds::add(asking::add(simple::add(tools, &shared)?)?, &shared)?,
            &shared,
        )?;
        Ok(Sidecar::new(tools).extras(Extras(shared)))
    })
    .await
}
