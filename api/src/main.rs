//! The binary: one subcommand, one job.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use event_planner_api::{
    admin,
    config::{Cli, Command},
    openapi, serve, telemetry, tls,
};

#[tokio::main]
#[expect(
    clippy::print_stderr,
    reason = "what went wrong is told where the logs go"
)]
async fn main() -> ExitCode {
    tls::install_provider();
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "commands answer on standard output; logs go to standard error"
)]
async fn run(cli: Cli) -> anyhow::Result<()> {
    telemetry::init(&cli.log)?;
    match cli.command {
        Command::Serve(config) => serve::run(&config).await,
        Command::Worker(config) => serve::work(&config).await,
        Command::Migrate(config) => admin::migrate(&config).await,
        Command::Seed(config) => {
            println!("{}", admin::seed(&config).await?);
            Ok(())
        }
        Command::Openapi => {
            println!(
                "{}",
                openapi::document()
                    .to_pretty_json()
                    .context("the OpenAPI document")?
            );
            Ok(())
        }
        Command::Healthcheck(config) => admin::healthcheck(&config).await,
        Command::Admin(config) => {
            println!("{}", admin::run(&config).await?);
            Ok(())
        }
    }
}
