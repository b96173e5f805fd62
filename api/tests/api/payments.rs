//! Payments through Stripe, from asking to money that goes back, against the sandbox over real sockets.

use std::time::Duration;

use event_planner_api::{
    jobs::{Failure, HANDLERS, Options, Worker},
    payments::actions::{self, CancelOrRefundInput, CancelOrRefundOutput, RequestDepositInput},
    sidecars::Errand,
};
use event_planner_sandbox::{Fault, Misbehaviour, Provider, Sandbox, World};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::{
    providers,
    scene::{caterer, create, event, id, playbook, venue},
    support::TestApp,
    webhooks_in::{Stripe, until},
};

/// An event with a venue for 1,400.00 EUR that asks for a fifth, and a worker.
struct Shop {
    app: TestApp,
    sandbox: Sandbox,
    stripe: Stripe,
    venue_id: Uuid,
    event_id: Uuid,
    booking_id: Uuid,
    _worker: DropGuard,
}

impl Shop {
    /// Runs of bookings would ask for the deposit by themselves.
    async fn new(pool: PgPool) -> Self {
        let (app, sandbox, stripe) = Stripe::start(pool).await;
        run_bookings(&app, "OFF").await;
        Self::of(app, sandbox, stripe).await
    }

    /// Its bookings have a run, which asks for nothing.
    async fn with_runs(pool: PgPool) -> Self {
        let (app, sandbox, stripe) = Stripe::start(pool).await;
        run_bookings(&app, "ON").await;
        let own = playbook("booking");
        app.planner.post("/v1/playbooks", &own).await.expect(201);
        Self::of(app, sandbox, stripe).await
    }

    async fn of(app: TestApp, sandbox: Sandbox, stripe: Stripe) -> Self {
        let venue_id = create(&app.planner, "/v1/venues", &venue("Shop")).await;
        let event_id = create(&app.planner, "/v1/events", &event()).await;
        let booking_id = book(&app, event_id, &json!({"venue_id": venue_id})).await;
        let stop = CancellationToken::new();
        let worker = Worker::run(app.app.clone(), HANDLERS, Options::default(), stop.clone());
        tokio::spawn(worker);
        Self {
            app,
            sandbox,
            stripe,
            venue_id,
            event_id,
            booking_id,
            _worker: stop.drop_guard(),
        }
    }

    /// Asks for a payment, and waits for its page.
    async fn ask(&self, body: &Value) -> Value {
        let path = format!("/v1/events/{}/payments", self.event_id);
        let payment_id = create(&self.app.planner, &path, body).await;
        self.until(payment_id, |payment| payment["url"].is_string())
            .await
    }

    async fn payment(&self, id: Uuid) -> Value {
        let path = format!("/v1/payments/{id}");
        self.app.viewer.get(&path).await.expect(200)
    }

    async fn until(&self, id: Uuid, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..400 {
            last = self.payment(id).await;
            if is_so(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not in time: {last}")
    }

    async fn until_status(&self, payment: &Value, status: &str) -> Value {
        self.until(id(&payment["id"]), |payment| payment["status"] == status)
            .await
    }

    async fn booking(&self) -> Value {
        self.booking_of(self.booking_id).await
    }

    async fn booking_of(&self, id: Uuid) -> Value {
        let path = format!("/v1/bookings/{id}");
        self.app.viewer.get(&path).await.expect(200)
    }

    /// Whether the run of the event's booking stands: it has begun, and nobody undoes it.
    async fn is_run(&self) -> bool {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM orchestrations WHERE event_id = $1 AND is_booking_run
                            AND status NOT IN ('CANCELLING', 'CANCELLED', 'COMPENSATION_FAILED'))",
        )
        .bind(self.event_id)
        .fetch_one(&self.app.app.db)
        .await
        .unwrap()
    }

    async fn post(&self, payment: &Value, verb: &str, body: &Value) -> crate::support::Answer {
        let path = format!("/v1/payments/{}/{verb}", payment["id"].as_str().unwrap());
        let key = format!("{verb}{}", payment["version"]);
        self.app.planner.post_once(&key, &path, body).await
    }

    /// How the audit trail tells it.
    async fn trail(&self, payment: &Value) -> Vec<String> {
        let path = format!(
            "/v1/audit?subject_id={}&limit=200",
            payment["id"].as_str().unwrap()
        );
        let trail = self.app.owner.get(&path).await.expect(200);
        let entries = trail["items"].as_array().unwrap().iter();
        let mut actions: Vec<String> = entries
            .map(|entry| entry["action"].as_str().unwrap().to_owned())
            .collect();
        actions.sort();
        actions
    }

    /// Undoes the payment, as a step of a run.
    async fn undo(&self, key: &str, payment: &Value) -> Result<CancelOrRefundOutput, Failure> {
        let payment_id = id(&payment["id"]);
        let input = CancelOrRefundInput { payment_id };
        actions::cancel_or_refund(&self.app.app, &self.errand(key), self.event_id, input).await
    }

    fn errand(&self, key: &str) -> Errand {
        Errand {
            organization_id: self.app.organization_id,
            member_id: None,
            request_id: None,
            idempotency_key: key.into(),
            account: None,
            deadline: tokio::time::Instant::now() + Duration::from_secs(20),
        }
    }
}

async fn run_bookings(app: &TestApp, wish: &str) {
    let organization = format!("/v1/organizations/{}", app.organization_id);
    let wish = json!({ "booking_run": wish });
    app.owner.patch(&organization, "*", &wish).await.expect(200);
}

async fn book(app: &TestApp, event_id: Uuid, place: &Value) -> Uuid {
    let mut body = place.clone();
    body["number_of_guests"] = json!(40);
    create(
        &app.planner,
        &format!("/v1/events/{event_id}/bookings"),
        &body,
    )
    .await
}

