//! A sandbox, and the sidecar pointed at it.

use clap::Parser;
use event_planner_mcp_calendar::{CalendarSettings, sidecar};
use event_planner_sandbox::{
    Fault, Misbehaviour, Provider, Sandbox,
    google::token::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN},
};
use mcp_kit::{Cli, Failure, Metrics, ToolError, testing::Client};
use serde_json::{Value, json};

pub(crate) struct Scene {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: Client,
}

/// The address arguments that point a sidecar at the sandbox.
pub(crate) fn addresses(sandbox: &Sandbox) -> [String; 2] {
    let google = sandbox.url("google");
    [
        format!("--google-base-url={google}"),
        format!("--google-token-url={google}/token"),
    ]
}

pub(crate) fn credentials() -> [String; 3] {
    [
        format!("--google-client-id={CLIENT_ID}"),
        format!("--google-client-secret={CLIENT_SECRET}"),
        format!("--google-refresh-token={REFRESH_TOKEN}"),
    ]
}

pub(crate) fn settings(arguments: &[String]) -> CalendarSettings {
    let first = ["test".to_owned()];
    let all = first.iter().chain(arguments);
    Cli::<CalendarSettings>::try_parse_from(all).unwrap().own
}

pub(crate) fn client(arguments: &[String]) -> Client {
    let metrics = Metrics::new().unwrap();
    Client::new(sidecar(&settings(arguments), &metrics).unwrap()).unwrap()
}

/// A sandbox and a sidecar with its credentials and these arguments.
pub(crate) async fn scene(arguments: &[&str]) -> Scene {
    let sandbox = Sandbox::start().await.unwrap();
    let mut all = [addresses(&sandbox).as_slice(), &credentials()].concat();
    all.extend(arguments.iter().map(|&argument| argument.to_owned()));
    let client = client(&all);
    Scene { sandbox, client }
}

impl Scene {
    pub(crate) async fn ok(&self, tool: &str, arguments: Value) -> Value {
        self.client.call(tool, arguments).await.unwrap()
    }

    pub(crate) async fn error(&self, tool: &str, arguments: Value) -> ToolError {
        refusal(self.client.call(tool, arguments).await)
    }

    /// A dinner with that key.
    pub(crate) async fn dinner(&self, key: &str) -> Value {
        self.ok("create_event", dinner(key)).await["event"].clone()
    }

    /// What the sandbox counts of Calendar.
    pub(crate) async fn counts(&self) -> Value {
        let url = format!("{}/counts", self.sandbox.url("sandbox"));
        let counts: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        counts["google"]["calendar"].clone()
    }

    pub(crate) fn arrived(&self, method: &str, path: &str) -> usize {
        let arrived = self.sandbox.arrived(Provider::Google);
        let hits = |entry: &&event_planner_sandbox::Entry| {
            entry.method == method && entry.path.contains(path)
        };
        arrived.iter().filter(hits).count()
    }

    pub(crate) fn misbehave(&self, misbehaviour: Misbehaviour, method: &str) -> Misbehaving<'_> {
        Misbehaving {
            scene: self,
            fault: Fault::new(Provider::Google, misbehaviour).on(method, "/calendar/"),
        }
    }
}

/// A switch that is not on yet.
pub(crate) struct Misbehaving<'a> {
    scene: &'a Scene,
    fault: Fault,
}

impl Misbehaving<'_> {
    pub(crate) fn always(self) {
        self.scene.sandbox.misbehave(self.fault);
    }

    pub(crate) fn before(self, times: u32) {
        self.scene.sandbox.misbehave(self.fault.times(times));
    }

    pub(crate) fn after(self, times: u32) {
        self.scene
            .sandbox
            .misbehave(self.fault.times(times).after());
    }
}

pub(crate) fn dinner(key: &str) -> Value {
    json!({
        "idempotency_key": key, "title": "Dinner", "time_zone": "Europe/Zurich",
        "start": "2027-06-12T18:00", "end": "2027-06-12T22:00",
    })
}

/// The same arguments with others beside them.
pub(crate) fn and(mut arguments: Value, more: Value) -> Value {
    let (Value::Object(held), Value::Object(more)) = (&mut arguments, more) else {
        panic!("two objects");
    };
    held.extend(more);
    arguments
}

pub(crate) fn refusal(answer: Result<Value, Failure>) -> ToolError {
    match answer.unwrap_err() {
        Failure::Tool(error) => error,
        other => panic!("{other:?}"),
    }
}
