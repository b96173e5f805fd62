//! What all providers share: switches, journal, limits, unknown paths, the page. Tried on Twilio, over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use event_planner_sandbox::{Fault, Misbehaviour, Provider, Sandbox};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

const ACCOUNT: &str = "ACsandbox0000000000000000000000000";
const AUTH_TOKEN: &str = "sandbox-twilio-auth-token-no-secret";

struct Scene {
    sandbox: Sandbox,
    client: Client,
    base: String,
}

impl Scene {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start().await.unwrap();
        let base = sandbox.url("").trim_end_matches('/').to_owned();
        let client = Client::builder().no_proxy().build().unwrap();
        Self {
            sandbox,
            client,
            base,
        }
    }

    async fn send(&self) -> reqwest::Result<Response> {
        let path = format!(
            "{}/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
            self.base
        );
        let fields = [
            ("To", "+14155550100"),
            ("From", "+15005550006"),
            ("Body", "Hello"),
        ];
        let request = self.client.post(path).form(&fields);
        request.basic_auth(ACCOUNT, Some(AUTH_TOKEN)).send().await
    }

    async fn switch(&self, fault: Value) -> (StatusCode, String) {
        let url = format!("{}/sandbox/faults", self.base);
        let answer = self.client.post(url).json(&fault).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self
            .client
            .get(format!("{}{path}", self.base))
            .send()
            .await
            .unwrap();
        answer.json().await.unwrap()
    }

    async fn messages(&self) -> u64 {
        self.get("/sandbox/counts").await["twilio"]["messages"]
            .as_u64()
            .unwrap()
    }
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_again_and_a_counted_switch_is_used_up() {
    let scene = Scene::new().await;
    let fault =
        json!({ "provider": "twilio", "kind": "rate_limited", "retry_after": 7, "times": 2 });
    assert_eq!(scene.switch(fault).await.0, StatusCode::CREATED);
    for _ in 0..2 {
        let answer = scene.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()["retry-after"], "7");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], 20429);
    }
    assert_eq!(scene.send().await.unwrap().status(), StatusCode::CREATED);
    assert_eq!(scene.messages().await, 1);
    assert_eq!(scene.get("/sandbox/faults").await, json!([]));
}

#[tokio::test]
async fn errors_garbage_and_expired_tokens_are_answered_without_an_effect() {
    let scene = Scene::new().await;
    let kinds = [
        (json!({ "kind": "error", "status": 503 }), 503),
        (json!({ "kind": "expired_token" }), 401),
        (json!({ "kind": "garbage" }), 200),
    ];
    for (mut fault, status) in kinds {
        fault["provider"] = "twilio".into();
        fault["times"] = 1.into();
        scene.switch(fault).await;
        let answer = scene.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        let text = answer.text().await.unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&text).is_err(),
            status == 200,
            "{text}"
        );
    }
    assert_eq!(scene.messages().await, 0);
}

#[tokio::test]
async fn a_connection_is_cut_before_or_after_the_effect() {
    let scene = Scene::new().await;
    let cut = || Fault::new(Provider::Twilio, Misbehaviour::Cut).times(1);
    scene.sandbox.misbehave(cut());
    assert!(scene.send().await.is_err());
    assert_eq!(scene.messages().await, 0);
    scene.sandbox.misbehave(cut().after());
    assert!(scene.send().await.is_err());
    assert_eq!(scene.messages().await, 1);
    let arrived = scene.sandbox.arrived(Provider::Twilio);
    assert!(
        arrived.len() == 2 && arrived.iter().all(|entry| entry.status.is_none()),
        "{arrived:?}"
    );
}

#[tokio::test]
async fn an_answer_is_late_before_or_after_the_effect() {
    let scene = Scene::new().await;
    let late = Misbehaviour::Latency { milliseconds: 400 };
    for after in [false, true] {
        let fault = Fault::new(Provider::Twilio, late.clone()).times(1);
        scene
            .sandbox
            .misbehave(if after { fault.after() } else { fault });
        let begun = Instant::now();
        let (answer, done_by_then) = tokio::join!(scene.send(), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            scene.messages().await
        });
        assert_eq!(answer.unwrap().status(), StatusCode::CREATED);
        assert!(begun.elapsed() >= Duration::from_millis(400));
        // The first message is there by the second round.
        assert_eq!(done_by_then, if after { 2 } else { 0 });
    }
}

