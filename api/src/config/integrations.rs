//! How organizations connect their own accounts at providers.

use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use crate::{integrations::Provider, keyring::KeyRing};

/// The keys that seal tokens and signing secrets in the database.
#[derive(Debug, Clone, Default, Args)]
pub struct IntegrationKeys {
    /// Keys that seal tokens of connected accounts, tokens of agents and secrets of webhooks: `<key id>:<base64 of 32 bytes>`,
    /// newest first, separated by white space or commas. Without them none of these can be stored.
    #[arg(long, env, hide_env_values = true)]
    pub integrations_keys: Option<SecretString>,
    /// File that holds them instead.
    #[arg(long, env)]
    pub integrations_keys_file: Option<PathBuf>,
}

/// The OAuth clients of this installation, and where the providers are. A provider whose client is not set cannot be connected.
#[derive(Debug, Clone, Args)]
pub struct Integrations {
    #[command(flatten)]
    pub keys: IntegrationKeys,
    /// Where the browser goes once an account is connected; a plain page of ours when not given.
    #[arg(long, env)]
    pub integrations_return_url: Option<String>,
    /// Google's OAuth client.
    #[arg(long, env)]
    pub google_oauth_client_id: Option<String>,
    /// Its secret.
    #[arg(long, env, hide_env_values = true)]
    pub google_oauth_client_secret: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub google_oauth_client_secret_file: Option<PathBuf>,
    /// The page on which people allow it, as their browsers reach it.
    #[arg(
        long,
        env,
        default_value = "https://accounts.google.com/o/oauth2/v2/auth"
    )]
    pub google_oauth_authorize_url: String,
    /// Where `/token` and `/revoke` are.
    #[arg(long, env, default_value = "https://oauth2.googleapis.com")]
    pub google_oauth_api_url: String,
    /// Slack's app.
    #[arg(long, env)]
    pub slack_oauth_client_id: Option<String>,
    /// Its secret.
    #[arg(long, env, hide_env_values = true)]
    pub slack_oauth_client_secret: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub slack_oauth_client_secret_file: Option<PathBuf>,
    /// The page on which people allow it, as their browsers reach it.
    #[arg(long, env, default_value = "https://slack.com/oauth/v2/authorize")]
    pub slack_oauth_authorize_url: String,
    /// Where `/oauth.v2.access` and `/auth.revoke` are.
    #[arg(long, env, default_value = "https://slack.com/api")]
    pub slack_oauth_api_url: String,
    /// Linear's OAuth application.
    #[arg(long, env)]
    pub linear_oauth_client_id: Option<String>,
    /// Its secret.
    #[arg(long, env, hide_env_values = true)]
    pub linear_oauth_client_secret: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub linear_oauth_client_secret_file: Option<PathBuf>,
    /// The page on which people allow it, as their browsers reach it.
    #[arg(long, env, default_value = "https://linear.app/oauth/authorize")]
    pub linear_oauth_authorize_url: String,
    /// Where `/oauth/token`, `/oauth/revoke` and `/graphql` are.
    #[arg(long, env, default_value = "https://api.linear.app")]
    pub linear_oauth_api_url: String,
}

/// What is set for one provider.
#[derive(Debug)]
pub struct OAuthClient {
    /// Id and secret; none where the provider is not set up here.
    pub credentials: Option<(String, SecretString)>,
    pub authorize_url: String,
    pub api_url: String,
}

impl IntegrationKeys {
    /// The keys, if there are any. `is_production` refuses those of examples.
    pub fn ring(&self, is_production: bool) -> anyhow::Result<Option<KeyRing>> {
        let keys = super::secret(
            self.integrations_keys.as_ref(),
            self.integrations_keys_file.as_ref(),
        )?;
        let keys = keys.filter(|keys| !keys.expose_secret().trim().is_empty());
        let ring = keys.as_ref().map(KeyRing::parse).transpose()?;
        if let (Some(ring), true) = (&ring, is_production) {
            ring.refuse_examples()?;
        }
        Ok(ring)
    }
}

impl Integrations {
    pub fn client(&self, provider: Provider) -> anyhow::Result<OAuthClient> {
        let (id, secret, file, authorize_url, api_url) = match provider {
            Provider::Google => (
                &self.google_oauth_client_id,
                &self.google_oauth_client_secret,
                &self.google_oauth_client_secret_file,
                &self.google_oauth_authorize_url,
                &self.google_oauth_api_url,
            ),
            Provider::Slack => (
                &self.slack_oauth_client_id,
                &self.slack_oauth_client_secret,
                &self.slack_oauth_client_secret_file,
                &self.slack_oauth_authorize_url,
                &self.slack_oauth_api_url,
            ),
            Provider::Linear => (
                &self.linear_oauth_client_id,
                &self.linear_oauth_client_secret,
                &self.linear_oauth_client_secret_file,
                &self.linear_oauth_authorize_url,
                &self.linear_oauth_api_url,
            ),
        };
        let id = id.clone().filter(|id| !id.is_empty());
        let secret = super::secret(secret.as_ref(), file.as_ref())?;
        let secret = secret.filter(|secret| !secret.expose_secret().is_empty());
        let name = provider.as_str().to_uppercase();
        let credentials = match (id, secret) {
            (Some(id), Some(secret)) => Some((id, secret)),
            (None, None) => None,
            _ => anyhow::bail!(
                "{name}_OAUTH_CLIENT_ID and {name}_OAUTH_CLIENT_SECRET (or its file) go together"
            ),
        };
        Ok(OAuthClient {
            credentials,
            authorize_url: authorize_url.clone(),
            api_url: api_url.clone(),
        })
    }
}
