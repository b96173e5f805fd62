//! Commands for developers: `cargo xtask --help`.
//!
//! They need nothing on the machine but Rust: Postgres and Redis are found or fetched, started
//! privately for this checkout, and stopped again.

mod api_command;
mod cargo;
mod demo;
mod dev;
mod fuzz;
mod guard;
mod http;
mod leftovers;
mod packages;
mod paths;
mod ports;
mod postgres;
mod prepare;
mod process;
mod processes;
mod providers;
mod redis;
mod secrets;
mod services;
mod signals;
mod sql;
mod stack;
mod terminal;
mod test;
mod throw_away;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Commands for developers.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Up),
    Test(test::Test),
    Services(services::Services),
    Prepare(prepare::Prepare),
    Fuzz(fuzz::Fuzz),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.command) {
        Ok(code) => code,
        Err(error) if error.is::<signals::Interrupted>() => {
            terminal::say("interrupted, everything is stopped");
            // What a shell answers for a program that Ctrl-C ended.
            ExitCode::from(130)
        }
        Err(error) => {
            terminal::say(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> anyhow::Result<ExitCode> {
    signals::listen()?;
    let checkout = paths::checkout()?;
    match command {
        Command::Up(up) => up.run(&checkout),
        Command::Test(test) => test.run(&checkout),
        Command::Services(services) => services.run(&checkout),
        Command::Prepare(prepare) => prepare.run(&checkout),
        Command::Fuzz(fuzz) => fuzz.run(&checkout),
    }
}
