//! Webhooks out: who is told, how it is signed, and what becomes of messages that do not arrive.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Parser;
use event_planner_api::{
    changes::kinds,
    config,
    jobs::{HANDLERS, Options, Worker},
    state::App,
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    jobs::{start, until},
    scene::{create, event, id, venue},
    support::{Client, TestApp},
};

/// A receiver of webhooks on the loopback interface.
pub struct Receiver {
    pub port: u16,
    state: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    messages: Vec<Message>,
    /// What is answered; 200 when there is nothing.
    answer: Option<(u16, Option<(header::HeaderName, String)>)>,
    hangs: bool,
}

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Message {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Message {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn event_type(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    /// Whether one of its signatures is by this secret.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap());
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.unwrap()).unwrap();
        let (id, timestamp) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(&self.body);
        let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature")
            .split(' ')
            .any(|one| one == wanted)
    }
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(Received::default()));
        let router = Router::new().fallback(receive).with_state(state.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks", self.port)
    }

    pub fn redirect(&self, status: u16, target: &str) {
        self.answer(status, Some((header::LOCATION, target.to_owned())));
    }

    fn answer(&self, status: u16, header: Option<(header::HeaderName, String)>) {
        self.state.lock().unwrap().answer = Some((status, header));
    }

    fn hang(&self) {
        self.state.lock().unwrap().hangs = true;
    }

    pub fn messages(&self) -> Vec<Message> {
        self.state.lock().unwrap().messages.clone()
    }

    fn types(&self) -> Vec<String> {
        let mut types: Vec<_> = self.messages().iter().map(Message::event_type).collect();
        types.sort_unstable();
        types
    }
}

