//! What a call costs: `cargo bench -p event-planner-mcp-postgres --bench calls`, with `DATABASE_URL` naming the superuser of
//! a Postgres (as `cargo xtask services` prints it). It makes a database of its own there and drops it.
//!
//! In one run, in turns: the sidecar over HTTP; a process started for each call, which does the same over standard
//! input; and the database alone. Rounds are medians; every figure is from the same machine in the same minutes.

use std::{
    io::Write,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Parser;
use serde_json::{Value, json};
use sqlx::{Executor, PgPool, postgres::PgPoolOptions};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    task::JoinSet,
};

const BINARY: &str = env!("CARGO_BIN_EXE_event-planner-mcp-postgres");
const DATABASE: &str = "event_planner_mcp_bench";
const ORGANIZATION: &str = "00000000-0000-7000-8000-00000000000a";
const SQL: &str = "SELECT 1 AS one";
const CONNECTIONS: usize = 16;

#[derive(Parser)]
struct Arguments {
    /// As superuser.
    #[arg(long, env, hide_env_values = true)]
    database_url: String,
    /// Rounds of each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Times of the calls of one round, sorted.
struct Round {
    times: Vec<Duration>,
    lasted: Duration,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let (admin, url) = database(&arguments.database_url).await?;
    let measured = measure(&arguments, &url).await;
    admin
        .execute(sqlx::query(sqlx::AssertSqlSafe(format!(
            "DROP DATABASE {DATABASE} WITH (FORCE)"
        ))))
        .await?;
    measured
}

async fn measure(arguments: &Arguments, url: &str) -> anyhow::Result<()> {
    let length = Duration::from_secs(arguments.seconds);
    let (mut sidecar, port) = serve(url).await?;
    let pool = PgPoolOptions::new().max_connections(4).connect(url).await?;
    let [
        mut calls,
        mut alone,
        mut spawned,
        mut database,
        mut database_alone,
    ] = [const { Vec::new() }; 5];
    for _ in 0..arguments.rounds {
        calls.push(round(CONNECTIONS, length, || Caller::connect(port)).await?);
        alone.push(round(1, length, || Caller::connect(port)).await?);
        spawned.push(round(2, length, async || Ok(Spawner(url.to_owned()))).await?);
        database.push(round(CONNECTIONS, length, async || Ok(Direct(pool.clone()))).await?);
        database_alone.push(round(1, length, async || Ok(Direct(pool.clone()))).await?);
    }
    let peak = peak_memory(&sidecar)?;
    sidecar.kill().await?;
    let rate = |rounds: &[Round]| median(rounds.iter().map(Round::rate).collect());
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{SQL}; load of the machine before: {}",
        std::fs::read_to_string("/proc/loadavg")?.trim()
    )?;
    for (name, rounds) in [
        ("sidecar, 16 connections", &calls),
        ("sidecar, 1 connection", &alone),
        ("a process for each call, 2 at once", &spawned),
        ("database alone, 16 callers on 4 connections", &database),
        ("database alone, 1 caller", &database_alone),
    ] {
        let [p50, p99] = [50, 99].map(|percent| {
            median(
                rounds
                    .iter()
                    .map(|round| round.percentile(percent))
                    .collect(),
            )
        });
        writeln!(
            out,
            "{name:<45} {:>9.0} calls/s   p50 {p50:>9.3} ms   p99 {p99:>9.3} ms",
            rate(rounds)
        )?;
    }
    writeln!(
        out,
        "sidecar to process for each call: {:.0} times",
        rate(&calls) / rate(&spawned)
    )?;
    let p50 = |rounds: &[Round]| median(rounds.iter().map(|round| round.percentile(50)).collect());
    writeln!(
        out,
        "over the database's own time, 1 caller: {:.3} ms at p50",
        p50(&alone) - p50(&database_alone)
    )?;
    writeln!(out, "peak memory of the sidecar: {peak}")?;
    Ok(())
}

/// A migrated database with one organization, and its address for the sidecar's role.
async fn database(superuser: &str) -> anyhow::Result<(PgPool, String)> {
    let admin = PgPool::connect(superuser)
        .await
        .context("connect as superuser")?;
    for sql in [
        format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"),
        format!("CREATE DATABASE {DATABASE}"),
    ] {
        admin.execute(sqlx::query(sqlx::AssertSqlSafe(sql))).await?;
    }
    let options = (*admin.connect_options()).clone().database(DATABASE);
    let owner = PgPool::connect_with(options.clone()).await?;
    sqlx::migrate!("../../database/migrations")
        .run(&owner)
        .await?;
    owner.close().await;
    let url = format!(
        "postgres://event_planner_reporting@{}:{}/{DATABASE}?sslmode=disable",
        options.get_host(),
        options.get_port()
    );
    Ok((admin, url))
}

