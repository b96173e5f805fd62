//! The run of a booking, from booked to paid to cancelled, with real workers and the sandbox in place of the providers: what it
//! does is in each slice's list, once, and undone there, wherever workers die.

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use event_planner_api::{
    jobs::{Done, Failure, HANDLERS, Handler, Job, Options},
    orchestrations::run_subtask,
    state::App,
};
use event_planner_sandbox::Sandbox;
use futures_util::poll;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, PgPool};

use crate::{
    orchestrations::{path, statuses, until, worker, worker_with},
    payments::{expire_holds, press},
    providers,
    scene::{self, create},
    support::{Answer, TestApp},
    webhooks_in::Stripe,
};

/// Leases that end soon, so that what a dead worker left behind is soon another's.
fn options() -> Options {
    Options {
        lease: Duration::from_millis(400),
        ..Options::default()
    }
}

/// An event that is booked, with everything that its run asks for; and what the sandbox had before.
struct Booked {
    app: TestApp,
    sandbox: Sandbox,
    stripe: Stripe,
    before: Value,
    event: Value,
    booking: Value,
}

impl Booked {
    async fn new(pool: PgPool) -> Self {
        Self::of(pool, scene::venue("Porto")).await
    }

    async fn of(pool: PgPool, venue: Value) -> Self {
        let (app, sandbox, stripe) = Stripe::start(pool).await;
        let before = providers::counts(&sandbox).await;
        let venue = create(&app.owner, "/v1/venues", &venue).await;
        let mut event = scene::event();
        event["contact_name"] = json!("Ada");
        event["contact_phone"] = json!("+14155550100");
        let event = app.planner.post("/v1/events", &event).await.expect(201);
        let body = json!({ "venue_id": venue, "number_of_guests": 40 });
        let path = format!("/v1/events/{}/bookings", event["id"].as_str().unwrap());
        let booking = app
            .planner
            .post_once("book", &path, &body)
            .await
            .expect(201);
        Self {
            app,
            sandbox,
            stripe,
            before,
            event,
            booking,
        }
    }

    fn run(&self) -> &Value {
        &self.booking["orchestration"]
    }

    async fn done(&self) -> Value {
        let done = until(&self.app, self.run(), "SUCCEEDED").await;
        assert_eq!(statuses(&done), ["SUCCEEDED"; 8], "{done:#}");
        done
    }

    async fn undone(&self) -> Value {
        let undone = until(&self.app, self.run(), "CANCELLED").await;
        assert_eq!(statuses(&undone), ["COMPENSATED"; 8], "{undone:#}");
        undone
    }

    async fn booking(&self) -> Value {
        let path = format!("/v1/bookings/{}", self.booking["id"].as_str().unwrap());
        self.app.viewer.get(&path).await.expect(200)
    }

    async fn cancel_event(&self) -> Answer {
        let path = format!("/v1/events/{}/cancel", self.event["id"].as_str().unwrap());
        self.app
            .planner
            .post_once("cancel", &path, &Value::Null)
            .await
    }

    async fn cancel_booking(&self) -> Answer {
        let path = format!(
            "/v1/bookings/{}/cancel",
            self.booking["id"].as_str().unwrap()
        );
        self.app
            .planner
            .post_once("cancel", &path, &Value::Null)
            .await
    }

    /// What a slice lists of the event, as the values of some fields.
    async fn list(&self, slice: &str, fields: &[&str]) -> Vec<Value> {
        let event_id = self.event["id"].as_str().unwrap();
        let path = format!("/v1/{slice}?event_id={event_id}&limit=100");
        let page = self.app.viewer.get(&path).await.expect(200);
        let values = |item: &Value| fields.iter().map(|field| item[*field].clone()).collect();
        let mut rows: Vec<Value> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(values)
            .collect();
        rows.sort_by_key(Value::to_string);
        rows
    }

    async fn payment(&self) -> Value {
        let event_id = self.event["id"].as_str().unwrap();
        let path = format!("/v1/payments?event_id={event_id}");
        let page = self.app.viewer.get(&path).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page:#}");
        page["items"][0].clone()
    }