/// Presses a button of the payment page.
pub async fn press(payment: &Value, choice: &str) {
    let pressed = http()
        .post(payment["url"].as_str().unwrap())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("choice={choice}"))
        .send()
        .await
        .unwrap();
    let status = pressed.status().as_u16();
    assert!([200, 303].contains(&status), "{status}");
}

fn http() -> reqwest::Client {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.build().unwrap()
}

fn eur(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

#[sqlx::test]
async fn a_deposit_that_is_paid_confirms_the_booking(pool: PgPool) {
    let shop = Shop::new(pool).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    assert_eq!(
        (&payment["status"], &payment["amount"]),
        (&json!("PENDING"), &eur(28_000))
    );
    assert_eq!(payment["booking_ids"], json!([shop.booking_id]));
    press(&payment, "decline").await;
    press(&payment, "pay").await;
    let paid = shop.until_status(&payment, "SUCCEEDED").await;
    assert_eq!(
        (&paid["url"], paid["paid_at"].is_string()),
        (&Value::Null, true)
    );
    let booking = shop.booking().await;
    assert_eq!(
        (&booking["status"], &booking["paid"]),
        (&json!("CONFIRMED"), &eur(28_000))
    );
    let path = format!("/v1/events/{}/budget", shop.event_id);
    let budget = shop.app.viewer.get(&path).await.expect(200);
    assert_eq!(budget["currencies"][0]["paid"], eur(28_000));
    let path = format!("/v1/bookings/{}/payments", shop.booking_id);
    let ledger = shop.app.viewer.get(&path).await.expect(200);
    let entry = &ledger["items"][0];
    assert_eq!(
        (&entry["payment_id"], &entry["method"]),
        (&payment["id"], &json!("STRIPE"))
    );
    assert_eq!(
        shop.trail(&payment).await,
        ["payment.created", "payment.opened", "payment.succeeded"]
    );
}

#[sqlx::test]
async fn a_balance_is_what_is_left_and_both_kinds_of_payments_are_one_list(pool: PgPool) {
    let shop = Shop::new(pool).await;
    let by_hand = json!({"kind": "DEPOSIT", "method": "CASH", "amount": eur(28_000)});
    let path = format!("/v1/bookings/{}/payments", shop.booking_id);
    create(&shop.app.planner, &path, &by_hand).await;
    let deposit = format!("/v1/events/{}/payments", shop.event_id);
    shop.app
        .planner
        .post_once("none", &deposit, &json!({"kind": "DEPOSIT"}))
        .await
        .expect_problem(409, "invalid_transition");
    let payment = shop.ask(&json!({"kind": "BALANCE"})).await;
    assert_eq!(payment["amount"], eur(112_000));
    // What is asked for is not due a second time, in any way.
    let more = json!({"kind": "BALANCE", "amount": eur(1)});
    shop.app
        .planner
        .post_once("more", &deposit, &more)
        .await
        .expect_invalid(&["#/amount/amount"]);
    let by_hand = json!({"kind": "BALANCE", "method": "CASH", "amount": eur(1)});
    shop.app
        .planner
        .post_once("by hand", &path, &by_hand)
        .await
        .expect_invalid(&["#/amount/amount"]);
    press(&payment, "pay").await;
    shop.until_status(&payment, "SUCCEEDED").await;
    assert_eq!(shop.booking().await["paid"], eur(140_000));
    for (filter, found) in [
        (String::new(), 2),
        (format!("?event_id={}", shop.event_id), 2),
        (
            format!("?booking_id={}&status=SUCCEEDED", shop.booking_id),
            2,
        ),
        ("?status=PENDING".to_owned(), 0),
        (format!("?booking_id={}", shop.event_id), 0),
    ] {
        let list = shop.app.viewer.get(&format!("/v1/payments{filter}")).await;
        let list = list.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{filter}");
    }
    let list = shop.app.viewer.get("/v1/payments").await.expect(200);
    let methods: Vec<_> = (0..2)
        .map(|at| list["items"][at]["method"].clone())
        .collect();
    assert_eq!(methods, ["CASH", "STRIPE"]);
}

#[sqlx::test]
async fn what_is_asked_for_is_checked(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let venue_id = create(&app.planner, "/v1/venues", &venue("Check")).await;
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    let path = format!("/v1/events/{event_id}/payments");
    let ask = async |key: &str, body: Value| app.planner.post_once(key, &path, &body).await;
    ask("empty", json!({"kind": "DEPOSIT"}))
        .await
        .expect_problem(409, "invalid_transition");
    let booking_id = book(&app, event_id, &json!({"venue_id": venue_id})).await;
    for (key, body, pointer) in [
        ("a", json!({"kind": "REFUND"}), "#/kind"),
        (
            "b",
            json!({"kind": "BALANCE", "amount": eur(140_001)}),
            "#/amount/amount",
        ),
        (
            "c",
            json!({"kind": "BALANCE", "amount": eur(0)}),
            "#/amount/amount",
        ),
        (
            "d",
            json!({"kind": "BALANCE", "amount": {"amount": 1, "currency": "USD"}}),
            "#/amount/currency",
        ),
        (
            "e",
            json!({"kind": "BALANCE", "booking_ids": [event_id]}),
            "#/booking_ids/0",
        ),
        (
            "f",
            json!({"kind": "BALANCE", "booking_ids": [booking_id, booking_id]}),
            "#/booking_ids/1",
        ),
        (
            "g",
            json!({"kind": "BALANCE", "booking_ids": []}),
            "#/booking_ids",
        ),
        (
            "h",
            json!({"kind": "BALANCE", "status": "SUCCEEDED"}),
            "#/status",
        ),
    ] {
        ask(key, body).await.expect_invalid(&[pointer]);
    }
    app.planner
        .post(&path, &json!({"kind": "DEPOSIT"}))
        .await
        .expect_problem(400, "idempotency_key_missing");
    let rehearsal = app
        .planner
        .post_once(
            "r",
            &format!("{path}?validate_only=true"),
            &json!({"kind": "DEPOSIT"}),
        )
        .await
        .expect(200);
    assert_eq!(rehearsal["amount"], eur(28_000));
    let list = app.viewer.get("/v1/payments").await.expect(200);
    assert_eq!(list["items"], json!([]));
}

#[sqlx::test]
async fn what_stripe_counts_in_other_units_is_recorded_by_hand(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    for currency in ["ISK", "MGA", "UGX"] {
        let mut hall = venue(currency);
        for price in ["hire_fee", "hourly_rate"] {
            hall[price]["currency"] = json!(currency);
        }
        let venue_id = create(&app.planner, "/v1/venues", &hall).await;
        let event_id = create(&app.planner, "/v1/events", &event()).await;
        let booking_id = book(&app, event_id, &json!({"venue_id": venue_id})).await;
        let (path, body) = (
            format!("/v1/events/{event_id}/payments"),
            json!({"kind": "DEPOSIT"}),
        );
        let asked = app.planner.post_once(currency, &path, &body).await;
        let problem = asked.expect_problem(409, "invalid_transition");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("/v1/bookings/{booking_id}/payments"));
        let amount = json!({"amount": 28_000, "currency": currency});
        let by_hand = json!({"kind": "DEPOSIT", "method": "CASH", "amount": amount});
        let path = format!("/v1/bookings/{booking_id}/payments");
        create(&app.planner, &path, &by_hand).await;
    }
}

