//! The sidecar against the sandbox, over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_days;
mod large;
mod process;
mod secrets;
mod streams;
mod support;
mod tools;
