//! Who gets in, and what the edge answers everybody.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;

use crate::support::TestApp;

#[sqlx::test]
async fn the_caller_sees_who_it_is(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let me = app.planner.get("/v1/me").await.expect(200);
    assert_eq!(me["member"]["role"], "PLANNER");
    assert_eq!(me["organization"]["id"], json!(app.organization_id));
}

#[sqlx::test]
async fn nobody_gets_401_and_is_told_how(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let answer = app.anonymous.get("/v1/me").await;
    let problem = answer.expect_problem(401, "unauthenticated");
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(
        problem["type"],
        "https://events.example/problems/unauthenticated"
    );
    app.client("epk_wrong")
        .get("/v1/me")
        .await
        .expect_problem(401, "unauthenticated");
}

#[sqlx::test]
async fn a_key_does_only_what_its_scopes_say(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"name": "reader", "scopes": ["catalogue:read"]});
    let created = app.owner.post("/v1/api-keys", &body).await.expect(201);
    let reader = app.client(created["key"].as_str().unwrap());
    let problem = reader
        .get("/v1/members")
        .await
        .expect_problem(403, "forbidden");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("organization:read")
    );
}

#[sqlx::test]
async fn a_key_makes_no_key_that_can_do_more(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"name": "keys", "scopes": ["organization:read", "organization:write"]});
    let created = app.owner.post("/v1/api-keys", &body).await.expect(201);
    let narrow = app.client(created["key"].as_str().unwrap());
    let wider = json!({"name": "wider", "scopes": ["bookings:write"]});
    narrow
        .post("/v1/api-keys", &wider)
        .await
        .expect_problem(403, "forbidden");
    let same = narrow.post("/v1/api-keys", &json!({"name": "same"})).await;
    assert_eq!(same.header("cache-control"), "no-store");
    assert_eq!(
        same.expect(201)["scopes"],
        json!(["organization:read", "organization:write"])
    );
}

#[sqlx::test]
async fn what_is_sent_is_taken_to_the_letter(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let post = async |body: &str| {
        let request = app.owner.request(axum::http::Method::POST, "/v1/members");
        let request = request.header("content-type", "application/json");
        app.owner.send(request, body.to_owned().into()).await
    };
    post(r#"["A", "a@example.com", "VIEWER"]"#)
        .await
        .expect_invalid(&["#"]);
    post("{}").await.expect_invalid(&["#/name"]);
    post(r#"{"name": "A", "email": "a@example.com", "role": 5}"#)
        .await
        .expect_invalid(&["#/role"]);
    post(r#"{"name": "  ", "email": "a@example.com", "role": "OWNER"}"#)
        .await
        .expect_invalid(&["#/name"]);
    let twice = r#"{"name": "A", "name": "B", "email": "a@example.com", "role": "OWNER"}"#;
    post(twice).await.expect_problem(400, "malformed_request");
    let body = json!({"name": "A", "email": "a@example.com", "role": "VIEWER"});
    let zipped = [("content-encoding", "gzip")];
    app.owner
        .post_with("/v1/members", &body, &zipped)
        .await
        .expect_problem(415, "unsupported_media_type");
    let rehearsal = app
        .owner
        .post("/v1/members?validate_only=true", &body)
        .await;
    assert_eq!(
        rehearsal.expect_problem(400, "malformed_request")["errors"][0]["parameter"],
        "validate_only"
    );
    for query in ["?limit=", "?cursor=%ff", "?limit=%zz", "?limit=1&limit=2"] {
        app.owner
            .get(&format!("/v1/members{query}"))
            .await
            .expect_problem(400, "malformed_request");
    }
    app.owner
        .get("/v1/me?x=1")
        .await
        .expect_problem(400, "malformed_request");
    app.owner
        .get_with("/v1/me", &[("accept", "application/json;q=0")])
        .await
        .expect_problem(406, "not_acceptable");
    app.owner
        .patch(&format!("/v1/members/{}", app.owner_id), "1", &json!({}))
        .await
        .expect_problem(400, "malformed_request");
}

#[sqlx::test]
async fn a_revoked_key_is_refused_within_a_second(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let created = app
        .owner
        .post("/v1/api-keys", &json!({"name": "short"}))
        .await
        .expect(201);
    let client = app.client(created["key"].as_str().unwrap());
    client.get("/v1/me").await.expect(200);
    let path = format!("/v1/api-keys/{}", created["id"].as_str().unwrap());
    app.owner.delete(&path, "*").await.expect(204);
    tokio::time::sleep(Duration::from_secs(1)).await;
    client
        .get("/v1/me")
        .await
        .expect_problem(401, "unauthenticated");
    assert!(app.owner.get(&path).await.expect(200)["revoked_at"].is_string());
}

#[sqlx::test]
async fn an_expired_key_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"name": "short", "expires_at": "2027-01-15T13:00:00Z"});
    let created = app.owner.post("/v1/api-keys", &body).await.expect(201);
    app.advance(Duration::from_hours(2));
    app.client(created["key"].as_str().unwrap())
        .get("/v1/me")
        .await
        .expect_problem(401, "unauthenticated");
}