#[sqlx::test]
async fn the_organizations_share_is_asked_where_nobody_asks_for_a_deposit(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let mut easy = venue("Easy");
    easy["deposit_rate_bps"] = json!(0);
    let venue_id = create(&app.planner, "/v1/venues", &easy).await;
    let event_id = create(&app.planner, "/v1/events", &event()).await;
    book(&app, event_id, &json!({"venue_id": venue_id})).await;
    let rehearsal = format!("/v1/events/{event_id}/payments?validate_only=true");
    let asked = async |key| {
        let body = json!({"kind": "DEPOSIT"});
        app.planner
            .post_once(key, &rehearsal, &body)
            .await
            .expect(200)["amount"]
            .clone()
    };
    assert_eq!(asked("a").await, eur(28_000));
    let path = format!("/v1/organizations/{}", app.organization_id);
    let body = json!({"default_deposit_rate_bps": 5_000});
    app.owner.patch(&path, "*", &body).await.expect(200);
    assert_eq!(asked("b").await, eur(70_000));
}

#[sqlx::test]
async fn a_payment_is_given_back_in_parts_and_never_more_than_came_in(pool: PgPool) {
    let shop = Shop::new(pool).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    shop.post(&payment, "refund", &json!({}))
        .await
        .expect_problem(409, "invalid_transition");
    press(&payment, "pay").await;
    let paid = shop.until_status(&payment, "SUCCEEDED").await;
    shop.post(&paid, "refund", &json!({"amount": eur(28_001)}))
        .await
        .expect_invalid(&["#/amount/amount"]);
    let body = json!({"amount": eur(8_000), "reason": "Ten guests fewer"});
    let path = format!("/v1/payments/{}/refund", payment["id"].as_str().unwrap());
    for _ in 0..2 {
        let asked = shop
            .app
            .planner
            .post_once("part", &path, &body)
            .await
            .expect(200);
        assert_eq!(asked["refund_pending"], eur(8_000));
    }
    // What is on its way back counts.
    let over = json!({"amount": eur(20_001)});
    let over = shop.app.planner.post_once("over", &path, &over).await;
    over.expect_invalid(&["#/amount/amount"]);
    let is_part =
        |payment: &Value| payment["refunded"] == eur(8_000) && payment["refund_pending"] == eur(0);
    let part = shop.until(id(&payment["id"]), is_part).await;
    assert_eq!(part["status"], "PARTIALLY_REFUNDED");
    assert_eq!(shop.booking().await["paid"], eur(20_000));
    shop.post(&part, "refund", &json!({})).await.expect(200);
    let all = shop.until_status(&payment, "REFUNDED").await;
    assert_eq!(all["refunded"], eur(28_000));
    assert_eq!(shop.booking().await["paid"], eur(0));
    assert_eq!(
        providers::counts(&shop.sandbox).await["stripe"]["refunds"],
        2
    );
}

/// Stripe's total is known a moment before the refund that is in it ends with us.
#[sqlx::test]
async fn a_refund_that_stripe_has_told_of_counts_once(pool: PgPool) {
    let shop = Shop::new(pool.clone()).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    press(&payment, "pay").await;
    let paid = shop.until_status(&payment, "SUCCEEDED").await;
    let part = json!({"amount": eur(20_000)});
    shop.post(&paid, "refund", &part).await.expect(200);
    refunds_have_ended(&pool).await;
    let pending = async |amount: i64| {
        sqlx::query("UPDATE payment_refunds SET status = 'PENDING', amount = $1")
            .bind(amount)
            .execute(&pool)
            .await
            .unwrap();
        shop.payment(id(&payment["id"])).await
    };
    let all = json!({});
    let none_left = pending(28_000).await;
    assert_eq!(none_left["refund_pending"], eur(8_000));
    shop.post(&none_left, "refund", &all)
        .await
        .expect_problem(409, "invalid_transition");
    let told = pending(20_000).await;
    assert_eq!(
        (&told["refunded"], &told["refund_pending"]),
        (&eur(20_000), &eur(0))
    );
    let path = format!("/v1/payments/{}/refund?validate_only=true", id(&told["id"]));
    let rehearsal = shop.app.planner.post_once("rest", &path, &all).await;
    assert_eq!(rehearsal.expect(200)["refund_pending"], eur(8_000));
    let undone = shop.undo("undo", &payment).await.unwrap();
    assert_eq!(json!(undone.refunded), eur(28_000));
}

