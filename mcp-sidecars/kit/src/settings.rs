//! Every setting that sidecars share: arguments of the command line, each also an environment variable.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, ParseIntError},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use reqwest::Url;
use secrecy::SecretString;

use crate::auth::{Caller, SCOPE_ALL, SCOPE_READ, SCOPE_WRITE, Tokens};

/// The command line of a sidecar: the kit's settings and its own, `S`.
#[derive(Debug, Parser)]
#[command(max_term_width = 100, args_conflicts_with_subcommands = true)]
pub struct Cli<S: Args = NoSettings> {
    #[command(flatten)]
    pub kit: Settings,
    #[command(flatten)]
    pub own: S,
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl<S: Args> Cli<S> {
    /// Reads the command line, or ends the process with help or with what is wrong. For a sidecar that is
    /// `Cli::parse_as(env!("CARGO_BIN_NAME"), env!("CARGO_PKG_DESCRIPTION"))`.
    pub fn parse_as(name: &'static str, about: &'static str) -> Self {
        let matches = Self::command_as(name, about).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    fn command_as(name: &'static str, about: &'static str) -> clap::Command {
        // The words on the settings' struct would stand there else.
        Self::command().name(name).about(about).long_about(None)
    }
}

/// For a sidecar without settings of its own.
#[derive(Debug, Clone, Args)]
pub struct NoSettings {}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a running sidecar whether it is alive; exit code 0 means yes.
    Healthcheck {
        /// The address to ask; `/ready` instead of `/health` asks about the provider, too.
        #[arg(long, env, default_value = "http://127.0.0.1:8100/health")]
        healthcheck_url: String,
    },
}

/// What every sidecar can be told.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Speak MCP on standard input and output instead of listening.
    #[arg(long)]
    pub stdio: bool,
    /// Where the sidecar listens.
    #[arg(long, env, default_value = "127.0.0.1:8100")]
    pub listen_addr: SocketAddr,
    /// Where `/metrics` listens; keep it unpublished.
    #[arg(long, env, default_value = "127.0.0.1:9101")]
    pub metrics_addr: SocketAddr,
    /// The token for all tools: at least 32 bytes; two while it is rotated, separated by a comma or line end.
    #[arg(long, env, hide_env_values = true)]
    pub mcp_tokens: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub mcp_tokens_file: Option<PathBuf>,
    /// The token for tools that change nothing; two while it is rotated.
    #[arg(long, env, hide_env_values = true)]
    pub mcp_read_tokens: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub mcp_read_tokens_file: Option<PathBuf>,
    /// Take calls without a token; only where `LISTEN_ADDR` is a loopback address.
    #[arg(long, env)]
    pub allow_loopback_without_token: bool,
    /// Where callers learn who gives out tokens: the protected resource metadata (RFC 9728) of what is published in front
    /// of this sidecar. Shown in `WWW-Authenticate`.
    #[arg(long, env)]
    pub resource_metadata_url: Option<Url>,
    /// Names under which we may be called (`Host`), with or without port; separated by commas.
    #[arg(
        long,
        env,
        value_delimiter = ',',
        default_value = "localhost,127.0.0.1,[::1]"
    )]
    pub allowed_hosts: Vec<String>,
    /// Pages that may call us from a browser (`Origin`), `:*` for any port; separated by commas.
    #[arg(
        long,
        env,
        value_delimiter = ',',
        default_value = "http://localhost:*,http://127.0.0.1:*"
    )]
    pub allowed_origins: Vec<String>,
    /// Keep sessions for clients of 2025-11-25 and before; only where a server must ask back over a stream.
    #[arg(long, env)]
    pub legacy_session_mode: bool,
    /// Longest time for one call, in seconds; some tools have their own.
    #[arg(long, env, default_value = "30", value_parser = seconds)]
    pub call_timeout: Duration,
    /// Longest time in which a request's body must have come in, in seconds.
    #[arg(long, env, default_value = "10", value_parser = seconds)]
    pub body_timeout: Duration,
    /// Largest request body, in bytes.
    #[arg(long, env, default_value_t = 1024 * 1024)]
    pub body_limit: usize,
    /// Largest result of a tool, in bytes of JSON.
    #[arg(long, env, default_value_t = 1024 * 1024)]
    pub result_limit: usize,
    /// Calls a minute for each caller.
    #[arg(long, env, default_value = "600")]
    pub rate_limit: NonZeroU32,
    /// Calls worked on at once; more are refused with 503.
    #[arg(long, env, default_value_t = 64)]
    pub max_in_flight: usize,
    /// How long `/ready` says no before connections are closed, in seconds.
    #[arg(long, env, default_value = "0", value_parser = seconds)]
    pub drain_delay: Duration,
    /// How long running calls may take to end on shutdown, in seconds.
    #[arg(long, env, default_value = "20", value_parser = seconds)]
    pub drain_timeout: Duration,
    /// How log lines look.
    #[arg(long, env, value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
    /// What is logged, in tracing's filter language; `audit` is the target of the audit lines.
    #[arg(long, env, default_value = "info,rmcp=warn,hyper=warn")]
    pub log_filter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Json,
    Text,
}

