//! The queue and its workers, with jobs that leave a trace in a table.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use event_planner_api::{
    jobs::{Done, Failure, HANDLERS, Handler, Job, NewJob, Options, Worker},
    state::App,
    work::Work,
};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::TestApp;

const TEST_HANDLERS: &[Handler] = &[
    handler("test.note", |app, job| Box::pin(note(app, job))),
    handler("test.fail", |_, _| {
        Box::pin(async { Err(retry("it always fails")) })
    }),
    handler("test.fatal", |_, _| {
        Box::pin(async { Err(Failure::Fatal("no use".into())) })
    }),
    handler("test.panic", |_, _| Box::pin(async { panic!("a defect") })),
    handler("test.away", |_, _| Box::pin(async { away() })),
    handler("test.busy", |app, job| Box::pin(busy(app, job))),
    handler("test.block", |app, job| Box::pin(block(app, job))),
    handler("test.hang", |_, _| Box::pin(hang())),
];

const fn handler(
    kind: &'static str,
    run: fn(App, Job) -> futures_util::future::BoxFuture<'static, Result<Done, Failure>>,
) -> Handler {
    Handler {
        kind,
        attempts: 2,
        timeout: Duration::from_secs(5),
        every: None,
        run,
    }
}

fn retry(error: &str) -> Failure {
    Failure::Retry {
        error: error.into(),
        after: None,
    }
}

fn away() -> Result<Done, Failure> {
    Err(Failure::Away {
        error: "the provider is away".into(),
        after: None,
    })
}

/// Writes its key down, in the transaction in which the job ends.
async fn note(app: App, job: Job) -> Result<Done, Failure> {
    let mut work = Work::system(&app, job.organization_id).await?;
    let text = job.payload.as_str().unwrap_or_default();
    sqlx::query("INSERT INTO traces (key, text, at) VALUES ($1, $2, clock_timestamp())")
        .bind(job.idempotency_key())
        .bind(text)
        .execute(&mut *work)
        .await?;
    let done = job.settle(&mut work).await?;
    work.commit_silently().await?;
    Ok(done)
}

/// A provider that takes ten calls a second, and asks whoever comes too often to wait for one.
async fn busy(app: App, job: Job) -> Result<Done, Failure> {
    static TAKEN: Mutex<Vec<Instant>> = Mutex::new(Vec::new());
    let is_taken = {
        let mut taken = TAKEN.lock().unwrap();
        taken.retain(|at| at.elapsed() < Duration::from_secs(1));
        let is_taken = taken.len() < 10;
        if is_taken {
            taken.push(Instant::now());
        }
        is_taken
    };
    if is_taken {
        return note(app, job).await;
    }
    Err(Failure::Away {
        error: "too many calls".into(),
        after: Some(Duration::from_secs(1)),
    })
}

/// The first attempt stops its whole thread for longer than the lease.
async fn block(app: App, job: Job) -> Result<Done, Failure> {
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    if ATTEMPTS.fetch_add(1, Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1_500));
    }
    note(app, job).await
}

static HANGING: AtomicU32 = AtomicU32::new(0);
static MOST_HANGING: AtomicU32 = AtomicU32::new(0);

async fn hang() -> Result<Done, Failure> {
    let hanging = HANGING.fetch_add(1, Ordering::SeqCst) + 1;
    MOST_HANGING.fetch_max(hanging, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    HANGING.fetch_sub(1, Ordering::SeqCst);
    Ok(Done::Finished)
}

/// An application whose database takes traces.
async fn app_with_traces(pool: &PgPool) -> TestApp {
    for statement in [
        "CREATE TABLE traces (key text, text text, at timestamptz)",
        "GRANT ALL ON traces TO event_planner_app",
    ] {
        sqlx::query(statement).execute(pool).await.unwrap();
    }
    TestApp::new(pool.clone()).await
}

async fn enqueue(app: &TestApp, organization_id: Uuid, job: NewJob) -> Uuid {
    let mut work = Work::system(&app.app, organization_id).await.unwrap();
    let id = work.enqueue(job).await.unwrap();
    work.commit_silently().await.unwrap();
    id
}

fn job(kind: &'static str, text: &str) -> NewJob {
    NewJob::new(kind, &text).unwrap()
}

/// A worker in the background; `stop` ends it.
pub fn start(
    app: &TestApp,
    handlers: &'static [Handler],
    options: Options,
) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let stop = CancellationToken::new();
    let running = tokio::spawn(Worker::run(
        app.app.clone(),
        handlers,
        options,
        stop.clone(),
    ));
    (stop, running)
}

async fn traces(pool: &PgPool) -> Vec<(String, String)> {
    sqlx::query_as("SELECT key, text FROM traces ORDER BY at")
        .fetch_all(pool)
        .await
        .unwrap()
}

