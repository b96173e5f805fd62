//! Ten thousand notifications and worker processes that are killed again and again. None may be lost, each has one effect.

use std::{
    collections::HashSet,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use clap::Parser;
use event_planner_api::{
    config,
    jobs::{Done, Failure, Handler, Job, Options, Worker},
    state::{self, App},
    tls,
    work::Work,
};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    durability::{application_url, free_address},
    providers,
    support::{SERVICE_TOKEN, TestApp},
    webhooks::{Receiver, endpoint},
};

const NOTIFICATIONS: i64 = 10_000;
const KILLS: i64 = 20;
const WORKERS: usize = 3;
/// Where a worker process is told what to do.
const ORDERS: &str = "EVENT_PLANNER_TEST_WORKER";
/// What takes longer than this on a busy machine hangs.
const LONGEST: Duration = Duration::from_mins(5);

/// What a notification is here: an effect at a provider that knows keys, and a trace in the transaction that ends the job.
const NOTIFY: &[Handler] = &[Handler {
    kind: "test.notify",
    attempts: 1_000,
    timeout: Duration::from_secs(20),
    every: None,
    run: |app, job| Box::pin(notify(app, job)),
}];

async fn notify(app: App, job: Job) -> Result<Done, Failure> {
    let errand = job.errand(Duration::from_secs(15));
    let customer = json!({"name": "Ada", "email": format!("{}@example.com", job.id)});
    let stripe = &app.sidecars.stripe;
    let _: Value = stripe.run(&errand, "create_customer", &customer).await?;
    let mut work = Work::system(&app, job.organization_id).await?;
    sqlx::query("INSERT INTO traces (key) VALUES ($1)")
        .bind(job.idempotency_key())
        .execute(&mut *work)
        .await?;
    let done = job.settle(&mut work).await?;
    work.commit_silently().await?;
    Ok(done)
}

/// The arguments of a worker process, as `event-planner-api worker` takes them.
#[derive(Debug, PartialEq)]
struct Orders(Vec<String>);

impl Orders {
    fn new(database_url: &str, stripe_url: &str) -> Self {
        let name = |text: &str| text.to_owned();
        Self(vec![
            name("event-planner-api"),
            name("worker"),
            format!("--database-url={database_url}"),
            format!("--stripe-sidecar-url={stripe_url}"),
            format!("--stripe-sidecar-token={SERVICE_TOKEN}"),
        ])
    }

    fn write(&self) -> String {
        self.0.join("\n")
    }

    fn read(text: &str) -> Self {
        Self(text.split('\n').map(str::to_owned).collect())
    }

    fn config(&self) -> config::Worker {
        match config::Cli::parse_from(&self.0).command {
            config::Command::Worker(worker) => *worker,
            other => panic!("{other:?}"),
        }
    }
}

/// With orders, this is a worker process of the test below, until it is killed.
#[test]
fn a_worker_process_reads_its_orders() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test that starts us tells us what to do"
    )]
    let Ok(orders) = std::env::var(ORDERS) else {
        let orders = Orders::new("postgres://host/name", "http://127.0.0.1:1");
        assert_eq!(Orders::read(&orders.write()), orders);
        let config = orders.config();
        let url = config.serve.sidecars.stripe_sidecar_url;
        assert_eq!(url.as_deref(), Some("http://127.0.0.1:1"));
        return;
    };
    tls::install_provider();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = Orders::read(&orders).config().serve;
        let url = config.database.url().unwrap();
        let db = state::connect(&url, 8).await.unwrap();
        let app = App::from_config(&config, db).unwrap();
        let options = Options {
            concurrency: 16,
            lease: Duration::from_secs(3),
        };
        Worker::run(app, NOTIFY, options, CancellationToken::new()).await;
    });
}

/// Processes that are killed when this goes.
struct Processes {
    children: Vec<Child>,
    spawn: Box<dyn Fn() -> Command + Send>,
}

impl Processes {
    fn start(spawn: impl Fn() -> Command + Send + 'static) -> Self {
        let children = (0..WORKERS).map(|_| quiet(spawn())).collect();
        let spawn = Box::new(spawn);
        Self { children, spawn }
    }

    /// SIGKILL for one of them, and a new one in its place.
    fn kill(&mut self, number: i64) {
        let index = usize::try_from(number).unwrap() % WORKERS;
        let child = &mut self.children[index];
        child.kill().unwrap();
        child.wait().unwrap();
        *child = quiet((self.spawn)());
    }

