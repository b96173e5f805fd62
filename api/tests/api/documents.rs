//! Documents: made by jobs, uploaded and downloaded through us, in one folder for each event.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::Method,
};
use event_planner_api::{
    documents::{
        self,
        actions::{self, CreateDocumentInput, CreateFolderInput, TrashInput},
    },
    jobs::{Failure, Job},
    sidecars::Errand,
};
use event_planner_sandbox::{Fault, Misbehaviour, Provider, Sandbox};
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    messages::{key, until, work},
    providers::counts,
    scene::{self, create, id},
    support::{Answer, TestApp},
};

const MIB: usize = 1024 * 1024;

async fn scene(pool: PgPool) -> (TestApp, Sandbox, Uuid) {
    let (app, sandbox) = TestApp::with_providers(pool).await;
    let event = create(&app.planner, "/v1/events", &scene::event()).await;
    (app, sandbox, event)
}

async fn upload(
    app: &TestApp,
    event: Uuid,
    name: &str,
    key: &str,
    body: impl Into<Body>,
) -> Answer {
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    let path = format!("/v1/events/{event}/documents/content?name={name}&kind=CONTRACT");
    let request = app.planner.request(Method::POST, &path);
    let request = request
        .header("content-type", "application/pdf")
        .header("idempotency-key", key);
    app.planner.send(request, body.into()).await
}

async fn once(app: &TestApp, document: &Value, status: &str) -> Value {
    let path = format!("/v1/documents/{}", document["id"].as_str().unwrap());
    until(&format!("{path} {status}"), || async {
        let document = app.viewer.get(&path).await.expect(200);
        (document["status"] == status).then_some(document)
    })
    .await
}

async fn files(sandbox: &Sandbox) -> Value {
    counts(sandbox).await["google"]["drive"]["files"].clone()
}

#[sqlx::test]
async fn documents_made_at_once_are_in_one_folder(pool: PgPool) {
    let (app, sandbox, event) = scene(pool).await;
    let _working = work(&app);
    let path = format!("/v1/events/{event}/documents");
    let mut documents = Vec::new();
    for number in 0..8 {
        let body = json!({"kind": "BRIEF", "name": format!("Brief {number}"), "content": "# Brief\n\nFor 40."});
        documents.push(app.planner.post(&path, &body).await.expect(202));
    }
    for document in &documents {
        let ready = once(&app, document, "READY").await;
        assert!(
            ready["url"].as_str().unwrap().starts_with("http"),
            "{ready}"
        );
    }
    let listed = app
        .viewer
        .get(&format!("/v1/documents?event_id={event}"))
        .await
        .expect(200);
    let folders = app
        .viewer
        .get(&format!("/v1/documents?event_id={event}&kind=FOLDER"))
        .await
        .expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 9);
    assert_eq!(folders["items"].as_array().unwrap().len(), 1);
    assert_eq!(folders["items"][0]["name"], "Offsite (2027-06-12)");
    let text = app
        .viewer
        .get(&format!(
            "/v1/documents/{}/content",
            documents[0]["id"].as_str().unwrap()
        ))
        .await;
    assert!(text.text().contains("For 40."), "{}", text.text());
    assert_eq!(text.header("content-type"), "text/markdown");
    // What is in it keeps the folder.
    let folder = format!(
        "/v1/documents/{}",
        folders["items"][0]["id"].as_str().unwrap()
    );
    app.planner
        .delete(&folder, "*")
        .await
        .expect_problem(409, "in_use");
    let before = files(&sandbox).await;
    for document in &documents {
        let path = format!("/v1/documents/{}", document["id"].as_str().unwrap());
        app.planner.delete(&path, "*").await.expect(204);
        app.planner.delete(&path, "*").await.expect(204);
    }
    app.planner.delete(&folder, "*").await.expect(204);
    until("all are in the trash", || async {
        let drive = counts(&sandbox).await["google"]["drive"].clone();
        (drive["trashed"] == 9 && drive["files"] == before).then_some(())
    })
    .await;
    app.planner
        .post(&path, &json!({"kind": "FOLDER", "name": "x"}))
        .await
        .expect_invalid(&["#/kind"]);
}

