//! The sidecar against the sandbox, over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod events;
mod faults;
mod process;
mod reading;
mod support;
