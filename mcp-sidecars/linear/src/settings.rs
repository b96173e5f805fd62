//! Every setting of this sidecar beside the kit's.

use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

/// What this sidecar can be told.
#[derive(Debug, Clone, Args)]
pub struct LinearSettings {
    /// Address of Linear's interface.
    #[arg(long, env, default_value = "https://api.linear.app")]
    pub linear_api_url: String,
    /// A personal API key, `lin_api_…`, for calls without an account of their own.
    #[arg(long, env, hide_env_values = true)]
    pub linear_api_key: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub linear_api_key_file: Option<PathBuf>,
    /// Teams whose issues may be read and written, by key such as `EVT` or by id, separated by commas; `*` all that the account
    /// sees.
    #[arg(long, env, value_delimiter = ',', default_value = "*")]
    pub allowed_teams: Vec<String>,
    /// Offer only the tools that change nothing.
    #[arg(long, env)]
    pub read_only: bool,
}

impl LinearSettings {
    /// The key, if there is one.
    pub(crate) fn key(&self) -> anyhow::Result<Option<SecretString>> {
        mcp_kit::settings::secret(
            self.linear_api_key.as_ref(),
            self.linear_api_key_file.as_deref(),
        )
    }

    /// The teams that may be used; none for all.
    pub(crate) fn teams(&self) -> Option<Vec<&str>> {
        let teams = self.allowed_teams.iter().map(|team| team.trim());
        let teams: Vec<_> = teams.filter(|team| !team.is_empty()).collect();
        (!teams.contains(&"*")).then_some(teams)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use mcp_kit::Cli;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::<LinearSettings>::command().debug_assert();
    }
}