#[sqlx::test]
async fn an_action_gives_back_what_the_terms_leave_less_what_is_on_its_way(pool: PgPool) {
    let shop = Shop::new(pool.clone()).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    press(&payment, "pay").await;
    shop.until_status(&payment, "SUCCEEDED").await;
    for change in [
        // A fee of 140.00 EUR, and a refund that is not at Stripe yet.
        r#"UPDATE bookings SET cancellation_terms = '[{"days_before": 0, "fee_bps": 1000}]'"#,
        "INSERT INTO payment_refunds (organization_id, id, payment_request_id, amount, reason, status, created_at, updated_at)
         SELECT organization_id, id, id, 5000, 'REQUESTED', 'PENDING', now(), now() FROM payment_requests",
    ] {
        sqlx::query(change).execute(&pool).await.unwrap();
    }
    let path = format!("/v1/bookings/{}/cancel", shop.booking_id);
    let cancelled = shop
        .app
        .planner
        .post_once("cancel", &path, &Value::Null)
        .await;
    assert_eq!(cancelled.expect(200)["fee"], eur(14_000));
    let undone = shop.undo("undo", &payment).await.unwrap();
    assert_eq!(json!(undone.refunded), eur(9_000));
}

#[sqlx::test]
async fn a_late_event_does_not_bring_back_a_refund_that_failed_after_all(pool: PgPool) {
    let shop = Shop::new(pool.clone()).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    press(&payment, "pay").await;
    let paid = shop.until_status(&payment, "SUCCEEDED").await;
    let part = json!({"amount": eur(8_000)});
    shop.post(&paid, "refund", &part).await.expect(200);
    refunds_have_ended(&pool).await;
    change_stripe(&shop.sandbox.world, |ledger| {
        for object in ledger["objects"].as_object_mut().unwrap().values_mut() {
            if object["object"] == "charge" {
                object["amount_refunded"] = json!(0);
            }
        }
    });
    let intent_id = shop.stripe.intent_of(&payment).await;
    let failed = json!({"id": "re_1", "payment_intent": intent_id, "status": "failed"});
    shop.stripe.send("evt_r1", "refund.failed", failed).await;
    shop.until_status(&payment, "SUCCEEDED").await;
    let late = json!({"id": "ch_1", "payment_intent": intent_id, "amount": 28_000, "amount_captured": 28_000,
                      "amount_refunded": 8_000, "currency": "eur"});
    shop.stripe.send("evt_r2", "charge.refunded", late).await;
    until("the event is worked off", async || {
        let left = "SELECT count(*) FROM jobs WHERE kind = 'payments.stripe_event'";
        let left = sqlx::query_scalar::<_, i64>(left).fetch_one(&pool);
        left.await.unwrap() == 0
    })
    .await;
    let kept = shop.payment(id(&payment["id"])).await;
    assert_eq!(
        (&kept["status"], &kept["refunded"]),
        (&json!("SUCCEEDED"), &eur(0))
    );
    assert_eq!(shop.booking().await["paid"], eur(28_000));
}

