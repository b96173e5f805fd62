//! What holds for a client, on every road.

mod contract;
mod faults;
mod stdio;

use std::{
    net::TcpListener,
    path::PathBuf,
    time::{Duration, Instant},
};

use mcp_kit::{Client, Metrics, Policy, Program, Request, ToolError};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

pub const TOKEN: &str = "full-0123456789-0123456789-0123456789";
pub const READ_TOKEN: &str = "read-0123456789-0123456789-0123456789";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Road {
    Wrapper,
    Mcp,
    Stdio,
}

pub const ROADS: [Road; 3] = [Road::Wrapper, Road::Mcp, Road::Stdio];

/// Cargo builds the examples with the tests, next to them.
pub fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let target = tests.ancestors().nth(2).unwrap();
    target.join("examples").join(name)
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

pub fn policy() -> Policy {
    Policy {
        pause: Duration::from_millis(600),
        response_limit: 256 * 1024,
        patience: Duration::from_millis(50),
        ..Policy::default()
    }
}

/// A server over HTTP, ready to answer; killed when dropped.
pub async fn serve(port: u16) -> Child {
    let metrics_port = free_port();
    let child = Command::new(example("contract"))
        .args(["--listen-addr", &format!("127.0.0.1:{port}")])
        .args(["--metrics-addr", &format!("127.0.0.1:{metrics_port}")])
        .args(["--mcp-tokens", TOKEN, "--mcp-read-tokens", READ_TOKEN])
        .args(["--log-filter", "off", "--rate-limit", "100000"])
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "not up in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child
}

pub fn program() -> Program {
    Program::new(example("contract"), ["--stdio", "--log-filter", "off"])
}

/// A client for what listens there, or for a process of its own.
pub fn client_to(road: Road, port: u16, metrics: &Metrics) -> Client {
    let token = Some(TOKEN.into());
    let base = format!("http://127.0.0.1:{port}");
    match road {
        Road::Wrapper => Client::http("contract", &base, token, policy(), metrics).unwrap(),
        Road::Mcp => {
            let url = format!("{base}/mcp");
            Client::mcp("contract", &url, token, policy(), metrics).unwrap()
        }
        Road::Stdio => Client::stdio("contract", program(), policy(), metrics),
    }
}

/// A client and its server, if that is not started by the client.
pub async fn both(road: Road) -> (Client, Option<Child>) {
    let port = free_port();
    let server = match road {
        Road::Stdio => None,
        Road::Wrapper | Road::Mcp => Some(serve(port).await),
    };
    (client_to(road, port, &Metrics::new().unwrap()), server)
}

pub fn request(tool: &str, arguments: &Value, milliseconds: u64) -> Request {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(milliseconds);
    Request::new(tool, arguments, deadline).unwrap()
}

pub async fn call(client: &Client, tool: &str, arguments: Value) -> Result<Value, ToolError> {
    client.call(&request(tool, &arguments, 10_000)).await
}

pub async fn counts(client: &Client) -> Value {
    call(client, "counts", json!({})).await.unwrap()
}
