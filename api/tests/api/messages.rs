//! Messages: the ledger, its jobs, Twilio's callbacks and templates; the providers are the sandbox.

use std::time::{Duration, Instant};

use axum::{body::Body, http::Method};
use base64::{Engine, engine::general_purpose::STANDARD};
use event_planner_api::{
    jobs::{Failure, HANDLERS, Options, Worker},
    messages::actions::{self, AnnounceInput, RetractInput, TextContactInput},
    sidecars::Errand,
    state::Settings,
};
use event_planner_sandbox::{Fault, Misbehaviour, Provider, Sandbox};
use futures_util::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    providers::counts,
    scene::{self, create},
    support::{Answer, TestApp},
};

const CALLBACK_TOKEN: &str = "sandbox-twilio-auth-token-no-secret";
const CONTACT: &str = "+14155550123";
/// The sandbox's number of somebody who has answered STOP.
const OPTED_OUT: &str = "+15005550004";

/// A worker over all kinds of jobs; it stops when this is dropped.
pub struct Working(CancellationToken);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

pub fn work(app: &TestApp) -> Working {
    let stop = CancellationToken::new();
    tokio::spawn(Worker::run(
        app.app.clone(),
        HANDLERS,
        Options::default(),
        stop.clone(),
    ));
    Working(stop)
}

pub fn event_with_contact() -> Value {
    let mut event = scene::event();
    event["contact_phone"] = json!(CONTACT);
    event["contact_name"] = json!("Ada");
    event
}

pub fn key() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    Uuid::from_bytes(bytes).to_string()
}

pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(40),
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn with_contact(app: &TestApp) -> Uuid {
    create(&app.planner, "/v1/events", &event_with_contact()).await
}

async fn say(app: &TestApp, event: Uuid, body: &Value) -> Answer {
    let path = format!("/v1/events/{event}/messages");
    app.planner.post_once(&key(), &path, body).await
}

/// The one message of an answer.
fn one(answer: &Answer) -> Value {
    let body = answer.expect(202);
    assert_eq!(body["items"].as_array().unwrap().len(), 1, "{body}");
    body["items"][0].clone()
}

/// The message once it has this status.
async fn once(app: &TestApp, message: &Value, status: &str) -> Value {
    let path = format!("/v1/messages/{}", message["id"].as_str().unwrap());
    let what = format!("{path} {status}");
    until(&what, || async {
        let message = app.viewer.get(&path).await.expect(200);
        (message["status"] == status).then_some(message)
    })
    .await
}

async fn texts(sandbox: &Sandbox) -> Value {
    counts(sandbox).await["twilio"]["messages"].clone()
}

#[sqlx::test]
async fn a_text_message_and_a_post_go_out_with_the_events_own_words(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let _working = work(&app);
    let event = with_contact(&app).await;
    let text = "{{ event.title }} for {{event.contact_name}}: {{event.weekday}}, {{event.date}}, {{event.time}}-{{event.end_time}} {{event.time_zone}}, {{event.capacity}} of {{organization.name}}";
    let words =
        "Offsite for Ada: Saturday, 12 June 2027, 18:00-22:00 Europe/Lisbon, 40 of Acme Events";
    let sms = one(&say(&app, event, &json!({"channel": "SMS", "text": text})).await);
    assert_eq!(
        (&sms["recipient"], &sms["text"]),
        (&json!(CONTACT), &json!(words))
    );
    let post = one(&say(&app, event, &json!({"channel": "SLACK", "text": text})).await);
    assert_eq!(post["recipient"], "events");
    let sms = once(&app, &sms, "SENT").await;
    let post = once(&app, &post, "SENT").await;
    assert!(
        sms["provider_id"].as_str().unwrap().starts_with("SM"),
        "{sms}"
    );
    assert!(
        post["channel_id"].as_str().unwrap().starts_with('C'),
        "{post}"
    );
    assert_eq!(texts(&sandbox).await, 1);
}

