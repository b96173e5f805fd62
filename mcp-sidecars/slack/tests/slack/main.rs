//! The sidecar against the sandbox, over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod channels;
mod faults;
mod messages;
mod process;
mod settings;
mod support;
mod uploads;
