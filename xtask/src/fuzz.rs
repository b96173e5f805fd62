//! `cargo xtask fuzz`: requests made from the OpenAPI document, thousands of them, against a
//! throw-away API. No answer may be a 5xx, break its schema or ignore who asks.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::process::{Program, StopSignal};
use crate::terminal::say;
use crate::throw_away::ThrowAway;
use crate::{api_command, cargo, http, packages, paths, ports, postgres, process, redis, secrets};

/// What webhooks and agents keep is sealed with these: made for this alone.
const KEYS: &str = "k1:JORIMrg4gLnNx2dI0RTVUs6leHan5EolWBeXIl+8haQ=";
const API: &str = "event-planner-api";
/// Insights asks through it: without it half of their operations answer 501 only.
const POSTGRES_SIDECAR: &str = "event-planner-mcp-postgres";
const DATABASE: &str = "fuzz";
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// Operations that can end the rights of the key that the requests carry.
const SELF_DESTRUCTIVE: [&str; 3] = ["update_member", "delete_member", "revoke_api_key"];
/// The one streams for as long as a run goes on, the other calls whatever address its agent was given. By themselves, without
/// what makes runs and agents, they find none and have to say so.
const ALONE: [&str; 2] = ["watch_orchestration", "check_agent"];
const PATIENCE: Duration = Duration::from_secs(30);

/// Fuzzes a throw-away API with schemathesis (fetched from `PyPI`), as its demo owner.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Requests altogether, shared evenly among the operations.
    #[arg(long, default_value_t = 2_000)]
    cases: usize,

    /// The same seed makes the same requests.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// More arguments for schemathesis, such as `--include-operation-id create_plan`.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    arguments: Vec<String>,
}

