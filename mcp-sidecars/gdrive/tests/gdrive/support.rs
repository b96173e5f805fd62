use std::time::Duration;

use clap::Parser;
use event_planner_mcp_gdrive::{Settings, sidecar};
use event_planner_sandbox::{
    Sandbox,
    google::token::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN},
};
use mcp_kit::{Failure, Metrics, testing};
use reqwest::{Client, Method};
use serde_json::{Value, json};

#[derive(Parser)]
struct Wrapped {
    #[command(flatten)]
    own: Settings,
}

pub struct World {
    pub sandbox: Sandbox,
    pub client: testing::Client,
    pub metrics: Metrics,
    token: String,
}

pub fn settings(sandbox: &Sandbox, arguments: &[&str]) -> Settings {
    let google = sandbox.url("google");
    let fixed = [
        "test".to_owned(),
        format!("--google-base-url={google}"),
        format!("--google-token-url={google}/token"),
    ];
    let arguments = arguments.iter().map(|&argument| argument.to_owned());
    Wrapped::try_parse_from(fixed.into_iter().chain(arguments))
        .unwrap()
        .own
}

pub fn credentials() -> Vec<String> {
    vec![
        format!("--google-client-id={CLIENT_ID}"),
        format!("--google-client-secret={CLIENT_SECRET}"),
        format!("--google-refresh-token={REFRESH_TOKEN}"),
    ]
}

/// The sidecar with credentials and these settings, towards a sandbox of its own.
pub async fn world(arguments: &[&str]) -> World {
    with(Sandbox::start().await.unwrap(), arguments).await
}

pub async fn with(sandbox: Sandbox, arguments: &[&str]) -> World {
    let credentials = credentials();
    let all: Vec<&str> = credentials
        .iter()
        .map(String::as_str)
        .chain(arguments.iter().copied())
        .collect();
    let metrics = Metrics::new().unwrap();
    let sidecar = sidecar(&settings(&sandbox, &all), &metrics).unwrap();
    let token = token(&sandbox).await;
    World {
        client: testing::Client::new(sidecar).unwrap(),
        sandbox,
        metrics,
        token,
    }
}

/// A token of the person, for a look at Drive beside the sidecar.
pub async fn token(sandbox: &Sandbox) -> String {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("refresh_token", REFRESH_TOKEN),
    ];
    let answer = Client::new()
        .post(format!("{}/token", sandbox.url("google")))
        .form(&form)
        .send();
    let answer: Value = answer.await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

impl World {
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.client.call(tool, arguments).await.unwrap()
    }

    /// The error's code, message and details.
    pub async fn refused(&self, tool: &str, arguments: Value) -> (&'static str, String, Value) {
        match self.client.call(tool, arguments).await {
            Err(Failure::Tool(error)) => (
                error.code.as_str(),
                error.message.into_owned(),
                error.details.unwrap_or_default(),
            ),
            other => panic!("{other:?}"),
        }
    }

    pub async fn folder(&self, name: &str, parent: Option<&str>) -> String {
        let mut arguments = json!({ "name": name });
        if let Some(parent) = parent {
            arguments["folder_id"] = parent.into();
        }
        id(&self.call("create_folder", arguments).await)
    }

    pub async fn text(&self, name: &str, text: &str, folder: &str) -> String {
        let arguments = json!({ "name": name, "text": text, "folder_id": folder });
        id(&self.call("upload_file", arguments).await)
    }

    /// How many of `kind` Drive has.
    pub async fn count(&self, kind: &str) -> u64 {
        let url = format!(
            "{}/sandbox/counts",
            self.sandbox.url("google").trim_end_matches("/google")
        );
        let counts: Value = Client::new()
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        counts["google"]["drive"][kind].as_u64().unwrap()
    }

    /// Asks Drive itself.
    pub async fn drive(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}/drive/v3/{path}", self.sandbox.url("google"));
        let request = Client::new()
            .request(method, url)
            .bearer_auth(&self.token)
            .json(&body);
        let answer = request
            .timeout(Duration::from_secs(5))
            .send()
            .await
            .unwrap();
        answer.json().await.unwrap()
    }
}

/// The id of what was made.
pub fn id(made: &Value) -> String {
    made["file"]["id"].as_str().unwrap().to_owned()
}