#[sqlx::test]
async fn fifty_equal_posts_tell_each_recipient_once(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let _working = work(&app);
    let event = with_contact(&app).await;
    let template =
        json!({"name": "Directions", "channel": "SMS", "text": "{{event.title}} is near."});
    let template = create(&app.planner, "/v1/message-templates", &template).await;
    let body = json!({"channel": "SMS", "template_id": template, "recipients": ["CONTACT", "+14155550124", CONTACT]});
    let answers = (0..50).map(|_| say(&app, event, &body));
    let answers = futures_util::future::join_all(answers).await;
    let first = answers[0].expect(202);
    assert_eq!(first["items"].as_array().unwrap().len(), 2, "{first}");
    for answer in &answers {
        let ids = |answer: &Value| {
            let items = answer["items"].as_array().unwrap().clone();
            items
                .into_iter()
                .map(|item| item["id"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&answer.expect(202)), ids(&first));
    }
    for message in first["items"].as_array().unwrap() {
        once(&app, message, "SENT").await;
    }
    assert_eq!(texts(&sandbox).await, 2);

    // A new version is another notice.
    let path = format!("/v1/message-templates/{template}");
    app.planner
        .patch(&path, "\"1\"", &json!({"text": "{{event.title}} is far."}))
        .await
        .expect(200);
    for message in say(&app, event, &body).await.expect(202)["items"]
        .as_array()
        .unwrap()
    {
        once(&app, message, "SENT").await;
    }
    assert_eq!(texts(&sandbox).await, 4);
}

#[sqlx::test]
async fn one_message_comes_of_bad_days(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let _working = work(&app);
    let event = with_contact(&app).await;
    let days = [
        Fault::new(
            Provider::Twilio,
            Misbehaviour::RateLimited { retry_after: 1 },
        ),
        Fault::new(Provider::Twilio, Misbehaviour::Error { status: 500 }),
        Fault::new(Provider::Twilio, Misbehaviour::Cut).after(),
        Fault::new(Provider::Twilio, Misbehaviour::Error { status: 500 }).after(),
    ];
    for (sent, fault) in (1_u64..).zip(days) {
        sandbox
            .world
            .faults
            .add(fault.on("POST", "Messages").times(1));
        let text = format!("day {sent}");
        let message = one(&say(&app, event, &json!({"channel": "SMS", "text": text})).await);
        once(&app, &message, "SENT").await;
        assert_eq!(texts(&sandbox).await, sent, "{text}");
    }
}

#[sqlx::test]
async fn what_waits_is_not_sent_once_its_event_is_moved_or_cancelled(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let [moved, cancelled] = [with_contact(&app).await, with_contact(&app).await];
    let text = json!({ "channel": "SMS", "text": "Come at {{event.time}}." });
    let waiting = [
        one(&say(&app, moved, &text).await),
        one(&say(&app, cancelled, &text).await),
    ];
    let move_to = json!({ "local_start": "2027-06-13T12:00:00" });
    let path = format!("/v1/events/{moved}");
    app.planner.patch(&path, "*", &move_to).await.expect(200);
    let cancel = format!("/v1/events/{cancelled}/cancel");
    let answer = app.planner.post_once("off", &cancel, &json!({})).await;
    answer.expect(200);
    let _working = work(&app);
    for message in &waiting {
        let message = once(&app, message, "SKIPPED").await;
        assert!(
            message["failure"]
                .as_str()
                .unwrap()
                .starts_with("the event was")
        );
    }
    assert_eq!(texts(&sandbox).await, 0);
}

#[sqlx::test]
async fn who_has_opted_out_is_asked_once_and_never_again(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let _working = work(&app);
    let event = with_contact(&app).await;
    let body = |text: &str| json!({"channel": "SMS", "text": text, "recipients": [OPTED_OUT]});
    let first = one(&say(&app, event, &body("one")).await);
    let first = once(&app, &first, "SKIPPED").await;
    assert!(
        first["failure"].as_str().unwrap().contains("opted out"),
        "{first}"
    );
    let asked = counts(&sandbox).await["requests"]["twilio"].clone();
    let second = one(&say(&app, event, &body("two")).await);
    assert_eq!(second["status"], "SKIPPED");
    assert_eq!(counts(&sandbox).await["requests"]["twilio"], asked);
    assert_eq!(texts(&sandbox).await, 0);
    let listed = app.viewer.get("/v1/message-opt-outs").await.expect(200);
    assert_eq!(listed["items"][0]["number"], OPTED_OUT);
    let path = format!("/v1/message-opt-outs/{OPTED_OUT}");
    let gone = app.stranger.delete(&path, "*").await;
    gone.expect_problem(404, "not_found");
    assert_eq!(app.planner.delete(&path, "*").await.status, 204);
    let gone = app.planner.delete(&path, "*").await;
    gone.expect_problem(404, "not_found");
    let trail = app.owner.get("/v1/audit?limit=200").await.expect(200);
    let mut entries = trail["items"].as_array().unwrap().iter();
    let taken_back = |entry: &&Value| entry["action"] == "message_opt_out.deleted";
    assert_eq!(
        entries.find(taken_back).unwrap()["before"]["number"],
        OPTED_OUT
    );
    // Asked again, Twilio still says no, and the number is remembered anew.
    let third = one(&say(&app, event, &body("three")).await);
    once(&app, &third, "SKIPPED").await;
    assert_ne!(counts(&sandbox).await["requests"]["twilio"], asked);
    let listed = app.viewer.get("/v1/message-opt-outs").await.expect(200);
    assert_eq!(listed["items"][0]["number"], OPTED_OUT);
    // Another organization has to find out for itself.
    let theirs = create(&app.stranger, "/v1/events", &event_with_contact()).await;
    let path = format!("/v1/events/{theirs}/messages");
    let answer = app.stranger.post_once("k", &path, &body("three")).await;
    assert_eq!(one(&answer)["status"], "QUEUED");
}

#[sqlx::test]
async fn a_refused_message_fails_and_can_be_retried(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let _working = work(&app);
    let event = with_contact(&app).await;
    let body = json!({"channel": "SLACK", "text": "hello", "recipients": ["#no-such-channel"]});
    let message = one(&say(&app, event, &body).await);
    let failed = once(&app, &message, "FAILED").await;
    assert!(failed["failure"].is_string(), "{failed}");
    let path = format!("/v1/messages/{}/retry", message["id"].as_str().unwrap());
    app.planner
        .post(&path, &Value::Null)
        .await
        .expect_problem(400, "idempotency_key_missing");
    let again = app
        .planner
        .post_once("again", &path, &Value::Null)
        .await
        .expect(200);
    assert_eq!(
        (&again["status"], &again["failure"]),
        (&json!("QUEUED"), &Value::Null)
    );
    once(&app, &message, "FAILED").await;
    let sent = one(&say(&app, event, &json!({"channel": "SMS", "text": "x"})).await);
    once(&app, &sent, "SENT").await;
    let path = format!("/v1/messages/{}/retry", sent["id"].as_str().unwrap());
    app.planner
        .post_once("no", &path, &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
    assert_eq!(texts(&sandbox).await, 1);
}

#[sqlx::test]
async fn an_hour_has_so_many_messages_and_no_more(pool: PgPool) {
    let app = TestApp::with(pool, |settings: &mut Settings| {
        settings.delivery.messages_per_hour = 3;
    })
    .await;
    let event = with_contact(&app).await;
    let body =
        |recipients: &[&str]| json!({"channel": "SMS", "text": "x", "recipients": recipients});
    say(&app, event, &body(&[CONTACT, "+14155550124"]))
        .await
        .expect(202);
    let answer = say(&app, event, &body(&["+14155550125", "+14155550126"])).await;
    let problem = answer.expect(429);
    assert_eq!(problem["violated-policies"], json!(["messages"]));
    assert_eq!(answer.header("retry-after"), "3600");
    let listed = app.viewer.get("/v1/messages").await.expect(200);
    assert_eq!(
        listed["items"].as_array().unwrap().len(),
        2,
        "a refused request writes nothing"
    );
    say(&app, event, &body(&["+14155550125"])).await.expect(202);
    app.advance(Duration::from_secs(3_601));
    say(&app, event, &body(&["+14155550126"])).await.expect(202);
}

#[sqlx::test]
async fn what_cannot_be_sent_is_told_on_its_field(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event = create(&app.planner, "/v1/events", &scene::event()).await;
    for (body, pointer) in [
        (json!({"channel": "SMS", "text": "x"}), "#/recipients"),
        (
            json!({"channel": "SMS", "text": "x", "recipients": ["+1415", CONTACT]}),
            "#/recipients/0",
        ),
        (
            json!({"channel": "SLACK", "text": "x", "recipients": ["#a b"]}),
            "#/recipients/0",
        ),
        (
            json!({"channel": "SLACK", "text": "{{event.secret}}"}),
            "#/text",
        ),
        (
            json!({"channel": "SLACK", "text": "{{event.title"}),
            "#/text",
        ),
        (
            json!({"channel": "SLACK", "text": "{{event.contact_name}}"}),
            "#/text",
        ),
        (
            json!({"channel": "SMS", "text": "ü".repeat(1_601), "recipients": [CONTACT]}),
            "#/text",
        ),
        (json!({"channel": "SLACK"}), "#"),
        (
            json!({"channel": "SLACK", "text": "x", "template_id": Uuid::nil()}),
            "#",
        ),
        (
            json!({"channel": "SLACK", "template_id": Uuid::nil()}),
            "#/template_id",
        ),
    ] {
        say(&app, event, &body).await.expect_invalid(&[pointer]);
    }
    let path = format!("/v1/events/{event}/messages");
    let body = json!({"channel": "SLACK", "text": "x"});
    app.planner
        .post(&path, &body)
        .await
        .expect_problem(400, "idempotency_key_missing");
    let tried = format!("{path}?validate_only=true");
    let preview = app
        .planner
        .post_once("try", &tried, &body)
        .await
        .expect(200);
    assert_eq!(preview["items"][0]["text"], "x");
    assert_eq!(
        app.viewer.get("/v1/messages").await.expect(200)["items"],
        json!([])
    );
}

#[sqlx::test]
async fn a_template_is_checked_tried_and_kept_while_it_is_needed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let event = with_contact(&app).await;
    let new = |text: &str| json!({"name": "Directions", "channel": "SMS", "text": text});
    let answer = app
        .planner
        .post("/v1/message-templates", &new("{{event.pin}}"))
        .await;
    answer.expect_invalid(&["#/text"]);
    let id = create(
        &app.planner,
        "/v1/message-templates",
        &new("See you at {{event.time}}!"),
    )
    .await;
    let taken = app.planner.post("/v1/message-templates", &new("x")).await;
    taken.expect_problem(409, "already_exists");
    let path = format!("/v1/message-templates/{id}");
    let taken = app.leave_one_connection().await;
    let preview = app
        .viewer
        .post(&format!("{path}/preview"), &json!({"event_id": event}))
        .await
        .expect(200);
    drop(taken);
    assert_eq!(
        preview,
        json!({"text": "See you at 18:00!", "characters": 17})
    );
    let theirs = app
        .stranger
        .post("/v1/events", &scene::event())
        .await
        .expect(201)["id"]
        .clone();
    let answer = app
        .planner
        .post(&format!("{path}/preview"), &json!({"event_id": theirs}))
        .await;
    answer.expect_invalid(&["#/event_id"]);
    let other = json!({"channel": "SLACK", "template_id": id});
    say(&app, event, &other)
        .await
        .expect_invalid(&["#/template_id"]);
    let reminder = json!({"offset": "P1D", "channel": "SMS", "template_id": id});
    create(
        &app.planner,
        &format!("/v1/events/{event}/reminders"),
        &reminder,
    )
    .await;
    app.planner
        .delete(&path, "*")
        .await
        .expect_problem(409, "in_use");
}

/// A callback as Twilio signs it.
async fn call_back(app: &TestApp, fields: &[(&str, &str)], token: &str) -> Answer {
    call_back_at("https://events.example", app, fields, token).await
}

async fn call_back_at(base: &str, app: &TestApp, fields: &[(&str, &str)], token: &str) -> Answer {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(base.as_bytes());
    mac.update(b"/webhooks/twilio/status");
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let escape = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    let body = pairs.collect::<Vec<_>>().join("&");
    let request = app
        .anonymous
        .request(Method::POST, "/webhooks/twilio/status");
    let request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-twilio-signature", signature);
    app.anonymous.send(request, Body::from(body)).await
}

#[sqlx::test]
async fn any_order_of_callbacks_has_one_end_and_strangers_have_no_say(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers_and(pool.clone(), |settings| {
        settings.delivery.twilio_callback_tokens = vec!["old token".into(), CALLBACK_TOKEN.into()];
    })
    .await;
    let working = work(&app);
    let event = with_contact(&app).await;
    let orders: [&[&str]; 4] = [
        &["queued", "sent", "delivered"],
        &["delivered", "sent", "queued", "delivered"],
        &["undelivered", "sent", "delivered"],
        &["delivered", "undelivered"],
    ];
    for (number, order) in orders.iter().enumerate() {
        let text = format!("message {number}");
        let message = one(&say(&app, event, &json!({"channel": "SMS", "text": text})).await);
        let sent = once(&app, &message, "SENT").await;
        let sid = sent["provider_id"].as_str().unwrap();
        let forged = call_back(
            &app,
            &[("MessageSid", sid), ("MessageStatus", "failed")],
            "guess",
        )
        .await;
        forged.expect_problem(403, "forbidden");
        for status in *order {
            let fields = [
                ("To", CONTACT),
                ("MessageSid", sid),
                ("MessageStatus", status),
                ("ErrorCode", "30003"),
            ];
            assert_eq!(call_back(&app, &fields, CALLBACK_TOKEN).await.status, 204);
        }
        once(&app, &message, "DELIVERED").await;
    }
    let unknown = [("MessageSid", "SM404"), ("MessageStatus", "sent")];
    assert_eq!(call_back(&app, &unknown, CALLBACK_TOKEN).await.status, 404);
    let rotated = call_back(&app, &unknown, "old token").await;
    assert_eq!(rotated.status, 404, "signed with the other token");
    let audited: i64 =
        sqlx::query_scalar("SELECT count(*) FROM audit_entries WHERE action = 'message.delivered'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(audited, 4);
    drop(working);
}

#[sqlx::test]
async fn callbacks_are_signed_with_the_address_that_twilio_was_told(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers_and(pool, |settings| {
        settings.delivery.twilio_callback_tokens = vec![CALLBACK_TOKEN.into()];
        settings.delivery.twilio_callback_base_url = Some("http://api:8000".into());
    })
    .await;
    let unknown = [("MessageSid", "SM404"), ("MessageStatus", "sent")];
    let inside = call_back_at("http://api:8000", &app, &unknown, CALLBACK_TOKEN).await;
    assert_eq!(inside.status, 404, "signed, but of no message of ours");
    let outside = call_back(&app, &unknown, CALLBACK_TOKEN).await;
    outside.expect_problem(403, "forbidden");
}

/// Has Twilio asked, some minutes later.
async fn check_later(app: &TestApp, pool: &PgPool) {
    app.advance(Duration::from_mins(10));
    tokio::time::sleep(Duration::from_secs(1)).await;
    sqlx::query("UPDATE jobs SET available_at = now() WHERE kind = 'messages.check'")
        .execute(pool)
        .await
        .unwrap();
}

#[sqlx::test]
async fn without_callbacks_the_end_is_asked_for(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool.clone()).await;
    let _working = work(&app);
    let event = with_contact(&app).await;
    // The sandbox's number of a phone that is off.
    let body = json!({"channel": "SMS", "text": "x", "recipients": [CONTACT, "+15005550013"]});
    let messages = say(&app, event, &body).await.expect(202)["items"].clone();
    for message in messages.as_array().unwrap() {
        once(&app, message, "SENT").await;
    }
    check_later(&app, &pool).await;
    let ends = messages.as_array().unwrap().iter().map(|message| async {
        let is_off = message["recipient"] == "+15005550013";
        once(&app, message, if is_off { "FAILED" } else { "DELIVERED" }).await
    });
    let ends = futures_util::future::join_all(ends).await;
    assert!(
        ends.iter()
            .any(|end| end["failure"] == "Twilio says undelivered (Twilio's error 30003)"),
        "{ends:?}"
    );
}

#[sqlx::test]
async fn a_message_that_cannot_be_asked_about_keeps_no_other_waiting(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool.clone()).await;
    let _working = work(&app);
    let event = with_contact(&app).await;
    let body = json!({"channel": "SMS", "text": "x", "recipients": [CONTACT, "+14155550124"]});
    let messages = say(&app, event, &body).await.expect(202)["items"].clone();
    for message in messages.as_array().unwrap() {
        once(&app, message, "SENT").await;
    }
    // Whichever is the first cannot be written down.
    for ddl in [
        "CREATE SEQUENCE written",
        "CREATE FUNCTION fail_once() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS
         'BEGIN IF nextval(''public.written'') = 1 THEN RAISE EXCEPTION ''no''; END IF; RETURN NEW; END'",
        "CREATE TRIGGER fail_once BEFORE UPDATE OF status ON messages FOR EACH ROW EXECUTE FUNCTION fail_once()",
    ] {
        sqlx::query(ddl).execute(&pool).await.unwrap();
    }
    check_later(&app, &pool).await;
    until("the other one is delivered", || async {
        let path = "/v1/messages?status=DELIVERED";
        let delivered = app.viewer.get(path).await.expect(200);
        (delivered["items"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
}

#[sqlx::test]
async fn what_is_withdrawn_at_the_last_moment_is_not_sent(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool.clone()).await;
    let event = with_contact(&app).await;
    let mut closed = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE message_opt_outs")
        .execute(&mut *closed)
        .await
        .unwrap();
    let taken = app.leave_one_connection().await;
    let (state, errand) = (app.app.clone(), errand(&app, "step"));
    let text = TextContactInput {
        body: "See you".into(),
    };
    let texting =
        tokio::spawn(async move { actions::text_contact(&state, &errand, event, text).await });
    until("the message is being written", || async {
        let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'message_opt_outs'::regclass
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
        let waits = sqlx::query_scalar::<_, bool>(waits).fetch_one(&pool).await;
        waits.unwrap().then_some(())
    })
    .await;
    // The one connection comes here when the message is written, before it is sent.
    let mut turn = Box::pin(app.app.db.acquire());
    assert!((&mut turn).now_or_never().is_none());
    closed.rollback().await.unwrap();
    let mut db = turn.await.unwrap();
    let withdraw = "UPDATE messages SET status = 'SKIPPED', failure = 'the event was moved'";
    let withdrawn = sqlx::query(withdraw).execute(&mut *db).await.unwrap();
    assert_eq!(withdrawn.rows_affected(), 1);
    drop((db, taken));
    let texted = texting.await.unwrap().unwrap();
    assert_eq!(texted.status.to_string(), "SKIPPED");
    assert_eq!(texts(&sandbox).await, 0);
}

#[sqlx::test]
async fn a_post_is_taken_back_with_words_over_one_connection(pool: PgPool) {
    let (app, _sandbox) = TestApp::with_providers(pool).await;
    let event = with_contact(&app).await;
    let _taken = app.leave_one_connection().await;
    let input = AnnounceInput {
        channel: None,
        text: "{{event.title}} is on".into(),
    };
    let post = actions::announce(&app.app, &errand(&app, "step"), event, input)
        .await
        .unwrap();
    let retract = RetractInput {
        message_id: post.message_id,
        text: Some("{{event.title}} is off".into()),
    };
    let retracted = actions::retract(&app.app, &errand(&app, "undo"), event, retract)
        .await
        .unwrap();
    assert!(retracted.retracted);
}

fn errand(app: &TestApp, key: &str) -> Errand {
    Errand {
        organization_id: app.organization_id,
        member_id: None,
        request_id: None,
        idempotency_key: key.to_owned(),
        account: None,
        deadline: tokio::time::Instant::now() + Duration::from_secs(20),
    }
}

#[sqlx::test]
async fn actions_happen_once_for_their_key_and_are_taken_back(pool: PgPool) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let event = with_contact(&app).await;
    let input = || AnnounceInput {
        channel: None,
        text: "{{event.title}} is booked".into(),
    };
    let first = actions::announce(&app.app, &errand(&app, "step-1"), event, input())
        .await
        .unwrap();
    let again = actions::announce(&app.app, &errand(&app, "step-1"), event, input())
        .await
        .unwrap();
    assert_eq!((first.message_id, &first.ts), (again.message_id, &again.ts));
    let posts = |counts: &Value| counts["slack"]["messages"].as_u64().unwrap();
    let before = posts(&counts(&sandbox).await);
    for _ in 0..2 {
        let retract = RetractInput {
            message_id: first.message_id,
            text: None,
        };
        let taken = actions::retract(&app.app, &errand(&app, "undo-1"), event, retract)
            .await
            .unwrap();
        assert!(taken.retracted);
    }
    assert_eq!(posts(&counts(&sandbox).await), before - 1);
    for _ in 0..2 {
        let text = TextContactInput {
            body: "See you".into(),
        };
        let texted = actions::text_contact(&app.app, &errand(&app, "step-2"), event, text)
            .await
            .unwrap();
        assert_eq!(texted.status.to_string(), "SENT");
    }
    assert_eq!(texts(&sandbox).await, 1);
    let bare = create(&app.planner, "/v1/events", &scene::event()).await;
    let text = TextContactInput {
        body: "See you".into(),
    };
    let nobody = actions::text_contact(&app.app, &errand(&app, "step-3"), bare, text).await;
    assert!(matches!(nobody, Err(Failure::Fatal(why)) if why.contains("contact_phone")));
}