#[sqlx::test]
async fn a_key_is_shown_once_and_kept_nowhere(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let first = app
        .owner
        .post_once("k1", "/v1/api-keys", &json!({"name": "once"}))
        .await
        .expect(201);
    let again = app
        .owner
        .post_once("k1", "/v1/api-keys", &json!({"name": "once"}))
        .await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert!(again.expect(201)["key"].is_null());
    let key = first["key"].as_str().unwrap();
    let text: Vec<String> = sqlx::query_scalar(
        "SELECT row_to_json(t)::text FROM (SELECT encode(body, 'escape') FROM idempotency_keys) t
         UNION ALL SELECT row_to_json(a)::text FROM audit_entries a
         UNION ALL SELECT row_to_json(k)::text FROM api_keys k",
    )
    .fetch_all(&pool_of(&app))
    .await
    .unwrap();
    assert!(text.len() > 5);
    assert!(text.iter().all(|row| !row.contains(key)));
}

#[sqlx::test]
async fn a_service_acts_only_for_a_named_person(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.service
        .get("/v1/me")
        .await
        .expect_problem(403, "forbidden");
    let acting = app.service.on_behalf_of(app.organization_id, app.owner_id);
    assert_eq!(
        acting.get("/v1/me").await.expect(200)["member"]["id"],
        json!(app.owner_id)
    );
    acting
        .post(
            "/v1/members",
            &json!({"name": "New", "email": "new@example.com", "role": "VIEWER"}),
        )
        .await
        .expect(201);
    let trail = app
        .owner
        .get("/v1/audit?action=member.created&limit=1")
        .await
        .expect(200);
    assert_eq!(trail["items"][0]["actor_kind"], "SERVICE");
    assert_eq!(trail["items"][0]["member_id"], json!(app.owner_id));
    let wrong = app
        .service
        .on_behalf_of(app.other_organization_id, app.owner_id);
    wrong
        .get("/v1/me")
        .await
        .expect_problem(401, "unauthenticated");
    app.owner
        .on_behalf_of(app.other_organization_id, app.owner_id)
        .get("/v1/me")
        .await
        .expect(200);
}

#[sqlx::test]
async fn an_organization_keeps_an_owner(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/v1/members/{}", app.owner_id);
    app.owner
        .delete(&path, "*")
        .await
        .expect_problem(409, "last_owner");
    app.owner
        .patch(&path, "\"1\"", &json!({"role": "VIEWER"}))
        .await
        .expect_problem(409, "last_owner");
    app.owner
        .patch(&path, "\"1\"", &json!({"name": "Ada L."}))
        .await
        .expect(200);
}

