//! The smallest sidecar: one tool, all roads.

use std::{process::ExitCode, time::Duration};

use mcp_kit::{Call, Cli, NoSettings, Sidecar, Tool, ToolError, Tools};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use validator::Validate;

#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Greet {
    /// Whom to greet.
    #[validate(length(min = 1, max = 80))]
    name: String,
    /// How long to think first, in milliseconds.
    #[serde(default)]
    #[validate(range(max = 10_000))]
    delay_ms: u64,
}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    text: String,
}

async fn greet(_: Call, arguments: Greet) -> Result<Greeting, ToolError> {
    tokio::time::sleep(Duration::from_millis(arguments.delay_ms)).await;
    let text = format!("Hello, {}!", arguments.name);
    Ok(Greeting { text })
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::<NoSettings>::parse_as(env!("CARGO_BIN_NAME"), "Greets people");
    mcp_kit::run(cli, async |_, _| {
        let greet = Tool::new("greet", "Greets a person by name.", greet).read_only();
        let tools = Tools::new("greeter", env!("CARGO_PKG_VERSION")).with(greet)?;
        Ok(Sidecar::new(tools))
    })
    .await
}