#[sqlx::test]
async fn an_upload_is_one_file_however_often_it_is_sent(pool: PgPool) {
    let (app, sandbox, event) = scene(pool).await;
    let uploads = (0..5).map(|_| upload(&app, event, "contract.pdf", "key-1", "the contract"));
    let answers = futures_util::future::join_all(uploads).await;
    let document = answers[0].expect(201);
    assert_eq!(
        (&document["status"], &document["size_bytes"]),
        (&json!("READY"), &json!(12))
    );
    assert_eq!(
        (&document["kind"], &document["media_type"]),
        (&json!("CONTRACT"), &json!("application/pdf"))
    );
    for answer in &answers {
        assert_eq!(answer.expect(201)["id"], document["id"]);
    }
    let again = upload(&app, event, "contract.pdf", "key-1", "the contract").await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(
        again.expect(201),
        app.viewer.get(again.header("location")).await.expect(200)
    );
    upload(&app, event, "contract.pdf", "key-1", "another contract")
        .await
        .expect_problem(422, "idempotency_key_reused");
    upload(&app, event, "other.pdf", "key-1", "the contract")
        .await
        .expect_problem(422, "idempotency_key_reused");
    let path = format!("/v1/events/{event}/documents/content?name=x");
    app.planner
        .post(&path, &Value::Null)
        .await
        .expect_problem(400, "idempotency_key_missing");
    // The folder and the file.
    let made = files(&sandbox).await;
    upload(&app, event, "second.pdf", "key-2", "x")
        .await
        .expect(201);
    assert_eq!(
        files(&sandbox).await.as_u64(),
        made.as_u64().map(|made| made + 1)
    );
}

#[sqlx::test]
async fn an_upload_that_broke_on_the_way_is_finished_by_the_next(pool: PgPool) {
    let (app, sandbox, event) = scene(pool).await;
    upload(&app, event, "first.pdf", "first", "x")
        .await
        .expect(201);
    let before = files(&sandbox).await.as_u64().unwrap();
    let broken = futures_util::stream::iter([
        Ok(Bytes::from_static(b"the con")),
        Err(std::io::Error::other("gone")),
    ]);
    let answer = upload(
        &app,
        event,
        "contract.pdf",
        "key",
        Body::from_stream(broken),
    )
    .await;
    assert!(!answer.status.is_success(), "{}", answer.text());
    sandbox.world.faults.add(
        Fault::new(Provider::Google, Misbehaviour::Cut)
            .on("POST", "upload")
            .after()
            .times(1),
    );
    let document = upload(&app, event, "contract.pdf", "key", "the contract")
        .await
        .expect(201);
    assert_eq!(document["size_bytes"], 12);
    assert_eq!(files(&sandbox).await, before + 1);
}

#[sqlx::test]
async fn names_of_all_kinds_come_back_and_break_nothing(pool: PgPool) {
    let (app, _sandbox, event) = scene(pool).await;
    for name in [
        "Plänė 🎉 \"final\"; v2\\.pdf",
        "日本語.pdf",
        "'; DROP TABLE documents; --",
        "../../etc/passwd",
    ] {
        let document = upload(&app, event, name, &key(), "x").await.expect(201);
        assert_eq!(document["name"], name);
        let path = format!("/v1/documents/{}/content", document["id"].as_str().unwrap());
        let content = app.viewer.get(&path).await;
        assert_eq!(content.expect(200), Value::Null);
        let disposition = content.header("content-disposition");
        let exact = disposition.split_once("filename*=UTF-8''").unwrap().1;
        let decoded = percent_encoding::percent_decode_str(exact)
            .decode_utf8()
            .unwrap();
        assert_eq!(decoded, name, "{disposition}");
        assert!(
            disposition.starts_with("attachment; filename=\""),
            "{disposition}"
        );
        assert_eq!(disposition.matches('"').count(), 2, "{disposition}");
        assert_eq!(content.header("x-content-type-options"), "nosniff");
    }
    for wrong in ["a\r\nb.pdf", " ", "a\u{0}b"] {
        upload(&app, event, wrong, &key(), "x")
            .await
            .expect_problem(400, "malformed_request");
    }
}

