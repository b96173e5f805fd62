//! The kit, seen from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod content;
mod guard;
mod hostile;
mod mcp;
mod process;
mod provider;
mod support;
mod wrapper;