pub async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn jobs_left(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM jobs")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[sqlx::test]
async fn a_job_exists_when_its_change_does_and_is_done_once(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    let mut work = Work::system(&app.app, app.organization_id).await.unwrap();
    work.enqueue(job("test.note", "never")).await.unwrap();
    drop(work);
    let id = enqueue(&app, app.organization_id, job("test.note", "once")).await;
    let workers = [0, 1, 2].map(|_| start(&app, TEST_HANDLERS, Options::default()));
    until("done", async || jobs_left(&pool).await == 0).await;
    for (stop, running) in workers {
        stop.cancel();
        running.await.unwrap();
    }
    assert_eq!(traces(&pool).await, [(id.to_string(), "once".to_owned())]);
}

#[sqlx::test]
async fn a_new_job_wakes_the_worker(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    let (stop, running) = start(&app, TEST_HANDLERS, Options::default());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut waits = Vec::new();
    for number in 1..=5 {
        let begun = Instant::now();
        enqueue(&app, app.organization_id, job("test.note", "now")).await;
        until("done", async || traces(&pool).await.len() == number).await;
        waits.push(begun.elapsed());
    }
    waits.sort_unstable();
    assert!(waits[2] < Duration::from_millis(500), "{waits:?}");
    stop.cancel();
    running.await.unwrap();
}

#[sqlx::test]
async fn one_live_job_stands_for_all_of_its_unique_key(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    let first = enqueue(&app, app.organization_id, job("test.note", "a").once("k")).await;
    let second = enqueue(&app, app.organization_id, job("test.note", "b").once("k")).await;
    let other = enqueue(
        &app,
        app.other_organization_id,
        job("test.note", "c").once("k"),
    )
    .await;
    assert_eq!(first, second);
    assert_ne!(first, other);
    assert_eq!(jobs_left(&pool).await, 2);
}

#[sqlx::test]
async fn what_keeps_failing_becomes_a_dead_letter_that_can_be_replayed(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    let failing = enqueue(&app, app.organization_id, job("test.fail", "x")).await;
    enqueue(&app, app.organization_id, job("test.fatal", "x")).await;
    enqueue(&app, app.organization_id, job("test.panic", "x")).await;
    let (stop, running) = start(&app, TEST_HANDLERS, Options::default());
    let dead = async || {
        app.owner.get("/v1/dead-letters").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .clone()
    };
    until("three dead letters", async || dead().await.len() == 3).await;
    stop.cancel();
    running.await.unwrap();
    let found = dead().await;
    let errors: Vec<_> = found
        .iter()
        .map(|letter| {
            (
                letter["kind"].as_str().unwrap(),
                letter["attempts"].clone(),
                letter["error"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        errors,
        [
            ("test.panic", json!(2), "it panicked"),
            ("test.fatal", json!(1), "no use"),
            ("test.fail", json!(2), "it always fails")
        ]
    );
    let one = app
        .owner
        .get("/v1/dead-letters?kind=test.fatal")
        .await
        .expect(200);
    assert_eq!(one["items"].as_array().unwrap().len(), 1);

    // Mended: as a kind that works, it is done under the old key.
    sqlx::query("UPDATE jobs SET kind = 'test.note' WHERE id = $1")
        .bind(failing)
        .execute(&pool)
        .await
        .unwrap();
    let path = format!("/v1/dead-letters/{failing}");
    app.stranger
        .post(&format!("{path}/replay"), &Value::Null)
        .await
        .expect_problem(404, "not_found");
    app.owner
        .post(&format!("{path}/replay"), &Value::Null)
        .await
        .expect(200);
    let (stop, running) = start(&app, TEST_HANDLERS, Options::default());
    until("replayed", async || !traces(&pool).await.is_empty()).await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(traces(&pool).await[0].0, failing.to_string());
    let fatal = one["items"][0]["id"].as_str().unwrap();
    app.owner
        .delete(&format!("/v1/dead-letters/{fatal}"), "*")
        .await
        .expect(204);
    assert_eq!(dead().await.len(), 1);
    // What others wait for is not given up.
    let waited_for = "UPDATE jobs SET kind = 'subtask.run' WHERE died_at IS NOT NULL RETURNING id";
    let waited_for: Uuid = sqlx::query_scalar(waited_for)
        .fetch_one(&pool)
        .await
        .unwrap();
    app.owner
        .delete(&format!("/v1/dead-letters/{waited_for}"), "*")
        .await
        .expect_problem(409, "in_use");
}

#[sqlx::test]
async fn a_job_that_takes_its_workers_down_becomes_a_dead_letter(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    enqueue(&app, app.organization_id, job("test.note", "deadly")).await;
    sqlx::query("UPDATE jobs SET attempts = 12")
        .execute(&pool)
        .await
        .unwrap();
    let (stop, running) = start(&app, TEST_HANDLERS, Options::default());
    until("a dead letter", async || {
        let dead = "SELECT count(*) FROM jobs WHERE died_at IS NOT NULL";
        let dead = sqlx::query_scalar::<_, i64>(dead).fetch_one(&pool);
        dead.await.unwrap() == 1
    })
    .await;
    stop.cancel();
    running.await.unwrap();
    assert!(traces(&pool).await.is_empty());
}

#[sqlx::test]
async fn a_provider_that_is_away_parks_its_jobs_and_burns_no_attempt(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    for _ in 0..20 {
        enqueue(
            &app,
            app.organization_id,
            job("test.away", "x").lane("slack"),
        )
        .await;
    }
    enqueue(
        &app,
        app.organization_id,
        job("test.note", "other lane").lane("stripe"),
    )
    .await;
    let (stop, running) = start(&app, TEST_HANDLERS, Options::default());
    until("the other lane", async || traces(&pool).await.len() == 1).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let tried: (i64, i64, i64) = sqlx::query_as("SELECT sum(fence)::bigint, sum(attempts)::bigint, count(*) FILTER (WHERE died_at IS NOT NULL) FROM jobs")
        .fetch_one(&pool).await.unwrap();
    assert_eq!((tried.1, tried.2), (0, 0));
    assert!(tried.0 <= 20, "the pause holds: {tried:?}");
    let pauses: i32 = sqlx::query_scalar("SELECT pauses FROM job_lanes WHERE lane = 'slack'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(pauses, 1);
    stop.cancel();
    running.await.unwrap();
}

#[sqlx::test]
async fn a_provider_that_is_asked_too_often_is_asked_as_often_as_it_takes(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    for _ in 0..50 {
        enqueue(
            &app,
            app.organization_id,
            job("test.busy", "x").lane("slack"),
        )
        .await;
    }
    let (stop, running) = start(&app, TEST_HANDLERS, Options::default());
    // Pauses that grow, as for one that is away, would be 30 s between the first two: too long.
    for done in [20, 35, 50] {
        let what = format!("{done} of them");
        until(&what, async || traces(&pool).await.len() >= done).await;
    }
    stop.cancel();
    running.await.unwrap();
}

#[sqlx::test]
async fn a_worker_counts_what_waits_for_people(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    for (id, status) in [
        (1, "WAITING"),
        (2, "WAITING"),
        (3, "SUCCEEDED"),
        (4, "FAILED"),
    ] {
        sqlx::query(
            "INSERT INTO orchestrations (organization_id, id, is_booking_run, playbook, definition, description, facts, notes, priority, status,
                                         estimated_duration_minutes, estimated_tokens, created_at, updated_at)
             VALUES ($1, $2, false, 'offsite', '{}', 'x', '{}', '{}', 'NORMAL', $3, 1, 1, now(), now() - $4 * interval '1 hour')",
        )
        .bind(app.organization_id)
        .bind(Uuid::from_u128(id))
        .bind(status)
        .bind(i32::try_from(id).unwrap())
        .execute(&pool)
        .await
        .unwrap();
    }
    sqlx::query(
        "INSERT INTO webhook_endpoints (organization_id, id, url, event_types, enabled, disabled_reason, secret, created_at, updated_at)
         VALUES ($1, $2, 'https://x.example', '{*}', false, 'GONE', 'x', now(), now()), ($1, $3, 'https://y.example', '{*}', false, NULL, 'x', now(), now())",
    )
    .bind(app.organization_id)
    .bind(Uuid::from_u128(1))
    .bind(Uuid::from_u128(2))
    .execute(&pool)
    .await
    .unwrap();
    let (stop, running) = start(&app, TEST_HANDLERS, Options::default());
    let metrics = &app.app.metrics.jobs;
    let runs = |status| metrics.runs.with_label_values(&[status]).get();
    let longest = || metrics.longest_waiting_run.get();
    until("counted", async || runs("failed") == 1 && longest() > 0.0).await;
    assert_eq!(
        (
            runs("waiting"),
            runs("running"),
            runs("compensation_failed")
        ),
        (2, 0, 0)
    );
    assert!((7_200.0..7_260.0).contains(&longest()), "{}", longest());
    // Not the one that its owner has switched off.
    assert_eq!(metrics.disabled_endpoints.get(), 1);
    stop.cancel();
    running.await.unwrap();
}

#[sqlx::test]
async fn a_late_result_is_refused(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    let id = enqueue(&app, app.organization_id, job("test.block", "x")).await;
    let options = Options {
        lease: Duration::from_millis(400),
        ..Options::default()
    };
    // The sleeper has a thread of its own, so that nothing keeps its lease while it sleeps.
    let options_of_database = (*app.app.db.connect_options()).clone();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let sleeper = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let db = sqlx::postgres::PgPoolOptions::new()
                .connect_with(options_of_database)
                .await
                .unwrap();
            Worker::run(
                App::for_command(db).unwrap(),
                TEST_HANDLERS,
                options,
                stopped,
            )
            .await;
        });
    });
    until("claimed", async || {
        sqlx::query_scalar("SELECT fence = 1 FROM jobs")
            .fetch_one(&pool)
            .await
            .unwrap()
    })
    .await;
    let (other_stop, running) = start(&app, TEST_HANDLERS, options);
    until("done by the other", async || jobs_left(&pool).await == 0).await;
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    stop.cancel();
    other_stop.cancel();
    running.await.unwrap();
    tokio::task::spawn_blocking(move || sleeper.join().unwrap())
        .await
        .unwrap();
    assert_eq!(traces(&pool).await, [(id.to_string(), "x".to_owned())]);
}