    fn signal(&self, index: usize, signal: &str) {
        let pid = self.children[index].id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn quiet(mut command: Command) -> Child {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Kills one worker each time that another part of the work is done; waits for the rest.
async fn kill_while<F: Future<Output = i64>>(
    processes: &mut Processes,
    total: i64,
    mut done: impl FnMut() -> F,
) {
    let begun = Instant::now();
    let mut kills = 0;
    loop {
        let now = done().await;
        while kills < KILLS && now >= (kills + 1) * total / (KILLS + 2) {
            // Late in the third, one is paused for longer than its lease, wakes up, and goes on as if nothing had been.
            match kills {
                6 => processes.signal(2, "-STOP"),
                12 => processes.signal(2, "-CONT"),
                _ => {}
            }
            processes.kill(if (6..12).contains(&kills) {
                kills % 2
            } else {
                kills
            });
            kills += 1;
        }
        if now >= total {
            assert_eq!(kills, KILLS);
            return;
        }
        assert!(begun.elapsed() < LONGEST, "{now} done after {kills} kills");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// Measures the queue's promise with a provider that takes keys itself: as many effects as jobs, although workers die
/// in the middle and one comes back late, whose results the fence refuses.
#[sqlx::test]
async fn ten_thousand_notifications_survive_twenty_kills_and_a_pause(pool: PgPool) {
    let (sandbox, sidecars) = providers::start(&[]).await;
    let app = TestApp::new(pool.clone()).await;
    for sql in [
        "CREATE TABLE traces (key text)",
        "GRANT ALL ON traces TO event_planner_app",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    sqlx::query(
        "INSERT INTO jobs (organization_id, id, kind, payload)
         SELECT $1, gen_random_uuid(), 'test.notify', '{}' FROM generate_series(1, $2)",
    )
    .bind(app.organization_id)
    .bind(NOTIFICATIONS)
    .execute(&pool)
    .await
    .unwrap();
    let orders = Orders::new(
        &application_url(&pool),
        &sidecars.stripe_sidecar_url.unwrap(),
    );
    let orders = orders.write();
    let mut processes = Processes::start(move || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "notifications::a_worker_process_reads_its_orders",
            ])
            .env(ORDERS, &orders);
        command
    });
    let traces = "SELECT count(*) FROM traces";
    kill_while(&mut processes, NOTIFICATIONS, async || {
        count(&pool, traces).await
    })
    .await;
    drop(processes);

    assert_eq!(
        count(&pool, "SELECT count(*) FROM jobs").await,
        0,
        "none is left"
    );
    assert_eq!(
        count(&pool, traces).await,
        NOTIFICATIONS,
        "no late result was taken"
    );
    let distinct = "SELECT count(DISTINCT key) FROM traces";
    assert_eq!(count(&pool, distinct).await, NOTIFICATIONS);
    let counts = providers::counts(&sandbox).await;
    assert_eq!(counts["stripe"]["customers"], NOTIFICATIONS, "{counts}");
}

/// The same with the built binary and webhooks: the receiver is told at least once, and the id tells repeats.
#[sqlx::test]
async fn webhooks_survive_twenty_kills_of_the_real_worker(pool: PgPool) {
    const WEBHOOKS: i64 = 2_000;
    /// What `worker` has in flight.
    const AT_ONCE: i64 = 64;
    let app = TestApp::new(pool.clone()).await;
    let receiver = Receiver::start().await;
    endpoint(&app.owner, &receiver.url(), &["event.completed"]).await;
    sqlx::query(
        "WITH entry AS (
             INSERT INTO audit_entries (organization_id, id, occurred_at, actor_kind, action, subject_type, subject_id)
             SELECT $1, gen_random_uuid(), now(), 'SYSTEM', 'event.completed', 'event', gen_random_uuid()
             FROM generate_series(1, $2) RETURNING id
         ), delivery AS (
             INSERT INTO webhook_deliveries (organization_id, id, endpoint_id, entry_id, event_type, created_at)
             SELECT $1, gen_random_uuid(), e.id, entry.id, 'event.completed', now() FROM entry, webhook_endpoints e
             RETURNING id, endpoint_id
         )
         INSERT INTO jobs (organization_id, id, kind, payload, lane)
         SELECT $1, id, 'webhook.deliver', '{}', 'webhook:' || endpoint_id FROM delivery",
    )
    .bind(app.organization_id)
    .bind(WEBHOOKS)
    .execute(&pool)
    .await
    .unwrap();
    let url = application_url(&pool);
    let mut processes = Processes::start(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_event-planner-api"));
        command
            .arg("worker")
            .env("DATABASE_URL", &url)
            .env("LISTEN_ADDR", free_address())
            .env("METRICS_ADDR", free_address())
            .env("WEBHOOK_ALLOWED_NETWORKS", "127.0.0.1/32")
            .env("INTEGRATIONS_KEYS", format!("k1:{}", crate::providers::KEY));
        command
    });
    let delivered = "SELECT count(*) FROM webhook_deliveries WHERE status = 'DELIVERED'";
    kill_while(&mut processes, WEBHOOKS, async || {
        count(&pool, delivered).await
    })
    .await;
    drop(processes);
    let messages = receiver.messages();
    let ids: HashSet<_> = messages
        .iter()
        .map(|message| message.header("webhook-id"))
        .collect();
    assert_eq!(i64::try_from(ids.len()).unwrap(), WEBHOOKS);
    let repeats = i64::try_from(messages.len()).unwrap() - WEBHOOKS;
    assert!(repeats <= KILLS * AT_ONCE, "{repeats} repeats");
}
