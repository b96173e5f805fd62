use std::time::{Duration, Instant};

use event_planner_sandbox::{Fault, Misbehaviour, Provider, Sandbox};
use mcp_kit::Code;
use serde_json::json;

use crate::support::{
    EVENTS, READER_TOKEN, client, client_with, code, count, message, ok, refused, trouble,
    trouble_after,
};

const POST: &str = "/api/chat.postMessage";

#[tokio::test]
async fn a_rate_limit_is_waited_out() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    trouble(&sandbox, Misbehaviour::RateLimited { retry_after: 1 }, POST);
    let begun = Instant::now();
    ok(&slack, "post_message", message("x", "k")).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    trouble(
        &sandbox,
        Misbehaviour::RateLimited { retry_after: 60 },
        POST,
    );
    let error = refused(&slack, "post_message", message("y", "l")).await;
    assert_eq!(
        (error.code, error.retry_after_seconds()),
        (Code::RateLimited, Some(60))
    );
    assert_eq!(count(&sandbox, "messages").await, 1);
}

#[tokio::test]
async fn after_a_lost_answer_the_message_is_found_and_not_posted_again() {
    let sandbox = Sandbox::start().await.unwrap();
    let lost = [
        Misbehaviour::Cut,
        Misbehaviour::Error { status: 500 },
        Misbehaviour::Garbage,
    ];
    for (number, misbehaviour) in lost.into_iter().enumerate() {
        let slack = client(&sandbox, &[]);
        let key = format!("k{number}");
        trouble_after(&sandbox, misbehaviour, POST);
        let posted = ok(&slack, "post_message", message("x", &key)).await;
        assert_eq!(posted["replayed"], false);
        assert_eq!(
            ok(&slack, "post_message", message("x", &key)).await["ts"],
            posted["ts"]
        );
        assert_eq!(
            count(&sandbox, "messages").await,
            u64::try_from(number).unwrap() + 1
        );
    }
}

#[tokio::test]
async fn what_was_not_posted_is_posted_by_the_next_call_once() {
    let sandbox = Sandbox::start().await.unwrap();
    let lost = [
        Misbehaviour::Cut,
        Misbehaviour::Error { status: 503 },
        Misbehaviour::Garbage,
    ];
    for (number, misbehaviour) in lost.into_iter().enumerate() {
        let slack = client(&sandbox, &[]);
        let key = format!("k{number}");
        trouble(&sandbox, misbehaviour, POST);
        let error = refused(&slack, "post_message", message("x", &key)).await;
        assert_eq!(error.code, Code::Unavailable);
        assert!(
            error.message.contains("same idempotency_key"),
            "{}",
            error.message
        );
        assert_eq!(
            ok(&slack, "post_message", message("x", &key)).await["replayed"],
            false
        );
        assert_eq!(
            count(&sandbox, "messages").await,
            u64::try_from(number).unwrap() + 1
        );
    }
}

#[tokio::test]
async fn a_message_that_takes_too_long_is_posted_by_the_next_call_once() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let late = Misbehaviour::Latency {
        milliseconds: 11_000,
    };
    trouble(&sandbox, late, POST);
    let error = refused(&slack, "post_message", message("x", "k")).await;
    assert_eq!(error.code, Code::Unavailable);
    ok(&slack, "post_message", message("x", "k")).await;
    assert_eq!(count(&sandbox, "messages").await, 1);
}

#[tokio::test]
async fn nothing_is_posted_while_slack_does_not_say_what_is_there() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    ok(&slack, "list_channels", json!({})).await;
    let blind = Fault::new(Provider::Slack, Misbehaviour::Error { status: 500 });
    sandbox
        .world
        .faults
        .add(blind.on("GET", "/api/conversations.history"));
    let error = refused(&slack, "post_message", message("x", "k")).await;
    assert_eq!(error.code, Code::Unavailable);
    assert_eq!(count(&sandbox, "messages").await, 0);
    sandbox.world.faults.clear();
    ok(&client(&sandbox, &[]), "post_message", message("x", "k")).await;
    assert_eq!(count(&sandbox, "messages").await, 1);
}