#[sqlx::test]
async fn a_cancelled_payment_can_no_longer_be_paid(pool: PgPool) {
    let shop = Shop::new(pool).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    let asked = shop
        .post(&payment, "cancel", &Value::Null)
        .await
        .expect(200);
    assert!(asked["cancel_requested_at"].is_string());
    let cancelled = shop.until_status(&payment, "CANCELLED").await;
    press(&payment, "pay").await;
    assert_eq!(
        providers::counts(&shop.sandbox).await["stripe"]["charges"],
        0
    );
    shop.post(&cancelled, "cancel", &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
    assert_eq!(shop.booking().await["status"], "HELD");
    // It can be asked for again.
    shop.ask(&json!({"kind": "DEPOSIT"})).await;
}

#[sqlx::test]
async fn money_for_a_cancelled_payment_goes_back(pool: PgPool) {
    let shop = Shop::new(pool.clone()).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    shop.stripe.hold_back();
    press(&payment, "pay").await;
    shop.post(&payment, "cancel", &Value::Null)
        .await
        .expect(200);
    let back = shop.until_status(&payment, "REFUNDED").await;
    assert_eq!(back["refusal"], "PAYMENT_CANCELLED");
    let booking = shop.booking().await;
    assert_eq!(
        (&booking["status"], &booking["paid"]),
        (&json!("HELD"), &eur(0))
    );
    shop.stripe.let_go().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(shop.payment(id(&payment["id"])).await["status"], "REFUNDED");
    assert_eq!(
        providers::counts(&shop.sandbox).await["stripe"]["refunds"],
        1
    );
}

#[sqlx::test]
async fn a_session_that_nobody_pays_expires(pool: PgPool) {
    let shop = Shop::new(pool).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    shop.stripe.expire(&payment).await;
    shop.until_status(&payment, "EXPIRED").await;
    assert_eq!(shop.booking().await["status"], "HELD");
}

#[sqlx::test]
async fn holds_last_while_somebody_pays_but_not_for_ever(pool: PgPool) {
    let shop = Shop::new(pool).await;
    let made: jiff::Timestamp = shop.booking().await["created_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let ends = async || -> jiff::Timestamp {
        let booking = shop.booking().await;
        booking["expires_at"].as_str().unwrap().parse().unwrap()
    };
    let hours = |hours| jiff::SignedDuration::from_hours(hours);
    assert_eq!(ends().await, made + hours(48));
    shop.app.advance(Duration::from_hours(47));
    let path = format!("/v1/events/{}/payments", shop.event_id);
    let first = create(&shop.app.planner, &path, &json!({"kind": "DEPOSIT"})).await;
    let until = shop.payment(first).await["expires_at"].clone();
    let until: jiff::Timestamp = until.as_str().unwrap().parse().unwrap();
    assert_eq!((ends().await, until > made + hours(69)), (until, true));
    shop.app.advance(Duration::from_hours(10));
    let balance = json!({"kind": "BALANCE"});
    create(&shop.app.planner, &path, &balance).await;
    assert_eq!(ends().await, made + hours(71));
}

#[sqlx::test]
async fn a_hold_that_ended_while_it_was_paid_is_taken_back_if_it_is_free(pool: PgPool) {
    let shop = Shop::new(pool.clone()).await;
    let kitchen_id = create(&shop.app.planner, "/v1/caterers", &caterer("Shop")).await;
    let meal = book(&shop.app, shop.event_id, &json!({"caterer_id": kitchen_id})).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    shop.stripe.hold_back();
    press(&payment, "pay").await;
    expire_holds(&pool, &shop.app).await;
    assert_eq!(shop.booking().await["cancellation_reason"], "EXPIRED");
    shop.stripe.let_go().await;
    shop.until_status(&payment, "SUCCEEDED").await;
    let booking = shop.booking().await;
    assert_eq!(
        (&booking["status"], &booking["cancelled_at"]),
        (&json!("CONFIRMED"), &Value::Null)
    );
    let meal = shop
        .app
        .viewer
        .get(&format!("/v1/bookings/{meal}"))
        .await
        .expect(200);
    assert_eq!(
        (&meal["status"], &meal["paid"]),
        (&json!("CONFIRMED"), &eur(12_000))
    );
}

#[sqlx::test]
async fn a_hold_that_ended_is_not_taken_back_at_a_time_that_the_event_has_left(pool: PgPool) {
    let shop = Shop::new(pool.clone()).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    shop.stripe.hold_back();
    press(&payment, "pay").await;
    expire_holds(&pool, &shop.app).await;
    let path = format!("/v1/events/{}/reschedule", shop.event_id);
    let to = json!({"local_start": "2027-06-20T18:00:00"});
    let headers = [("idempotency-key", "move"), ("if-match", "*")];
    let moved = shop.app.planner.post_with(&path, &to, &headers).await;
    moved.expect(200);
    shop.stripe.let_go().await;
    let back = shop.until_status(&payment, "REFUNDED").await;
    assert_eq!(back["refusal"], "HOLD_LOST");
    let booking = shop.booking().await;
    assert_eq!(
        (&booking["status"], &booking["paid"]),
        (&json!("CANCELLED"), &eur(0))
    );
}

#[sqlx::test]
async fn a_page_that_asks_for_more_than_a_moved_booking_costs_is_closed(pool: PgPool) {
    let shop = Shop::new(pool).await;
    let deposit = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    press(&deposit, "pay").await;
    shop.until_status(&deposit, "SUCCEEDED").await;
    let rest = shop.ask(&json!({"kind": "BALANCE"})).await;
    assert_eq!(rest["amount"], eur(112_000));
    // Two hours at 100.00 less.
    let path = format!("/v1/events/{}/reschedule", shop.event_id);
    let to =
        json!({"local_start": "2027-06-12T18:00:00", "duration_minutes": 120, "reconfirm": true});
    let headers = [("idempotency-key", "shorter"), ("if-match", "*")];
    let moved = shop.app.planner.post_with(&path, &to, &headers).await;
    moved.expect(200);
    shop.until_status(&rest, "CANCELLED").await;
    let rest = shop.ask(&json!({"kind": "BALANCE"})).await;
    assert_eq!(rest["amount"], eur(92_000));
    // What is owed all the same stays open.
    let headers = [("idempotency-key", "later"), ("if-match", "*")];
    let to = json!({"local_start": "2027-06-13T18:00:00"});
    let moved = shop.app.planner.post_with(&path, &to, &headers).await;
    moved.expect(200);
    assert_eq!(shop.payment(id(&rest["id"])).await["status"], "PENDING");
}

#[sqlx::test]
async fn the_run_of_a_hold_that_ended_waits_for_who_is_paying(pool: PgPool) {
    let shop = Shop::with_runs(pool.clone()).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    expire_holds(&pool, &shop.app).await;
    assert_eq!(shop.booking().await["status"], "CANCELLED");
    assert!(shop.is_run().await, "money may still come");
    shop.stripe.expire(&payment).await;
    shop.until_status(&payment, "EXPIRED").await;
    assert!(!shop.is_run().await, "none has come");
}

#[sqlx::test]
async fn a_booking_that_is_taken_back_has_its_run_and_its_calendar_place(pool: PgPool) {
    let shop = Shop::with_runs(pool.clone()).await;
    let calendar = format!("/v1/events/{}/calendar", shop.event_id);
    let asked = shop.app.planner.post(&calendar, &Value::Null).await;
    asked.expect(201);
    let place_is = async |is_told: bool| {
        let entry = shop.app.viewer.get(&calendar).await.expect(200);
        let place = entry["shows"]["location"].as_str();
        place.is_some_and(|place| place.is_empty() != is_told)
    };
    until("the place is told", async || place_is(true).await).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    shop.stripe.hold_back();
    press(&payment, "pay").await;
    expire_holds(&pool, &shop.app).await;
    until("the place is told no more", async || place_is(false).await).await;
    // Somebody has given the run up meanwhile.
    let run: Uuid = sqlx::query_scalar("SELECT id FROM orchestrations WHERE event_id = $1")
        .bind(shop.event_id)
        .fetch_one(&pool)
        .await
        .unwrap();
    let path = format!("/v1/orchestrations/{run}/cancel");
    shop.app
        .planner
        .post_once("run", &path, &Value::Null)
        .await
        .expect(200);
    assert!(!shop.is_run().await);
    shop.stripe.let_go().await;
    shop.until_status(&payment, "SUCCEEDED").await;
    assert!(shop.is_run().await);
    until("the place is told again", async || place_is(true).await).await;
}

#[sqlx::test]
async fn a_refund_that_failed_is_given_once_however_it_is_asked_for_again(pool: PgPool) {
    let shop = Shop::new(pool.clone()).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    press(&payment, "pay").await;
    let paid = shop.until_status(&payment, "SUCCEEDED").await;
    let refused = Fault::new(Provider::Stripe, Misbehaviour::Error { status: 400 });
    shop.sandbox.misbehave(refused.on("POST", "/v1/refunds"));
    let part = json!({"amount": eur(8_000)});
    shop.post(&paid, "refund", &part).await.expect(200);
    let dead = async || {
        let letters = shop.app.owner.get("/v1/dead-letters").await.expect(200);
        letters["items"][0].clone()
    };
    until("given up", async || dead().await["id"].is_string()).await;
    shop.sandbox.world.faults.clear();
    let failed = shop.payment(id(&payment["id"])).await;
    shop.post(&failed, "refund", &part).await.expect(200);
    let given_back = shop.until_status(&payment, "PARTIALLY_REFUNDED").await;
    let path = format!("/v1/dead-letters/{}/replay", id(&dead().await["id"]));
    shop.app.owner.post(&path, &Value::Null).await.expect(200);
    until("given up again", async || {
        let error = dead().await["error"].clone();
        error
            .as_str()
            .is_some_and(|error| error.contains("/refund"))
    })
    .await;
    let counts = providers::counts(&shop.sandbox).await;
    assert_eq!(counts["stripe"]["refunds"], 1);
    assert_eq!(shop.booking().await["paid"], eur(20_000));
    assert_eq!(given_back["refunded"], eur(8_000));
}

#[sqlx::test]
async fn a_place_that_another_buyer_took_is_paid_back_in_full_and_told(pool: PgPool) {
    let shop = Shop::with_runs(pool.clone()).await;
    let kitchen_id = create(&shop.app.planner, "/v1/caterers", &caterer("Shop")).await;
    let meal = book(&shop.app, shop.event_id, &json!({"caterer_id": kitchen_id})).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    shop.stripe.hold_back();
    press(&payment, "pay").await;
    expire_holds(&pool, &shop.app).await;
    let other = create(&shop.app.planner, "/v1/events", &event()).await;
    let taken = book(&shop.app, other, &json!({"venue_id": shop.venue_id})).await;
    shop.stripe.let_go().await;
    let back = shop.until_status(&payment, "REFUNDED").await;
    assert_eq!(
        (&back["refusal"], &back["refunded"]),
        (&json!("HOLD_LOST"), &eur(40_000))
    );
    let booking = shop.booking().await;
    assert_eq!(
        (&booking["status"], &booking["paid"]),
        (&json!("CANCELLED"), &eur(0))
    );
    let meal = shop
        .app
        .viewer
        .get(&format!("/v1/bookings/{meal}"))
        .await
        .expect(200);
    assert_eq!(
        (&meal["status"], &meal["paid"]),
        (&json!("CANCELLED"), &eur(0))
    );
    let taken = shop
        .app
        .viewer
        .get(&format!("/v1/bookings/{taken}"))
        .await
        .expect(200);
    assert_eq!(taken["status"], "HELD");
    assert!(!shop.is_run().await);
    let trail = shop.trail(&payment).await;
    assert!(
        trail.contains(&"payment.refused_hold_lost".to_owned()),
        "{trail:?}"
    );
    assert!(trail.contains(&"payment.refunded".to_owned()), "{trail:?}");
}

/// The buyers book while the money arrives: somebody has the room, and nobody's money is lost.
#[sqlx::test]
async fn of_a_payer_and_many_buyers_one_has_the_room(pool: PgPool) {
    let shop = Shop::new(pool.clone()).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    shop.stripe.hold_back();
    press(&payment, "pay").await;
    let mut events = Vec::new();
    for _ in 0..6 {
        events.push(create(&shop.app.planner, "/v1/events", &event()).await);
    }
    expire_holds(&pool, &shop.app).await;
    let buyers = events.iter().map(|event_id| {
        let (planner, path) = (&shop.app.planner, format!("/v1/events/{event_id}/bookings"));
        let body = json!({"venue_id": shop.venue_id, "number_of_guests": 40});
        async move { planner.post_once(&path, &path, &body).await.status.as_u16() }
    });
    let (statuses, ()) = tokio::join!(futures_util::future::join_all(buyers), shop.stripe.let_go());
    let won = statuses.iter().filter(|status| **status == 201).count();
    let is_over = |payment: &Value| {
        ["SUCCEEDED", "REFUNDED"]
            .iter()
            .any(|status| payment["status"] == *status)
    };
    let end = shop.until(id(&payment["id"]), is_over).await;
    let end = if end["refusal"] == "HOLD_LOST" {
        shop.until_status(&payment, "REFUNDED").await
    } else {
        end
    };
    let live: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM bookings WHERE venue_id = $1 AND status <> 'CANCELLED'",
    )
    .bind(shop.venue_id)
    .fetch_one(&pool)
    .await
    .unwrap();
    let paid = usize::from(end["status"] == "SUCCEEDED");
    assert_eq!((won + paid, live), (1, 1), "{statuses:?} {end}");
    let confirmed = shop.booking().await["status"] == "CONFIRMED";
    assert_eq!(confirmed, paid == 1);
}

