//! Every setting of this sidecar beside those of the kit.

use std::{num::NonZeroU32, path::PathBuf};

use clap::Args;
use mcp_kit::settings::secret;
use secrecy::SecretString;

/// What the Slack sidecar can be told.
#[derive(Debug, Clone, Args)]
#[group(id = "slack")]
pub struct Settings {
    /// The Web API; the sandbox's is <http://127.0.0.1:3020/slack/api>.
    #[arg(long, env, default_value = "https://slack.com/api")]
    pub slack_api_url: String,
    /// Where files are uploaded to; the sandbox's is <http://127.0.0.1:3020/slack>.
    #[arg(long, env, default_value = "https://files.slack.com")]
    pub slack_files_url: String,
    /// Bot token (xoxb-…); a call that brings a connected account uses that account's instead.
    #[arg(long, env, hide_env_values = true)]
    pub slack_bot_token: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub slack_bot_token_file: Option<PathBuf>,
    /// The only channels that are read and written, by id (better: names can change) or name; separated by commas.
    /// Without any, all that the bot is a member of.
    #[arg(long, env, value_delimiter = ',')]
    pub allowed_channels: Vec<String>,
    /// Messages posted, scheduled or uploaded in any 60 seconds; more are refused with the time to wait.
    #[arg(long, env, default_value = "30")]
    pub max_messages_per_minute: NonZeroU32,
    /// Characters in a message as Slack counts them, at most 40,000; Slack advises 4,000, and changes no longer ones.
    #[arg(long, env, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=40_000))]
    pub max_text_length: u32,
    /// Largest file, in bytes before base64; with more than 700,000 raise `BODY_LIMIT`, too.
    #[arg(long, env, default_value_t = 512 * 1024, value_parser = clap::value_parser!(u32).range(1..=16 * 1024 * 1024))]
    pub max_file_bytes: u32,
    /// Let callers notify a whole channel with `allow_broadcast`; without this, @channel, @here and @everyone are only words.
    #[arg(long, env)]
    pub allow_broadcast: bool,
    /// Show e-mail addresses in `list_users`; needs the scope `users:read.email`.
    #[arg(long, env)]
    pub show_email: bool,
    /// Offer only the tools that change nothing.
    #[arg(long, env)]
    pub read_only: bool,
}

impl Settings {
    pub(crate) fn token(&self) -> anyhow::Result<Option<SecretString>> {
        secret(
            self.slack_bot_token.as_ref(),
            self.slack_bot_token_file.as_deref(),
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use mcp_kit::Cli;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::<Settings>::command().debug_assert();
    }
}
