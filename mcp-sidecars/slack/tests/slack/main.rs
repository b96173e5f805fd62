//! The sidecar against the sandbox, over real HTTP.

mod channels;
mod faults;
mod messages;
mod process;
mod settings;
mod support;
mod uploads;
