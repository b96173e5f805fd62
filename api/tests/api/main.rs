//! The API as its clients see it: the real router, a real Postgres for each test, a real Redis.

mod access;
mod bookings;
mod database;
mod durability;
mod events;
mod health;
mod openapi;
mod permissions;
mod plans;
mod queries;
mod scene;
mod support;
