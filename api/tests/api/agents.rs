//! Agents by address: a real MCP server over a socket, which an organization registers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use event_planner_api::{orchestrations::Orchestrations, outbound::Rules};
use mcp_kit::{Call, Sidecar, Tool, ToolError, Tools, testing};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::{
    orchestrations,
    outbound::{answering, canary, hostile},
    support::TestApp,
    webhooks::Receiver,
    webhooks_in::until,
};

const TOKEN: &str = "4kPz7QvW1xYbN8sLr2TfHc6JmUaGd9Ei-agent";

#[derive(Debug, serde::Deserialize, schemars::JsonSchema, validator::Validate)]
#[serde(deny_unknown_fields)]
struct Seats {
    guests: u32,
    idempotency_key: String,
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema, validator::Validate)]
#[serde(deny_unknown_fields)]
struct Ring {
    times: u32,
}

/// An agent with a tool that takes a key and one that hangs and takes none; counts what was rung.
async fn serve(rung: Arc<AtomicU32>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let seat = async |_: Call, seats: Seats| -> Result<Value, ToolError> {
        Ok(json!({ "tables": seats.guests.div_ceil(8), "key": seats.idempotency_key }))
    };
    let bell = move |_: Call, ring: Ring| {
        let rung = Arc::clone(&rung);
        async move {
            rung.fetch_add(ring.times, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(20)).await;
            Ok::<_, ToolError>(json!({}))
        }
    };
    let tools = Tools::new("seating", "1.0.0")
        .with(Tool::new("make_plan", "Makes a plan.", seat))
        .unwrap()
        .with(Tool::new("ring", "Rings a bell.", bell))
        .unwrap();
    let settings = testing::settings(&[&format!("--mcp-tokens={TOKEN}")]).unwrap();
    let service = Sidecar::new(tools).build(&settings).unwrap();
    let router = service.router(&settings).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn app(pool: PgPool) -> TestApp {
    let orchestrations = Orchestrations {
        agent_rules: Rules::within(&["127.0.0.0/8".parse().unwrap()]),
        ..Orchestrations::default()
    };
    TestApp::with_orchestrations(pool, orchestrations).await
}

#[sqlx::test]
async fn an_agent_by_address_does_a_step(pool: PgPool) {
    let app = app(pool).await;
    let rung = Arc::new(AtomicU32::new(0));
    let url = serve(Arc::clone(&rung)).await;
    let agent = json!({ "agent_type": "seating", "url": url, "token": TOKEN, "tools": ["make_plan", "ring"] });
    let added = app.owner.post("/v1/agents", &agent).await.expect(201);
    assert_eq!(
        (&added["has_token"], &added["token"]),
        (&json!(true), &Value::Null)
    );
    let check = app
        .owner
        .post("/v1/agents/seating/check", &Value::Null)
        .await
        .expect(200);
    assert_eq!(check["is_reachable"], true, "{check}");
    let tools: Vec<_> = check["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| (&tool["name"], &tool["is_repeatable"]))
        .collect();
    assert!(
        tools.contains(&(&json!("make_plan"), &json!(true))),
        "{check}"
    );
    assert!(tools.contains(&(&json!("ring"), &json!(false))), "{check}");

    let playbook = json!({
        "name": "seats", "title": "Seats",
        "steps": [
            { "id": "plan", "agent_type": "seating", "tool": "make_plan", "description": "Plan",
              "inputs": { "guests": "${request.guests}" } },
            { "id": "bell", "agent_type": "seating", "tool": "ring", "description": "Ring", "timeout": "PT1S",
              "inputs": { "times": 1 }, "depends_on": ["plan"] },
        ]
    });
    app.planner
        .post("/v1/playbooks", &playbook)
        .await
        .expect(201);
    let body = json!({ "description": "Dinner for 40", "playbook": "seats" });
    let run = app
        .planner
        .post("/v1/orchestrations", &body)
        .await
        .expect(202);
    let worker = orchestrations::worker(&app);
    // A tool without a key is not asked twice when nobody knows whether it did it: a person looks.
    let run = orchestrations::until(&app, &run, "FAILED").await;
    worker.stop().await;
    let plan = &run["subtasks"][0];
    assert_eq!(plan["output"], json!({ "tables": 5, "key": plan["id"] }));
    let error = run["subtasks"][1]["error"].as_str().unwrap();
    assert!(error.contains("idempotency key"), "{error}");
    assert_eq!(rung.load(Ordering::SeqCst), 1);
    let audit = app.owner.get("/v1/audit").await.text();
    assert!(!audit.contains(TOKEN));
}

#[sqlx::test]
async fn an_own_agent_has_a_lane_of_its_own_whatever_its_tools_are_called(pool: PgPool) {
    let app = app(pool.clone()).await;
    let agent_type = "s".repeat(63);
    let agent = json!({ "agent_type": agent_type, "url": "http://127.0.0.1:9/mcp" });
    app.owner.post("/v1/agents", &agent).await.expect(201);
    let playbook = json!({
        "name": "lanes", "title": "Lanes",
        "steps": [{ "id": "post", "agent_type": agent_type, "tool": "messages.announce", "description": "Post" }]
    });
    app.planner
        .post("/v1/playbooks", &playbook)
        .await
        .expect(201);
    let body = json!({ "description": "Lanes", "playbook": "lanes" });
    app.planner
        .post("/v1/orchestrations", &body)
        .await
        .expect(202);
    let lane: String = sqlx::query_scalar("SELECT lane FROM jobs WHERE kind = 'subtask.run'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(
        lane,
        format!("{}:{agent_type}", app.organization_id.simple())
    );
}

#[sqlx::test]
async fn a_step_that_broke_off_is_not_dropped_when_its_agent_is_away_and_the_run_cancelled(
    pool: PgPool,
) {
    let app = app(pool.clone()).await;
    // Nobody listens there.
    let agent = json!({ "agent_type": "bells", "url": "http://127.0.0.1:9/mcp" });
    app.owner.post("/v1/agents", &agent).await.expect(201);
    let playbook = json!({
        "name": "bells", "title": "Bells",
        "steps": [{ "id": "bell", "agent_type": "bells", "tool": "ring", "description": "Ring",
                    "compensate": { "tool": "hush" } }]
    });
    app.planner
        .post("/v1/playbooks", &playbook)
        .await
        .expect(201);
    let body = json!({ "description": "Bells", "playbook": "bells" });
    let run = app
        .planner
        .post("/v1/orchestrations", &body)
        .await
        .expect(202);
    // As a worker leaves it that dies in the middle.
    sqlx::query("UPDATE subtasks SET status = 'RUNNING', attempts = 1")
        .execute(&pool)
        .await
        .unwrap();
    let worker = orchestrations::worker(&app);
    let path = format!("/v1/orchestrations/{}", run["id"].as_str().unwrap());
    until("found away", async || {
        app.planner.get(&path).await.expect(200)["subtasks"][0]["error"].is_string()
    })
    .await;
    worker.stop().await;
    let cancel = format!("{path}/cancel");
    let cancelled = app.planner.post(&cancel, &Value::Null).await.expect(200);
    assert_eq!(
        (&cancelled["status"], &cancelled["subtasks"][0]["status"]),
        (&json!("CANCELLING"), &json!("READY"))
    );
}

#[sqlx::test]
async fn an_agent_at_an_inner_address_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for url in [
        "http://127.0.0.1:9/mcp",
        "https://169.254.169.254/",
        "https://mcp-postgres:3000/mcp",
        "https://[::1]/mcp",
    ] {
        let agent = json!({ "agent_type": "inner", "url": url });
        app.owner
            .post("/v1/agents", &agent)
            .await
            .expect_invalid(&["#/url"]);
    }
    let agent = json!({ "agent_type": "gone", "url": "https://agent.invalid/mcp" });
    app.owner.post("/v1/agents", &agent).await.expect(201);
    let check = app
        .owner
        .post("/v1/agents/gone/check", &Value::Null)
        .await
        .expect(200);
    assert_eq!(check["is_reachable"], false);
    assert!(
        !check["detail"].as_str().unwrap().contains("agent.invalid"),
        "{check}"
    );
    app.owner
        .delete("/v1/agents/documents", "*")
        .await
        .expect_problem(409, "in_use");
    let built_in = app.viewer.get("/v1/agents/documents").await.expect(200);
    assert!(
        built_in["tools"]
            .as_array()
            .unwrap()
            .contains(&json!("gdrive.create_folder"))
    );
    let listed = app.viewer.get("/v1/agents").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 12);
}

