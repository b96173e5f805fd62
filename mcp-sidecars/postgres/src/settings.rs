//! The settings of this sidecar beside those of the kit.

use std::{num::ParseIntError, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Args;
use secrecy::SecretString;
use uuid::Uuid;

/// What this sidecar can be told.
#[derive(Debug, Clone, Args)]
pub struct PostgresSettings {
    /// The database, as the role `event_planner_reporting`: `postgres://user:password@host/name?sslmode=require`.
    #[arg(long, env, hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub database_url_file: Option<PathBuf>,
    /// The only organization to serve; without it each call names one in `On-Behalf-Of`.
    #[arg(long, env)]
    pub organization_id: Option<Uuid>,
    /// The database holds no other organization: serve it also where `set_config` cannot be taken from everybody, as on
    /// a managed Postgres without a superuser. Elsewhere a query could then look at the others.
    #[arg(long, env, requires = "organization_id")]
    pub only_organization_in_database: bool,
    /// Most connections to the database.
    #[arg(long, env, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub pool_size: u8,
    /// Longest time to wait for a connection, in milliseconds.
    #[arg(long, env, default_value = "1000", value_parser = milliseconds)]
    pub pool_timeout: Duration,
    /// Longest time for one statement, in milliseconds.
    #[arg(long, env, default_value = "2000", value_parser = milliseconds)]
    pub statement_timeout: Duration,
}

impl PostgresSettings {
    /// The address of the database.
    ///
    /// # Errors
    /// There is none, two, or a file that cannot be read.
    pub(crate) fn url(&self) -> anyhow::Result<SecretString> {
        let url = mcp_kit::settings::secret(
            self.database_url.as_ref(),
            self.database_url_file.as_deref(),
        )?;
        url.context("set DATABASE_URL (or DATABASE_URL_FILE) to the database, as the role event_planner_reporting")
    }
}

fn milliseconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        mcp_kit::Cli::<PostgresSettings>::command().debug_assert();
    }
}
