//! `cargo xtask up`: everything, from an empty machine to three lines to try.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;

use crate::dev::{self, Given, Servers, State};
use crate::process::{Program, StopSignal};
use crate::processes::{PROCESSES, Process, SANDBOX, Settings};
use crate::providers::{Given as Credentials, PROVIDERS};
use crate::stack::Stack;
use crate::terminal::{done, print, say};
use crate::{api_command, cargo, demo, http, ports, secrets};

/// A process is ready, and also drained, within this time.
const PATIENCE: Duration = Duration::from_secs(30);
/// What helps when the database of an earlier start does not fit.
const START_OVER: &str = "`cargo xtask up --fresh` starts over with an empty database";
/// The file of the token that every sidecar takes.
const SIDECAR_TOKEN: &str = "sidecar-token";
/// Makes the schema and the demo organization.
const API: &str = "event-planner-api";

/// Starts everything this checkout needs, ready to try, until Ctrl-C.
///
/// Finds or fetches Postgres and Redis, builds, migrates, seeds, starts the processes and prints
/// three lines to try. The data is kept in `target/dev` (for root in a checkout that other accounts
/// cannot enter: under `/var/tmp`, where `target/dev/data-is-in` points), fetched programs in
/// `~/.cache/event-planner` (root: `/var/cache/event-planner`).
#[derive(Args)]
pub(crate) struct Up {
    /// Wipe the data first: a new database, new ports, a new demo key.
    #[arg(long)]
    fresh: bool,

    /// Build with optimization, for measurements.
    #[arg(long)]
    release: bool,

    /// Where the API listens; without it 8000, or the next free port.
    #[arg(long, env = "API_PORT", value_name = "PORT")]
    api_port: Option<u16>,

    #[command(flatten)]
    given: Given,
}

/// Where a process listens on the loopback address.
struct Address {
    port: u16,
    metrics_port: u16,
}

/// What is known once the servers are up.
struct Ready<'a> {
    state: &'a State,
    servers: Servers,
    programs: PathBuf,
    demo_key: String,
    credentials: Credentials,
    /// Where each process is, by its name.
    urls: BTreeMap<&'static str, String>,
}

impl Up {
    pub(crate) fn run(&self, checkout: &Path) -> anyhow::Result<ExitCode> {
        let begin = Instant::now();
        let state = match State::lock(checkout, "up")? {
            Ok(state) => state,
            Err(holder) => bail!("{holder} is running in this checkout already: stop it first"),
        };
        if self.fresh {
            say("wiping the data of earlier starts");
            state.wipe()?;
        }
        let mut stack = Stack::new(&state.folder, false)?;
        // Before anything slow: a taken port should be heard of at once.
        let addresses = self.addresses(&state)?;
        let credentials = Credentials::read(checkout)?;
        let programs = self.build(checkout)?;
        let servers = dev::start(&mut stack, checkout, &state, &self.given)?;
        let demo_key = secrets::remembered(&state.folder, "demo-api-key", "epk_")?;
        let ready = Ready {
            state: &state,
            servers,
            programs,
            demo_key,
            credentials,
            urls: urls(&addresses),
        };
        ready.prepare_database()?;
        let first = stack.len();
        for (process, address) in PROCESSES.iter().zip(&addresses) {
            ready.start(&mut stack, process, address)?;
        }
        done("everything is up", begin);
        ready.introduce(&addresses);
        let outcome = stack.watch();
        say("stopping");
        // The servers stay until nobody needs them any more.
        stack.stop_from(first);
        outcome.map(|()| ExitCode::SUCCESS)
    }

    fn addresses(&self, state: &State) -> anyhow::Result<Vec<Address>> {
        let mut addresses = Vec::with_capacity(PROCESSES.len());
        // The usual ports of all are promised first, so that nobody's way out is somebody else's usual one.
        let mut promised: Vec<u16> = Vec::new();
        for process in PROCESSES {
            let explicit = self.api_port.filter(|_| process.name == "api");
            let others = PROCESSES.iter().map(|process| process.port);
            let taken: Vec<u16> = others
                .filter(|port| *port != process.port)
                .chain(promised.iter().copied())
                .collect();
            let port = ports::wanted(process.name, process.port, explicit, &taken)?;
            promised.push(port);
            let metrics = format!("{}-metrics", process.name);
            addresses.push(Address {
                port,
                metrics_port: ports::remembered(&state.folder, &metrics)?,
            });
        }
        Ok(addresses)
    }

    /// Answers the folder of the programs.
    fn build(&self, checkout: &Path) -> anyhow::Result<PathBuf> {
        let begin = Instant::now();
        let mut packages: Vec<_> = PROCESSES.iter().map(|process| process.package).collect();
        packages.sort_unstable();
        packages.dedup();
        say(format_args!(
            "building {} (the first time takes minutes)",
            packages.join(", ")
        ));
        cargo::build(checkout, &packages, self.release)?;
        done("built", begin);
        let target = cargo::Workspace::read(checkout)?.target()?;
        Ok(target.join(if self.release { "release" } else { "debug" }))
    }
}

