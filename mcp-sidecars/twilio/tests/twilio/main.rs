//! The sidecar's tools against the sandbox, over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_days;
mod process;
mod support;
mod tools;
mod verification;
