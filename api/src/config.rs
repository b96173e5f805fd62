//! Every setting, once: arguments of the command line, each also an environment variable.
//! Nothing else reads the environment.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

mod delivery;
mod integrations;
mod orchestrations;
mod payments;
mod sidecars;
pub use delivery::Delivery;
pub use integrations::{IntegrationKeys, Integrations, OAuthClient};
pub use orchestrations::Orchestrations;
pub use payments::Payments;
pub use sidecars::{Place, Sidecars};

/// The event API of Event Planner.
#[derive(Debug, Parser)]
#[command(name = "event-planner-api", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub log: Log,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the REST API until SIGTERM or Ctrl-C.
    Serve(Box<Serve>),
    /// Do the work that requests leave behind, such as messages and webhooks, until SIGTERM or Ctrl-C.
    Worker(Box<Worker>),
    /// Bring the database to the schema of this version (forward only; run it before `serve`).
    Migrate(Migrate),
    /// Load the demo organization with its catalogue; done again, it changes nothing.
    Seed(Seed),
    /// Print the OpenAPI document.
    Openapi,
    /// Ask a running server whether it is ready; exit code 0 means yes.
    Healthcheck(Healthcheck),
    /// Operators' tasks that need no running server.
    Admin(Admin),
}

#[derive(Debug, Clone, Args)]
pub struct Log {
    /// How log lines look.
    #[arg(long, env, value_enum, default_value_t = LogFormat::Json, global = true)]
    pub log_format: LogFormat,
    /// What is logged, in tracing's filter language.
    #[arg(long, env, default_value = "info,sqlx=warn,hyper=warn", global = true)]
    pub log_filter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Json,
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AppEnv {
    Development,
    Production,
}

#[derive(Debug, Clone, Args)]
pub struct Database {
    /// Address of Postgres, as the role `event_planner_app`.
    #[arg(long, env, hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub database_url_file: Option<PathBuf>,
    /// Connections kept to Postgres.
    #[arg(long, env, default_value_t = 16)]
    pub database_connections: u32,
}

#[derive(Debug, Clone, Args)]
pub struct Serve {
    #[command(flatten)]
    pub database: Database,
    /// Address of Redis (`rediss://` with TLS); without it each process counts its own rate limits.
    #[arg(long, env, hide_env_values = true)]
    pub redis_url: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub redis_url_file: Option<PathBuf>,
    /// In production, unsafe settings are refused.
    #[arg(long, env, value_enum, default_value_t = AppEnv::Production)]
    pub app_env: AppEnv,
    /// Where the API listens.
    #[arg(long, env, default_value = "127.0.0.1:8000")]
    pub listen_addr: SocketAddr,
    /// Where `/metrics` listens; keep it unpublished.
    #[arg(long, env, default_value = "127.0.0.1:9100")]
    pub metrics_addr: SocketAddr,
    /// How clients reach us, without a slash at the end.
    #[arg(long, env, default_value = "http://127.0.0.1:8000")]
    pub public_base_url: String,
    /// The token of our own services (gateway, worker): at least 32 bytes. Without it there is none.
    #[arg(long, env, hide_env_values = true)]
    pub service_auth_token: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub service_auth_token_file: Option<PathBuf>,
    #[command(flatten)]
    pub sidecars: Sidecars,
    #[command(flatten)]
    pub delivery: Delivery,
    #[command(flatten)]
    pub integrations: Integrations,
    #[command(flatten)]
    pub orchestrations: Orchestrations,
    /// Networks that webhooks may be sent to though they are not public, also without TLS, such as
    /// `127.0.0.0/8,172.16.0.0/12`; for development. None when left out.
    #[arg(long, env, value_delimiter = ',')]
    pub webhook_allowed_networks: Vec<ipnet::IpNet>,
    /// Take the client's address from the last entry of `X-Forwarded-For`: only behind our proxy.
    #[arg(long, env)]
    pub trust_forwarded_for: bool,
    /// Longest time for one answer, in seconds.
    #[arg(long, env, default_value = "15", value_parser = seconds)]
    pub request_timeout: Duration,
    /// Largest request body, in bytes (an import may be ten times as large).
    #[arg(long, env, default_value_t = 1024 * 1024)]
    pub body_limit: usize,
    /// Requests worked on at once; more are refused with 503.
    #[arg(long, env, default_value_t = 512)]
    pub max_in_flight: usize,
    /// Requests a minute for each API key, or address without one.
    #[arg(long, env, default_value_t = 600)]
    pub rate_limit: u32,
    /// Insights queries a minute for each organization.
    #[arg(long, env, default_value_t = 60)]
    pub insights_rate_limit: u32,
    /// How long a plan's prices are held, in seconds.
    #[arg(long, env, default_value = "3600", value_parser = seconds)]
    pub plan_ttl: Duration,
    /// How long a booking is held before it must be confirmed, in seconds.
    #[arg(long, env, default_value = "172800", value_parser = seconds)]
    pub hold_ttl: Duration,
    #[command(flatten)]
    pub payments: Payments,
    /// How long `/ready` says no before connections are closed, so that proxies look away, in seconds.
    #[arg(long, env, default_value = "0", value_parser = seconds)]
    pub drain_delay: Duration,
    /// How long running requests may take to end on shutdown, in seconds.
    #[arg(long, env, default_value = "20", value_parser = seconds)]
    pub drain_timeout: Duration,
}

#[derive(Debug, Clone, Args)]
pub struct Worker {
    /// `LISTEN_ADDR` answers `/health` and `/ready` only.
    #[command(flatten)]
    pub serve: Serve,
    /// Jobs at once.
    #[arg(long, env, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub worker_concurrency: u16,
}

#[derive(Debug, Args)]
pub struct Migrate {
    /// Address of Postgres as the owner of the schema (may create roles and extensions).
    #[arg(long, env, hide_env_values = true)]
    pub database_owner_url: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub database_owner_url_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Seed {
    #[command(flatten)]
    pub database: Database,
    /// The API key that the demo organization's owner gets; made and printed when not given.
    #[arg(long, env, hide_env_values = true)]
    pub demo_api_key: Option<SecretString>,
}

#[derive(Debug, Args)]
pub struct Healthcheck {
    /// The address to ask.
    #[arg(long, env, default_value = "http://127.0.0.1:8000/ready")]
    pub healthcheck_url: String,
}

#[derive(Debug, Args)]
pub struct Admin {
    #[command(flatten)]
    pub database: Database,
    #[command(subcommand)]
    pub task: AdminTask,
}

#[derive(Debug, Subcommand)]
pub enum AdminTask {
    /// Create an organization with its first owner, and print the owner's API key (once).
    CreateOrganization {
        #[arg(long)]
        name: String,
        #[arg(long)]
        owner_name: String,
        #[arg(long)]
        owner_email: String,
    },
    /// Make a new API key for a member, and print it (once).
    CreateApiKey {
        #[arg(long)]
        organization_id: Uuid,
        #[arg(long)]
        member_id: Uuid,
        /// What the key is for.
        #[arg(long)]
        name: String,
    },
    /// Let a restored copy of the database send messages, webhooks and payments from now on. Until then its workers do
    /// nothing, because the original has sent them already.
    ReleaseDeliveries,
    /// Seal tokens of accounts and agents and secrets of webhooks under the newest key, so that older ones can be taken away, and
    /// what was stored before there were keys. Stopped in between, it goes on when it is run again.
    RotateIntegrationKeys {
        #[command(flatten)]
        keys: IntegrationKeys,
    },
}

impl Database {
    pub fn url(&self) -> anyhow::Result<SecretString> {
        secret(self.database_url.as_ref(), self.database_url_file.as_ref())?
            .context("set DATABASE_URL (or DATABASE_URL_FILE) to the address of Postgres")
    }
}

impl Migrate {
    pub fn url(&self) -> anyhow::Result<SecretString> {
        secret(
            self.database_owner_url.as_ref(),
            self.database_owner_url_file.as_ref(),
        )?
        .context("set DATABASE_OWNER_URL (or DATABASE_OWNER_URL_FILE) to the address of Postgres")
    }
}

impl Serve {
    pub fn redis_url(&self) -> anyhow::Result<Option<SecretString>> {
        secret(self.redis_url.as_ref(), self.redis_url_file.as_ref())
    }

