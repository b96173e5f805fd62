//! How many jobs a worker delivers to nobody: `cargo bench -p event-planner-api --bench jobs`, with `DATABASE_URL` naming
//! the superuser of a Postgres (as `cargo xtask services` prints it). It makes a database of its own there and drops it.
//!
//! Each round enqueues jobs for several organizations, then lets one worker process empty the queue: claims, leases,
//! handler, removal. Beside it, in turns, what the same Postgres does with the least work that a queue could be: rows
//! claimed and deleted in batches by one statement. Every job counts itself, so that one done twice is seen.

use std::{
    collections::HashSet,
    io::Write,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Parser;
use event_planner_api::{
    jobs::{Done, Handler, Options, Worker},
    state::App,
};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool, postgres::PgConnectOptions};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const DATABASE: &str = "event_planner_jobs_bench";
const ORGANIZATIONS: i64 = 4;

#[derive(Parser)]
struct Arguments {
    /// As superuser.
    #[arg(long, env, hide_env_values = true)]
    database_url: String,
    /// Rounds of each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Jobs of each round.
    #[arg(long, default_value_t = 20_000)]
    jobs: i64,
    /// Jobs at once.
    #[arg(long, default_value_t = 256)]
    concurrency: usize,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The jobs of this round that were done.
static DONE: Mutex<Option<HashSet<Uuid>>> = Mutex::new(None);
static TWICE: Mutex<Vec<Uuid>> = Mutex::new(Vec::new());

/// The null sink.
const HANDLERS: &[Handler] = &[Handler {
    kind: "bench.null",
    attempts: 1,
    timeout: Duration::from_secs(5),
    every: None,
    run: |_, job| {
        Box::pin(async move {
            let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
            if !done.get_or_insert_default().insert(job.id) {
                let mut twice = TWICE.lock().unwrap_or_else(PoisonError::into_inner);
                twice.push(job.id);
            }
            Ok(Done::Finished)
        })
    },
}];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    event_planner_api::tls::install_provider();
    let arguments = Arguments::parse();
    let options: PgConnectOptions = arguments.database_url.parse()?;
    let admin = PgPool::connect_with(options.clone()).await?;
    for sql in [
        format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"),
        format!("CREATE DATABASE {DATABASE}"),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&admin).await?;
    }
    let measured = measure(&arguments, options.database(DATABASE)).await;
    let drop = format!("DROP DATABASE {DATABASE} WITH (FORCE)");
    sqlx::query(AssertSqlSafe(drop)).execute(&admin).await?;
    measured
}

async fn measure(arguments: &Arguments, options: PgConnectOptions) -> anyhow::Result<()> {
    let owner = PgPool::connect_with(options.clone().disable_statement_logging()).await?;
    sqlx::migrate!("../database/migrations").run(&owner).await?;
    let db = PgPool::connect_with(options.username("event_planner_app")).await?;
    let app = App::for_command(db)?;
    let (mut worker, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        worker.push(round(&owner, &app, arguments).await?);
        alone.push(database_alone(&owner, &app.db, arguments).await?);
    }
    let rate = |mut times: Vec<Duration>| {
        times.sort_unstable();
        let jobs = f64::from(u32::try_from(arguments.jobs).unwrap_or(u32::MAX));
        jobs / times[times.len() / 2].as_secs_f64()
    };
    let (worker, alone) = (rate(worker), rate(alone));
    let twice = TWICE.lock().unwrap_or_else(PoisonError::into_inner).len();
    let mut out = std::io::stdout().lock();
    let load = std::fs::read_to_string("/proc/loadavg")?;
    writeln!(
        out,
        "median of {} rounds of {} jobs; load of the machine: {}",
        arguments.rounds,
        arguments.jobs,
        load.trim()
    )?;
    writeln!(
        out,
        "one worker to a null sink            {worker:>8.0} jobs/s   done twice: {twice}"
    )?;
    writeln!(
        out,
        "claim and delete by the database     {alone:>8.0} jobs/s   ({:.0} %)",
        100.0 * worker / alone
    )?;
    ensure!(twice == 0, "{twice} jobs were done twice");
    Ok(())
}

/// Fills the queue, with the ids in an order that is not that of the organizations.
async fn fill(owner: &PgPool, jobs: i64) -> anyhow::Result<()> {
    sqlx::query(
        "INSERT INTO jobs (organization_id, id, kind, payload)
         SELECT ('00000000-0000-7000-8000-00000000000' || n % $2)::uuid, gen_random_uuid(), 'bench.null', '{}'
         FROM generate_series(1, $1) AS n",
    )
    .bind(jobs)
    .bind(ORGANIZATIONS)
    .execute(owner)
    .await?;
    sqlx::query("VACUUM ANALYZE jobs").execute(owner).await?;
    Ok(())
}

async fn left(db: &PgPool) -> anyhow::Result<i64> {
    let left = sqlx::query_scalar("SELECT count(*) FROM jobs")
        .fetch_one(db)
        .await;
    left.context("count the jobs")
}

/// One worker empties the queue; the time from its start to the last row gone.
async fn round(owner: &PgPool, app: &App, arguments: &Arguments) -> anyhow::Result<Duration> {
    fill(owner, arguments.jobs).await?;
    *DONE.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let options = Options {
        concurrency: arguments.concurrency,
        ..Options::default()
    };
    let stop = CancellationToken::new();
    let begun = Instant::now();
    let running = tokio::spawn(Worker::run(app.clone(), HANDLERS, options, stop.clone()));
    while left(owner).await? > 0 {
        ensure!(
            begun.elapsed() < Duration::from_mins(2),
            "the queue does not empty"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let lasted = begun.elapsed();
    stop.cancel();
    running.await?;
    let done = DONE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let done = i64::try_from(done.unwrap_or_default().len())?;
    ensure!(
        done == arguments.jobs,
        "{done} of {} were done",
        arguments.jobs
    );
    Ok(lasted)
}

/// The same rows, claimed and deleted with nothing in between.
async fn database_alone(
    owner: &PgPool,
    db: &PgPool,
    arguments: &Arguments,
) -> anyhow::Result<Duration> {
    fill(owner, arguments.jobs).await?;
    let begun = Instant::now();
    let batch = i64::try_from(arguments.concurrency)?;
    loop {
        let claimed = sqlx::query_as::<_, (Uuid, Uuid)>(
            "UPDATE jobs SET fence = fence + 1, available_at = clock_timestamp() + interval '30 s'
             FROM (SELECT organization_id, id FROM jobs WHERE available_at <= clock_timestamp()
                   LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
             WHERE jobs.organization_id = due.organization_id AND jobs.id = due.id RETURNING jobs.organization_id, jobs.id",
        )
        .bind(batch)
        .fetch_all(db)
        .await?;
        if claimed.is_empty() {
            return Ok(begun.elapsed());
        }
        let (organizations, ids): (Vec<_>, Vec<_>) = claimed.into_iter().unzip();
        sqlx::query(
            "DELETE FROM jobs USING UNNEST($1::uuid[], $2::uuid[]) AS c (organization_id, id)
             WHERE jobs.organization_id = c.organization_id AND jobs.id = c.id",
        )
        .bind(organizations)
        .bind(ids)
        .execute(db)
        .await?;
    }
}