#[tokio::test]
async fn without_a_key_a_lost_answer_is_told() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    trouble_after(&sandbox, Misbehaviour::Cut, POST);
    let error = refused(
        &slack,
        "post_message",
        json!({ "channel": EVENTS, "text": "x" }),
    )
    .await;
    assert!(
        error.message.contains("give an idempotency_key"),
        "{}",
        error.message
    );
    assert_eq!(count(&sandbox, "messages").await, 1);
}

#[tokio::test]
async fn scheduling_changing_and_deleting_survive_a_lost_answer() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let at = (sandbox.world.now() + jiff::SignedDuration::from_hours(1)).to_string();
    let later =
        json!({ "channel": EVENTS, "text": "later", "post_at": at, "idempotency_key": "s" });
    trouble_after(&sandbox, Misbehaviour::Cut, "/api/chat.scheduleMessage");
    let planned = ok(&slack, "schedule_message", later).await;
    assert!(planned["scheduled_message_id"].is_string());
    assert_eq!(count(&sandbox, "scheduled").await, 1);
    let ts = ok(&slack, "post_message", message("x", "k")).await["ts"].clone();
    trouble_after(&sandbox, Misbehaviour::Cut, "/api/chat.update");
    ok(
        &slack,
        "update_message",
        json!({ "channel": EVENTS, "ts": ts, "text": "y" }),
    )
    .await;
    trouble_after(&sandbox, Misbehaviour::Cut, "/api/reactions.add");
    ok(
        &slack,
        "add_reaction",
        json!({ "channel": EVENTS, "ts": ts, "emoji": "tada" }),
    )
    .await;
    trouble_after(&sandbox, Misbehaviour::Cut, "/api/chat.delete");
    ok(
        &slack,
        "delete_message",
        json!({ "channel": EVENTS, "ts": ts }),
    )
    .await;
    assert_eq!(count(&sandbox, "messages").await, 0);
}

#[tokio::test]
async fn tokens_that_do_not_do_are_told_in_words() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    sandbox
        .world
        .faults
        .add(Fault::new(Provider::Slack, Misbehaviour::ExpiredToken).times(1));
    let refusal = refused(&slack, "list_users", json!({})).await;
    assert!(
        refusal.code == Code::Refused && refusal.message.contains("connect the account again"),
        "{refusal:?}"
    );
    let reader = client_with(&sandbox, &[&format!("--slack-bot-token={READER_TOKEN}")]);
    let refusal = refused(&reader, "channel_history", json!({ "channel": EVENTS })).await;
    let details = refusal.details.unwrap();
    assert_eq!(
        (refusal.code, &details["provider_code"]),
        (Code::Refused, &json!("missing_scope"))
    );
    assert_eq!(
        details["provider_message"],
        "needed: channels:history; provided: channels:read,users:read"
    );
    let stranger = client_with(&sandbox, &["--slack-bot-token=xoxb-somebody-elses-token"]);
    assert_eq!(
        code(&stranger, "list_users", json!({})).await,
        (Code::Refused, "invalid_auth".into())
    );
    let nobody = client_with(&sandbox, &[]);
    let refusal = refused(&nobody, "list_users", json!({})).await;
    assert!(
        refusal.code == Code::Refused && refusal.message.contains("SLACK_BOT_TOKEN"),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn an_archived_channel_and_a_gone_provider_are_told() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let archived = json!({ "channel": "C0SANDBOX05", "text": "x" });
    assert_eq!(
        code(&slack, "post_message", archived).await,
        (Code::Refused, "is_archived".into())
    );
    let gone = Fault::new(Provider::Slack, Misbehaviour::Cut);
    sandbox.world.faults.add(gone);
    assert_eq!(
        refused(&slack, "list_users", json!({})).await.code,
        Code::Unavailable
    );
}

#[tokio::test]
async fn a_failure_of_slack_keeps_slacks_own_code() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    for (misbehaviour, code, own) in [
        (
            Misbehaviour::RateLimited { retry_after: 60 },
            Code::RateLimited,
            "ratelimited",
        ),
        (
            Misbehaviour::Error { status: 500 },
            Code::Unavailable,
            "internal_error",
        ),
    ] {
        trouble(&sandbox, misbehaviour, POST);
        let error = refused(&slack, "post_message", message("x", own)).await;
        assert_eq!(error.code, code);
        let details = error.details.unwrap();
        assert_eq!(details, json!({ "provider_code": own }));
    }
}
