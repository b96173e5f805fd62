use event_planner_sandbox::Sandbox;
use mcp_kit::Code;
use serde_json::json;

use crate::support::{EVENTS, client, code, count, message, ok, refused};

#[tokio::test]
async fn a_message_is_posted_as_it_is_written_and_read_again() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let text = "R&D <!channel> @here <@U0SANDBOX02> *now* https://x.example";
    let posted = ok(
        &slack,
        "post_message",
        json!({ "channel": "events", "text": text }),
    )
    .await;
    assert_eq!(
        (&posted["channel_id"], &posted["replayed"]),
        (&json!(EVENTS), &json!(false))
    );
    let page = ok(&slack, "channel_history", json!({ "channel": EVENTS })).await;
    let read = &page["items"][0];
    assert_eq!(read["ts"], posted["ts"]);
    assert_eq!(
        read["text"],
        "R&D <!channel> @\u{200b}here <@U0SANDBOX02> *now* <https://x.example>"
    );
    assert_eq!(
        (&read["user"], &read["is_bot"]),
        (&json!("U0SANDBOX01"), &json!(true))
    );
}

#[tokio::test]
async fn a_thread_is_answered_and_read_in_pages() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let parent = ok(&slack, "post_message", message("parent", "p")).await["ts"].clone();
    for number in 0..3 {
        let reply = json!({ "channel": EVENTS, "thread_ts": parent, "text": format!("reply {number}"), "idempotency_key": format!("r{number}") });
        let written = ok(&slack, "reply_in_thread", reply.clone()).await;
        assert_eq!(written["thread_ts"], parent);
        assert_eq!(ok(&slack, "reply_in_thread", reply).await["replayed"], true);
    }
    let first = ok(
        &slack,
        "thread_replies",
        json!({ "channel": EVENTS, "thread_ts": parent, "limit": 2 }),
    )
    .await;
    let next = json!({ "channel": EVENTS, "thread_ts": parent, "limit": 5, "cursor": first["next_cursor"] });
    let rest = ok(&slack, "thread_replies", next).await;
    assert_eq!(first["items"][0]["replies"], 3);
    assert_eq!(first["items"][1]["text"], "reply 0");
    assert_eq!(rest["items"][1]["text"], "reply 2");
    assert!(rest.get("next_cursor").is_none());
    let at = (sandbox.world.now() + jiff::SignedDuration::from_hours(1)).to_string();
    for (tool, more) in [
        ("reply_in_thread", json!({ "text": "x" })),
        ("schedule_message", json!({ "text": "x", "post_at": at })),
        (
            "upload_file",
            json!({ "filename": "a", "content_base64": "YQ==" }),
        ),
    ] {
        let mut wrong = json!({ "channel": EVENTS, "thread_ts": "1.000001" });
        wrong
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let refusal = code(&slack, tool, wrong).await;
        assert_eq!(
            refusal,
            (Code::NotFound, "thread_not_found".to_owned()),
            "{tool}"
        );
    }
    assert_eq!(count(&sandbox, "messages").await, 4);
}

#[tokio::test]
async fn the_same_key_posts_once_also_at_once_and_after_a_restart() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let calls = (0..8).map(|_| ok(&slack, "post_message", message("once", "k")));
    let answers = futures_join(calls).await;
    assert_eq!(count(&sandbox, "messages").await, 1);
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer["replayed"] == false)
            .count(),
        1
    );
    assert!(
        answers
            .iter()
            .all(|answer| answer["ts"] == answers[0]["ts"])
    );
    let restarted = client(&sandbox, &[]);
    let again = ok(&restarted, "post_message", message("once", "k")).await;
    assert_eq!(
        (&again["replayed"], &again["ts"]),
        (&json!(true), &answers[0]["ts"])
    );
    for sidecar in [slack, restarted] {
        let error = refused(&sidecar, "post_message", message("other", "k")).await;
        assert_eq!(error.code, Code::Invalid);
        assert!(
            error.message.contains("/idempotency_key"),
            "{}",
            error.message
        );
    }
    let third = client(&sandbox, &[]);
    assert_eq!(
        refused(&third, "post_message", message("other", "k"))
            .await
            .code,
        Code::Invalid
    );
    assert_eq!(count(&sandbox, "messages").await, 1);
}