#[sqlx::test]
async fn a_change_needs_the_version_that_was_read(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/v1/members/{}", app.owner_id);
    let read = app.owner.get(&path).await;
    app.owner
        .patch(&path, read.etag(), &json!({"name": "First"}))
        .await
        .expect(200);
    app.owner
        .patch(&path, read.etag(), &json!({"name": "Second"}))
        .await
        .expect_problem(412, "precondition_failed");
    let request = app.owner.request(axum::http::Method::PATCH, &path);
    let request = request.header("content-type", "application/merge-patch+json");
    app.owner
        .send(request, "{}".into())
        .await
        .expect_problem(428, "precondition_required");
    let request = app
        .owner
        .request(axum::http::Method::PATCH, &path)
        .header("if-match", "*");
    let answer = app
        .owner
        .send(
            request.header("content-type", "application/json"),
            "{}".into(),
        )
        .await;
    answer.expect_problem(415, "unsupported_media_type");
    assert_eq!(
        answer.header("accept-patch"),
        "application/merge-patch+json"
    );
}

#[sqlx::test]
async fn what_one_has_already_is_not_sent_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/v1/members/{}", app.owner_id);
    let read = app.owner.get(&path).await;
    let again = app
        .owner
        .get_with(&path, &[("if-none-match", read.etag())])
        .await;
    assert_eq!(again.status, 304);
    assert!(again.bytes.is_empty());
    assert_eq!(again.etag(), read.etag());
}

