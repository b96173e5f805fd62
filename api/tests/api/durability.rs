//! The real binary, killed in the middle of things.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use event_planner_api::tls;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    scene::{create, event, venue},
    support::{SERVICE_TOKEN, TestApp},
};

/// `event-planner-api serve` as a process of its own.
pub struct Server {
    command: Command,
    child: Child,
    pub address: String,
    pub metrics: String,
}

impl Server {
    /// With these settings beside those that every one needs.
    pub fn start(database_url: &str, settings: &[(&str, &str)]) -> Self {
        let (address, metrics) = (free_address(), free_address());
        let mut command = Command::new(env!("CARGO_BIN_EXE_event-planner-api"));
        command
            .arg("serve")
            .env("DATABASE_URL", database_url)
            .env("LISTEN_ADDR", &address)
            .env("METRICS_ADDR", &metrics)
            .env("SERVICE_AUTH_TOKEN", SERVICE_TOKEN)
            .env("RATE_LIMIT", "10000000")
            .env("LOG_FILTER", "warn")
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap();
        Self {
            command,
            child,
            address,
            metrics,
        }
    }

    /// SIGKILL, and a new one at the same address.
    fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = self.command.spawn().unwrap();
    }

    pub async fn wait_until_ready(&self, client: &reqwest::Client) {
        let started = Instant::now();
        let url = format!("http://{}/ready", self.address);
        while !client
            .get(&url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "not ready in time"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Below the ports that outgoing connections take, so that it stays free through a restart.
pub fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 10_000 + u16::try_from(std::process::id() % 900).unwrap() * 20;
    loop {
        let port = begin + NEXT.fetch_add(1, Ordering::Relaxed);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap().to_string();
        }
    }
}

pub fn application_url(pool: &PgPool) -> String {
    let options = pool.connect_options();
    let (host, port, database) = (
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap(),
    );
    format!("postgres://event_planner_app@{host}:{port}/{database}")
}

#[sqlx::test]
async fn killed_during_a_thousand_bookings_it_does_each_once(pool: PgPool) {
    tls::install_provider();
    let app = TestApp::new(pool.clone()).await;
    let mut jobs = Vec::new();
    let mut venues = Vec::new();
    for number in 0..40 {
        venues.push(
            create(
                &app.planner,
                "/v1/venues",
                &venue(&format!("City {number}")),
            )
            .await,
        );
    }
    for day in 1..=25 {
        let mut event = event();
        event["local_start"] = json!(format!("2030-06-{day:02}T18:00:00"));
        let event_id = create(&app.planner, "/v1/events", &event).await;
        jobs.extend(venues.iter().map(|venue_id| (event_id, *venue_id)));
    }
    let mut server = Server::start(&application_url(&pool), &[]);
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    server.wait_until_ready(&client).await;

    let jobs = Arc::new(tokio::sync::Mutex::new(jobs));
    let on_behalf_of = format!("{}/{}", app.organization_id, app.owner_id);
    let workers: Vec<_> = (0..16)
        .map(|_| {
            tokio::spawn(work(
                client.clone(),
                server.address.clone(),
                on_behalf_of.clone(),
                jobs.clone(),
            ))
        })
        .collect();
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        server.kill_and_restart();
    }
    for worker in workers {
        worker.await.unwrap();
    }

    let rows: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM bookings WHERE status = 'HELD'),
                (SELECT count(DISTINCT (venue_id, event_id)) FROM bookings),
                (SELECT count(*) FROM audit_entries WHERE action = 'booking.held')",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(rows, (1_000, 1_000, 1_000));
    let answers: i64 =
        sqlx::query_scalar("SELECT count(*) FROM idempotency_keys WHERE key LIKE 'job:%'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(answers, 1_000);
}

/// Books until nothing is left, trying each again under its key until it is done.
async fn work(
    client: reqwest::Client,
    address: String,
    on_behalf_of: String,
    jobs: Arc<tokio::sync::Mutex<Vec<(Uuid, Uuid)>>>,
) {
    loop {
        let Some((event_id, venue_id)) = jobs.lock().await.pop() else {
            return;
        };
        let started = Instant::now();
        loop {
            assert!(
                started.elapsed() < Duration::from_mins(1),
                "a booking never succeeded"
            );
            let answer = client
                .post(format!("http://{address}/v1/events/{event_id}/bookings"))
                .bearer_auth(SERVICE_TOKEN)
                .header("on-behalf-of", &on_behalf_of)
                .header("idempotency-key", format!("job:{event_id}:{venue_id}"))
                .json(&json!({"venue_id": venue_id, "number_of_guests": 40}))
                .send()
                .await;
            let Ok(answer) = answer else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            match answer.status() {
                StatusCode::CREATED => break,
                StatusCode::SERVICE_UNAVAILABLE => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                StatusCode::CONFLICT => {
                    let problem: Value = answer.json().await.unwrap_or_default();
                    assert_eq!(problem["code"], "idempotency_in_flight", "{problem}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                other => panic!("{other}: {}", answer.text().await.unwrap_or_default()),
            }
        }
    }
}

#[sqlx::test]
async fn sigterm_lets_running_requests_end(pool: PgPool) {
    tls::install_provider();
    let mut server = Server::start(&application_url(&pool), &[]);
    let client = reqwest::Client::new();
    server.wait_until_ready(&client).await;
    let pid = server.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let started = Instant::now();
    let status = loop {
        if let Some(status) = server.child.try_wait().unwrap() {
            break status;
        }
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "it did not stop"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(status.success(), "{status}");
}