impl Settings {
    /// The tokens that are taken; none means that no token is needed.
    ///
    /// # Errors
    /// No token where one is needed, one that is too short, or a file that cannot be read.
    pub(crate) fn tokens(&self) -> anyhow::Result<Tokens> {
        let mut tokens = Tokens::default();
        let all = Caller::named("full", &[SCOPE_READ, SCOPE_WRITE, SCOPE_ALL]);
        let pairs = [
            (all, &self.mcp_tokens, &self.mcp_tokens_file),
            (
                Caller::named("reader", &[SCOPE_READ]),
                &self.mcp_read_tokens,
                &self.mcp_read_tokens_file,
            ),
        ];
        for (caller, given, file) in pairs {
            if let Some(given) = secret(given.as_ref(), file.as_deref())? {
                let variable = match (&*caller.name, file) {
                    ("full", None) => "MCP_TOKENS",
                    ("full", Some(_)) => "MCP_TOKENS_FILE",
                    (_, None) => "MCP_READ_TOKENS",
                    (_, Some(_)) => "MCP_READ_TOKENS_FILE",
                };
                tokens.allow(&caller, &given).context(variable)?;
            }
        }
        let is_open = self.allow_loopback_without_token && self.listen_addr.ip().is_loopback();
        ensure!(
            !tokens.is_empty() || is_open || self.stdio,
            "set MCP_TOKENS (or MCP_TOKENS_FILE); ALLOW_LOOPBACK_WITHOUT_TOKEN only helps on a loopback LISTEN_ADDR"
        );
        Ok(tokens)
    }

    /// The secrets among these settings, to be redacted.
    pub(crate) fn secrets(&self) -> anyhow::Result<Vec<SecretString>> {
        let full = secret(self.mcp_tokens.as_ref(), self.mcp_tokens_file.as_deref())?;
        let read = secret(
            self.mcp_read_tokens.as_ref(),
            self.mcp_read_tokens_file.as_deref(),
        )?;
        Ok(full.into_iter().chain(read).collect())
    }
}

/// A secret given directly or in a file (without the line end).
///
/// # Errors
/// Both are given, or the file cannot be read.
pub fn secret(
    given: Option<&SecretString>,
    file: Option<&Path>,
) -> anyhow::Result<Option<SecretString>> {
    let Some(file) = file else {
        return Ok(given.cloned());
    };
    ensure!(
        given.is_none(),
        "give the secret or the file {}, not both",
        file.display()
    );
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    Ok(Some(text.trim_end().into()))
}

fn seconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::<NoSettings>::command().debug_assert();
    }

    #[test]
    fn help_begins_with_the_sidecars_own_words_and_name() {
        let mut command = Cli::<NoSettings>::command_as("greeter", "Greets people");
        let help = command.render_long_help().to_string();
        assert!(
            help.starts_with("Greets people\n\nUsage: greeter "),
            "{help}"
        );
    }

    #[test]
    fn no_token_is_needed_on_loopback_only_where_it_is_said() {
        let settings = |arguments: &[&str]| Cli::<NoSettings>::parse_from(arguments).kit.tokens();
        assert!(settings(&["x"]).is_err());
        assert!(settings(&["x", "--allow-loopback-without-token"]).is_ok());
        assert!(
            settings(&[
                "x",
                "--allow-loopback-without-token",
                "--listen-addr=0.0.0.0:1"
            ])
            .is_err()
        );
        for (argument, variable) in [
            ("--mcp-tokens=short", "MCP_TOKENS: a token is too short"),
            ("--mcp-read-tokens=short", "MCP_READ_TOKENS: a token"),
        ] {
            let error = format!("{:#}", settings(&["x", argument]).unwrap_err());
            assert!(error.starts_with(variable), "{error}");
        }
        assert!(settings(&["x", "--mcp-tokens=0123456789012345678901234567890123456789"]).is_ok());
    }
}
