//! The API as its clients see it: the real router, a real Postgres for each test, a real Redis.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod access;
mod agents;
mod blocked_dates;
mod booking_run;
mod bookings;
mod calendar;
mod caterers;
mod changes;
mod database;
mod documents;
mod durability;
mod events;
mod health;
mod ics;
mod import;
mod insights;
mod integrations;
mod jobs;
mod messages;
mod notifications;
mod openapi;
mod orchestrations;
mod outbound;
mod payments;
mod permissions;
mod planner;
mod plans;
mod playbooks;
mod providers;
mod queries;
mod redis;
mod reminders;
mod reschedule;
mod scene;
mod secrets;
mod sidecars;
mod support;
mod tasks;
mod venues;
mod webhooks;
mod webhooks_in;
