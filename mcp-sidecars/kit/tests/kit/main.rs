//! The kit, seen from outside.

mod guard;
mod hostile;
mod mcp;
mod provider;
mod support;
mod wrapper;