/// Whether the agent could be reached.
async fn reaches(app: &TestApp) -> bool {
    let path = "/v1/agents/inner/check";
    let check = app.owner.post(path, &Value::Null).await.expect(200);
    check["is_reachable"].as_bool().unwrap()
}

#[sqlx::test]
async fn hostile_addresses_of_agents_never_reach_the_machine_itself(pool: PgPool) {
    let (port, heard) = canary().await;
    let orchestrations = Orchestrations {
        // The canary's port is right, so that nothing but the address can be the reason.
        agent_rules: Rules {
            ports: vec![443, 8443, port],
            ..Rules::default()
        },
        ..Orchestrations::default()
    };
    let app = TestApp::with_orchestrations(pool.clone(), orchestrations).await;
    let stored = json!({ "agent_type": "inner", "url": "https://agent.invalid/mcp" });
    app.owner.post("/v1/agents", &stored).await.expect(201);
    for url in hostile(port) {
        let agent = json!({ "agent_type": "other", "url": url });
        let added = app.owner.post("/v1/agents", &agent).await;
        if added.status == 201 {
            // A name, which is judged when it is looked up.
            let deleted = app.owner.delete("/v1/agents/other", "*").await;
            assert_eq!(deleted.status, 204);
        } else {
            added.expect_invalid(&["#/url"]);
        }
        // Nor when the rules were others at the time when it was stored.
        if (1..=2000).contains(&url.len()) {
            let store = sqlx::query("UPDATE agents SET url = $1").bind(&url);
            store.execute(&pool).await.unwrap();
            assert!(!reaches(&app).await, "{url:?}");
        }
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

#[sqlx::test]
async fn an_agents_name_that_leads_inside_is_not_connected_to(pool: PgPool) {
    let (port, heard) = canary().await;
    // 127.0.0.1 is allowed and stands for a public address; 127.0.0.2 is not.
    let agent_rules = Rules {
        networks: vec!["127.0.0.1/32".parse().unwrap()],
        ..answering(&[&["127.0.0.2"], &["127.0.0.1", "127.0.0.2"], &["::1"]])
    };
    let orchestrations = Orchestrations {
        agent_rules,
        ..Orchestrations::default()
    };
    let app = TestApp::with_orchestrations(pool, orchestrations).await;
    let url = format!("http://rebind.example.com:{port}/mcp");
    let agent = json!({ "agent_type": "inner", "url": url });
    app.owner.post("/v1/agents", &agent).await.expect(201);
    for _ in 0..3 {
        assert!(!reaches(&app).await);
    }
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

#[sqlx::test]
async fn an_agents_redirects_are_not_followed(pool: PgPool) {
    let (port, heard) = canary().await;
    let app = app(pool).await;
    let redirecting = Receiver::start().await;
    redirecting.redirect(307, &format!("http://127.0.0.1:{port}/mcp"));
    let agent = json!({ "agent_type": "inner", "url": redirecting.url() });
    app.owner.post("/v1/agents", &agent).await.expect(201);
    assert!(!reaches(&app).await);
    assert!(!redirecting.messages().is_empty());
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

#[sqlx::test]
async fn an_agent_is_changed_and_keeps_its_token_for_its_address_only(pool: PgPool) {
    let app = app(pool).await;
    let url = serve(Arc::default()).await;
    let agent = json!({ "agent_type": "inner", "url": url, "token": TOKEN });
    app.owner.post("/v1/agents", &agent).await.expect(201);
    let path = "/v1/agents/inner";
    let read = app.viewer.get(path).await;
    let patch = json!({ "description": "Seats people", "tools": ["make_plan"] });
    let changed = app.owner.patch(path, read.etag(), &patch).await;
    assert_eq!(changed.etag(), "\"2\"");
    let changed = changed.expect(200);
    assert_eq!(
        (
            &changed["description"],
            &changed["tools"],
            &changed["has_token"]
        ),
        (&json!("Seats people"), &json!(["make_plan"]), &json!(true))
    );
    assert!(reaches(&app).await, "with the token that it had");
    let stale = app.owner.patch(path, read.etag(), &patch).await;
    stale.expect_problem(412, "precondition_failed");

    // Whoever may change the address does not learn the token by that.
    let elsewhere = Receiver::start().await;
    let moved = json!({ "url": elsewhere.url() });
    app.owner
        .patch(path, "*", &moved)
        .await
        .expect_invalid(&["#/token"]);
    let moved = json!({ "url": elsewhere.url(), "token": null });
    let moved = app.owner.patch(path, "*", &moved).await.expect(200);
    assert_eq!(moved["has_token"], false);
    assert!(!reaches(&app).await);
    let tokens = |message: &crate::webhooks::Message| message.headers.contains_key("authorization");
    assert!(!elsewhere.messages().is_empty() && !elsewhere.messages().iter().any(tokens));
    let back = json!({ "url": url, "token": TOKEN });
    app.owner.patch(path, "*", &back).await.expect(200);
    assert!(reaches(&app).await, "with a new token");

    for (patch, pointer) in [
        (json!({ "agent_type": "outer" }), "#/agent_type"),
        (
            json!({ "url": "https://10.0.0.1/mcp", "token": null }),
            "#/url",
        ),
        (json!({ "has_token": false }), "#/has_token"),
    ] {
        app.owner
            .patch(path, "*", &patch)
            .await
            .expect_invalid(&[pointer]);
    }
    let built_in = app.owner.patch("/v1/agents/slack", "*", &json!({})).await;
    built_in.expect_problem(404, "not_found");
    let built_in = app
        .owner
        .patch("/v1/agents/messages", "*", &json!({}))
        .await;
    built_in.expect_problem(409, "in_use");
}
