//! What both sidecars can be told about Google.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use mcp_kit::settings::secret;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Where Google is, and the credentials that calls without an account of their own act with: either an OAuth client with
/// a refresh token, or a service account.
#[derive(Debug, Clone, Args)]
pub struct GoogleSettings {
    /// Where Google's interfaces are.
    #[arg(long, env, default_value = "https://www.googleapis.com")]
    pub google_base_url: String,
    /// Where Google gives out access tokens.
    #[arg(long, env, default_value = "https://oauth2.googleapis.com/token")]
    pub google_token_url: String,
    /// The OAuth client that the refresh token was given to.
    #[arg(long, env)]
    pub google_client_id: Option<String>,
    /// Its secret.
    #[arg(long, env, hide_env_values = true)]
    pub google_client_secret: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub google_client_secret_file: Option<PathBuf>,
    /// The refresh token of the person whose things are worked on.
    #[arg(long, env, hide_env_values = true)]
    pub google_refresh_token: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub google_refresh_token_file: Option<PathBuf>,
    /// The key file (JSON) of a service account, instead of client and refresh token.
    #[arg(long, env)]
    pub google_service_account_file: Option<PathBuf>,
    /// The person whom the service account acts for (domain-wide delegation).
    #[arg(long, env)]
    pub google_impersonate: Option<String>,
}

/// What stands for us at the token endpoint.
#[derive(Debug)]
pub(crate) enum Grant {
    RefreshToken {
        client_id: String,
        client_secret: SecretString,
        refresh_token: SecretString,
    },
    ServiceAccount {
        account: ServiceAccount,
        person: Option<String>,
    },
}

/// The part of a service account's key file that matters.
#[derive(Debug, Deserialize)]
pub(crate) struct ServiceAccount {
    pub(crate) client_email: String,
    pub(crate) private_key_id: String,
    pub(crate) private_key: SecretString,
}

impl GoogleSettings {
    /// Every secret among these settings, to be redacted.
    ///
    /// # Errors
    /// The credentials are incomplete or cannot be read.
    pub fn secrets(&self) -> anyhow::Result<Vec<SecretString>> {
        Ok(match self.grant()? {
            None => Vec::new(),
            Some(Grant::RefreshToken {
                client_secret,
                refresh_token,
                ..
            }) => vec![client_secret, refresh_token],
            Some(Grant::ServiceAccount { account, .. }) => {
                // A line of a key gives it away as much as the whole.
                let lines = account.private_key.expose_secret().lines();
                let lines = lines.filter(|line| !line.starts_with('-'));
                lines.map(SecretString::from).collect()
            }
        })
    }

    /// The credentials, or `None` if there are none at all.
    pub(crate) fn grant(&self) -> anyhow::Result<Option<Grant>> {
        let client_secret = secret(
            self.google_client_secret.as_ref(),
            self.google_client_secret_file.as_deref(),
        )?;
        let refresh_token = secret(
            self.google_refresh_token.as_ref(),
            self.google_refresh_token_file.as_deref(),
        )?;
        let person = self.google_impersonate.clone();
        if let Some(file) = &self.google_service_account_file {
            ensure!(
                refresh_token.is_none(),
                "give GOOGLE_SERVICE_ACCOUNT_FILE or GOOGLE_REFRESH_TOKEN, not both"
            );
            let text = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
            let account = serde_json::from_slice(&text).map_err(|error| {
                // The words of serde may quote the file.
                let place = format!("line {}, column {}", error.line(), error.column());
                anyhow::anyhow!(
                    "{}: no key file of a service account ({place})",
                    file.display()
                )
            })?;
            return Ok(Some(Grant::ServiceAccount { account, person }));
        }
        ensure!(
            person.is_none(),
            "GOOGLE_IMPERSONATE needs GOOGLE_SERVICE_ACCOUNT_FILE"
        );
        match (&self.google_client_id, client_secret, refresh_token) {
            (Some(client_id), Some(client_secret), Some(refresh_token)) => {
                Ok(Some(Grant::RefreshToken {
                    client_id: client_id.clone(),
                    client_secret,
                    refresh_token,
                }))
            }
            (None, None, None) => Ok(None),
            _ => anyhow::bail!(
                "GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET and GOOGLE_REFRESH_TOKEN belong together: set all three or none"
            ),
        }
    }
}