impl Fuzz {
    /// Fails when an answer is not as it should be.
    pub(crate) fn run(&self, checkout: &Path) -> anyhow::Result<ExitCode> {
        let tool = schemathesis(checkout)?;
        cargo::build(checkout, &[API, POSTGRES_SIDECAR], false)?;
        let mut servers = ThrowAway::new(checkout)?;
        let key = secrets::remembered(servers.folder(), "demo-api-key", "epk_")?;
        let port = start_api(checkout, &mut servers, &key)?;
        let (without, only) = ("--exclude-operation-id", "--include-operation-id");
        let apart = [ALONE.as_slice(), SELF_DESTRUCTIVE.as_slice()].concat();
        // Last what may take the caller's own rights away.
        for (option, operations) in [
            (without, apart.as_slice()),
            (only, &ALONE),
            (only, &SELF_DESTRUCTIVE),
        ] {
            let mut command = self.command(&tool, checkout, servers.folder(), port, &key)?;
            command.args(operations.iter().flat_map(|operation| [option, operation]));
            if !process::run(&mut command)?.success() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn command(
        &self,
        tool: &Path,
        checkout: &Path,
        folder: &Path,
        port: u16,
        key: &str,
    ) -> anyhow::Result<Command> {
        let operations = operations(&checkout.join("api/openapi.json"))?;
        let each = self.cases.div_ceil(operations.max(1));
        say(format_args!(
            "{each} requests for each of {operations} operations, seed {}",
            self.seed
        ));
        let mut command = Command::new(tool);
        command
            .current_dir(folder)
            .arg("--config-file")
            .arg(checkout.join("api/schemathesis.toml"))
            .args([
                "run",
                "--no-color",
                "--header",
                &format!("Authorization: Bearer {key}"),
            ])
            .args([
                "--seed",
                &self.seed.to_string(),
                "--max-examples",
                &each.to_string(),
            ])
            .args([
                "--phases",
                "examples,coverage,fuzzing,stateful",
                "--checks",
                "all",
                "--mode",
                "all",
            ])
            // Rules between fields are no part of a schema, and a deleted thing may be created again.
            .args([
                "--exclude-checks",
                "positive_data_acceptance,use_after_free,ensure_resource_availability",
            ])
            .args(&self.arguments)
            .arg(format!("http://127.0.0.1:{port}/openapi.json"));
        Ok(command)
    }
}

/// Starts the API with a demo organization and the sidecar that insights need, and answers its port.
fn start_api(checkout: &Path, servers: &mut ThrowAway, key: &str) -> anyhow::Result<u16> {
    let database = servers.start_postgres(checkout)?;
    postgres::create_database(database, DATABASE)?;
    let redis = servers.start_redis(checkout)?;
    let programs = cargo::Workspace::read(checkout)?.target()?.join("debug");
    let program = programs.join(API);
    let owner = postgres::superuser_url(database, DATABASE);
    let as_role = |role: &str| owner.replacen("postgres@", &format!("{role}@"), 1);
    let app = as_role("event_planner_app");
    api_command::run(&program, "migrate", &[("DATABASE_OWNER_URL", &owner)])?;
    api_command::run(
        &program,
        "seed",
        &[("DATABASE_URL", &app), ("DEMO_API_KEY", key)],
    )?;
    let token = secrets::remembered(servers.folder(), "sidecar-token", "")?;
    let mut sidecar = Command::new(programs.join(POSTGRES_SIDECAR));
    sidecar
        .env("DATABASE_URL", as_role("event_planner_reporting"))
        .env("MCP_TOKENS", &token);
    let sidecar = start(servers, "mcp-postgres", sidecar)?;
    let mut api = Command::new(&program);
    api.arg("serve")
        .env("DATABASE_URL", &app)
        .env("REDIS_URL", redis::url(redis))
        .env(
            "POSTGRES_SIDECAR_URL",
            format!("http://127.0.0.1:{sidecar}"),
        )
        .env("POSTGRES_SIDECAR_TOKEN", &token)
        .env("INTEGRATIONS_KEYS", KEYS)
        .env("RATE_LIMIT", "1000000")
        .env("INSIGHTS_RATE_LIMIT", "1000000");
    start(servers, "api", api)
}

/// Starts one of our servers on a free port, and answers that port when it is ready.
fn start(servers: &mut ThrowAway, name: &'static str, mut command: Command) -> anyhow::Result<u16> {
    let port = ports::remembered(servers.folder(), name)?;
    let metrics_port = ports::remembered(servers.folder(), &format!("{name}-metrics"))?;
    command
        .env("LISTEN_ADDR", format!("127.0.0.1:{port}"))
        .env("METRICS_ADDR", format!("127.0.0.1:{metrics_port}"))
        .env("PUBLIC_BASE_URL", format!("http://127.0.0.1:{port}"))
        .env("LOG_FILTER", "error")
        .env("LOG_FORMAT", "text");
    let mark = command.get_program().to_string_lossy().into_owned();
    servers.stack().start(Program {
        name,
        command,
        stop: StopSignal::Term,
        patience: PATIENCE,
        mark,
    })?;
    servers
        .stack()
        .wait_for(name, PATIENCE, || http::answers_ok(port, "/ready"))?;
    Ok(port)
}

/// The program, fetched once into the cache.
fn schemathesis(checkout: &Path) -> anyhow::Result<PathBuf> {
    let cache = paths::cache(checkout)?;
    let name = SCHEMATHESIS.replace("==", "-");
    let folder = cache.join(&name);
    // A virtual environment knows its own place, so it is made there; the mark says it is whole.
    let (program, whole) = (folder.join("bin/schemathesis"), folder.join("whole"));
    if whole.exists() {
        return Ok(program);
    }
    say(format_args!(
        "fetching {SCHEMATHESIS} from PyPI into {}",
        folder.display()
    ));
    packages::run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )
    .context("making a virtual environment: install python3 with venv")?;
    packages::run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", SCHEMATHESIS]))
        .context("fetching schemathesis")?;
    std::fs::write(&whole, "")?;
    Ok(program)
}

fn operations(document: &Path) -> anyhow::Result<usize> {
    let text = std::fs::read_to_string(document)?;
    let document: serde_json::Value = serde_json::from_str(&text)?;
    let paths = document["paths"]
        .as_object()
        .context("the document has no paths")?;
    Ok(paths
        .values()
        .filter_map(|item| item.as_object())
        .map(serde_json::Map::len)
        .sum())
}
