//! Every setting, once: arguments of the command line, each also an environment variable.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};

/// Stands for Google, Slack, Stripe, Twilio and Linear in development and tests.
#[derive(Debug, Clone, Parser)]
#[command(name = "event-planner-sandbox", version, max_term_width = 100)]
pub struct Settings {
    /// Where the sandbox listens.
    #[arg(long, env, default_value = "127.0.0.1:3020")]
    pub listen_addr: SocketAddr,
    /// Under which address others reach it: stands in links that it hands out. The listening address if not given.
    #[arg(long, env)]
    pub public_base_url: Option<String>,
    /// File in which everything that happened is kept over a restart; without it, memory only.
    #[arg(long, env)]
    pub state_file: Option<PathBuf>,
    /// Where Stripe's events are sent beside the endpoints made by its interface; `http` only.
    #[arg(long, env)]
    pub stripe_webhook_url: Option<String>,
    /// What those deliveries are signed with.
    #[arg(long, env, hide_env_values = true, requires = "stripe_webhook_url")]
    #[arg(default_value = "whsec_sandbox-signs-with-this-no-real-secret")]
    pub stripe_webhook_secret: String,
    /// How long Stripe works on a request, in milliseconds; until then its idempotency key is in use.
    #[arg(long, env, default_value_t = 0)]
    pub stripe_latency_ms: u64,
    /// What is logged, in tracing's filter language.
    #[arg(long, env, default_value = "info")]
    pub log_filter: String,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Ask the sandbox that listens here whether it is alive; exit code 0 means yes.
    Healthcheck,
}
