//! A language model that proposes steps: a stand-in that speaks both protocols, well and badly.

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use event_planner_api::{
    config,
    orchestrations::{Orchestrations, PlannerKind},
};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::support::TestApp;

/// Answers with this text, in the form of either protocol, if the key is right.
async fn model(text: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let openai =
        async |headers: HeaderMap, State(text): State<String>, Json(asked): Json<Value>| {
            assert_eq!(headers["authorization"], "Bearer model-key");
            assert_eq!(asked["messages"][1]["content"], "Dinner for 12");
            Json(json!({ "choices": [{ "message": { "role": "assistant", "content": text } }] }))
        };
    let anthropic =
        async |headers: HeaderMap, State(text): State<String>, Json(asked): Json<Value>| {
            assert_eq!(headers["x-api-key"], "model-key");
            assert_eq!(asked["messages"][0]["content"], "Dinner for 12");
            Json(json!({ "content": [{ "type": "text", "text": text }] }))
        };
    let router = Router::new()
        .route("/chat/completions", post(openai))
        .route("/v1/messages", post(anthropic))
        .with_state(text.to_owned());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// The run that the API would start for a dinner.
async fn proposed(pool: &PgPool, url: String, kind: PlannerKind) -> Value {
    let config = config::Orchestrations {
        planner_url: Some(url),
        planner_key: Some("model-key".into()),
        planner_model: Some("model-1".into()),
        planner_kind: kind,
        ..config::Orchestrations::default()
    };
    let orchestrations = Orchestrations::from_config(&config).unwrap();
    let app = TestApp::with_orchestrations(pool.clone(), orchestrations).await;
    let body = json!({ "description": "Dinner for 12" });
    let path = "/orchestrate?validate_only=true";
    app.planner.post(path, &body).await.expect(200)
}

const STEPS: &str = r##"Here you are:
```json
{"steps": [{"id": "tell", "agent_type": "messages", "tool": "slack.post_message", "description": "Tell",
  "inputs": {"channel": "#events", "text": "Dinner for ${request.guests}"}, "depends_on": []},
 {"id": "look", "agent_type": "messages", "tool": "slack.list_channels", "description": "Look", "inputs": {}, "depends_on": ["tell"]}]}
```"##;

#[sqlx::test]
async fn what_a_model_proposes_waits_for_approval(pool: PgPool) {
    let url = model(STEPS).await;
    for kind in [PlannerKind::Openai, PlannerKind::Anthropic] {
        let run = proposed(&pool, url.clone(), kind).await;
        assert_eq!(run["playbook"], "planner", "{run}");
        assert_eq!(run["status"], "WAITING");
        assert_eq!(run["subtasks"][0]["approval_role"], "PLANNER");
        assert_eq!(
            run["subtasks"][1]["approval_role"],
            Value::Null,
            "it only reads"
        );
    }
}

#[sqlx::test]
async fn a_model_that_is_away_or_talks_nonsense_is_not_followed(pool: PgPool) {
    let unknown = STEPS.replace("slack.post_message", "rm.all");
    let circle = STEPS.replace(r#""depends_on": []"#, r#""depends_on": ["look"]"#);
    let many = format!(r#"{{"steps": [{}]}}"#, vec!["{}"; 21].join(","));
    for text in ["no JSON", "{}", &unknown, &circle, &many] {
        let run = proposed(&pool, model(text).await, PlannerKind::Openai).await;
        assert_eq!(run["playbook"], "general");
        let note = run["notes"][0].as_str().unwrap();
        assert!(note.contains("was not followed"), "{note}");
    }
    let away = proposed(&pool, "http://127.0.0.1:9".into(), PlannerKind::Openai).await;
    assert_eq!(away["playbook"], "general");
    assert!(!away["notes"].to_string().contains("127.0.0.1"), "{away}");
}