impl Ready<'_> {
    /// Both do nothing to a database that has had them.
    fn prepare_database(&self) -> anyhow::Result<()> {
        let begin = Instant::now();
        let owner = ("DATABASE_OWNER_URL", self.servers.owner.as_str());
        let program = self.programs.join(API);
        api_command::run(&program, "migrate", &[owner]).context(START_OVER)?;
        let app = ("DATABASE_URL", self.servers.database.as_str());
        let key = ("DEMO_API_KEY", self.demo_key.as_str());
        api_command::run(&program, "seed", &[app, key]).context(START_OVER)?;
        done("the database is migrated and seeded", begin);
        Ok(())
    }

    fn start(&self, stack: &mut Stack, process: &Process, address: &Address) -> anyhow::Result<()> {
        let begin = Instant::now();
        let folder = &self.state.folder;
        let settings = Settings {
            servers: &self.servers,
            folder: &folder.display().to_string(),
            port: address.port,
            metrics_port: address.metrics_port,
            service_auth_token: &secrets::remembered(folder, "service-auth-token", "")?,
            sidecar_token: &secrets::remembered(folder, SIDECAR_TOKEN, "")?,
            urls: &self.urls,
            given: &self.credentials,
        };
        let program = self.programs.join(process.package);
        let mut command = Command::new(&program);
        command
            .args(process.args)
            .envs((process.environment)(&settings));
        stack.start(Program {
            name: process.name,
            command,
            stop: StopSignal::Term,
            patience: PATIENCE,
            mark: program.display().to_string(),
        })?;
        stack.wait_for(process.name, PATIENCE, || {
            http::answers_ok(address.port, process.ready)
        })?;
        done(
            format_args!("{} is ready on port {}", process.name, address.port),
            begin,
        );
        Ok(())
    }

    fn introduce(&self, addresses: &[Address]) {
        let row = |name: &str, what: &str| print(format_args!("  {name:<13} {what}"));
        print("");
        for (process, Address { port, metrics_port }) in PROCESSES.iter().zip(addresses) {
            let more = if process.name == SANDBOX {
                "(a page: what the providers below would have received)".to_owned()
            } else {
                format!("(metrics: http://127.0.0.1:{metrics_port}/metrics)")
            };
            row(process.name, &format!("http://127.0.0.1:{port} {more}"));
        }
        for provider in PROVIDERS {
            let is_real = provider.is_real(&self.credentials);
            let what = if is_real {
                "real, with your own credentials"
            } else {
                "the sandbox; your own credentials in .env make it real (docs/providers)"
            };
            row(provider.name, what);
        }
        let token = self.state.folder.join(SIDECAR_TOKEN);
        row(
            "sidecars",
            &format!("their token is in {}", token.display()),
        );
        row("postgres", without_password(&self.servers.owner));
        row("redis", without_password(&self.servers.redis));
        row("demo key", &self.demo_key);
        let mut pairs = PROCESSES.iter().zip(addresses);
        if let Some((_, address)) = pairs.find(|(process, _)| process.name == "api") {
            let api = format!("http://127.0.0.1:{}", address.port);
            row("reference", &format!("{api}/docs"));
            print("\nTry it in another terminal, one line after the other:\n");
            for line in demo::curl_lines(&api, &self.demo_key) {
                print(format_args!("{line}\n"));
            }
            print(
                "Then ask a question of all the data, and let a sidecar do something that the sandbox's page shows:\n",
            );
            print(format_args!("{}\n", demo::question(&api, &self.demo_key)));
            print(format_args!(
                "{}\n",
                demo::post(&self.urls["mcp-slack"], &token.display().to_string())
            ));
        }
        print("Ctrl-C stops everything; the data stays.\n");
    }
}

fn urls(addresses: &[Address]) -> BTreeMap<&'static str, String> {
    let pairs = PROCESSES.iter().zip(addresses);
    pairs
        .map(|(process, address)| (process.name, format!("http://127.0.0.1:{}", address.port)))
        .collect()
}

/// Addresses of our own servers have no password; one that was given stays out of the terminal.
fn without_password(url: &str) -> &str {
    let user = url.split_once("://").map_or(url, |(_, rest)| rest);
    match user.rsplit_once('@') {
        Some((user, _)) if user.contains(':') => "(as given)",
        _ => url,
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_password_is_not_printed() {
        for url in [
            "postgres://me:secret@db/x",
            "redis://:secret@cache:6379",
            "redis://a:p@ss@b",
        ] {
            assert_eq!(without_password(url), "(as given)");
        }
        for url in ["postgres://postgres@127.0.0.1:5/x", "redis://127.0.0.1:6"] {
            assert_eq!(without_password(url), url);
        }
    }
}