async fn receive(
    State(state): State<Arc<Mutex<Received>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (answer, hangs) = {
        let mut state = state.lock().unwrap();
        state.messages.push(Message { headers, body });
        (state.answer.clone(), state.hangs)
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    let (status, header) = answer.unwrap_or((200, None));
    let mut response = StatusCode::from_u16(status).unwrap().into_response();
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// An endpoint at that address: its path and its secret.
pub async fn endpoint(owner: &Client, url: &str, event_types: &[&str]) -> (String, String) {
    let body = json!({"url": url, "event_types": event_types});
    let made = owner.post("/v1/webhook-endpoints", &body).await.expect(201);
    let secret = made["secret"].as_str().unwrap().to_owned();
    (format!("/v1/webhook-endpoints/{}", id(&made["id"])), secret)
}

/// Lets a worker do what is due.
pub async fn work(app: &TestApp, pool: &PgPool) {
    let (stop, running) = start(app, HANDLERS, Options::default());
    until("nothing is due", async || {
        let due = "SELECT count(*) FROM jobs WHERE kind = 'webhook.deliver' AND died_at IS NULL
                   AND (available_at <= clock_timestamp() OR fence > 2 * attempts)";
        sqlx::query_scalar::<_, i64>(due)
            .fetch_one(pool)
            .await
            .unwrap()
            == 0
    })
    .await;
    stop.cancel();
    running.await.unwrap();
}

/// Makes everything due that waits for its next attempt.
async fn skip_the_wait(pool: &PgPool) {
    sqlx::query("UPDATE jobs SET available_at = clock_timestamp() WHERE kind = 'webhook.deliver'")
        .execute(pool)
        .await
        .unwrap();
}

async fn deliveries(app: &TestApp, endpoint: &str) -> Vec<Value> {
    let page = app.owner.get(&format!("{endpoint}/deliveries")).await;
    page.expect(200)["items"].as_array().unwrap().clone()
}

#[sqlx::test]
async fn each_endpoint_is_told_exactly_what_it_wants(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let [all, some, none, off, strange] = [
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    ];
    let (_, secret) = endpoint(&app.owner, &all.url(), &["*"]).await;
    endpoint(&app.owner, &some.url(), &["event.deleted", "venue.created"]).await;
    endpoint(&app.owner, &none.url(), &["booking.paid"]).await;
    let (disabled, _) = endpoint(&app.owner, &off.url(), &["*"]).await;
    app.owner
        .patch(&disabled, "*", &json!({"enabled": false}))
        .await
        .expect(200);
    endpoint(&app.stranger, &strange.url(), &["*"]).await;

    create(&app.planner, "/v1/venues", &venue("Lisbon")).await;
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let path = format!("/v1/events/{event_id}");
    let changed = app
        .planner
        .patch(&path, "*", &json!({"title": "Retreat"}))
        .await
        .expect(200);
    app.planner.delete(&path, "*").await.expect(204);
    // What fails or is only tried out is told to nobody.
    app.planner.post("/v1/events", &json!({})).await.expect(422);
    work(&app, &pool).await;

    assert_eq!(
        all.types(),
        [
            "event.created",
            "event.deleted",
            "event.updated",
            "venue.created"
        ]
    );
    assert_eq!(some.types(), ["event.deleted", "venue.created"]);
    assert!(none.types().is_empty() && off.types().is_empty() && strange.types().is_empty());
    let messages = all.messages();
    let ids: BTreeSet<_> = messages
        .iter()
        .map(|message| message.header("webhook-id"))
        .collect();
    assert_eq!(ids.len(), 4);
    for message in &messages {
        assert!(message.is_signed_by(&secret));
        assert_eq!(message.header("content-type"), "application/json");
    }
    let updated = messages
        .iter()
        .find(|message| message.event_type() == "event.updated")
        .unwrap();
    let expected = json!({"type": "event.updated", "timestamp": "2027-01-15T12:00:00Z", "data": {
        "organization_id": app.organization_id, "type": "event", "id": event_id, "object": changed
    }});
    assert_eq!(updated.json(), expected);
    let deleted = messages
        .iter()
        .find(|message| message.event_type() == "event.deleted")
        .unwrap();
    assert_eq!(deleted.json()["data"]["object"], Value::Null);
}

#[sqlx::test]
async fn a_message_is_tried_ten_times_over_three_days_and_then_given_up(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let receiver = Receiver::start().await;
    receiver.answer(500, None);
    let (endpoint, _) = endpoint(&app.owner, &receiver.url(), &["event.created"]).await;
    create(&app.planner, "/v1/events", &event()).await;
    let waits = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (made, wait) in (1..).zip(waits) {
        work(&app, &pool).await;
        let next: f64 = sqlx::query_scalar(
            "SELECT EXTRACT(EPOCH FROM available_at - clock_timestamp())::float8 FROM jobs WHERE kind = 'webhook.deliver'",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        let jitter = 2_f64.powi(made);
        let least = f64::from(wait) - 20.0;
        assert!(
            next > least && next <= f64::from(wait) + jitter,
            "after {made}: {next}"
        );
        let found = &deliveries(&app, &endpoint).await[0];
        assert_eq!(
            (
                &found["status"],
                &found["attempts"],
                &found["last_status_code"],
                &found["last_reason"]
            ),
            (
                &json!("PENDING"),
                &json!(made),
                &json!(500),
                &json!("STATUS")
            )
        );
        assert!(found["next_attempt_at"].is_string());
        skip_the_wait(&pool).await;
    }
    work(&app, &pool).await;
    let found = &deliveries(&app, &endpoint).await[0];
    assert_eq!(
        (&found["status"], &found["attempts"]),
        (&json!("FAILED"), &json!(10))
    );
    assert_eq!(found["next_attempt_at"], Value::Null);
    let messages = receiver.messages();
    let ids: BTreeSet<_> = messages
        .iter()
        .map(|message| message.header("webhook-id"))
        .collect();
    let bodies: BTreeSet<_> = messages.iter().map(|message| &message.body).collect();
    assert_eq!((messages.len(), ids.len(), bodies.len()), (10, 1, 1));
    let path = format!("/v1/webhook-deliveries/{}", found["id"].as_str().unwrap());
    let whole = app.owner.get(&path).await.expect(200);
    assert_eq!(whole["attempt_log"].as_array().unwrap().len(), 10);
    app.stranger
        .get(&path)
        .await
        .expect_problem(404, "not_found");

    // Replayed: the same id, all the attempts, and the log goes on.
    receiver.answer(204, None);
    app.owner
        .post(&format!("{path}/replay"), &Value::Null)
        .await
        .expect(200);
    app.owner
        .post(&format!("{path}/replay"), &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
    work(&app, &pool).await;
    let whole = app.owner.get(&path).await.expect(200);
    assert_eq!(
        (&whole["status"], &whole["attempts"]),
        (&json!("DELIVERED"), &json!(1))
    );
    assert_eq!(whole["attempt_log"].as_array().unwrap().len(), 11);
    let last = receiver.messages().pop().unwrap();
    assert_eq!(last.header("webhook-id"), whole["id"].as_str().unwrap());
    let counted = ["retry", "failed", "delivered"].map(|outcome| {
        let attempts = &app.app.metrics.jobs.webhooks;
        attempts.with_label_values(&[outcome]).get()
    });
    assert_eq!(counted, [9, 1, 1]);
    assert_eq!(
        app.owner.get("/v1/dead-letters").await.expect(200)["items"],
        json!([])
    );
}

#[sqlx::test]
async fn an_endpoint_that_says_gone_is_disabled_and_can_be_recovered(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let receiver = Receiver::start().await;
    receiver.answer(410, None);
    let (endpoint, _) = endpoint(&app.owner, &receiver.url(), &["event.created"]).await;
    create(&app.planner, "/v1/events", &event()).await;
    create(&app.planner, "/v1/events", &event()).await;
    work(&app, &pool).await;
    let found = app.owner.get(&endpoint).await.expect(200);
    assert_eq!(
        (&found["enabled"], &found["disabled_reason"]),
        (&json!(false), &json!("GONE"))
    );
    let failed = app
        .owner
        .get(&format!(
            "{endpoint}/deliveries?status=FAILED&event_type=event.created"
        ))
        .await;
    assert_eq!(failed.expect(200)["items"].as_array().unwrap().len(), 2);
    let trail = app
        .owner
        .get("/v1/audit?action=webhook_endpoint.disabled")
        .await
        .expect(200);
    assert_eq!(trail["items"].as_array().unwrap().len(), 1);
    create(&app.planner, "/v1/events", &event()).await;
    assert_eq!(
        deliveries(&app, &endpoint).await.len(),
        2,
        "nothing more is sent"
    );
    for path in [format!("{endpoint}/test"), format!("{endpoint}/recover")] {
        app.owner
            .post(&path, &Value::Null)
            .await
            .expect_problem(409, "invalid_transition");
    }

    receiver.answer(200, None);
    let enabled = app
        .owner
        .patch(&endpoint, "*", &json!({"enabled": true}))
        .await
        .expect(200);
    assert_eq!(enabled["disabled_reason"], Value::Null);
    let later = format!("{endpoint}/recover?since=2027-01-16T00:00:00Z");
    assert_eq!(
        app.owner.post(&later, &Value::Null).await.expect(200)["replayed"],
        0
    );
    let since = format!("{endpoint}/recover?since=2027-01-15T00:00:00Z");
    assert_eq!(
        app.owner.post(&since, &Value::Null).await.expect(200)["replayed"],
        2
    );
    work(&app, &pool).await;
    let status: BTreeSet<_> = deliveries(&app, &endpoint)
        .await
        .iter()
        .map(|one| one["status"].to_string())
        .collect();
    assert_eq!(status, BTreeSet::from(["\"DELIVERED\"".to_owned()]));
}

#[sqlx::test]
async fn an_endpoint_that_failed_for_five_days_is_disabled(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let receiver = Receiver::start().await;
    receiver.answer(503, None);
    let (endpoint, _) = endpoint(&app.owner, &receiver.url(), &["*"]).await;
    for hours in [100, 19, 2] {
        create(&app.planner, "/v1/events", &event()).await;
        work(&app, &pool).await;
        let found = app.owner.get(&endpoint).await.expect(200);
        assert_eq!(
            (&found["enabled"], &found["failing_since"]),
            (&json!(true), &json!("2027-01-15T12:00:00Z"))
        );
        app.advance(Duration::from_hours(hours));
    }
    skip_the_wait(&pool).await;
    work(&app, &pool).await;
    let found = app.owner.get(&endpoint).await.expect(200);
    assert_eq!(
        (&found["enabled"], &found["disabled_reason"]),
        (&json!(false), &json!("FAILING"))
    );
    skip_the_wait(&pool).await;
    work(&app, &pool).await;
    let left = deliveries(&app, &endpoint).await;
    assert!(
        left.iter()
            .any(|one| one["last_reason"] == "DISABLED" && one["status"] == "FAILED"),
        "{left:?}"
    );
}

#[sqlx::test]
async fn a_success_ends_the_failing(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let receiver = Receiver::start().await;
    receiver.answer(500, None);
    let (endpoint, _) = endpoint(&app.owner, &receiver.url(), &["*"]).await;
    create(&app.planner, "/v1/events", &event()).await;
    work(&app, &pool).await;
    assert!(app.owner.get(&endpoint).await.expect(200)["failing_since"].is_string());
    receiver.answer(200, None);
    skip_the_wait(&pool).await;
    work(&app, &pool).await;
    assert_eq!(
        app.owner.get(&endpoint).await.expect(200)["failing_since"],
        Value::Null
    );
}

#[sqlx::test]
async fn for_a_day_the_old_secret_signs_beside_the_new_one(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let receiver = Receiver::start().await;
    let (endpoint, old) = endpoint(&app.owner, &receiver.url(), &["*"]).await;
    let path = format!("{endpoint}/rotate-secret");
    let rotated = app.owner.post_once("rotate", &path, &Value::Null).await;
    assert_eq!(rotated.header("cache-control"), "no-store");
    let rotated = rotated.expect(200);
    let new = rotated["secret"].as_str().unwrap();
    assert_eq!(rotated["old_secret_expires_at"], "2027-01-16T12:00:00Z");
    let again = app
        .owner
        .post_once("rotate", &path, &Value::Null)
        .await
        .expect(200);
    assert_eq!(again["secret"], Value::Null, "a replay does not show it");

    app.owner
        .post(&format!("{endpoint}/test"), &Value::Null)
        .await
        .expect(201);
    work(&app, &pool).await;
    let message = receiver.messages().pop().unwrap();
    assert!(message.is_signed_by(&old) && message.is_signed_by(new));
    app.advance(Duration::from_hours(24));
    app.owner
        .post(&format!("{endpoint}/test"), &Value::Null)
        .await
        .expect(201);
    work(&app, &pool).await;
    let message = receiver.messages().pop().unwrap();
    assert!(!message.is_signed_by(&old) && message.is_signed_by(new));
    let trail = app.owner.get("/v1/audit").await.text();
    assert!(!trail.contains("whsec_"), "no secret in the trail");
}

#[sqlx::test]
async fn a_test_is_sent_to_one_endpoint_whatever_it_wants(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let [one, other] = [Receiver::start().await, Receiver::start().await];
    let (endpoint_id, _) = endpoint(&app.owner, &one.url(), &["booking.paid"]).await;
    endpoint(&app.owner, &other.url(), &["*"]).await;
    let sent = app
        .owner
        .post(&format!("{endpoint_id}/test"), &Value::Null)
        .await;
    let path = sent.header("location").to_owned();
    assert_eq!(sent.expect(201)["event_type"], "webhook.test");
    work(&app, &pool).await;
    assert_eq!(
        (one.types(), other.types()),
        (vec!["webhook.test".to_owned()], vec![])
    );
    assert_eq!(
        app.owner.get(&path).await.expect(200)["status"],
        "DELIVERED"
    );
}

#[sqlx::test]
async fn a_dead_endpoint_does_not_hold_up_a_live_one(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let [dead, live] = [Receiver::start().await, Receiver::start().await];
    dead.hang();
    endpoint(&app.owner, &dead.url(), &["event.created"]).await;
    for _ in 0..60 {
        create(&app.planner, "/v1/events", &event()).await;
    }
    endpoint(&app.owner, &live.url(), &["event.created"]).await;
    for _ in 0..20 {
        create(&app.planner, "/v1/events", &event()).await;
    }
    let options = Options {
        concurrency: 16,
        ..Options::default()
    };
    let (stop, running) = start(&app, HANDLERS, options);
    let begun = std::time::Instant::now();
    until("the live one is told", async || live.messages().len() == 20).await;
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert!(dead.messages().len() < 16);
    running.abort();
    stop.cancel();
}

#[sqlx::test]
async fn nobody_learns_from_errors_what_listens_where(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let open = Receiver::start().await;
    let (closed, _) = endpoint(&app.owner, &format!("http://127.0.0.1:{port}/"), &["*"]).await;
    let (forbidden, _) = endpoint(&app.owner, &open.url(), &["*"]).await;
    // Stored before the rules became stricter.
    sqlx::query(
        "UPDATE webhook_endpoints SET url = replace(url, '127.0.0.1', '127.0.0.2') WHERE url = $1",
    )
    .bind(open.url())
    .execute(&pool)
    .await
    .unwrap();
    create(&app.planner, "/v1/events", &event()).await;
    work(&app, &pool).await;
    for endpoint in [closed, forbidden] {
        let found = &deliveries(&app, &endpoint).await[0];
        assert_eq!(
            (&found["last_reason"], &found["last_status_code"]),
            (&json!("UNREACHABLE"), &Value::Null)
        );
    }
    assert!(open.messages().is_empty());
}

#[sqlx::test]
async fn a_redirect_is_a_failure_and_retry_after_is_obeyed(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let [away, busy, other] = [
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    ];
    away.redirect(307, &other.url());
    busy.answer(429, Some((header::RETRY_AFTER, "900".into())));
    let (away, _) = endpoint(&app.owner, &away.url(), &["*"]).await;
    let (busy, _) = endpoint(&app.owner, &busy.url(), &["*"]).await;
    create(&app.planner, "/v1/events", &event()).await;
    work(&app, &pool).await;
    assert!(other.messages().is_empty());
    let found = &deliveries(&app, &away).await[0];
    assert_eq!(
        (&found["status"], &found["last_status_code"]),
        (&json!("PENDING"), &json!(307))
    );
    let found = &deliveries(&app, &busy).await[0];
    let wait: f64 = sqlx::query_scalar(
        "SELECT EXTRACT(EPOCH FROM available_at - clock_timestamp())::float8 FROM jobs WHERE id = $1",
    )
    .bind(id(&found["id"]))
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!(wait > 880.0, "{wait}");
}

#[sqlx::test]
async fn a_large_thing_is_sent_whole_up_to_the_limit(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let receiver = Receiver::start().await;
    let (_, secret) = endpoint(&app.owner, &receiver.url(), &["saved_query.created"]).await;
    for (name, letters) in [("small", 7_500), ("large", 7_900)] {
        // Three bytes of UTF-8 each in the description, and one each in the SQL.
        let letters: usize = letters;
        let body = json!({"name": name, "sql": format!("select {}", "1".repeat(letters)), "description": "€".repeat(if name == "small" { 1_000 } else { 2_000 }),
            "parameters": (0..20).map(|number| json!({"name": format!("p{number}"), "description": "€".repeat(if name == "small" { 10 } else { 400 })})).collect::<Vec<_>>()});
        app.planner
            .post("/v1/insights/queries", &body)
            .await
            .expect(201);
    }
    work(&app, &pool).await;
    let messages = receiver.messages();
    assert_eq!(messages.len(), 2);
    for message in messages {
        assert!(message.is_signed_by(&secret));
        let data = &message.json()["data"];
        if data["truncated"] == true {
            assert_eq!(data["object"], Value::Null);
            assert!(message.body.len() < 1_000);
        } else {
            assert_eq!(data["object"]["name"], "small");
            assert!(
                (10_000..=20_000).contains(&message.body.len()),
                "{}",
                message.body.len()
            );
        }
    }
}

/// By the true time, because others check it: `standard-webhooks/run` puts these before the official verifiers.
#[sqlx::test]
async fn what_deliveries_carry_is_kept_for_independent_verifiers(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let receiver = Receiver::start().await;
    let (endpoint, old) = endpoint(&app.owner, &receiver.url(), &["saved_query.created"]).await;
    let path = format!("{endpoint}/rotate-secret");
    let new = app.owner.post(&path, &Value::Null).await.expect(200);
    sqlx::query("UPDATE webhook_endpoints SET old_secret_expires_at = now() + interval '1 hour'")
        .execute(&pool)
        .await
        .unwrap();
    app.owner
        .post(&format!("{endpoint}/test"), &Value::Null)
        .await
        .expect(201);
    let text = "Grüße, 東京 🎉 ".repeat(70);
    let long = json!({"name": "long", "sql": format!("select {}", "1".repeat(7_500)), "description": text});
    app.planner
        .post("/v1/insights/queries", &long)
        .await
        .expect(201);
    let keys = format!("--integrations-keys=k1:{}", crate::providers::KEY);
    let arguments = [
        "event-planner-api",
        "worker",
        "--webhook-allowed-networks=127.0.0.1/32",
        &keys,
    ];
    let config::Command::Worker(worker) = config::Cli::parse_from(arguments).command else {
        panic!("worker is a command")
    };
    let by_the_clock = App::from_config(&worker.serve, app.app.db.clone()).unwrap();
    let stop = CancellationToken::new();
    let running = Worker::run(by_the_clock, HANDLERS, Options::default(), stop.clone());
    let running = tokio::spawn(running);
    until("both are delivered", async || {
        receiver.messages().len() == 2
    })
    .await;
    stop.cancel();
    running.await.unwrap();

    let new = new["secret"].as_str().unwrap();
    let mut cases = Vec::new();
    for message in receiver.messages() {
        for (age, secret) in [("old", old.as_str()), ("new", new)] {
            assert!(message.is_signed_by(secret));
            let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"]
                .map(|name| (name.to_owned(), json!(message.header(name))));
            cases.push(json!({
                "name": format!("{} by the {age} secret", message.event_type()), "secret": secret,
                "headers": serde_json::Map::from_iter(headers), "body": std::str::from_utf8(&message.body).unwrap()
            }));
        }
    }
    assert!(
        cases
            .iter()
            .any(|case| case["body"].as_str().unwrap().len() > 9_000)
    );
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/standard-webhooks.json");
    std::fs::write(file, json!(cases).to_string()).unwrap();
}

#[sqlx::test]
async fn wrong_endpoints_are_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let good = "https://example.com/hooks";
    for url in [
        "http://8.8.8.8/",
        "https://10.0.0.1/",
        "https://localhost/",
        "https://u@example.com/",
        "x",
    ] {
        let body = json!({"url": url});
        app.owner
            .post("/v1/webhook-endpoints", &body)
            .await
            .expect_invalid(&["#/url"]);
    }
    for types in [
        json!(["event.invented"]),
        json!([]),
        json!(["webhook_endpoint.created"]),
    ] {
        let body = json!({"url": good, "event_types": types});
        app.owner
            .post("/v1/webhook-endpoints", &body)
            .await
            .expect_invalid(&["#/event_types"]);
    }
    let body = json!({"url": good, "secret": "whsec_mine"});
    app.owner
        .post("/v1/webhook-endpoints", &body)
        .await
        .expect_invalid(&["#/secret"]);
    let (endpoint, secret) = endpoint(&app.owner, good, &["*"]).await;
    assert!(secret.len() >= 6 + 32);
    let patch = json!({"url": "https://[::1]/"});
    app.owner
        .patch(&endpoint, "*", &patch)
        .await
        .expect_invalid(&["#/url"]);
    assert!(
        app.owner
            .get(&endpoint)
            .await
            .expect(200)
            .get("secret")
            .is_none()
    );
    let types = app.owner.get("/v1/webhook-event-types").await.expect(200);
    assert_eq!(
        types["items"].as_array().unwrap().len(),
        kinds::EVENT_TYPES.len()
    );
}

#[sqlx::test]
async fn deleting_an_endpoint_ends_what_is_under_way(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let receiver = Receiver::start().await;
    let (endpoint, _) = endpoint(&app.owner, &receiver.url(), &["*"]).await;
    create(&app.planner, "/v1/events", &event()).await;
    app.owner.delete(&endpoint, "*").await.expect(204);
    work(&app, &pool).await;
    assert!(receiver.messages().is_empty());
    app.owner
        .get(&endpoint)
        .await
        .expect_problem(404, "not_found");
}

/// A slice that audits something new says who is told of it.
#[test]
fn every_audited_action_is_told_or_private() {
    let mut found = BTreeSet::new();
    let mut folders = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src"
    ))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if ["audit(", "record(", "record_as(", "=> \"event."]
                .iter()
                .any(|call| text.contains(call))
            {
                found.extend(actions(&text));
            }
        }
    }
    let told: BTreeSet<_> = kinds::EVENT_TYPES.iter().map(|kind| kind.name).collect();
    let private: BTreeSet<_> = kinds::PRIVATE.iter().copied().collect();
    assert!(told.is_disjoint(&private));
    let unknown: Vec<_> = found
        .iter()
        .filter(|action| !told.contains(action.as_str()) && !private.contains(action.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "add to changes/kinds.rs, told or PRIVATE: {unknown:?}"
    );
    assert!(found.len() > 35, "{found:?}");
}

/// Literals such as `"venue.created"` that are handed to `audit` or `record`, or chosen for them.
fn actions(text: &str) -> BTreeSet<String> {
    let is_action = |literal: &&str| {
        literal.split_once('.').is_some_and(|(noun, verb)| {
            let is_word = |word: &str| {
                !word.is_empty()
                    && word
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            };
            is_word(noun) && is_word(verb) && verb.ends_with("ed")
                || verb == "held"
                || verb == "paid"
        })
    };
    text.split('"')
        .filter(is_action)
        .map(str::to_owned)
        .collect()
}
