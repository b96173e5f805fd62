//! SQL for assistants and analysts, over the reporting views of one organization, that cannot be abused.
//!
//! Five layers, each enough for what it stops: one statement of the extended protocol; a cursor in a READ ONLY
//! transaction; a role that sees views only; dangerous functions taken from everybody; caps on rows, bytes and time.
//! The README beside this crate says which is where.

mod capped;
mod connect;
mod errors;
mod literals;
mod params;
mod pool;
mod read;
mod resources;
mod schema;
mod self_check;
mod settings;
mod tools;
mod values;

#[cfg(test)]
mod guard_alone;

use std::sync::Arc;

use mcp_kit::Sidecar;
use rmcp::ServerHandler;

pub use settings::PostgresSettings;

use crate::{connect::Target, pool::Pool, resources::Resources, tools::Desk};

/// The sidecar, put together but for what all sidecars share. The database may be away: it is asked when it is needed.
///
/// # Errors
/// No usable `DATABASE_URL`.
pub fn sidecar(settings: &PostgresSettings) -> anyhow::Result<Sidecar<impl ServerHandler + use<>>> {
    let url = settings.url()?;
    let pool = Arc::new(Pool::new(Target::new(&url, settings)?, settings));
    let desk = Desk {
        pool: Arc::clone(&pool),
        organization: settings.organization_id,
    };
    let checked = Arc::clone(&pool);
    Ok(Sidecar::new(tools::tools(desk, settings)?)
        .secrets([url])
        .ready_when(move || {
            let pool = Arc::clone(&checked);
            async move { pool.check().await }
        })
        .extras(Resources { pool }))
}
