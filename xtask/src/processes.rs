//! The table of everything that `cargo xtask up` runs: another process is another entry.

use crate::dev::Servers;

/// A binary of this workspace that runs until it is stopped.
pub(crate) struct Process {
    /// In front of its log lines.
    pub(crate) name: &'static str,
    /// The package, and the binary in it.
    pub(crate) package: &'static str,
    pub(crate) args: &'static [&'static str],
    /// Where it listens unless that is taken.
    pub(crate) port: u16,
    /// The path that answers 200 when it is ready.
    pub(crate) ready: &'static str,
    pub(crate) environment: fn(&Settings) -> Environment,
}

pub(crate) type Environment = Vec<(&'static str, String)>;

/// What a process can be told.
pub(crate) struct Settings<'a> {
    pub(crate) servers: &'a Servers,
    /// Its own port, and a private one for metrics.
    pub(crate) port: u16,
    pub(crate) metrics_port: u16,
    pub(crate) service_auth_token: &'a str,
    /// Where the sidecar for SQL is, and the token that it takes.
    pub(crate) postgres_sidecar_url: &'a str,
    pub(crate) postgres_sidecar_token: &'a str,
}

/// The sidecar for SQL, which the API calls.
pub(crate) const POSTGRES_SIDECAR: &str = "mcp-postgres";

/// Started in this order, each after the one before is ready.
pub(crate) const PROCESSES: &[Process] = &[
    Process {
        name: "api",
        package: "event-planner-api",
        args: &["serve"],
        port: 8000,
        ready: "/ready",
        environment: api,
    },
    Process {
        name: POSTGRES_SIDECAR,
        package: "event-planner-mcp-postgres",
        args: &[],
        port: 3001,
        ready: "/ready",
        environment: postgres_sidecar,
    },
];

fn api(settings: &Settings) -> Environment {
    vec![
        ("APP_ENV", "development".to_owned()),
        ("LOG_FORMAT", "text".to_owned()),
        ("DATABASE_URL", settings.servers.database.clone()),
        ("REDIS_URL", settings.servers.redis.clone()),
        ("LISTEN_ADDR", format!("127.0.0.1:{}", settings.port)),
        (
            "METRICS_ADDR",
            format!("127.0.0.1:{}", settings.metrics_port),
        ),
        (
            "PUBLIC_BASE_URL",
            format!("http://127.0.0.1:{}", settings.port),
        ),
        ("SERVICE_AUTH_TOKEN", settings.service_auth_token.to_owned()),
        (
            "POSTGRES_SIDECAR_URL",
            settings.postgres_sidecar_url.to_owned(),
        ),
        (
            "POSTGRES_SIDECAR_TOKEN",
            settings.postgres_sidecar_token.to_owned(),
        ),
    ]
}

fn postgres_sidecar(settings: &Settings) -> Environment {
    vec![
        ("LOG_FORMAT", "text".to_owned()),
        ("DATABASE_URL", settings.servers.reporting.clone()),
        ("LISTEN_ADDR", format!("127.0.0.1:{}", settings.port)),
        (
            "METRICS_ADDR",
            format!("127.0.0.1:{}", settings.metrics_port),
        ),
        ("MCP_TOKENS", settings.postgres_sidecar_token.to_owned()),
    ]
}
