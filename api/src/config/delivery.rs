//! Messages and documents.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use secrecy::SecretString;

/// Messages and documents.
#[derive(Debug, Clone, Args)]
pub struct Delivery {
    /// Most messages of an organization in an hour.
    #[arg(long, env, default_value_t = 500)]
    pub messages_per_hour: u32,
    /// The channel of Slack for announcements that name none.
    #[arg(long, env, default_value = "#events")]
    pub slack_channel: String,
    /// What Twilio signs its status callbacks with: the account's auth token. Two of them, separated by a comma, while one is
    /// rotated. Without it no callback is taken.
    #[arg(long, env, hide_env_values = true)]
    pub twilio_callback_token: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub twilio_callback_token_file: Option<PathBuf>,
    /// Under which address Twilio reaches us, without a slash at the end, where that is not `PUBLIC_BASE_URL`: callbacks are
    /// signed with the address that they were sent to.
    #[arg(long, env)]
    pub twilio_callback_base_url: Option<String>,
    /// Largest file that can be uploaded, in bytes.
    #[arg(long, env, default_value_t = 1024 * 1024 * 1024)]
    pub upload_limit: u64,
    /// Longest time for one upload, in seconds.
    #[arg(long, env, default_value = "900", value_parser = super::seconds)]
    pub upload_timeout: Duration,
}

impl Delivery {
    /// The tokens that a callback may be signed with.
    pub fn twilio_callback_tokens(&self) -> anyhow::Result<Vec<SecretString>> {
        let tokens = super::secret(
            self.twilio_callback_token.as_ref(),
            self.twilio_callback_token_file.as_ref(),
        )?;
        let tokens = tokens.iter().flat_map(super::words);
        Ok(tokens.map(SecretString::from).collect())
    }
}
