//! What this sidecar can be told beside the kit's settings.

use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

use crate::limits::Cap;

/// Settings of the Stripe sidecar.
#[derive(Debug, Clone, Args)]
pub struct StripeSettings {
    /// Where Stripe is; a sandbox in development.
    #[arg(long, env, default_value = "https://api.stripe.com")]
    pub stripe_base_url: String,
    /// The key to act with; a restricted key (`rk_…`) with the permissions of docs/providers/stripe.md is enough.
    #[arg(long, env, hide_env_values = true)]
    pub stripe_secret_key: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub stripe_secret_key_file: Option<PathBuf>,
    /// Real money. Live keys work only with it, test keys only without.
    #[arg(long, env)]
    pub live_mode: bool,
    /// Offer only the tools that change nothing.
    #[arg(long, env)]
    pub read_only: bool,
    /// The largest amount that one call may ask for, for each currency in its smallest unit, `*` for all others:
    /// `USD=500000,JPY=500000,*=100000`. A currency without a limit is refused.
    #[arg(long, env, value_delimiter = ',', default_value = "*=10000000")]
    pub max_amount: Vec<Cap>,
    /// The largest refund of one call, in the same form. Below the largest payment, money that has to go back by itself does not.
    #[arg(long, env, value_delimiter = ',', default_value = "*=10000000")]
    pub max_refund: Vec<Cap>,
    /// The only currencies that are taken (ISO 4217), separated by commas; all without it.
    #[arg(long, env, value_delimiter = ',')]
    pub allowed_currencies: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use mcp_kit::Cli;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::<StripeSettings>::command().debug_assert();
    }
}