#[sqlx::test]
async fn a_document_is_read_in_parts_renamed_and_shared(pool: PgPool) {
    let (app, _sandbox, event) = scene(pool).await;
    let document = upload(&app, event, "contract.pdf", "key", "0123456789")
        .await
        .expect(201);
    let path = format!("/v1/documents/{}", document["id"].as_str().unwrap());
    let content = format!("{path}/content");
    let part = app
        .viewer
        .get_with(&content, &[("range", "bytes=2-4")])
        .await;
    assert_eq!((part.status.as_u16(), part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    let beyond = app.viewer.get_with(&content, &[("range", "bytes=10-")]);
    let beyond = beyond.await;
    beyond.expect_problem(416, "range_not_satisfiable");
    assert_eq!(beyond.header("content-range"), "bytes */10");
    let whole = app
        .viewer
        .get_with(&content, &[("accept", "application/pdf")])
        .await;
    assert_eq!(
        (whole.status.as_u16(), whole.header("content-type")),
        (200, "application/pdf")
    );
    let tag = whole.etag().to_owned();
    assert_eq!(
        app.viewer
            .get_with(&content, &[("if-none-match", &tag)])
            .await
            .status,
        304
    );
    let etag = app.viewer.get(&path).await.etag().to_owned();
    let renamed = app
        .planner
        .patch(
            &path,
            &etag,
            &json!({"name": "signed.pdf", "kind": "INVOICE"}),
        )
        .await
        .expect(200);
    assert_eq!(
        (&renamed["name"], &renamed["kind"]),
        (&json!("signed.pdf"), &json!("INVOICE"))
    );
    app.planner
        .patch(&path, "*", &json!({"kind": "FOLDER"}))
        .await
        .expect_invalid(&["#/kind"]);
    let share = format!("{path}/share");
    for already in [false, true] {
        let with = json!({"email": "ada@example.com", "role": "COMMENTER"});
        let shared = app.planner.post(&share, &with).await.expect(200);
        assert_eq!(
            (&shared["already"], &shared["url"]),
            (&json!(already), &document["url"])
        );
    }
    for wrong in [
        json!({"role": "READER"}),
        json!({"role": "READER", "anyone": true, "email": "a@b.cd"}),
    ] {
        app.planner
            .post(&share, &wrong)
            .await
            .expect_invalid(&["#"]);
    }
    // Link sharing is off unless the sidecar's settings allow it.
    let refused = app
        .planner
        .post(&share, &json!({"role": "READER", "anyone": true}))
        .await;
    refused.expect_problem(422, "invalid_fields");
    // Also what was refused is in the trail, and each request before its outcome.
    let subject = document["id"].as_str().unwrap();
    let path_of_trail = format!("/v1/audit?subject_id={subject}");
    let trail = app.owner.get(&path_of_trail).await.expect(200);
    let entries = trail["items"].as_array().unwrap().iter().rev();
    let shares: Vec<_> = entries
        .filter_map(|entry| {
            entry["action"]
                .as_str()
                .unwrap()
                .strip_prefix("document.share")
        })
        .collect();
    assert_eq!(shares, ["_requested", "d", "_requested", "d", "_requested"]);
    let last = &trail["items"][0];
    assert_eq!(
        (&last["action"], &last["after"]["anyone"]),
        (&json!("document.share_requested"), &json!(true))
    );
    app.planner.delete(&path, "*").await.expect(204);
    app.viewer
        .get(&content)
        .await
        .expect_problem(409, "invalid_transition");
    assert_eq!(app.viewer.get(&path).await.expect(200)["status"], "TRASHED");
}

#[sqlx::test]
async fn what_is_too_large_is_refused_before_and_while_it_comes(pool: PgPool) {
    let (app, _sandbox) =
        TestApp::with_providers_and(pool, |settings| settings.delivery.upload_limit = 100_000)
            .await;
    let event = create(&app.planner, "/v1/events", &scene::event()).await;
    upload(&app, event, "a.pdf", "a", vec![0; 100_001])
        .await
        .expect_problem(413, "payload_too_large");
    let pieces = (0..100).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![0; 10_000])));
    let endless = Body::from_stream(futures_util::stream::iter(pieces));
    upload(&app, event, "b.pdf", "b", endless)
        .await
        .expect_problem(413, "payload_too_large");
    upload(&app, event, "c.pdf", "c", vec![0; 100_000])
        .await
        .expect(201);
}