#[sqlx::test]
async fn one_organizations_flood_does_not_make_the_others_wait(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    for _ in 0..300 {
        enqueue(&app, app.organization_id, job("test.note", "flood")).await;
    }
    let last = enqueue(&app, app.other_organization_id, job("test.note", "single")).await;
    let options = Options {
        concurrency: 8,
        ..Options::default()
    };
    let (stop, running) = start(&app, TEST_HANDLERS, options);
    until("all", async || jobs_left(&pool).await == 0).await;
    stop.cancel();
    running.await.unwrap();
    let place = traces(&pool)
        .await
        .iter()
        .position(|(key, _)| *key == last.to_string())
        .unwrap();
    assert!(place < 30, "{place}");
}

#[sqlx::test]
async fn a_lane_that_hangs_has_an_eighth_of_the_places(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    let organization = app.organization_id;
    for _ in 0..12 {
        enqueue(&app, organization, job("test.hang", "").lane("slow")).await;
    }
    enqueue(&app, organization, job("test.note", "beside it")).await;
    let options = Options {
        concurrency: 16,
        ..Options::default()
    };
    let (stop, running) = start(&app, TEST_HANDLERS, options);
    until("the other lane's job", async || {
        traces(&pool).await.len() == 1
    })
    .await;
    assert!(jobs_left(&pool).await >= 10, "the lane is not waited for");
    until("no job left", async || jobs_left(&pool).await == 0).await;
    assert_eq!(MOST_HANGING.load(Ordering::SeqCst), 2);
    stop.cancel();
    running.await.unwrap();
}

