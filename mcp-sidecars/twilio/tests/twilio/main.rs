//! The sidecar's tools against the sandbox, over real HTTP.

mod bad_days;
mod process;
mod support;
mod tools;
mod verification;
