//! What this sidecar can be told beside what all can.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::{numbers::is_e164, twilio::is_sid};

#[derive(Debug, Clone, Args)]
#[group(id = "twilio")]
pub struct Settings {
    /// Address of Twilio's REST API.
    #[arg(long, env, default_value = "https://api.twilio.com")]
    pub twilio_base_url: String,
    /// Address of Twilio Lookup.
    #[arg(long, env, default_value = "https://lookups.twilio.com")]
    pub twilio_lookups_base_url: String,
    /// Address of Twilio Verify.
    #[arg(long, env, default_value = "https://verify.twilio.com")]
    pub twilio_verify_base_url: String,
    /// The account, `AC…`.
    #[arg(long, env)]
    pub twilio_account_sid: Option<String>,
    /// An API key of the account, `SK…`: better than the auth token, because it can be revoked alone.
    #[arg(long, env)]
    pub twilio_api_key_sid: Option<String>,
    /// The API key's secret.
    #[arg(long, env, hide_env_values = true)]
    pub twilio_api_key_secret: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub twilio_api_key_secret_file: Option<PathBuf>,
    /// The account's auth token, where there is no API key.
    #[arg(long, env, hide_env_values = true)]
    pub twilio_auth_token: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub twilio_auth_token_file: Option<PathBuf>,
    /// Who may stand as the sender: phone numbers in E.164 or messaging services `MG…`, separated by commas; the first
    /// is taken when a call names none.
    #[arg(long, env, value_delimiter = ',')]
    pub twilio_senders: Vec<String>,
    /// The Verify service that sends codes, `VA…`.
    #[arg(long, env)]
    pub twilio_verify_service_sid: Option<String>,
    /// Where Twilio tells how a message fares; nobody is told without it.
    #[arg(long, env)]
    pub twilio_status_callback_url: Option<String>,
    /// Beginnings of the numbers that may be written to or verified, such as `+1,+4420`; all that Twilio's own
    /// geographic permissions allow without it.
    #[arg(long, env, value_delimiter = ',')]
    pub allowed_prefixes: Vec<String>,
    /// Most segments of one message: each is paid for.
    #[arg(long, env, default_value_t = 4)]
    pub max_segments: usize,
    /// Most messages and codes a minute.
    #[arg(long, env, default_value_t = 60)]
    pub max_messages_per_minute: usize,
    /// Most messages and codes in 24 hours. Kept in memory: it begins anew with the process.
    #[arg(long, env, default_value_t = 1000)]
    pub max_messages_per_day: usize,
    /// How long after an attempt with unknown outcome a message that Twilio does not list counts as not sent, in seconds.
    #[arg(long, env, default_value = "60", value_parser = seconds)]
    pub settle_time: Duration,
    /// Offer only the tools that change nothing.
    #[arg(long, env)]
    pub read_only: bool,
}

/// The settings' own credentials.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) account: String,
    /// An API key, or the account itself.
    pub(crate) user: String,
    pub(crate) password: SecretString,
}

impl Settings {
    /// The credentials, if they are given.
    pub(crate) fn credentials(&self) -> anyhow::Result<Option<Credentials>> {
        let key = mcp_kit::settings::secret(
            self.twilio_api_key_secret.as_ref(),
            self.twilio_api_key_secret_file.as_deref(),
        )?;
        let token = mcp_kit::settings::secret(
            self.twilio_auth_token.as_ref(),
            self.twilio_auth_token_file.as_deref(),
        )?;
        let Some(account) = self.twilio_account_sid.clone() else {
            ensure!(
                key.is_none() && token.is_none(),
                "set TWILIO_ACCOUNT_SID, too: a key or token needs its account"
            );
            return Ok(None);
        };
        ensure!(
            is_sid(&account, "AC"),
            "TWILIO_ACCOUNT_SID: AC and 32 more characters"
        );
        let (user, password) = match (&self.twilio_api_key_sid, key, token) {
            (Some(user), Some(secret), _) => {
                ensure!(
                    is_sid(user, "SK"),
                    "TWILIO_API_KEY_SID: SK and 32 more characters"
                );
                (user.clone(), secret)
            }
            (None, None, Some(token)) => (account.clone(), token),
            (None, None, None) => return Ok(None),
            _ => anyhow::bail!("TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET go together"),
        };
        Ok(Some(Credentials {
            account,
            user,
            password,
        }))
    }