fn command(url: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.kill_on_drop(true).env("DATABASE_URL", url).args([
        "--log-filter",
        "off",
        "--rate-limit",
        "1000000000",
    ]);
    command
}

async fn serve(url: &str) -> anyhow::Result<(Child, u16)> {
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    let address = format!("127.0.0.1:{port}");
    let child = command(url)
        .args([
            "--allow-loopback-without-token",
            "--metrics-addr",
            "127.0.0.1:0",
            "--listen-addr",
            &address,
        ])
        .spawn()?;
    for _ in 0..200 {
        if TcpStream::connect(&address).await.is_ok() {
            return Ok((child, port));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("the sidecar did not start")
}

/// The line `VmHWM` of the process.
fn peak_memory(child: &Child) -> anyhow::Result<String> {
    let id = child.id().context("the sidecar ended")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    Ok(line.trim().to_owned())
}

/// One who calls again and again.
trait Calls: Send + 'static {
    fn call(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

async fn round<C: Calls>(
    callers: usize,
    length: Duration,
    make: impl AsyncFn() -> anyhow::Result<C>,
) -> anyhow::Result<Round> {
    let mut tasks = JoinSet::new();
    let mut ready = Vec::new();
    for _ in 0..callers {
        let mut caller = make().await?;
        caller.call().await?;
        ready.push(caller);
    }
    let begun = Instant::now();
    for mut caller in ready {
        tasks.spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < length {
                let call = Instant::now();
                caller.call().await?;
                times.push(call.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    let lasted = begun.elapsed();
    times.sort_unstable();
    Ok(Round { times, lasted })
}

impl Round {
    fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.times.len()).unwrap_or(u32::MAX)) / self.lasted.as_secs_f64()
    }

    /// In milliseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let index = self.times.len() * percent / 100;
        self.times
            .get(index)
            .or(self.times.last())
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// HTTP/1.1 over one connection that is kept.
struct Caller {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Caller {
    async fn connect(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let body = json!({ "sql": SQL }).to_string();
        let request = format!(
            "POST /mcp/tools/query HTTP/1.1\r\nhost: localhost\r\non-behalf-of: {ORGANIZATION}/{ORGANIZATION}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Ok(Self {
            stream,
            request: request.into_bytes(),
            buffer: vec![0; 8192],
        })
    }
}

impl Calls for Caller {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(&self.request).await?;
        let mut read = 0;
        loop {
            read += self.stream.read(&mut self.buffer[read..]).await?;
            let text = std::str::from_utf8(&self.buffer[..read])?;
            // The whole answer is one object of two levels.
            if text.ends_with("}}") {
                ensure!(
                    text.starts_with("HTTP/1.1 200") && text.contains("\"rows\":[[1]]"),
                    "{text}"
                );
                return Ok(());
            }
            ensure!(
                read > 0 && !text.starts_with("HTTP/1.1 4") && !text.starts_with("HTTP/1.1 5"),
                "{text}"
            );
        }
    }
}

/// A process for each call, as MCP hosts start one for each session.
struct Spawner(String);

impl Calls for Spawner {
    async fn call(&mut self) -> anyhow::Result<()> {
        let mut child = command(&self.0)
            .args(["--stdio", "--organization-id", ORGANIZATION])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (mut input, output) = (
            child.stdin.take().context("no input")?,
            child.stdout.take().context("no output")?,
        );
        let mut lines = BufReader::new(output).lines();
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "bench", "version": "1" } });
        let messages = [
            json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }),
            json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
            json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "query", "arguments": { "sql": SQL } } }),
        ];
        for message in &messages {
            input.write_all(format!("{message}\n").as_bytes()).await?;
        }
        loop {
            let line = lines.next_line().await?.context("no answer")?;
            let answer: Value = serde_json::from_str(&line)?;
            if answer["id"] == 2 {
                ensure!(
                    answer["result"]["structuredContent"]["rows"] == json!([[1]]),
                    "{line}"
                );
                break;
            }
        }
        drop(input);
        child.wait().await?;
        Ok(())
    }
}

/// The same statement, prepared once, without a transaction.
struct Direct(PgPool);

impl Calls for Direct {
    async fn call(&mut self) -> anyhow::Result<()> {
        let one: i32 = sqlx::query_scalar(SQL).fetch_one(&self.0).await?;
        ensure!(one == 1);
        Ok(())
    }
}