/// Largest resident memory of this process in KiB; the sidecar and the sandbox are in it.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[sqlx::test]
async fn a_hundred_megabytes_pass_in_little_memory(pool: PgPool) {
    let (app, _sandbox, event) = scene(pool).await;
    upload(&app, event, "warm.pdf", "warm", vec![7; MIB])
        .await
        .expect(201);
    let before = peak();
    let pieces = (0..1_600)
        .map(|at: usize| Ok::<_, std::io::Error>(Bytes::from(vec![at.to_le_bytes()[0]; MIB / 16])));
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let document = upload(&app, event, "large.pdf", "large", body)
        .await
        .expect(201);
    assert_eq!(document["size_bytes"], 100 * MIB);
    let content = format!("/v1/documents/{}/content", document["id"].as_str().unwrap());
    let mut answer = app.viewer.open(&content).await;
    let mut read = 0;
    while let Some(frame) = answer.body_mut().frame().await {
        for byte in frame.unwrap().into_data().unwrap() {
            assert_eq!(byte, (read / (MIB / 16)).to_le_bytes()[0]);
            read += 1;
        }
    }
    assert_eq!(read, 100 * MIB);
    let grown = peak().saturating_sub(before);
    println!("100 MiB up and down: {grown} KiB more than before, with sidecar and sandbox");
    assert!(grown < 48 * 1024, "{grown} KiB");
}

#[sqlx::test]
async fn files_of_slow_clients_leave_places_for_other_organizations(pool: PgPool) {
    let (app, _sandbox, event) = scene(pool).await;
    let document = upload(&app, event, "slow.pdf", "slow", vec![7; 4 * MIB])
        .await
        .expect(201);
    let content = format!("/v1/documents/{}/content", document["id"].as_str().unwrap());
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(app.viewer.open(&content).await);
    }
    assert!(open.iter().all(|answer| answer.status() == 200));
    let refused = app.viewer.get(&content).await;
    refused.expect_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    upload(&app, event, "more.pdf", "more", "1")
        .await
        .expect_problem(503, "unavailable");
    let theirs = create(&app.stranger, "/v1/events", &scene::event()).await;
    let path = format!("/v1/events/{theirs}/documents/content?name=a.pdf");
    let request = app.stranger.request(Method::POST, &path);
    let request = request.header("idempotency-key", "theirs");
    app.stranger.send(request, "1".into()).await.expect(201);
    // One that is read to its end, and one whose client goes away.
    let read = open.pop().unwrap().into_body().collect().await.unwrap();
    assert_eq!(read.to_bytes().len(), 4 * MIB);
    open.pop();
    for key in ["more", "yet more"] {
        upload(&app, event, "more.pdf", key, "1").await.expect(201);
    }
}

