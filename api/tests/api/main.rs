//! The API as its clients see it: the real router, a real Postgres for each test, a real Redis.

mod access;
mod support;
