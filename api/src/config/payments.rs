//! Payments through Stripe: what its events are signed with, and limits.

use std::{path::PathBuf, time::Duration};

use anyhow::ensure;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use crate::state::PaymentSettings;

/// Stripe takes 30 minutes to 24 hours from when it makes the page; clocks differ, and requests take a while.
const SHORTEST_CHECKOUT: Duration = Duration::from_mins(40);
const LONGEST_CHECKOUT: Duration = Duration::from_hours(23);

#[derive(Debug, Clone, Args)]
pub struct Payments {
    /// What Stripe signs its events with (`whsec_…`); several with spaces between, while a new one takes the place of an
    /// old one. Without it `/webhooks/stripe` takes nothing.
    #[arg(long, env, hide_env_values = true)]
    pub stripe_webhook_secret: Option<SecretString>,
    /// File that holds it instead, one a line.
    #[arg(long, env)]
    pub stripe_webhook_secret_file: Option<PathBuf>,
    /// How long a checkout page can be paid, in seconds: 40 minutes to 23 hours.
    #[arg(long, env, default_value = "82800", value_parser = super::seconds)]
    pub checkout_ttl: Duration,
    /// The most that one payment may ask for, in the currency's minor unit; Stripe takes no more than 99999999.
    #[arg(long, env, default_value_t = 99_999_999, value_parser = clap::value_parser!(i64).range(1..=99_999_999))]
    pub max_payment: i64,
}

impl Payments {
    /// # Errors
    /// A file that cannot be read, a time that Stripe does not take.
    pub fn settings(&self) -> anyhow::Result<PaymentSettings> {
        let secrets = super::secret(
            self.stripe_webhook_secret.as_ref(),
            self.stripe_webhook_secret_file.as_ref(),
        )?;
        let secrets = secrets.as_ref().map_or("", ExposeSecret::expose_secret);
        ensure!(
            (SHORTEST_CHECKOUT..=LONGEST_CHECKOUT).contains(&self.checkout_ttl),
            "CHECKOUT_TTL must be 2400 to 82800 seconds"
        );
        Ok(PaymentSettings {
            webhook_secrets: secrets.split_whitespace().map(Into::into).collect(),
            checkout_ttl: self.checkout_ttl,
            max_amount: self.max_payment,
        })
    }
}