#[sqlx::test]
async fn what_has_no_lane_does_not_ask_a_provider_all_the_time(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    enqueue(&app, app.organization_id, job("test.away", "")).await;
    let (stop, running) = start(&app, TEST_HANDLERS, Options::default());
    let waits = "SELECT EXISTS (SELECT FROM jobs WHERE last_error IS NOT NULL AND attempts = 0 AND available_at > clock_timestamp() + interval '10 s')";
    until("an attempt, and a long wait", async || {
        sqlx::query_scalar(waits).fetch_one(&pool).await.unwrap()
    })
    .await;
    stop.cancel();
    running.await.unwrap();
}

#[sqlx::test]
async fn a_restored_copy_delivers_nothing_until_it_is_released(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    sqlx::query("UPDATE deliveries SET home = 'elsewhere'")
        .execute(&pool)
        .await
        .unwrap();
    enqueue(&app, app.organization_id, job("test.note", "x")).await;
    let (stop, running) = start(&app, TEST_HANDLERS, Options::default());
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(traces(&pool).await.len(), 0);
    event_planner_api::jobs::release_deliveries(&app.app.db)
        .await
        .unwrap();
    until("released", async || traces(&pool).await.len() == 1).await;
    stop.cancel();
    running.await.unwrap();
}

#[sqlx::test]
async fn housekeeping_comes_again(pool: PgPool) {
    let app = app_with_traces(&pool).await;
    let (stop, running) = start(&app, HANDLERS, Options::default());
    let expected = i64::try_from(
        HANDLERS
            .iter()
            .filter(|handler| handler.every.is_some())
            .count(),
    )
    .unwrap();
    let waiting = "SELECT count(*) FROM jobs WHERE available_at > clock_timestamp() AND attempts = 0 AND fence = 2";
    until("all are done once and wait", async || {
        sqlx::query_scalar::<_, i64>(waiting)
            .fetch_one(&pool)
            .await
            .unwrap()
            == expected
    })
    .await;
    stop.cancel();
    running.await.unwrap();
}