#[tokio::test]
async fn the_same_key_of_another_organization_is_another_key() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    for (behalf, text, replayed) in [
        ("first/anna", "a", false),
        ("second/anna", "b", false),
        ("first/berta", "a", true),
    ] {
        let caller = mcp_kit::Caller::local().acting_for(behalf).unwrap();
        let slack = slack.as_caller(caller);
        let posted = ok(&slack, "post_message", message(text, "k")).await;
        assert_eq!(posted["replayed"], replayed, "{behalf}");
    }
    assert_eq!(count(&sandbox, "messages").await, 2);
}

async fn futures_join<F: Future>(calls: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = calls.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (call, done) in calls.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = call.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn the_key_is_found_behind_many_messages() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &["--max-messages-per-minute=1000"]);
    let first = ok(&slack, "post_message", message("first", "k")).await;
    for number in 0..250 {
        let other = json!({ "channel": EVENTS, "text": format!("{number}") });
        ok(&slack, "post_message", other).await;
    }
    let restarted = client(&sandbox, &[]);
    let again = ok(&restarted, "post_message", message("first", "k")).await;
    assert_eq!(
        (&again["ts"], &again["replayed"]),
        (&first["ts"], &json!(true))
    );
}

#[tokio::test]
async fn a_message_is_changed_and_deleted() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let ts = ok(&slack, "post_message", message("draft", "k")).await["ts"].clone();
    let change =
        json!({ "channel": "events", "ts": ts, "text": "final <!here>", "idempotency_key": "u" });
    assert_eq!(
        ok(&slack, "update_message", change.clone()).await["replayed"],
        false
    );
    assert_eq!(ok(&slack, "update_message", change).await["replayed"], true);
    let page = ok(&slack, "channel_history", json!({ "channel": EVENTS })).await;
    let read = &page["items"][0];
    assert_eq!(
        (&read["text"], &read["edited"]),
        (&json!("final <!here>"), &json!(true))
    );
    let deletion = json!({ "channel": EVENTS, "ts": ts, "idempotency_key": "d" });
    assert_eq!(
        ok(&slack, "delete_message", deletion.clone()).await["replayed"],
        false
    );
    assert_eq!(
        ok(&slack, "delete_message", deletion).await["replayed"],
        true
    );
    let gone = json!({ "channel": EVENTS, "ts": ts, "idempotency_key": "e" });
    assert_eq!(
        code(&slack, "delete_message", gone.clone()).await,
        (Code::NotFound, "message_not_found".into())
    );
    assert_eq!(code(&slack, "delete_message", gone).await.0, Code::NotFound);
    let long = json!({ "channel": EVENTS, "ts": ts, "text": "&".repeat(1_000) });
    assert_eq!(
        refused(&slack, "update_message", long).await.code,
        Code::Invalid
    );
}

#[tokio::test]
async fn a_message_for_later_is_scheduled_once_and_can_be_taken_back() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let at = sandbox.world.now() + jiff::SignedDuration::from_hours(2);
    let later = json!({ "channel": "events", "text": "See https://x.example & <@U0SANDBOX02>", "post_at": at.to_string(), "idempotency_key": "s" });
    let planned = ok(&slack, "schedule_message", later.clone()).await;
    assert_eq!(
        (
            &planned["replayed"],
            planned["post_at"].as_str().map(str::len)
        ),
        (&json!(false), Some(20))
    );
    let restarted = client(&sandbox, &[]);
    let again = ok(&restarted, "schedule_message", later).await;
    assert_eq!(
        again["scheduled_message_id"],
        planned["scheduled_message_id"]
    );
    assert_eq!(again["replayed"], true);
    assert_eq!(count(&sandbox, "scheduled").await, 1);
    let back =
        json!({ "channel": EVENTS, "scheduled_message_id": planned["scheduled_message_id"] });
    ok(&slack, "delete_message", back.clone()).await;
    assert_eq!(
        code(&slack, "delete_message", back).await,
        (Code::NotFound, "invalid_scheduled_message_id".into())
    );
    assert_eq!(count(&sandbox, "scheduled").await, 0);
}