    async fn until_payment(&self, status: &str) -> Value {
        for _ in 0..400 {
            let payment = self.payment().await;
            if payment["status"] == status {
                return payment;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not in time: {:#}", self.payment().await)
    }

    async fn calendar_status(&self) -> Value {
        let path = format!("/v1/events/{}/calendar", self.event["id"].as_str().unwrap());
        self.app.viewer.get(&path).await.expect(200)["status"].clone()
    }

    /// How many more there are at a provider than before, by a JSON pointer.
    async fn added<const N: usize>(&self, things: [&str; N]) -> [i64; N] {
        let counts = providers::counts(&self.sandbox).await;
        let count = |counts: &Value, thing| counts.pointer(thing).and_then(Value::as_i64).unwrap();
        things.map(|thing| count(&counts, thing) - count(&self.before, thing))
    }

    async fn assert_done_once(&self) {
        assert_eq!(self.added(EFFECTS).await, [1, 1, 1, 3, 0, 1, 0, 0]);
        assert_eq!(
            self.list("documents", &["kind", "status"]).await,
            [
                json!(["BRIEF", "READY"]),
                json!(["CONTRACT", "READY"]),
                json!(["FOLDER", "READY"])
            ]
        );
        let sent = self.list("messages", &["channel", "recipient"]).await;
        assert_eq!(
            sent,
            [json!(["SLACK", "events"]), json!(["SMS", "+14155550100"])]
        );
        let tasks = self.list("tasks", &["status", "checklist"]).await;
        assert!(tasks.len() > 3, "{tasks:?}");
        assert!(
            tasks.iter().all(|task| *task == json!(["OPEN", "offsite"])),
            "{tasks:?}"
        );
        let mut items = self.list("tasks", &["title"]).await;
        items.dedup();
        assert_eq!(items.len(), tasks.len(), "each item once");
        assert_eq!(self.calendar_status().await, "HELD");
        let payment = self.payment().await;
        assert_eq!(payment["amount"]["amount"], 28_000, "{payment:#}");
    }

    /// `refunds` of the payment were made, and its end is this.
    async fn assert_undone_once(&self, refunds: i64, payment: &str) {
        assert_eq!(self.added(EFFECTS).await, [2, 2, 1, 3, 3, 0, 1, refunds]);
        let documents = self.list("documents", &["status"]).await;
        assert_eq!(
            documents,
            [json!(["TRASHED"]), json!(["TRASHED"]), json!(["TRASHED"])]
        );
        let told = self.list("messages", &["channel"]).await;
        assert_eq!(told, [json!(["SLACK"]), json!(["SMS"]), json!(["SMS"])]);
        let taken_back = self.list("messages", &["retracted_at"]).await;
        assert_eq!(
            taken_back.iter().filter(|row| row[0].is_string()).count(),
            1
        );
        let open = self.list("tasks", &["status"]).await;
        assert!(open.iter().all(|task| task[0] == "CANCELLED"), "{open:?}");
        assert_eq!(self.calendar_status().await, "CANCELLED");
        assert_eq!(self.payment().await["status"], payment);
    }
}

const EFFECTS: [&str; 8] = [
    "/slack/messages",
    "/twilio/messages",
    "/stripe/checkout_sessions",
    "/google/drive/files",
    "/google/drive/trashed",
    "/google/calendar/events",
    "/google/calendar/cancelled",
    "/stripe/refunds",
];

#[sqlx::test]
async fn a_booking_is_paid_confirmed_cancelled_and_everything_undone(pool: PgPool) {
    let booked = Booked::new(pool.clone()).await;
    let run = booked.run();
    assert_eq!(
        (&run["playbook"], &run["is_booking_run"]),
        (&json!("booking"), &json!(true))
    );
    let working = worker(&booked.app);
    let done = booked.done().await;
    booked.assert_done_once().await;
    let payment = booked.payment().await;
    let url = payment["url"].as_str().unwrap();
    let body = done["subtasks"][7]["input"]["body"].as_str().unwrap();
    assert!(body.contains(url), "the contact has the link: {body}");
    assert_eq!(
        booked.booking().await["status"],
        "HELD",
        "nobody has paid yet"
    );

    press(&payment, "pay").await;
    booked.until_payment("SUCCEEDED").await;
    let confirmed = booked.booking().await;
    assert_eq!(
        (&confirmed["status"], &confirmed["paid"]["amount"]),
        (&json!("CONFIRMED"), &json!(28_000))
    );
    assert_eq!(
        booked.app.viewer.get(&path(run)).await.expect(200)["status"],
        "SUCCEEDED"
    );

    booked.cancel_event().await.expect(200);
    booked.undone().await;
    let refunded = booked.until_payment("REFUNDED").await;
    working.stop().await;
    assert_eq!(refunded["refunded"]["amount"], 28_000);
    booked.assert_undone_once(1, "REFUNDED").await;
    assert_eq!(booked.booking().await["paid"]["amount"], 0);
    let in_order: Vec<String> = sqlx::query_scalar(
        "SELECT after->>'step' FROM audit_entries WHERE action = 'subtask.compensated' ORDER BY id",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let place = |step: &str| in_order.iter().position(|undone| undone == step);
    for later in ["brief", "contract", "announcement"] {
        assert!(
            place(later) < place("folder"),
            "what came first last: {in_order:?}"
        );
    }
    assert!(place("text") < place("deposit"), "{in_order:?}");
}

#[sqlx::test]
async fn a_deposit_is_given_back_as_far_as_the_terms_leave_it(pool: PgPool) {
    let mut venue = scene::venue("Porto");
    // 700.00 EUR are due whenever it is cancelled: more than the deposit.
    venue["cancellation_terms"] = json!([{"days_before": 0, "fee_bps": 5_000}]);
    let booked = Booked::of(pool, venue).await;
    let working = worker(&booked.app);
    booked.done().await;
    press(&booked.payment().await, "pay").await;
    booked.until_payment("SUCCEEDED").await;
    booked.cancel_booking().await.expect(200);
    booked.undone().await;
    working.stop().await;
    let kept = booked.payment().await;
    assert_eq!(
        (
            &kept["status"],
            &kept["refunded"]["amount"],
            &kept["refund_pending"]["amount"]
        ),
        (&json!("SUCCEEDED"), &json!(0), &json!(0))
    );
    // The event lives on, so that its open tasks are not cancelled but dropped.
    assert_eq!(booked.list("tasks", &["status"]).await, Vec::<Value>::new());
}

#[sqlx::test]
async fn a_run_is_undone_once_a_hold_has_ended_and_nobody_pays_any_more(pool: PgPool) {
    let booked = Booked::new(pool.clone()).await;
    let working = worker(&booked.app);
    booked.done().await;
    let payment = booked.payment().await;
    booked.stripe.hold_back();
    press(&payment, "pay").await;
    expire_holds(&pool, &booked.app).await;
    let run = async || booked.app.viewer.get(&path(booked.run())).await.expect(200);
    assert_eq!(booked.booking().await["cancellation_reason"], "EXPIRED");
    assert_eq!(run().await["status"], "SUCCEEDED", "somebody may be paying");
    booked.stripe.let_go().await;
    booked.until_payment("SUCCEEDED").await;
    assert_eq!(
        booked.booking().await["status"],
        "CONFIRMED",
        "its place was free"
    );
    assert_eq!(run().await["status"], "SUCCEEDED");
    working.stop().await;
}

#[sqlx::test]
async fn a_run_is_undone_when_the_page_of_an_ended_hold_closes(pool: PgPool) {
    let booked = Booked::new(pool.clone()).await;
    let working = worker(&booked.app);
    booked.done().await;
    expire_holds(&pool, &booked.app).await;
    booked.stripe.expire(&booked.payment().await).await;
    booked.until_payment("EXPIRED").await;
    booked.undone().await;
    working.stop().await;
}

#[sqlx::test]
async fn without_a_run_a_cancelled_booking_closes_the_page_that_is_open_for_it(pool: PgPool) {
    let (app, sandbox, _stripe) = Stripe::start(pool).await;
    let organization = format!("/v1/organizations/{}", app.organization_id);
    let off = json!({ "booking_run": "OFF" });
    app.owner.patch(&organization, "*", &off).await.expect(200);
    let venue = create(&app.owner, "/v1/venues", &scene::venue("Porto")).await;
    let kitchen = create(&app.owner, "/v1/caterers", &scene::caterer("Porto")).await;
    let event = create(&app.planner, "/v1/events", &scene::event()).await;
    let bookings = format!("/v1/events/{event}/bookings");
    let book = async |place: Value| create(&app.planner, &bookings, &place).await;
    let first = book(json!({ "venue_id": venue, "number_of_guests": 40 })).await;
    let second = book(json!({ "caterer_id": kitchen, "number_of_guests": 40 })).await;
    let payments = format!("/v1/events/{event}/payments");
    let payment = create(&app.planner, &payments, &json!({ "kind": "DEPOSIT" })).await;
    let working = worker(&app);
    let until = async |what: &str, is_so: fn(&Value) -> bool| {
        for _ in 0..200 {
            let found = app
                .viewer
                .get(&format!("/v1/payments/{payment}"))
                .await
                .expect(200);
            if is_so(&found) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not in time: {what}")
    };
    let open = until("open", |payment| payment["url"].is_string()).await;
    let cancel = async |id| {
        let path = format!("/v1/bookings/{id}/cancel");
        app.planner
            .post_once(&path, &path, &Value::Null)
            .await
            .expect(200)
    };
    cancel(first).await;
    let still = until("open", |payment| payment["url"].is_string()).await;
    assert_eq!(
        still["cancel_requested_at"],
        Value::Null,
        "it is for the other one, too"
    );
    cancel(second).await;
    until("closed", |payment| payment["status"] == "CANCELLED").await;
    working.stop().await;
    let page = reqwest::get(open["url"].as_str().unwrap()).await.unwrap();
    let page = page.text().await.unwrap();
    assert!(
        !page.contains("value=\"pay\""),
        "nobody can pay any more: {page}"
    );
    assert_eq!(providers::counts(&sandbox).await["stripe"]["refunds"], 0);
}

#[sqlx::test]
async fn an_event_has_one_booking_run_and_the_organization_decides_whether(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let venue = scene::create(&app.owner, "/v1/venues", &scene::venue("Porto")).await;
    scene::create(&app.owner, "/v1/caterers", &scene::caterer("Porto")).await;
    let plan = app
        .planner
        .post("/v1/plans", &scene::brief("Porto"))
        .await
        .expect(201);
    let book = format!("/v1/plans/{}/options/1/book", plan["id"].as_str().unwrap());
    let preview = app
        .planner
        .post_once("p", &format!("{book}?validate_only=true"), &json!({}))
        .await
        .expect(200);
    assert_eq!(
        preview["orchestration"]["subtasks"]
            .as_array()
            .unwrap()
            .len(),
        8
    );
    let runs = async || {
        app.viewer.get("/v1/orchestrations").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(runs().await, 0);
    let booked = app
        .planner
        .post_once("b", &book, &json!({}))
        .await
        .expect(201);
    assert_eq!(booked["bookings"].as_array().unwrap().len(), 2);
    assert_eq!(runs().await, 1);
    // The last booking that goes takes the run with it; the event may be booked again.
    for booking in booked["bookings"].as_array().unwrap() {
        let id = booking["id"].as_str().unwrap();
        app.planner
            .post_once(id, &format!("/v1/bookings/{id}/cancel"), &Value::Null)
            .await
            .expect(200);
    }
    let run = app
        .viewer
        .get(&path(&booked["orchestration"]))
        .await
        .expect(200);
    assert_eq!(run["status"], "CANCELLED", "{run:#}");
    let event = booked["event"]["id"].as_str().unwrap();
    let body = json!({ "venue_id": venue, "number_of_guests": 40 });
    let again = format!("/v1/events/{event}/bookings");
    let booked = app
        .planner
        .post_once("again", &again, &body)
        .await
        .expect(201);
    assert_eq!(booked["orchestration"]["status"], "QUEUED");
    assert_eq!(runs().await, 2);

    let organization = format!("/v1/organizations/{}", app.organization_id);
    app.owner
        .patch(&organization, "*", &json!({ "booking_run": "OFF" }))
        .await
        .expect(200);
    let other = app
        .planner
        .post("/v1/events", &scene::event())
        .await
        .expect(201);
    let path = format!("/v1/events/{}/bookings", other["id"].as_str().unwrap());
    let booked = app.planner.post_once("off", &path, &body).await.expect(201);
    assert_eq!(booked["orchestration"], Value::Null);
}

#[sqlx::test]
async fn a_run_for_ones_own_agent_needs_no_sidecar(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let book = async |key: &str| {
        let venue = create(&app.owner, "/v1/venues", &scene::venue(key)).await;
        let event = create(&app.planner, "/v1/events", &scene::event()).await;
        let path = format!("/v1/events/{event}/bookings");
        let body = json!({ "venue_id": venue, "number_of_guests": 40 });
        let booked = app.planner.post_once(key, &path, &body).await.expect(201);
        booked["orchestration"]["status"].clone()
    };
    assert_eq!(book("shipped").await, Value::Null);
    let agent = json!({ "agent_type": "seating", "url": "https://agents.example.com/mcp" });
    app.owner.post("/v1/agents", &agent).await.expect(201);
    let step = json!({ "id": "seat", "agent_type": "seating", "tool": "send_message", "description": "Seat" });
    let playbook = json!({ "name": "booking", "title": "Ours", "steps": [step] });
    let made = app.planner.post("/v1/playbooks", &playbook).await;
    made.expect(201);
    assert_eq!(book("own").await, "QUEUED");
}

/// Crashes: the first attempts are dropped at one of their waits, before, in or after the effect, and nobody gives the job
/// back.
const CRASHING: &[Handler] = &[Handler {
    kind: "subtask.run",
    attempts: 50,
    timeout: Duration::from_secs(30),
    every: None,
    run: |app, job| Box::pin(crash(app, job)),
}];

async fn crash(app: App, job: Job) -> Result<Done, Failure> {
    let seed = u32::from(job.id.as_bytes()[15]);
    let polls = match job.attempts {
        1 => 1 + seed % 8,
        2 => 5 + seed % 16,
        3 => 10 + seed % 32,
        _ => u32::MAX,
    };
    let mut run = pin!(run_subtask(app, job));
    let mut made = 0;
    std::future::poll_fn(|context| {
        made += 1;
        if made > polls {
            return Poll::Ready(Err(Failure::Lost));
        }
        run.as_mut().poll(context)
    })
    .await
}

#[sqlx::test]
async fn a_run_whose_workers_crash_anywhere_comes_to_the_same_end(pool: PgPool) {
    let booked = Booked::new(pool).await;
    let working = worker_with(&booked.app, CRASHING, options());
    let done = booked.done().await;
    let attempts = |run: &Value| -> i64 {
        let subtasks = run["subtasks"].as_array().unwrap().iter();
        subtasks
            .map(|subtask| subtask["attempts"].as_i64().unwrap())
            .sum()
    };
    assert!(
        attempts(&done) > 8,
        "there were crashes after the beginning"
    );
    booked.assert_done_once().await;
    booked.cancel_booking().await.expect(200);
    let undone = booked.undone().await;
    assert!(attempts(&undone) > 8, "and while it was undone");
    // Whoever cancels the booking leaves a job behind that closes the page, too.
    let others = worker(&booked.app);
    booked.until_payment("CANCELLED").await;
    working.stop().await;
    others.stop().await;
    booked.assert_undone_once(0, "CANCELLED").await;
}

/// Dies at the boundaries of each job, in this order: before the beginning is kept, between that and the effect, and
/// between the effect and its end. What a dead worker has is given back by nobody.
const DYING: &[Handler] = &[Handler {
    kind: "subtask.run",
    attempts: 50,
    timeout: Duration::from_secs(30),
    every: None,
    run: |app, job| Box::pin(die(app, job)),
}];

/// Transactions fail where a worker is to die; the table says at which attempt a job is.
const BOUNDARIES: [&str; 4] = [
    "CREATE TABLE dying (job_id uuid PRIMARY KEY, subtask_id uuid, attempt integer)",
    "GRANT ALL ON dying TO PUBLIC",
    "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
     DECLARE now_at integer;
     BEGIN
         SELECT attempt INTO now_at FROM dying WHERE subtask_id = NEW.id ORDER BY job_id DESC LIMIT 1;
         IF now_at = 1 AND NEW.attempts > OLD.attempts
             OR now_at = 3 AND NEW.status <> OLD.status AND NEW.status IN ('SUCCEEDED', 'COMPENSATED') THEN
             RAISE EXCEPTION 'the worker died';
         END IF;
         RETURN NEW;
     END $$",
    "CREATE TRIGGER die BEFORE UPDATE ON subtasks FOR EACH ROW EXECUTE FUNCTION die()",
];

async fn die(app: App, job: Job) -> Result<Done, Failure> {
    // One of its own: the run may wait for the pool's while nobody looks.
    let options = app.db.connect_options();
    let mut db = PgConnection::connect_with(&options).await.unwrap();
    let subtask_id: uuid::Uuid = job.payload["subtask_id"].as_str().unwrap().parse().unwrap();
    sqlx::query(
        "INSERT INTO dying VALUES ($1, $2, $3) ON CONFLICT (job_id) DO UPDATE SET attempt = EXCLUDED.attempt",
    )
    .bind(job.id)
    .bind(subtask_id)
    .bind(job.attempts)
    .execute(&mut db)
    .await
    .unwrap();
    let dies_after_beginning = job.attempts == 2;
    let mut run = pin!(run_subtask(app, job));
    loop {
        if let Poll::Ready(ended) = poll!(run.as_mut()) {
            return ended.map_err(|_| Failure::Lost);
        }
        let begun: bool = sqlx::query_scalar("SELECT attempts > 0 FROM subtasks WHERE id = $1")
            .bind(subtask_id)
            .fetch_one(&mut db)
            .await
            .unwrap();
        if dies_after_beginning && begun {
            return Err(Failure::Lost);
        }
    }
}

#[sqlx::test]
async fn a_run_whose_workers_die_at_each_boundary_is_done_and_undone_once(pool: PgPool) {
    let booked = Booked::new(pool.clone()).await;
    for statement in BOUNDARIES {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let attempts = async || -> Vec<i32> {
        let of_each = "SELECT attempt FROM dying ORDER BY job_id";
        sqlx::query_scalar(of_each).fetch_all(&pool).await.unwrap()
    };
    // Another worker does what is no step, such as what Stripe tells.
    let others: &[Handler] = Box::leak(
        HANDLERS
            .iter()
            .filter(|handler| handler.kind != "subtask.run")
            .copied()
            .collect(),
    );
    let others = worker_with(&booked.app, others, Options::default());
    let dying = worker_with(&booked.app, DYING, options());
    booked.done().await;
    // A slow machine may end a lease early, and that is one attempt more.
    let died = async |jobs: usize| {
        let attempts = attempts().await;
        let have_died = attempts.iter().all(|made| *made >= 4);
        assert!(attempts.len() == jobs && have_died, "{attempts:?}");
    };
    died(8).await;
    booked.assert_done_once().await;
    press(&booked.payment().await, "pay").await;
    booked.until_payment("SUCCEEDED").await;
    booked.cancel_event().await.expect(200);
    booked.undone().await;
    died(16).await;
    booked.until_payment("REFUNDED").await;
    dying.stop().await;
    others.stop().await;
    booked.assert_undone_once(1, "REFUNDED").await;
}

#[sqlx::test]
async fn what_is_about_an_event_is_refused_or_left_out_without_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut playbook = scene::playbook("listed");
    playbook["steps"][0] = json!({
        "id": "list", "agent_type": "tasks", "tool": "tasks.create_checklist", "description": "List"
    });
    app.planner
        .post("/v1/playbooks", &playbook)
        .await
        .expect(201);
    let body = json!({ "description": "A list", "playbook": "listed" });
    app.planner
        .post("/v1/orchestrations", &body)
        .await
        .expect_invalid(&["#/event_id"]);
    (playbook["name"], playbook["steps"][0]["optional"]) = (json!("optional"), json!(true));
    app.planner
        .post("/v1/playbooks", &playbook)
        .await
        .expect(201);
    let body = json!({ "description": "A list", "playbook": "optional" });
    let run = app
        .planner
        .post("/v1/orchestrations", &body)
        .await
        .expect(202);
    assert!(
        run["notes"].to_string().contains("is about an event"),
        "{run:#}"
    );
    let working = worker(&app);
    let done = until(&app, &run, "SUCCEEDED").await;
    assert_eq!(statuses(&done), ["SKIPPED"]);
    let why = done["subtasks"][0]["error"].as_str().unwrap();
    assert_eq!(why, "it is about an event, and the run has none");
    let event = create(&app.planner, "/v1/events", &scene::event()).await;
    let body = json!({ "description": "A list", "playbook": "listed", "event_id": event });
    let run = app
        .planner
        .post("/v1/orchestrations", &body)
        .await
        .expect(202);
    let done = until(&app, &run, "SUCCEEDED").await;
    working.stop().await;
    let made = done["subtasks"][0]["output"]["task_ids"]
        .as_array()
        .unwrap()
        .len();
    let listed = app
        .viewer
        .get(&format!("/v1/tasks?event_id={event}&limit=100"))
        .await
        .expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), made);
}
