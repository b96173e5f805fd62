//! `cargo xtask services`: only Postgres and Redis, for a program started by hand.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::dev::{self, Given, Servers, State};
use crate::stack::Stack;
use crate::terminal::{print, say};

/// Starts the Postgres and Redis of this checkout and nothing else, until Ctrl-C.
///
/// Prints lines for your shell. While `up` or another `services` runs, prints the same lines for
/// its servers and ends.
#[derive(Args)]
pub(crate) struct Services {
    #[command(flatten)]
    given: Given,
}

impl Services {
    pub(crate) fn run(&self, checkout: &Path) -> anyhow::Result<ExitCode> {
        let state = match State::lock(checkout, "services")? {
            Ok(state) => state,
            Err(holder) => {
                say(format_args!("{holder} has them up already"));
                let servers = dev::noted(checkout)
                    .context("but it has not noted their ports yet: try again")?;
                print_exports(&servers);
                return Ok(ExitCode::SUCCESS);
            }
        };
        let mut stack = Stack::new(&state.folder, false)?;
        let servers = dev::start(&mut stack, checkout, &state, &self.given)?;
        print_exports(&servers);
        say("Ctrl-C stops them; the data stays");
        stack.watch()?;
        say("stopping");
        Ok(ExitCode::SUCCESS)
    }
}

fn print_exports(servers: &Servers) {
    print(format_args!("export DATABASE_URL='{}'", servers.owner));
    print(format_args!("export REDIS_URL='{}'", servers.redis));
}
