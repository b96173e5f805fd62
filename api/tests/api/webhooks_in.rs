//! What Stripe tells us: signed, once for each event, in any order.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode},
    routing::post,
};
use event_planner_api::{
    jobs::{HANDLERS, Options, Worker},
    webhooks_in,
};
use event_planner_sandbox::Sandbox;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    scene::{Scene, create, id},
    support::{Answer, Client, NOW, TestApp, WEBHOOK_SECRET},
};

const FULL_KEY: &str = "sk_test_sandbox-full-access-no-real-key";

/// The sandbox's Stripe, whose webhooks reach the application over a socket, and are held back if wanted.
pub struct Stripe {
    base_url: String,
    client: Client,
    time: i64,
    gate: Arc<Gate>,
}

struct Gate {
    client: Client,
    is_closed: AtomicBool,
    waiting: Mutex<Vec<(String, Bytes)>>,
}

impl Stripe {
    /// The application at the machine's time, with a sandbox that tells it what happens at Stripe.
    pub async fn start(pool: PgPool) -> (TestApp, Sandbox, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks/stripe", listener.local_addr().unwrap());
        let url = format!("--stripe-webhook-url={url}");
        let secret = format!("--stripe-webhook-secret={WEBHOOK_SECRET}");
        let (app, sandbox) = TestApp::with_sandbox(pool, &[&url, &secret]).await;
        app.follow_machine();
        let gate = Arc::new(Gate {
            client: app.anonymous.clone(),
            is_closed: AtomicBool::new(false),
            waiting: Mutex::default(),
        });
        let router = Router::new()
            .route("/webhooks/stripe", post(pass))
            .with_state(gate.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        let stripe = Self {
            base_url: sandbox.url("stripe"),
            client: app.anonymous.clone(),
            time: app.app.now().as_second(),
            gate,
        };
        (app, sandbox, stripe)
    }

    /// From here on nothing arrives.
    pub fn hold_back(&self) {
        self.gate.is_closed.store(true, Ordering::SeqCst);
    }

    /// Lets everything in that was held back, the last first.
    pub async fn let_go(&self) {
        let held_back = async || self.gate.waiting.lock().unwrap().len() >= 3;
        until("something is held back", held_back).await;
        self.gate.is_closed.store(false, Ordering::SeqCst);
        let mut waiting = std::mem::take(&mut *self.gate.waiting.lock().unwrap());
        waiting.reverse();
        for (signature, body) in waiting {
            deliver(&self.client, &signature, &body).await.expect(200);
        }
    }

    /// An event that the sandbox cannot make by itself.
    pub async fn send(&self, id: &str, kind: &str, object: Value) {
        let body = event(id, kind, object);
        let signature = sign(WEBHOOK_SECRET, self.time, &body);
        deliver(&self.client, &signature, &body).await.expect(200);
    }

    /// Closes the page, as time would.
    pub async fn expire(&self, payment: &Value) {
        let path = format!("/v1/checkout/sessions/{}/expire", session_id(payment));
        self.call(Method::POST, &path).await;
    }

    pub async fn intent_of(&self, payment: &Value) -> String {
        let path = format!("/v1/checkout/sessions/{}", session_id(payment));
        let session = self.call(Method::GET, &path).await;
        session["payment_intent"].as_str().unwrap().to_owned()
    }

    async fn call(&self, method: Method, path: &str) -> Value {
        let answer = reqwest::Client::new()
            .request(method, format!("{}{path}", self.base_url))
            .bearer_auth(FULL_KEY)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let body = answer.bytes().await.unwrap();
        assert!(status.is_success(), "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }
}

fn session_id(payment: &Value) -> &str {
    payment["url"].as_str().unwrap().rsplit('/').next().unwrap()
}

async fn pass(State(gate): State<Arc<Gate>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
    if gate.is_closed.load(Ordering::SeqCst) {
        gate.waiting.lock().unwrap().push((signature, body));
        return StatusCode::OK;
    }
    deliver(&gate.client, &signature, &body).await.status
}

async fn deliver(client: &Client, signature: &str, body: &[u8]) -> Answer {
    let request = client
        .request(Method::POST, "/webhooks/stripe")
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", signature);
    client.send(request, Body::from(body.to_vec())).await
}

fn sign(secret: &str, time: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.").as_bytes());
    mac.update(body);
    let bytes = mac.finalize().into_bytes();
    let hex = bytes
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("t={time},v1={hex}")
}

fn event(id: &str, kind: &str, object: Value) -> Vec<u8> {
    let mut event = json!({"id": id, "object": "event", "type": kind, "livemode": false});
    event["data"]["object"] = object;
    event.to_string().into_bytes()
}

/// The time of an application that stands still.
fn now() -> i64 {
    NOW.parse::<jiff::Timestamp>().unwrap().as_second()
}

/// As Stripe would: signed right, now.
async fn tell(app: &TestApp, id: &str, kind: &str, object: Value) -> Answer {
    let body = event(id, kind, object);
    let signature = sign(WEBHOOK_SECRET, now(), &body);
    deliver(&app.anonymous, &signature, &body).await
}

/// Works on everything there is.
async fn work_off(app: &TestApp, pool: &PgPool) {
    let stop = CancellationToken::new();
    let worker = Worker::run(app.app.clone(), HANDLERS, Options::default(), stop.clone());
    let running = tokio::spawn(worker);
    until("worked off", async || {
        let left: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM jobs WHERE kind = 'payments.stripe_event' AND died_at IS NULL",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        left == 0
    })
    .await;
    stop.cancel();
    running.await.unwrap();
}

pub async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// An application with a payment over 280.00 EUR that Stripe has a page for.
async fn with_payment(pool: &PgPool) -> (TestApp, Told) {
    let app = TestApp::new(pool.clone()).await;
    let scene = Scene::new(&app, "told").await;
    let booking_id = scene.booking_id;
    let booking = app.viewer.get(&format!("/v1/bookings/{booking_id}")).await;
    let event_id = id(&booking.expect(200)["event_id"]);
    let path = format!("/v1/events/{event_id}/payments");
    let payment_id = create(&app.planner, &path, &json!({"kind": "DEPOSIT"})).await;
    ready(pool, payment_id, "").await;
    let told = Told {
        event: event_id,
        booking: booking_id,
        payment: payment_id,
    };
    (app, told)
}

struct Told {
    event: Uuid,
    booking: Uuid,
    payment: Uuid,
}

/// The page is made, and no job is left that would make another.
async fn ready(pool: &PgPool, payment_id: Uuid, suffix: &str) {
    sqlx::query("UPDATE payment_requests SET session_id = 'cs_1' || $2, url = 'https://pay.example/1' WHERE id = $1")
        .bind(payment_id)
        .bind(suffix)
        .execute(pool)
        .await
        .unwrap();
    let done = sqlx::query("DELETE FROM jobs WHERE kind = 'payments.open'");
    done.execute(pool).await.unwrap();
}

/// What Stripe keeps of our ids.
fn metadata(app: &TestApp, payment_id: Uuid) -> Value {
    json!({"organization_id": app.organization_id, "payment_id": payment_id})
}

/// Paid by a slow bank, given back in part, then in full.
fn life(metadata: &Value, suffix: &str) -> Vec<(&'static str, Value)> {
    let (session, intent) = (format!("cs_1{suffix}"), format!("pi_1{suffix}"));
    let charge = |back| {
        json!({"id": "ch_1", "payment_intent": intent, "amount": 28_000, "amount_captured": 28_000, "amount_refunded": back,
               "currency": "eur", "metadata": metadata})
    };
    vec![
        (
            "checkout.session.completed",
            json!({"id": session, "payment_intent": intent, "payment_status": "unpaid", "amount_total": 28_000,
                   "currency": "eur", "metadata": metadata}),
        ),
        (
            "payment_intent.processing",
            json!({"id": intent, "amount": 28_000, "currency": "eur", "metadata": metadata}),
        ),
        (
            "payment_intent.succeeded",
            json!({"id": intent, "amount": 28_000, "amount_received": 28_000, "currency": "eur", "metadata": metadata}),
        ),
        ("charge.refunded", charge(8_000)),
        ("charge.refunded", charge(28_000)),
    ]
}

async fn payment(app: &TestApp, id: Uuid) -> Value {
    app.viewer
        .get(&format!("/v1/payments/{id}"))
        .await
        .expect(200)
}

#[sqlx::test]
async fn an_event_that_comes_a_thousand_times_at_once_has_one_effect(pool: PgPool) {
    let (app, told) = with_payment(&pool).await;
    let app = Arc::new(app);
    let (kind, object) = life(&metadata(&app, told.payment), "").swap_remove(2);
    let calls = (0..1_000).map(|_| {
        let (app, object) = (app.clone(), object.clone());
        tokio::spawn(async move { tell(&app, "evt_same", kind, object).await.status.as_u16() })
    });
    let statuses = futures_util::future::join_all(calls).await;
    assert!(statuses.into_iter().all(|status| status.unwrap() == 200));
    work_off(&app, &pool).await;
    let count = async |sql: &'static str| -> i64 {
        sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap()
    };
    assert_eq!(count("SELECT count(*) FROM received_events").await, 1);
    assert_eq!(count("SELECT count(*) FROM payments").await, 1);
    let effects = "SELECT count(*) FROM audit_entries WHERE action IN ('payment.succeeded', 'booking.paid', 'booking.confirmed')";
    assert_eq!(count(effects).await, 3);
    let metrics = app.app.metrics.render(&app.app.db).unwrap();
    for counted in [
        r#"webhooks_received_total{outcome="accepted",provider="stripe"} 1"#,
        r#"webhooks_received_total{outcome="duplicate",provider="stripe"} 999"#,
    ] {
        assert!(metrics.contains(counted), "{counted}");
    }
}

/// All of the 120 orders; what came first comes once more at the end.
#[sqlx::test]
async fn all_orders_of_five_events_leave_one_state(pool: PgPool) {
    let (app, told) = with_payment(&pool).await;
    let booking = format!("/v1/bookings/{}", told.booking);
    let path = format!("/v1/events/{}/payments", told.event);
    let mut ids = vec![told.payment];
    let body = json!({"kind": "BALANCE", "amount": {"amount": 28_000, "currency": "EUR"}});
    // Each order has a payment of its own; what is given back is due again.
    let mut orders = Vec::new();
    for number in 0..120_usize {
        let (mut rest, mut code) = ((0..5).collect::<Vec<usize>>(), number);
        let order: Vec<usize> = (1..=5)
            .rev()
            .map(|left| {
                let at = code % left;
                code /= left;
                rest.remove(at)
            })
            .collect();
        orders.push(order);
    }
    let distinct: std::collections::HashSet<_> = orders.iter().collect();
    assert_eq!(distinct.len(), 120);
    for (number, order) in orders.iter().enumerate() {
        if number > 0 {
            let key = format!("order {number}");
            let made = app.planner.post_once(&key, &path, &body).await.expect(201);
            let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
            ready(&pool, id, &number.to_string()).await;
            ids.push(id);
        }
        let suffix = if number > 0 {
            number.to_string()
        } else {
            String::new()
        };
        let life = life(&metadata(&app, ids[number]), &suffix);
        for (turn, index) in order.iter().chain(&order[..1]).enumerate() {
            let (kind, object) = life[*index].clone();
            let id = format!("evt_{number}_{turn}");
            tell(&app, &id, kind, object).await.expect(200);
            work_one(&app, &pool).await;
        }
        let end = payment(&app, ids[number]).await;
        let seen = (
            &end["status"],
            &end["refunded"]["amount"],
            &end["refund_pending"]["amount"],
        );
        assert_eq!(
            seen,
            (&json!("REFUNDED"), &json!(28_000), &json!(0)),
            "{order:?}"
        );
        let balance: Vec<(String, i64)> = sqlx::query_as(
            "SELECT kind, sum(amount)::bigint FROM payments WHERE payment_request_id = $1 GROUP BY kind ORDER BY kind",
        )
        .bind(ids[number])
        .fetch_all(&pool)
        .await
        .unwrap();
        let sums: Vec<i64> = balance.iter().map(|(_, sum)| *sum).collect();
        assert_eq!(sums, [28_000, 28_000], "{order:?}: {balance:?}");
    }
    let booking = app.viewer.get(&booking).await.expect(200);
    assert_eq!(
        (&booking["status"], &booking["paid"]["amount"]),
        (&json!("CONFIRMED"), &json!(0))
    );
}

/// Works on the one event that waits, in this task.
async fn work_one(app: &TestApp, pool: &PgPool) {
    let handler = HANDLERS
        .iter()
        .find(|handler| handler.kind == "payments.stripe_event")
        .unwrap();
    let (organization_id, id, payload): (Uuid, Uuid, Value) =
        sqlx::query_as("UPDATE jobs SET fence = 1 WHERE kind = 'payments.stripe_event' RETURNING organization_id, id, payload")
            .fetch_one(pool)
            .await
            .unwrap();
    let job = event_planner_api::jobs::Job {
        organization_id,
        id,
        kind: handler.kind.into(),
        payload,
        lane: String::new(),
        attempts: 1,
        fence: 1,
        request_id: None,
    };
    (handler.run)(app.app.clone(), job).await.unwrap();
    sqlx::query("DELETE FROM jobs WHERE id = $1")
        .bind(id)
        .execute(pool)
        .await
        .unwrap();
}

#[sqlx::test]
async fn nothing_is_taken_without_a_signature_that_holds(pool: PgPool) {
    let (app, _) = with_payment(&pool).await;
    let body = event("evt_1", "payment_intent.succeeded", json!({"id": "pi_1"}));
    let right = sign(WEBHOOK_SECRET, now(), &body);
    for (signature, body) in [
        (String::new(), body.clone()),
        ("nonsense".to_owned(), body.clone()),
        (sign("whsec_other", now(), &body), body.clone()),
        (sign(WEBHOOK_SECRET, now() - 301, &body), body.clone()),
        (sign(WEBHOOK_SECRET, now() + 301, &body), body.clone()),
        (
            right.clone(),
            event("evt_2", "payment_intent.succeeded", json!({"id": "pi_1"})),
        ),
        (sign(WEBHOOK_SECRET, now(), b"[]"), b"[]".to_vec()),
    ] {
        let refused = deliver(&app.anonymous, &signature, &body).await;
        let problem = refused.expect_problem(400, "malformed_request");
        assert_eq!(problem["detail"], "the event is not signed as it should be");
    }
    let huge = vec![b' '; 256 * 1024 + 1];
    let refused = deliver(&app.anonymous, &sign(WEBHOOK_SECRET, now(), &huge), &huge).await;
    refused.expect_problem(413, "payload_too_large");
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM received_events")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(kept, 0);
    deliver(&app.anonymous, &right, &body).await.expect(200);
    let old = sign(WEBHOOK_SECRET, now() - 299, &body);
    deliver(
        &app.anonymous,
        &format!("{old},v1={}", "0".repeat(64)),
        &body,
    )
    .await
    .expect(200);
}

#[sqlx::test]
async fn without_a_secret_stripe_is_told_to_come_again(pool: PgPool) {
    let app = TestApp::with(pool, |settings| settings.payments.webhook_secrets.clear()).await;
    let body = event("evt_1", "payment_intent.succeeded", json!({"id": "pi_1"}));
    let refused = deliver(&app.anonymous, &sign("", now(), &body), &body).await;
    refused.expect_problem(503, "unavailable");
}

/// Signed right, and yet not to be believed.
#[sqlx::test]
async fn only_what_fits_the_payment_that_we_asked_for_moves_it(pool: PgPool) {
    let (app, told) = with_payment(&pool).await;
    let own = metadata(&app, told.payment);
    let paid = |change: Value| {
        let mut object = json!({"id": "pi_1", "amount": 28_000, "amount_received": 28_000, "currency": "eur", "metadata": own});
        object
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        object
    };
    let theirs = json!({"organization_id": app.other_organization_id, "payment_id": told.payment});
    let nobodys = json!({"organization_id": app.organization_id, "payment_id": Uuid::nil()});
    let wrong = [
        paid(json!({"metadata": theirs})),
        paid(json!({"metadata": nobodys})),
        paid(json!({"metadata": {"organization_id": "x", "payment_id": "y"}, "id": null})),
        paid(json!({"amount": 1, "amount_received": 1})),
        paid(json!({"amount_received": 1})),
        paid(json!({"currency": "usd"})),
    ];
    for (number, object) in wrong.into_iter().enumerate() {
        let id = format!("evt_{number}");
        tell(&app, &id, "payment_intent.succeeded", object).await;
    }
    let other_page = json!({"id": "cs_2", "payment_status": "paid", "amount_total": 28_000, "currency": "eur", "metadata": own});
    tell(&app, "evt_page", "checkout.session.completed", other_page)
        .await
        .expect(200);
    // An account that somebody connected says what it wants.
    let mut connected: Value =
        serde_json::from_slice(&event("evt_c", "payment_intent.succeeded", paid(json!({}))))
            .unwrap();
    connected["account"] = json!("acct_1");
    let body = connected.to_string().into_bytes();
    deliver(&app.anonymous, &sign(WEBHOOK_SECRET, now(), &body), &body)
        .await
        .expect(200);
    work_off(&app, &pool).await;
    assert_eq!(payment(&app, told.payment).await["status"], "PENDING");
    let moved: i64 = sqlx::query_scalar("SELECT count(*) FROM payments")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(moved, 0);
    tell(
        &app,
        "evt_right",
        "payment_intent.succeeded",
        paid(json!({})),
    )
    .await
    .expect(200);
    work_off(&app, &pool).await;
    assert_eq!(payment(&app, told.payment).await["status"], "SUCCEEDED");
}

#[sqlx::test]
async fn events_are_forgotten_after_ninety_days(pool: PgPool) {
    let (app, _) = with_payment(&pool).await;
    tell(
        &app,
        "evt_1",
        "balance.available",
        json!({"object": "balance"}),
    )
    .await
    .expect(200);
    let jobs: i64 =
        sqlx::query_scalar("SELECT count(*) FROM jobs WHERE kind = 'payments.stripe_event'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(jobs, 0);
    app.advance(Duration::from_hours(89 * 24));
    assert_eq!(webhooks_in::forget_old(&app.app).await.unwrap(), 0);
    app.advance(Duration::from_hours(2 * 24));
    assert_eq!(webhooks_in::forget_old(&app.app).await.unwrap(), 1);
}