#[tokio::test]
async fn a_scheduled_message_that_is_posted_already_is_not_scheduled_again() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let at = sandbox.world.now() + jiff::SignedDuration::from_secs(2);
    let soon = json!({ "channel": EVENTS, "text": "soon", "post_at": at.to_string(), "idempotency_key": "s" });
    ok(&slack, "schedule_message", soon.clone()).await;
    for _ in 0..100 {
        if count(&sandbox, "messages").await == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let again = ok(&client(&sandbox, &[]), "schedule_message", soon).await;
    assert!(
        again["ts"].is_string() && again["replayed"] == true,
        "{again}"
    );
    assert_eq!(
        (
            count(&sandbox, "messages").await,
            count(&sandbox, "scheduled").await
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn times_that_do_not_hold_are_named() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let far = sandbox.world.now() + jiff::SignedDuration::from_hours(24 * 121);
    for at in [
        "2020-01-01T00:00:00Z",
        "tomorrow",
        "2027-05-04T09:00:00",
        &far.to_string(),
    ] {
        let error = refused(
            &slack,
            "schedule_message",
            json!({ "channel": EVENTS, "text": "x", "post_at": at }),
        )
        .await;
        assert!(
            error.code == Code::Invalid && error.message.contains("/post_at"),
            "{at}: {}",
            error.message
        );
    }
    let error = refused(
        &slack,
        "channel_history",
        json!({ "channel": EVENTS, "since": "monday" }),
    )
    .await;
    assert!(error.message.contains("/since"), "{}", error.message);
}

#[tokio::test]
async fn a_reaction_is_added_once() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let ts = ok(&slack, "post_message", message("x", "k")).await["ts"].clone();
    let reaction = json!({ "channel": EVENTS, "ts": ts, "emoji": "tada" });
    assert_eq!(
        ok(&slack, "add_reaction", reaction.clone()).await["replayed"],
        false
    );
    assert_eq!(ok(&slack, "add_reaction", reaction).await["replayed"], true);
    assert_eq!(count(&sandbox, "reactions").await, 1);
    let colons = json!({ "channel": EVENTS, "ts": ts, "emoji": ":tada:" });
    assert_eq!(
        refused(&slack, "add_reaction", colons).await.code,
        Code::Invalid
    );
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let sandbox = Sandbox::start().await.unwrap();
    let slack = client(&sandbox, &[]);
    let ts = ok(&slack, "post_message", message("x", "k")).await["ts"].clone();
    let at = sandbox.world.now() + jiff::SignedDuration::from_hours(1);
    for (tool, arguments) in [
        (
            "post_message",
            json!({ "channel": EVENTS, "text": "y", "dry_run": true }),
        ),
        (
            "reply_in_thread",
            json!({ "channel": EVENTS, "text": "y", "thread_ts": ts, "dry_run": true }),
        ),
        (
            "update_message",
            json!({ "channel": EVENTS, "text": "y", "ts": ts, "dry_run": true }),
        ),
        (
            "delete_message",
            json!({ "channel": EVENTS, "ts": ts, "dry_run": true }),
        ),
        (
            "schedule_message",
            json!({ "channel": EVENTS, "text": "y", "post_at": at.to_string(), "dry_run": true }),
        ),
        (
            "add_reaction",
            json!({ "channel": EVENTS, "ts": ts, "emoji": "x", "dry_run": true }),
        ),
        ("create_channel", json!({ "name": "new", "dry_run": true })),
        (
            "upload_file",
            json!({ "channel": EVENTS, "filename": "a.txt", "content_base64": "YQ==", "dry_run": true }),
        ),
    ] {
        assert_eq!(ok(&slack, tool, arguments).await["dry_run"], true, "{tool}");
    }
    let page = ok(&slack, "channel_history", json!({ "channel": EVENTS })).await;
    assert_eq!(page["items"][0]["text"], "x");
    let counts = [
        ("messages", 1),
        ("scheduled", 0),
        ("reactions", 0),
        ("channels", 7),
        ("files", 0),
    ];
    for (thing, wanted) in counts {
        assert_eq!(count(&sandbox, thing).await, wanted, "{thing}");
    }
    let nowhere = json!({ "channel": "nowhere", "text": "y", "dry_run": true });
    assert_eq!(
        refused(&slack, "post_message", nowhere).await.code,
        Code::NotFound
    );
}