    /// Whether all that is not a credential holds.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for sender in &self.twilio_senders {
            ensure!(
                is_e164(sender) || is_sid(sender, "MG"),
                "TWILIO_SENDERS: {sender} is neither a number in E.164 nor a messaging service MG…"
            );
        }
        for prefix in &self.allowed_prefixes {
            let digits = prefix.strip_prefix('+').unwrap_or_default();
            ensure!(
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
                "ALLOWED_PREFIXES: {prefix} is not a + and digits"
            );
        }
        if let Some(service) = &self.twilio_verify_service_sid {
            ensure!(
                is_sid(service, "VA"),
                "TWILIO_VERIFY_SERVICE_SID: VA and 32 more characters"
            );
        }
        if let Some(url) = &self.twilio_status_callback_url {
            let url = reqwest::Url::parse(url).context("TWILIO_STATUS_CALLBACK_URL")?;
            ensure!(
                matches!(url.scheme(), "http" | "https") && url.has_host(),
                "TWILIO_STATUS_CALLBACK_URL must be http or https"
            );
        }
        Ok(())
    }

    /// What `capabilities` says.
    pub(crate) fn notes(&self) -> Map<String, Value> {
        let notes = json!({
            "read_only": self.read_only,
            "account_configured": self.twilio_account_sid.is_some(),
            "senders": self.twilio_senders,
            "verification_configured": self.twilio_verify_service_sid.is_some(),
            "allowed_prefixes": self.allowed_prefixes.iter().collect::<BTreeSet<_>>(),
            "max_segments_per_message": self.max_segments,
            "max_messages_per_minute": self.max_messages_per_minute,
            "max_messages_per_day": self.max_messages_per_day,
            "opt_out": "a recipient who answered STOP is refused for good: details.final is true",
            "once": "send_sms and start_verification remember 10000 idempotency keys for 24 hours, in this process only",
        });
        match notes {
            Value::Object(notes) => notes,
            _ => Map::new(),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use mcp_kit::Cli;

    use super::*;

    fn settings(arguments: &[&str]) -> Settings {
        Cli::<Settings>::parse_from([&["x"], arguments].concat()).own
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::<Settings>::command().debug_assert();
    }

    #[test]
    fn credentials_are_whole_or_not_there() {
        let account = format!("--twilio-account-sid=AC{:032}", 0);
        let key = format!("--twilio-api-key-sid=SK{:032}", 0);
        let user = |arguments: &[&str]| {
            let found = settings(arguments).credentials();
            found.map(|found| found.map(|it| it.user[..2].to_owned()))
        };
        assert_eq!(user(&[]).unwrap(), None);
        assert_eq!(user(&[&account]).unwrap(), None);
        let token = "--twilio-auth-token=t";
        assert_eq!(user(&[&account, token]).unwrap().as_deref(), Some("AC"));
        let secret = "--twilio-api-key-secret=s";
        let both = user(&[&account, &key, secret, token]).unwrap();
        assert_eq!(both.as_deref(), Some("SK"));
        assert!(user(&[token]).is_err() && user(&[&account, &key, token]).is_err());
        assert!(user(&["--twilio-account-sid=AC1", token]).is_err());
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let wrong = [
            ("--twilio-senders=5550100", "TWILIO_SENDERS"),
            ("--allowed-prefixes=+1,44", "ALLOWED_PREFIXES"),
            (
                "--twilio-verify-service-sid=VA",
                "TWILIO_VERIFY_SERVICE_SID",
            ),
            (
                "--twilio-status-callback-url=ftp://x",
                "TWILIO_STATUS_CALLBACK_URL",
            ),
        ];
        for (argument, name) in wrong {
            let error = settings(&[argument]).check().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(settings(&["--allowed-prefixes=+1,+44"]).check().is_ok());
    }
}
