//! Where the sidecars are.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use secrecy::SecretString;

/// Where the sidecars are; one that is not set is not used, and what needs it says so. Of a file with two tokens, while a new
/// one takes the place of an old one, the first counts.
#[derive(Debug, Clone, Default, Args)]
pub struct Sidecars {
    /// Address of the Postgres sidecar, for insights; e.g. `http://mcp-postgres:3000`.
    #[arg(long, env)]
    pub postgres_sidecar_url: Option<String>,
    /// Its token.
    #[arg(long, env, hide_env_values = true)]
    pub postgres_sidecar_token: Option<SecretString>,
    /// File that holds it instead, as the sidecar reads it.
    #[arg(long, env)]
    pub postgres_sidecar_token_file: Option<PathBuf>,
    /// Address of the Google Drive sidecar, for documents; e.g. `http://mcp-gdrive:3000`.
    #[arg(long, env)]
    pub gdrive_sidecar_url: Option<String>,
    /// Its token.
    #[arg(long, env, hide_env_values = true)]
    pub gdrive_sidecar_token: Option<SecretString>,
    /// File that holds it instead, as the sidecar reads it.
    #[arg(long, env)]
    pub gdrive_sidecar_token_file: Option<PathBuf>,
    /// Address of the Slack sidecar, for messages to channels; e.g. `http://mcp-slack:3000`.
    #[arg(long, env)]
    pub slack_sidecar_url: Option<String>,
    /// Its token.
    #[arg(long, env, hide_env_values = true)]
    pub slack_sidecar_token: Option<SecretString>,
    /// File that holds it instead, as the sidecar reads it.
    #[arg(long, env)]
    pub slack_sidecar_token_file: Option<PathBuf>,
    /// Address of the Google Calendar sidecar, for calendar holds; e.g. `http://mcp-calendar:3000`.
    #[arg(long, env)]
    pub calendar_sidecar_url: Option<String>,
    /// Its token.
    #[arg(long, env, hide_env_values = true)]
    pub calendar_sidecar_token: Option<SecretString>,
    /// File that holds it instead, as the sidecar reads it.
    #[arg(long, env)]
    pub calendar_sidecar_token_file: Option<PathBuf>,
    /// Address of the Stripe sidecar, for payments; e.g. `http://mcp-stripe:3000`.
    #[arg(long, env)]
    pub stripe_sidecar_url: Option<String>,
    /// Its token.
    #[arg(long, env, hide_env_values = true)]
    pub stripe_sidecar_token: Option<SecretString>,
    /// File that holds it instead, as the sidecar reads it.
    #[arg(long, env)]
    pub stripe_sidecar_token_file: Option<PathBuf>,
    /// Address of the Twilio sidecar, for text messages; e.g. `http://mcp-twilio:3000`.
    #[arg(long, env)]
    pub twilio_sidecar_url: Option<String>,
    /// Its token.
    #[arg(long, env, hide_env_values = true)]
    pub twilio_sidecar_token: Option<SecretString>,
    /// File that holds it instead, as the sidecar reads it.
    #[arg(long, env)]
    pub twilio_sidecar_token_file: Option<PathBuf>,
    /// Address of the Linear sidecar, for tasks that are mirrored; e.g. `http://mcp-linear:3000`.
    #[arg(long, env)]
    pub linear_sidecar_url: Option<String>,
    /// Its token.
    #[arg(long, env, hide_env_values = true)]
    pub linear_sidecar_token: Option<SecretString>,
    /// File that holds it instead, as the sidecar reads it.
    #[arg(long, env)]
    pub linear_sidecar_token_file: Option<PathBuf>,
}

/// One sidecar's address, without which it is not used, and its token.
pub struct Place<'a> {
    pub url: Option<&'a str>,
    pub token: Option<SecretString>,
}

impl Sidecars {
    pub fn postgres(&self) -> anyhow::Result<Place<'_>> {
        Place::new(
            self.postgres_sidecar_url.as_deref(),
            self.postgres_sidecar_token.as_ref(),
            self.postgres_sidecar_token_file.as_ref(),
        )
    }

    pub fn gdrive(&self) -> anyhow::Result<Place<'_>> {
        Place::new(
            self.gdrive_sidecar_url.as_deref(),
            self.gdrive_sidecar_token.as_ref(),
            self.gdrive_sidecar_token_file.as_ref(),
        )
    }

    pub fn slack(&self) -> anyhow::Result<Place<'_>> {
        Place::new(
            self.slack_sidecar_url.as_deref(),
            self.slack_sidecar_token.as_ref(),
            self.slack_sidecar_token_file.as_ref(),
        )
    }

    pub fn calendar(&self) -> anyhow::Result<Place<'_>> {
        Place::new(
            self.calendar_sidecar_url.as_deref(),
            self.calendar_sidecar_token.as_ref(),
            self.calendar_sidecar_token_file.as_ref(),
        )
    }

    pub fn stripe(&self) -> anyhow::Result<Place<'_>> {
        Place::new(
            self.stripe_sidecar_url.as_deref(),
            self.stripe_sidecar_token.as_ref(),
            self.stripe_sidecar_token_file.as_ref(),
        )
    }

    pub fn twilio(&self) -> anyhow::Result<Place<'_>> {
        Place::new(
            self.twilio_sidecar_url.as_deref(),
            self.twilio_sidecar_token.as_ref(),
            self.twilio_sidecar_token_file.as_ref(),
        )
    }

    pub fn linear(&self) -> anyhow::Result<Place<'_>> {
        Place::new(
            self.linear_sidecar_url.as_deref(),
            self.linear_sidecar_token.as_ref(),
            self.linear_sidecar_token_file.as_ref(),
        )
    }
}

impl<'a> Place<'a> {
    fn new(
        url: Option<&'a str>,
        token: Option<&SecretString>,
        file: Option<&PathBuf>,
    ) -> anyhow::Result<Self> {
        let tokens = super::secret(token, file)?;
        Ok(Self {
            url: url.filter(|url| !url.is_empty()),
            token: tokens.as_ref().map(first_token).transpose()?,
        })
    }
}

/// The first of several tokens, between white space or commas: how a sidecar lists those that it takes, newest first.
fn first_token(tokens: &SecretString) -> anyhow::Result<SecretString> {
    super::words(tokens)
        .next()
        .map(SecretString::from)
        .context("a sidecar's token (or its file) holds no token")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn of_a_sidecars_tokens_the_first_is_used() -> anyhow::Result<()> {
        for tokens in [
            "new",
            "new\nold\n",
            "\r\nnew\r\nold",
            "new,old",
            " new , old ",
        ] {
            assert_eq!(
                first_token(&tokens.into())?.expose_secret(),
                "new",
                "{tokens:?}"
            );
        }
        assert!(first_token(&" \n,".into()).is_err());
        Ok(())
    }
}