#[sqlx::test]
async fn every_error_is_a_problem(pool: PgPool) {
    let app = TestApp::with(pool, |settings| settings.body_limit = 2_000).await;
    let json = ("content-type", "application/json");
    let send = async |body: &str, headers: &[(&str, &str)]| {
        let mut request = app.owner.request(axum::http::Method::POST, "/v1/members");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.owner.send(request, body.to_owned().into()).await
    };
    app.owner
        .get("/nowhere")
        .await
        .expect_problem(404, "not_found");
    app.owner
        .get("/v1/nowhere")
        .await
        .expect_problem(404, "not_found");
    let put = app
        .owner
        .send(
            app.owner.request(axum::http::Method::PUT, "/v1/members"),
            "".into(),
        )
        .await;
    put.expect_problem(405, "method_not_allowed");
    assert!(put.header("allow").contains("POST"), "{:?}", put.headers);
    send("{", &[json])
        .await
        .expect_problem(400, "malformed_request");
    send("{}", &[])
        .await
        .expect_problem(415, "unsupported_media_type");
    send(&"x".repeat(3_000), &[json])
        .await
        .expect_problem(413, "payload_too_large");
    send(&"x".repeat(3_000), &[json, ("idempotency-key", "a")])
        .await
        .expect_problem(413, "payload_too_large");
    send(&"[".repeat(1_900), &[json])
        .await
        .expect_problem(400, "malformed_request");
    send("{}", &[json])
        .await
        .expect_problem(422, "invalid_fields");
    let extra =
        r#"{"name": "A", "email": "a@example.com", "role": "OWNER", "organization_id": "1"}"#;
    send(extra, &[json])
        .await
        .expect_invalid(&["#/organization_id"]);
    send(r#"{"name": "", "email": "no", "role": "VIEWER"}"#, &[json])
        .await
        .expect_invalid(&["#/email", "#/name"]);
    let nul = r#"{"name": "a\u0000b", "email": "a@example.com", "role": "VIEWER"}"#;
    send(nul, &[json])
        .await
        .expect_problem(400, "malformed_request");
    send("{}", &[json, ("accept", "image/png")])
        .await
        .expect_problem(406, "not_acceptable");
    let unknown = app
        .owner
        .get("/v1/members?colour=red")
        .await
        .expect_problem(400, "malformed_request");
    assert_eq!(unknown["errors"][0]["parameter"], "colour");
    app.owner
        .get("/v1/members?limit=0")
        .await
        .expect_problem(400, "malformed_request");
    app.owner
        .get("/v1/members?limit=1&limit=2")
        .await
        .expect_problem(400, "malformed_request");
    app.owner
        .get("/v1/members/not-an-id")
        .await
        .expect_problem(404, "not_found");
}

#[sqlx::test]
async fn a_list_is_walked_by_its_cursor(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let first = app.owner.get("/v1/members?limit=2").await;
    let page = first.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let cursor = page["next_cursor"].as_str().unwrap();
    assert!(first.header("link").contains(cursor));
    let last = app
        .owner
        .get(&format!("/v1/members?limit=2&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(last["items"].as_array().unwrap().len(), 1);
    assert!(last["next_cursor"].is_null());
    app.owner
        .get("/v1/members?cursor=abc")
        .await
        .expect_problem(400, "invalid_cursor");
    let audit = app.owner.get(&format!("/v1/audit?cursor={cursor}")).await;
    audit.expect_problem(400, "invalid_cursor");
}

#[sqlx::test]
async fn a_repeated_post_has_one_effect_and_one_answer(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"name": "New", "email": "new@example.com", "role": "VIEWER"});
    let first = app.owner.post_once("\"one\"", "/v1/members", &body).await;
    first.expect(201);
    let again = app.owner.post_once("one", "/v1/members", &body).await;
    again.expect(201);
    assert_eq!(first.bytes, again.bytes);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(first.etag(), again.etag());
    assert_eq!(again.header("idempotent-replayed"), "true");
    let other = json!({"name": "Other", "email": "other@example.com", "role": "VIEWER"});
    app.owner
        .post_once("one", "/v1/members", &other)
        .await
        .expect_problem(422, "idempotency_key_reused");
    app.stranger
        .post_once("one", "/v1/members", &body)
        .await
        .expect(201);
    app.advance(Duration::from_hours(25));
    app.owner
        .post_once("one", "/v1/members", &other)
        .await
        .expect(201);
}

#[sqlx::test]
async fn fifty_equal_posts_at_once_have_one_effect(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = json!({"name": "New", "email": "new@example.com", "role": "VIEWER"});
    let posts = (0..50).map(|_| app.owner.post_once("one", "/v1/members", &body));
    let answers = futures_util::future::join_all(posts).await;
    let created: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .collect();
    assert!(!created.is_empty());
    assert!(
        created
            .iter()
            .all(|answer| answer.bytes == created[0].bytes)
    );
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.expect_problem(409, "idempotency_in_flight");
    }
    assert_eq!(
        app.owner.get("/v1/members").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
}

#[sqlx::test]
async fn the_quota_is_counted_and_told(pool: PgPool) {
    let app = TestApp::with_quota(pool, 3, |_| {}).await;
    let first = app.owner.get("/v1/me").await;
    first.expect(200);
    assert_eq!(first.header("ratelimit-policy"), "\"default\";q=3;w=60");
    assert!(first.header("ratelimit").starts_with("\"default\";r=2;t="));
    app.owner.get("/v1/me").await.expect(200);
    app.owner.get("/v1/me").await.expect(200);
    let refused = app.owner.get("/v1/me").await;
    refused.expect_problem(429, "quota_exceeded");
    assert!((1..=20).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    app.viewer.get("/v1/me").await.expect(200);
}

#[sqlx::test]
async fn a_request_id_goes_through(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let answer = app
        .owner
        .get_with("/v1/me", &[("x-request-id", "abcdef-0123456789")])
        .await;
    assert_eq!(answer.header("x-request-id"), "abcdef-0123456789");
    let answer = app
        .owner
        .get_with("/v1/me", &[("x-request-id", "bad\tid here!")])
        .await;
    assert_eq!(answer.header("x-request-id").len(), 36);
}

fn pool_of(app: &TestApp) -> PgPool {
    app.app.db.clone()
}