#[sqlx::test]
async fn the_share_of_a_booking_that_was_cancelled_goes_back(pool: PgPool) {
    let shop = Shop::new(pool.clone()).await;
    let kitchen_id = create(&shop.app.planner, "/v1/caterers", &caterer("Shop")).await;
    let meal = book(&shop.app, shop.event_id, &json!({"caterer_id": kitchen_id})).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    let path = format!("/v1/bookings/{meal}/cancel");
    shop.app
        .planner
        .post_once("cancel", &path, &Value::Null)
        .await
        .expect(200);
    press(&payment, "pay").await;
    let part = shop.until_status(&payment, "PARTIALLY_REFUNDED").await;
    assert_eq!(
        (&part["refusal"], &part["refunded"]),
        (&json!("BOOKING_CANCELLED"), &eur(12_000))
    );
    // It is taken from that booking, not from the one that is kept: nobody is asked for it twice.
    let room = shop.booking().await;
    assert_eq!(
        (&room["status"], &room["paid"]),
        (&json!("CONFIRMED"), &eur(28_000))
    );
    assert_eq!(shop.booking_of(meal).await["paid"], eur(0));
    let path = format!("/v1/events/{}/payments?validate_only=true", shop.event_id);
    let balance = json!({"kind": "BALANCE"});
    let asked = shop.app.planner.post_once("rest", &path, &balance).await;
    assert_eq!(asked.expect(200)["amount"], eur(112_000));
}

