//! The sidecar before a real Postgres, whose superuser `DATABASE_URL` names.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cancel;
mod honest;
mod hostile;
mod http;
mod list;
mod memory;
mod resources;
mod roles;
mod state;
mod tools;
mod values;
mod world;
