//! The commands that are not `serve`.

use std::time::Duration;

use anyhow::Context;
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection};

use crate::{
    config::{Healthcheck, Migrate},
};

/// The migrations, in the binary.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Brings the database to this version's schema.
pub async fn migrate(config: &Migrate) -> anyhow::Result<()> {
    let url = config.url()?;
    let connected = PgConnection::connect(url.expose_secret()).await;
    let mut connection = connected.context("connect to Postgres (DATABASE_OWNER_URL)")?;
    MIGRATIONS.run(&mut connection).await.context("migrate")?;
    tracing::info!(migrations = MIGRATIONS.iter().count(), "the database is up to date");
    Ok(())
}

/// Asks a running server whether it is ready.
pub async fn healthcheck(config: &Healthcheck) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).build()?;
    let answer = client.get(&config.healthcheck_url).send().await;
    let answer = answer.with_context(|| format!("no answer from {}", config.healthcheck_url))?;
    anyhow::ensure!(answer.status().is_success(), "{} answers {}", config.healthcheck_url, answer.status());
    Ok(())
}
pub async fn seed(_c: &crate::config::Seed) -> anyhow::Result<String> { Ok(String::new()) }
pub async fn run(_c: &crate::config::Admin) -> anyhow::Result<String> { Ok(String::new()) }