#[tokio::test]
async fn a_switch_is_for_one_provider_method_and_path() {
    let scene = Scene::new().await;
    let error = || Misbehaviour::Error { status: 500 };
    let elsewhere = [
        Fault::new(Provider::Stripe, error()),
        Fault::new(Provider::Twilio, error()).on("GET", "/Messages.json"),
        Fault::new(Provider::Twilio, error()).on("POST", "/Calls.json"),
    ];
    for fault in elsewhere {
        scene.sandbox.misbehave(fault);
    }
    assert_eq!(scene.send().await.unwrap().status(), StatusCode::CREATED);
    scene
        .sandbox
        .misbehave(Fault::new(Provider::Twilio, error()).on("post", "/Messages.json"));
    assert_eq!(
        scene.send().await.unwrap().status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
    let url = format!("{}/sandbox/faults", scene.base);
    scene.client.delete(url).send().await.unwrap();
    assert_eq!(scene.send().await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_wrong_switch_is_refused_in_words() {
    let scene = Scene::new().await;
    let wrong = [
        (
            json!({ "provider": "twilio", "kind": "latency" }),
            "latency takes `milliseconds`",
        ),
        (
            json!({ "provider": "twilio", "kind": "rate_limited", "status": 1 }),
            "`retry_after` in seconds",
        ),
        (
            json!({ "provider": "twilio", "kind": "error", "status": 200 }),
            "from 400 to 599",
        ),
        (
            json!({ "provider": "twilio", "kind": "cut", "status": 500 }),
            "takes neither",
        ),
        (
            json!({ "provider": "twilio", "kind": "cut", "times": 0 }),
            "at least 1",
        ),
        (
            json!({ "provider": "twilio", "kind": "flood" }),
            "unknown variant `flood`",
        ),
        (
            json!({ "provider": "nobody", "kind": "cut" }),
            "unknown variant `nobody`",
        ),
        (
            json!({ "provider": "twilio", "kind": "cut", "afterwards": true }),
            "unknown field `afterwards`",
        ),
    ];
    for (fault, words) in wrong {
        let (status, text) = scene.switch(fault).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{text}");
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(scene.get("/sandbox/faults").await, json!([]));
}

#[tokio::test]
async fn a_switch_reads_back_as_it_was_written() {
    let scene = Scene::new().await;
    let fault = json!({ "provider": "slack", "method": "POST", "path": "/chat", "kind": "latency", "milliseconds": 5, "after": true, "times": 3 });
    scene.switch(fault.clone()).await;
    let listed = scene.get("/sandbox/faults").await;
    assert_eq!(listed, json!([fault]));
    assert_eq!(scene.switch(listed[0].clone()).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn the_journal_knows_requests_and_no_credential() {
    let scene = Scene::new().await;
    scene.send().await.unwrap();
    let canary = "canary-5f0c";
    let url = format!("{}/twilio/nowhere?token={canary}", scene.base);
    let request = scene
        .client
        .get(url)
        .basic_auth(ACCOUNT, Some(canary))
        .bearer_auth(canary);
    request
        .header("x-canary", canary)
        .body(canary)
        .send()
        .await
        .unwrap();
    let journal = scene.get("/sandbox/journal").await;
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    assert_eq!(
        (
            &journal[0]["method"],
            &journal[0]["path"],
            &journal[0]["status"]
        ),
        (&json!("POST"), &json!(path), &json!(201))
    );
    assert_eq!(
        (&journal[1]["path"], &journal[1]["status"]),
        (&json!("/nowhere"), &json!(404))
    );
    let text = journal.to_string();
    assert!(
        !text.contains(canary) && !text.contains(AUTH_TOKEN),
        "{text}"
    );
    assert_eq!(scene.get("/sandbox/counts").await["requests"]["twilio"], 2);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_in_the_providers_shape() {
    let scene = Scene::new().await;
    let unknown = scene
        .client
        .get(format!("{}/twilio/2010-04-01/Cows.json", scene.base));
    let answer = unknown.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], 20404);
    let path = format!("/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    let wrong = scene.client.put(format!("{}{path}", scene.base));
    let answer = wrong
        .basic_auth(ACCOUNT, Some(AUTH_TOKEN))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], 20004);
    for provider in ["google", "slack", "stripe"] {
        let url = format!("{}/{provider}/no/such/thing", scene.base);
        let answer = scene.client.get(url).send().await.unwrap();
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            kind.starts_with("application/json"),
            "{provider} answers {kind}"
        );
    }
}

#[tokio::test]
async fn a_body_without_end_is_not_read_to_its_end() {
    let scene = Scene::new().await;
    let path = format!("/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    let chunk = vec![b'x'; 1024 * 1024];
    let endless = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
    let request = scene
        .client
        .post(format!("{}{path}", scene.base))
        .basic_auth(ACCOUNT, Some(AUTH_TOKEN))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(reqwest::Body::wrap_stream(endless))
        .timeout(Duration::from_secs(20));
    // Refused, or cut off while we still write: but not for lack of patience, and nothing is sent.
    match request.send().await {
        Ok(answer) => assert!(answer.status().is_client_error(), "{answer:?}"),
        Err(error) => assert!(!error.is_timeout(), "{error:?}"),
    }
    assert_eq!(scene.messages().await, 0);
}

#[tokio::test]
async fn a_reset_forgets_everything() {
    let scene = Scene::new().await;
    scene.send().await.unwrap();
    let cut = Fault::new(Provider::Twilio, Misbehaviour::Cut);
    scene.sandbox.misbehave(cut);
    let url = format!("{}/sandbox/reset", scene.base);
    let answer = scene.client.post(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(scene.messages().await, 0);
    assert_eq!(scene.get("/sandbox/journal").await, json!([]));
    assert_eq!(scene.send().await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn text_on_the_page_is_text() {
    let scene = Scene::new().await;
    let inbound =
        json!({ "from": "+14155550100", "body": "<script>alert(1)</script><img src=x onerror=y>" });
    let url = format!("{}/sandbox/twilio/inbound", scene.base);
    scene.client.post(url).json(&inbound).send().await.unwrap();
    let url = format!("{}/sandbox/views/twilio", scene.base);
    let answer = scene.client.get(url).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("alert(1)") && !text.contains("<script") && !text.contains("<img"),
        "{text}"
    );
}
