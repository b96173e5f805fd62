//! The tools against the sandbox, over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod guards;
mod invoices;
mod payments;
mod secrets;
mod support;