    /// The service token. Production refuses one that is short or looks like an example.
    pub fn service_auth_token(&self) -> anyhow::Result<Option<SecretString>> {
        let token = secret(
            self.service_auth_token.as_ref(),
            self.service_auth_token_file.as_ref(),
        )?;
        if let (Some(token), AppEnv::Production) = (&token, self.app_env) {
            refuse_weak(token.expose_secret())?;
        }
        Ok(token)
    }
}

fn refuse_weak(token: &str) -> anyhow::Result<()> {
    let telling = [
        "example", "change", "secret", "token", "password", "test", "dev-",
    ];
    let lower = token.to_lowercase();
    let distinct = token
        .bytes()
        .collect::<std::collections::HashSet<_>>()
        .len();
    if token.len() < 32 || distinct < 10 || telling.iter().any(|word| lower.contains(word)) {
        anyhow::bail!(
            "SERVICE_AUTH_TOKEN is too weak for production: use 32 random bytes, e.g. `openssl rand -base64 32`"
        );
    }
    Ok(())
}

/// A secret given directly or in a file (without the line end).
fn secret(
    given: Option<&SecretString>,
    file: Option<&PathBuf>,
) -> anyhow::Result<Option<SecretString>> {
    let Some(file) = file else {
        return Ok(given.cloned());
    };
    anyhow::ensure!(
        given.is_none(),
        "give the secret or the file {}, not both",
        file.display()
    );
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    Ok(Some(text.trim_end().into()))
}

/// The words of a secret that holds several, between white space or commas.
pub fn words(secret: &SecretString) -> impl Iterator<Item = &str> {
    let separates = |letter: char| letter == ',' || letter.is_whitespace();
    let words = secret.expose_secret().split(separates);
    words.filter(|word| !word.is_empty())
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn production_refuses_weak_service_tokens() {
        for weak in [
            "short",
            "change-me-change-me-change-me-change-me",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(refuse_weak(weak).is_err(), "{weak}");
        }
        assert!(refuse_weak("h3Jq9vXw0ZpL5rYb8NkM2cFg7AsDuE4i").is_ok());
    }
}