#[sqlx::test]
async fn a_disputed_payment_is_told_and_a_lost_one_is_gone(pool: PgPool) {
    let shop = Shop::new(pool).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    press(&payment, "pay").await;
    shop.until_status(&payment, "SUCCEEDED").await;
    let intent_id = shop.stripe.intent_of(&payment).await;
    let dispute = |status: &str| json!({"id": "dp_1", "payment_intent": intent_id, "status": status, "amount": 28_000, "currency": "eur"});
    shop.stripe
        .send(
            "evt_d1",
            "charge.dispute.created",
            dispute("needs_response"),
        )
        .await;
    shop.until_status(&payment, "DISPUTED").await;
    assert_eq!(shop.booking().await["paid"], eur(28_000));
    shop.stripe
        .send("evt_d2", "charge.dispute.closed", dispute("lost"))
        .await;
    until("the money is gone", async || {
        shop.booking().await["paid"] == eur(0)
    })
    .await;
    // What was told first comes last: nothing changes.
    shop.stripe
        .send("evt_d3", "charge.dispute.updated", dispute("under_review"))
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(shop.payment(id(&payment["id"])).await["status"], "DISPUTED");
    assert_eq!(shop.booking().await["paid"], eur(0));
}

#[sqlx::test]
async fn stripe_away_parks_its_jobs_and_nothing_is_lost(pool: PgPool) {
    let shop = Shop::new(pool.clone()).await;
    shop.sandbox.misbehave(Fault {
        provider: Provider::Stripe,
        method: None,
        path: None,
        after: false,
        times: None,
        misbehaviour: Misbehaviour::Error { status: 503 },
    });
    let path = format!("/v1/events/{}/payments", shop.event_id);
    let payment_id = create(&shop.app.planner, &path, &json!({"kind": "DEPOSIT"})).await;
    until("the lane is paused", async || {
        let paused: i64 =
            sqlx::query_scalar("SELECT count(*) FROM job_lanes WHERE lane = 'stripe'")
                .fetch_one(&pool)
                .await
                .unwrap();
        paused == 1
    })
    .await;
    assert_eq!(shop.payment(payment_id).await["status"], "PENDING");
    shop.sandbox.world.faults.clear();
    until("the page is made", async || {
        // Pauses are longer than a test has patience.
        for now in [
            "UPDATE job_lanes SET paused_until = now()",
            "UPDATE jobs SET available_at = now() WHERE lane = 'stripe' AND attempts = 0",
        ] {
            sqlx::query(now).execute(&pool).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        shop.payment(payment_id).await["url"].is_string()
    })
    .await;
    assert_eq!(
        providers::counts(&shop.sandbox).await["stripe"]["checkout_sessions"],
        1
    );
}

#[sqlx::test]
async fn what_stripe_will_not_take_fails_and_says_why(pool: PgPool) {
    let shop = Shop::new(pool).await;
    let path = format!("/v1/events/{}/payments", shop.event_id);
    // Less than Stripe's least amount.
    let body = json!({"kind": "BALANCE", "amount": eur(1)});
    let payment_id = create(&shop.app.planner, &path, &body).await;
    let failed = shop
        .until(payment_id, |payment| payment["status"] == "FAILED")
        .await;
    assert!(failed["failure"].is_string(), "{failed}");
}

#[sqlx::test]
async fn the_actions_are_done_once_for_their_key_and_undo_each_other(pool: PgPool) {
    let shop = Shop::new(pool).await;
    let ask = async |key| {
        let input = RequestDepositInput::default();
        actions::request_deposit(&shop.app.app, &shop.errand(key), shop.event_id, input).await
    };
    let undo = async |key, payment_id| {
        let input = CancelOrRefundInput { payment_id };
        actions::cancel_or_refund(&shop.app.app, &shop.errand(key), shop.event_id, input).await
    };
    let first = ask("step-1").await.unwrap();
    let again = ask("step-1").await.unwrap();
    assert!(first.url.is_some());
    assert_eq!(
        (first.payment_id, &first.url),
        (again.payment_id, &again.url)
    );
    let counts = providers::counts(&shop.sandbox).await;
    assert_eq!(counts["stripe"]["checkout_sessions"], 1);
    for _ in 0..2 {
        let undone = undo("undo-1", first.payment_id).await.unwrap();
        assert_eq!(json!(undone.status), "CANCELLED");
    }
    let second = ask("step-2").await.unwrap();
    let payment = shop.payment(second.payment_id).await;
    press(&payment, "pay").await;
    shop.until_status(&payment, "SUCCEEDED").await;
    for _ in 0..2 {
        let undone = undo("undo-2", second.payment_id).await.unwrap();
        assert_eq!(
            (json!(undone.status), json!(undone.refunded)),
            (json!("REFUNDED"), eur(28_000))
        );
    }
    let counts = providers::counts(&shop.sandbox).await;
    assert_eq!(counts["stripe"]["refunds"], 1);
}

#[sqlx::test]
async fn an_action_whose_payment_came_to_nothing_asks_anew_unless_somebody_cancelled_it(
    pool: PgPool,
) {
    let shop = Shop::new(pool).await;
    let ask = async || {
        let input = RequestDepositInput::default();
        actions::request_deposit(&shop.app.app, &shop.errand("step"), shop.event_id, input).await
    };
    let refused = Fault::new(Provider::Stripe, Misbehaviour::Error { status: 400 });
    shop.sandbox
        .misbehave(refused.on("POST", "/v1/checkout/sessions"));
    ask().await.unwrap_err();
    shop.sandbox.world.faults.clear();
    let first = ask().await.unwrap();
    assert!(first.url.is_some());
    let payment = shop.payment(first.payment_id).await;
    shop.stripe.expire(&payment).await;
    shop.until_status(&payment, "EXPIRED").await;
    let second = ask().await.unwrap();
    assert!(second.url.is_some() && second.payment_id != first.payment_id);
    let payment = shop.payment(second.payment_id).await;
    shop.post(&payment, "cancel", &Value::Null)
        .await
        .expect(200);
    shop.until_status(&payment, "CANCELLED").await;
    ask().await.unwrap_err();
}

#[sqlx::test]
async fn an_action_whose_refund_failed_gives_back_when_it_is_tried_again(pool: PgPool) {
    let shop = Shop::new(pool.clone()).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    press(&payment, "pay").await;
    shop.until_status(&payment, "SUCCEEDED").await;
    let undo = || shop.undo("undo", &payment);
    let refused = Fault::new(Provider::Stripe, Misbehaviour::Error { status: 400 });
    shop.sandbox.misbehave(refused.on("POST", "/v1/refunds"));
    undo().await.unwrap_err();
    shop.sandbox.world.faults.clear();
    for _ in 0..2 {
        assert_eq!(json!(undo().await.unwrap().status), "REFUNDED");
    }
    let statuses: Vec<String> =
        sqlx::query_scalar("SELECT status FROM payment_refunds ORDER BY id")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(statuses, ["FAILED", "SUCCEEDED"]);
}

#[sqlx::test]
async fn a_refund_whose_answer_was_lost_is_found_after_its_key_is_forgotten(pool: PgPool) {
    let shop = Shop::new(pool.clone()).await;
    let payment = shop.ask(&json!({"kind": "DEPOSIT"})).await;
    press(&payment, "pay").await;
    let paid = shop.until_status(&payment, "SUCCEEDED").await;
    let lost = Fault::new(Provider::Stripe, Misbehaviour::Cut).after();
    shop.sandbox.misbehave(lost.on("POST", "/v1/refunds"));
    let part = json!({"amount": eur(8_000)});
    shop.post(&paid, "refund", &part).await.expect(200);
    until("given back, unknown to us", async || {
        let ended =
            "SELECT count(*) FROM jobs WHERE kind = 'payments.refund' AND last_error IS NOT NULL";
        let ended = sqlx::query_scalar::<_, i64>(ended).fetch_one(&pool);
        ended.await.unwrap() == 1
    })
    .await;
    forget_keys(&shop.sandbox.world);
    shop.sandbox.world.faults.clear();
    let given_back = shop.until_status(&payment, "PARTIALLY_REFUNDED").await;
    assert_eq!(given_back["refunded"], eur(8_000));
    refunds_have_ended(&pool).await;
    assert_eq!(
        providers::counts(&shop.sandbox).await["stripe"]["refunds"],
        1
    );
}

/// As if a day had passed: Stripe knows no idempotency key again.
fn forget_keys(world: &World) {
    change_stripe(world, |ledger| ledger["answered"] = json!({}));
}

/// What happens at Stripe without a request.
fn change_stripe(world: &World, change: impl Fn(&mut Value)) {
    let mut things = world.things();
    let mut stripe = serde_json::to_value(&things.stripe).unwrap();
    let ledgers = stripe["ledgers"].as_object_mut().unwrap();
    ledgers.values_mut().for_each(change);
    things.stripe = serde_json::from_value(stripe).unwrap();
}

/// Waits until no refund is under way with us, whatever Stripe has told meanwhile.
async fn refunds_have_ended(pool: &PgPool) {
    until("refunds have ended", async || {
        let pending = "SELECT count(*) FROM payment_refunds WHERE status = 'PENDING'";
        let pending = sqlx::query_scalar::<_, i64>(pending).fetch_one(pool);
        pending.await.unwrap() == 0
    })
    .await;
}

/// Ends all holds, as if their time were over.
pub async fn expire_holds(pool: &PgPool, app: &TestApp) {
    sqlx::query("UPDATE bookings SET expires_at = now() - interval '1 hour' WHERE status = 'HELD'")
        .execute(pool)
        .await
        .unwrap();
    event_planner_api::bookings::release_expired(&app.app)
        .await
        .unwrap();
}
