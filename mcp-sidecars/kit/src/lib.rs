//! What every MCP sidecar of Event Planner has in common, so that a sidecar is its settings and its tools.
//!
//! A tool is registered once and reachable by MCP (Streamable HTTP and standard input) and by a plain HTTP wrapper,
//! always behind the same guard. A sidecar in 30 lines:
//!
//! ```
//! use mcp_kit::{Call, Cli, NoSettings, Sidecar, Tool, ToolError, Tools};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use validator::Validate;
//!
//! #[derive(Deserialize, JsonSchema, Validate)]
//! #[serde(deny_unknown_fields)]
//! struct Greet {
//!     /// Whom to greet.
//!     #[validate(length(min = 1, max = 80))]
//!     name: String,
//! }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Greeting {
//!     text: String,
//! }
//!
//! async fn greet(_call: Call, arguments: Greet) -> Result<Greeting, ToolError> {
//!     Ok(Greeting { text: format!("Hello, {}!", arguments.name) })
//! }
//!
//! fn tools() -> anyhow::Result<Tools> {
//!     Tools::new("greeter", "1.0.0").with(Tool::new("greet", "Greets a person by name.", greet).read_only())
//! }
//!
//! async fn start(cli: Cli<NoSettings>) -> std::process::ExitCode {
//!     mcp_kit::run(cli, async |_own, _metrics| Ok(Sidecar::new(tools()?))).await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! let client = mcp_kit::testing::Client::new(Sidecar::new(tools()?))?;
//! let answer = client.call("greet", serde_json::json!({ "name": "Ada" })).await;
//! assert_eq!(answer.ok(), Some(serde_json::json!({ "text": "Hello, Ada!" })));
//! assert!(client.call("greet", serde_json::json!({ "name": "" })).await.is_err());
//! # let _ = start;
//! # Ok(())
//! # }
//! ```

pub mod auth;
pub mod call;
pub mod client;
pub mod content;
pub mod error;
pub mod metrics;
pub mod page;
pub mod provider;
pub mod redact;
pub mod settings;
pub mod shares;
pub mod sidecar;
pub mod testing;
pub mod tool;
pub mod tools;

mod arguments;
mod entry;
mod guard;
mod http;
mod http_content;
mod limits;
mod mcp;
mod meta;
mod problem;
mod ready;
mod record;
mod schema;
mod serve;
mod telemetry;
mod unique;

pub use auth::{Account, Caller};
pub use call::{Call, Conversation, Road};
pub use client::{Client, Program, Request};
pub use content::{Content, Download};
pub use error::{Code, Failure, ToolError};
pub use metrics::Metrics;
pub use page::{Limit, Page};
pub use provider::{Incoming, Outgoing, Policy, Provider, Reply};
pub use serve::run;
pub use settings::{Cli, NoSettings, Settings};
pub use shares::Shares;
pub use sidecar::{NoExtras, Service, Sidecar};
pub use tool::{NoArguments, Tool};
pub use tools::Tools;

/// What a listed tool says of its effects.
pub use rmcp::model::ToolAnnotations;