#[sqlx::test]
async fn a_folder_is_made_over_one_connection(pool: PgPool) {
    let (app, _sandbox, event) = scene(pool).await;
    let _taken = app.leave_one_connection().await;
    let input = CreateFolderInput { name: None };
    actions::create_folder(&app.app, &errand(&app, "step"), event, input)
        .await
        .unwrap();
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
async fn actions_make_once_for_their_key_and_are_undone(pool: PgPool) {
    let (app, sandbox, event) = scene(pool).await;
    let folder = |key: &'static str| {
        let (app, input) = (
            &app,
            CreateFolderInput {
                name: Some("Offsite, Lisbon".into()),
            },
        );
        async move {
            actions::create_folder(&app.app, &errand(app, key), event, input)
                .await
                .unwrap()
        }
    };
    let first = folder("step-1").await;
    assert_eq!(folder("step-1").await.file_id, first.file_id);
    let input = || CreateDocumentInput {
        folder_id: Some(first.file_id.clone()),
        name: "Contract".into(),
        content: "# Contract".into(),
        kind: event_planner_api::documents::DocumentKind::Contract,
    };
    let made = actions::create_document(&app.app, &errand(&app, "step-2"), event, input())
        .await
        .unwrap();
    let count = files(&sandbox).await;
    let again = actions::create_document(&app.app, &errand(&app, "step-2"), event, input())
        .await
        .unwrap();
    assert_eq!(
        (made.document_id, files(&sandbox).await),
        (again.document_id, count)
    );
    let full = actions::trash(
        &app.app,
        &errand(&app, "undo-1"),
        event,
        TrashInput {
            document_id: first.document_id,
        },
    )
    .await;
    assert!(matches!(full, Err(Failure::Fatal(why)) if why.contains("in it")));
    for document_id in [made.document_id, made.document_id, first.document_id] {
        actions::trash(
            &app.app,
            &errand(&app, "undo"),
            event,
            TrashInput { document_id },
        )
        .await
        .unwrap();
    }
    let listed = app
        .viewer
        .get(&format!("/v1/documents?event_id={event}&status=TRASHED"))
        .await
        .expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert_eq!(id(&listed["items"][0]["id"]), first.document_id);
    assert_ne!(
        folder("step-9").await.file_id,
        first.file_id,
        "a trashed folder is not used again"
    );
}

#[sqlx::test]
async fn a_document_whose_job_has_died_is_told_as_failed_and_made_when_asked_again(pool: PgPool) {
    let (app, sandbox, event) = scene(pool.clone()).await;
    let path = format!("/v1/events/{event}/documents");
    let new = |name: &str| json!({"kind": "BRIEF", "name": name, "content": "# Brief"});
    let died = app.planner.post(&path, &new("Died")).await.expect(202);
    let waits = app.planner.post(&path, &new("Waits")).await.expect(202);
    for told in [
        "UPDATE documents SET updated_at = updated_at - interval '1 hour'",
        "UPDATE jobs SET died_at = clock_timestamp(), last_error = 'Drive is full' WHERE kind = 'documents.create'
         AND payload->>'document_id' = (SELECT id::text FROM documents WHERE name = 'Died')",
    ] {
        sqlx::query(told).execute(&pool).await.unwrap();
    }
    let job = Job {
        organization_id: Uuid::nil(),
        id: Uuid::nil(),
        kind: "documents.give_up".into(),
        payload: Value::Null,
        lane: String::new(),
        attempts: 1,
        fence: 1,
        request_id: None,
    };
    documents::give_up_abandoned(app.app.clone(), job)
        .await
        .unwrap();
    let failed = once(&app, &died, "FAILED").await;
    assert_eq!(failed["failure"], "Drive is full");
    once(&app, &waits, "PENDING").await;
    let retry =
        |document: &Value| format!("/v1/documents/{}/retry", document["id"].as_str().unwrap());
    app.planner
        .post_once("waits", &retry(&waits), &Value::Null)
        .await
        .expect_problem(409, "invalid_transition");
    let again = app
        .planner
        .post_once("again", &retry(&died), &Value::Null)
        .await
        .expect(200);
    assert_eq!(
        (&again["status"], &again["failure"]),
        (&json!("PENDING"), &Value::Null)
    );
    let before = files(&sandbox).await.as_i64().unwrap();
    let _working = work(&app);
    once(&app, &died, "READY").await;
    once(&app, &waits, "READY").await;
    assert_eq!(
        files(&sandbox).await,
        before + 3,
        "the folder, and each once"
    );
}
