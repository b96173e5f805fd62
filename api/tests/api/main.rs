//! The API as its clients see it: the real router, a real Postgres for each test, a real Redis.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod access;
mod blocked_dates;
mod bookings;
mod caterers;
mod changes;
mod database;
mod durability;
mod events;
mod health;
mod import;
mod insights;
mod jobs;
mod notifications;
mod openapi;
mod outbound;
mod permissions;
mod plans;
mod providers;
mod queries;
mod scene;
mod sidecars;
mod support;
mod venues;
mod webhooks;
