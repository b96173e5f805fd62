//! A sandbox with the sidecar before it.

use std::time::{Duration, Instant};

use clap::Parser;
use event_planner_sandbox::{Fault, Misbehaviour, Provider, Sandbox};
use mcp_kit::{Cli, Code, Failure, Metrics, ToolError, testing::Client};
use mcp_twilio::Settings;
use serde_json::{Value, json};

pub(crate) const ACCOUNT: &str = "ACsandbox0000000000000000000000000";
pub(crate) const AUTH_TOKEN: &str = "sandbox-twilio-auth-token-no-secret";
pub(crate) const MESSAGING_SERVICE: &str = "MGsandbox0000000000000000000000000";
pub(crate) const VERIFY_SERVICE: &str = "VAsandbox0000000000000000000000000";
pub(crate) const OURS: &str = "+15005550006";
pub(crate) const ADA: &str = "+14155550100";

pub(crate) struct Scene {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: Client,
}

/// The settings that lead to the sandbox.
pub(crate) fn addresses(sandbox: &Sandbox) -> Vec<String> {
    let url = sandbox.url("twilio");
    vec![
        format!("--twilio-base-url={url}"),
        format!("--twilio-lookups-base-url={url}/lookups"),
        format!("--twilio-verify-base-url={url}/verify"),
    ]
}

/// And those that make use of it.
pub(crate) fn credentials() -> Vec<String> {
    vec![
        format!("--twilio-account-sid={ACCOUNT}"),
        format!("--twilio-auth-token={AUTH_TOKEN}"),
        format!("--twilio-senders={OURS},{MESSAGING_SERVICE}"),
        format!("--twilio-verify-service-sid={VERIFY_SERVICE}"),
    ]
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let own: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Self::bare(&[credentials(), own].concat()).await
    }

    pub(crate) async fn bare(arguments: &[String]) -> Self {
        let sandbox = Sandbox::start().await.unwrap();
        let client = client(&sandbox, arguments);
        Self { sandbox, client }
    }

    pub(crate) fn misbehave(&self, fault: Misbehaviour) -> Switch<'_> {
        Switch {
            scene: self,
            fault: Fault::new(Provider::Twilio, fault).times(1),
        }
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.client.call(tool, arguments).await.unwrap()
    }

    pub(crate) async fn refused(&self, tool: &str, arguments: Value) -> ToolError {
        error(self.client.call(tool, arguments).await)
    }

    pub(crate) async fn count(&self, thing: &str) -> u64 {
        let url = self.sandbox.url("sandbox/counts");
        let counts: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        counts["twilio"][thing].as_u64().unwrap()
    }

    /// The body of what `GET` answers below the sandbox's address.
    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = reqwest::get(self.sandbox.url(path)).await.unwrap();
        answer.text().await.unwrap()
    }

    pub(crate) async fn until(&self, id: &str, status: &str) -> Value {
        let begun = Instant::now();
        loop {
            let message = self.call("get_message", json!({ "message_id": id })).await;
            if message["status"] == status {
                return message;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "never {status}: {message}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A switch of the sandbox that is used once.
pub(crate) struct Switch<'a> {
    scene: &'a Scene,
    fault: Fault,
}

impl Switch<'_> {
    pub(crate) fn times(mut self, times: u32) -> Self {
        self.fault = self.fault.times(times);
        self
    }

    pub(crate) fn before(self, method: &str, path: &str) {
        self.scene.sandbox.misbehave(self.fault.on(method, path));
    }

    pub(crate) fn after(self, method: &str, path: &str) {
        let fault = self.fault.on(method, path).after();
        self.scene.sandbox.misbehave(fault);
    }
}

/// Another process of the sidecar at the same sandbox.
pub(crate) fn client(sandbox: &Sandbox, arguments: &[String]) -> Client {
    let arguments = [vec!["x".to_owned()], addresses(sandbox), arguments.to_vec()].concat();
    let settings = Cli::<Settings>::parse_from(arguments).own;
    let metrics = Metrics::new().unwrap();
    Client::new(mcp_twilio::sidecar(&settings, &metrics).unwrap()).unwrap()
}

pub(crate) fn error(ended: Result<Value, Failure>) -> ToolError {
    match ended {
        Err(Failure::Tool(error)) => error,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn sms(key: &str) -> Value {
    json!({ "to": ADA, "body": "Doors open at six.", "idempotency_key": key })
}

/// The same arguments with some more.
pub(crate) fn and(mut arguments: Value, more: Value) -> Value {
    let (Value::Object(all), Value::Object(more)) = (&mut arguments, more) else {
        panic!("objects");
    };
    all.extend(more);
    arguments
}

pub(crate) fn code(error: &ToolError) -> (Code, Value) {
    let details = error.details.clone().unwrap_or_default();
    (error.code, details["provider_code"].clone())
}
