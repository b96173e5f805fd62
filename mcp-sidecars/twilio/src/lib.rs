//! Twilio as tools: SMS that are sent once, numbers looked up, numbers verified by a code.

mod caps;
mod lookup;
mod message;
mod numbers;
mod once;
mod send;
mod settings;
mod sms;
mod twilio;
mod verify;

use std::sync::Arc;

use mcp_kit::{Metrics, Sidecar, Tools};

pub use settings::Settings;
use twilio::Twilio;

/// The sidecar under these settings.
///
/// # Errors
/// A setting that does not hold, or a secret's file that cannot be read.
pub fn sidecar(settings: &Settings, metrics: &Metrics) -> anyhow::Result<Sidecar> {
    let twilio = Arc::new(Twilio::new(settings, metrics)?);
    let mut tools = Tools::new("twilio", env!("CARGO_PKG_VERSION")).notes(settings.notes());
    tools = send::add(tools, &twilio)?;
    tools = sms::add(tools, &twilio)?;
    tools = lookup::add(tools, &twilio)?;
    tools = verify::add(tools, &twilio)?;
    let secrets = twilio.secrets();
    Ok(Sidecar::new(tools.reading_only(settings.read_only))
        .secrets(secrets)
        .ready_when(move || Arc::clone(&twilio).ready()))
}

/// The time, to the second Twilio keeps it in.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock, compared with Twilio's own"
)]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
