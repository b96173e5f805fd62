//! What we send as it was given to us is sealed in the database: tokens of agents, secrets of webhooks.

use event_planner_api::keyring::{KeyRing, rotate};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    providers,
    support::TestApp,
    webhooks::{Receiver, endpoint, work},
};

const TOKEN: &str = "Zm9yLXRoZS1hZ2VudC1vbmx5-visible-token";
/// Everything that these tables hold, as text.
const ROWS: &str = "SELECT coalesce(string_agg(row::text, ' '), '') FROM (
    SELECT encode(coalesce(token, ''), 'escape') AS row FROM agents
    UNION ALL SELECT concat(secret, old_secret, encode(coalesce(sealed_secret, ''), 'escape'),
                            encode(coalesce(sealed_old_secret, ''), 'escape')) FROM webhook_endpoints) AS rows";

async fn rows(pool: &PgPool) -> String {
    sqlx::query_scalar(ROWS).fetch_one(pool).await.unwrap()
}

fn ring(keys: &str) -> KeyRing {
    KeyRing::parse(&keys.into()).unwrap()
}

async fn run(pool: &PgPool, sql: &'static str, argument: &str) {
    sqlx::query(sql).bind(argument).execute(pool).await.unwrap();
}

async fn test_message(app: &TestApp, pool: &PgPool, endpoint: &str) {
    let path = format!("{endpoint}/test");
    app.owner.post(&path, &Value::Null).await.expect(201);
    work(app, pool).await;
}

#[sqlx::test]
async fn the_database_alone_shows_no_token_and_no_secret(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let receiver = Receiver::start().await;
    let (path, secret) = endpoint(&app.owner, &receiver.url(), &["*"]).await;
    let agent = json!({ "agent_type": "a", "url": "https://agents.example/mcp", "token": TOKEN });
    app.owner.post("/v1/agents", &agent).await.expect(201);
    let rotate = format!("{path}/rotate-secret");
    let rotated = app.owner.post(&rotate, &Value::Null).await.expect(200);
    let rows = rows(&pool).await;
    for hidden in [
        TOKEN,
        &secret,
        rotated["secret"].as_str().unwrap(),
        "whsec_",
    ] {
        assert!(!rows.contains(hidden), "{hidden} in {rows}");
    }
}

#[sqlx::test]
async fn without_keys_no_secret_is_taken(pool: PgPool) {
    let mut config = providers::integrations("http://127.0.0.1:9");
    config.keys.integrations_keys = None;
    let app = TestApp::with_integrations(pool, &config).await;
    let mut agent =
        json!({ "agent_type": "a", "url": "https://agents.example/mcp", "token": TOKEN });
    let endpoint = json!({ "url": "https://hooks.example.com/" });
    for (path, body) in [("/v1/agents", &agent), ("/v1/webhook-endpoints", &endpoint)] {
        let refused = app.owner.post(path, body).await;
        let problem = refused.expect_problem(501, "integration_not_configured");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("INTEGRATIONS_KEYS"), "{detail}");
    }
    agent["token"] = Value::Null;
    app.owner.post("/v1/agents", &agent).await.expect(201);
}

#[sqlx::test]
async fn what_was_written_before_there_were_keys_works_and_is_sealed_by_rotation(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    let receiver = Receiver::start().await;
    let (path, _) = endpoint(&app.owner, &receiver.url(), &["*"]).await;
    let plain = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    run(
        &pool,
        "UPDATE webhook_endpoints SET key_id = NULL, sealed_secret = NULL, secret = $1",
        plain,
    )
    .await;
    let agent = json!({ "agent_type": "a", "url": "https://agents.example/mcp", "token": TOKEN });
    app.owner.post("/v1/agents", &agent).await.expect(201);
    run(
        &pool,
        "UPDATE agents SET key_id = NULL, token = convert_to($1, 'UTF8')",
        TOKEN,
    )
    .await;
    test_message(&app, &pool, &path).await;
    assert!(receiver.messages().pop().unwrap().is_signed_by(plain));

    let k1 = format!("k1:{}", providers::KEY);
    let k0 = "k0:q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
    assert_eq!(rotate(&app.app.db, &ring(k0)).await.unwrap(), 2);
    assert_eq!(rotate(&app.app.db, &ring(k0)).await.unwrap(), 0);
    let sealed = rows(&pool).await;
    assert!(!sealed.contains(plain) && !sealed.contains(TOKEN));
    // The application's own key takes the place of that one, which has to be there for it.
    assert!(rotate(&app.app.db, &ring(&k1)).await.is_err());
    let both = ring(&format!("{k1} {k0}"));
    assert_eq!(rotate(&app.app.db, &both).await.unwrap(), 2);
    let new = format!("{path}/rotate-secret");
    let new = app.owner.post(&new, &Value::Null).await.expect(200);
    test_message(&app, &pool, &path).await;
    let message = receiver.messages().pop().unwrap();
    assert!(message.is_signed_by(plain));
    assert!(message.is_signed_by(new["secret"].as_str().unwrap()));
}
