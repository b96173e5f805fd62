//! The tools against the sandbox, over real HTTP.

mod faults;
mod guards;
mod invoices;
mod payments;
mod secrets;
mod support;
