//! The providers behind the sidecars: the sandbox, until somebody's own credentials are in the environment or in `.env`.

use std::path::Path;

use anyhow::Context;

use crate::processes::Environment;

/// How a provider's sidecars are told where to go and who they are.
pub(crate) struct Provider {
    pub(crate) name: &'static str,
    /// One of these, set by a person, means the real provider at its real address.
    credentials: &'static [&'static str],
    /// What leads to the sandbox instead; `{sandbox}` is its address.
    sandbox: &'static [(&'static str, &'static str)],
}

pub(crate) const GOOGLE: Provider = Provider {
    name: "Google",
    credentials: &[
        "GOOGLE_REFRESH_TOKEN",
        "GOOGLE_REFRESH_TOKEN_FILE",
        "GOOGLE_SERVICE_ACCOUNT_FILE",
    ],
    sandbox: &[
        ("GOOGLE_BASE_URL", "{sandbox}/google"),
        ("GOOGLE_TOKEN_URL", "{sandbox}/google/token"),
        (
            "GOOGLE_CLIENT_ID",
            "sandbox-client.apps.googleusercontent.com",
        ),
        (
            "GOOGLE_CLIENT_SECRET",
            "sandbox-google-client-secret-for-development-only",
        ),
        (
            "GOOGLE_REFRESH_TOKEN",
            "sandbox-google-refresh-token-for-development-only",
        ),
    ],
};

pub(crate) const SLACK: Provider = Provider {
    name: "Slack",
    credentials: &["SLACK_BOT_TOKEN", "SLACK_BOT_TOKEN_FILE"],
    sandbox: &[
        ("SLACK_API_URL", "{sandbox}/slack/api"),
        ("SLACK_FILES_URL", "{sandbox}/slack"),
        (
            "SLACK_BOT_TOKEN",
            "xoxb-sandbox-only-token-of-the-planner-bot",
        ),
    ],
};

pub(crate) const STRIPE: Provider = Provider {
    name: "Stripe",
    credentials: &["STRIPE_SECRET_KEY", "STRIPE_SECRET_KEY_FILE"],
    sandbox: &[
        ("STRIPE_BASE_URL", "{sandbox}/stripe"),
        (
            "STRIPE_SECRET_KEY",
            "rk_test_sandbox-what-the-sidecar-needs-no-real-key",
        ),
    ],
};

pub(crate) const TWILIO: Provider = Provider {
    name: "Twilio",
    credentials: &[
        "TWILIO_AUTH_TOKEN",
        "TWILIO_AUTH_TOKEN_FILE",
        "TWILIO_API_KEY_SECRET",
        "TWILIO_API_KEY_SECRET_FILE",
    ],
    sandbox: &[
        ("TWILIO_BASE_URL", "{sandbox}/twilio"),
        ("TWILIO_LOOKUPS_BASE_URL", "{sandbox}/twilio/lookups"),
        ("TWILIO_VERIFY_BASE_URL", "{sandbox}/twilio/verify"),
        ("TWILIO_ACCOUNT_SID", "ACsandbox0000000000000000000000000"),
        ("TWILIO_AUTH_TOKEN", "sandbox-twilio-auth-token-no-secret"),
        (
            "TWILIO_SENDERS",
            "+15005550006,MGsandbox0000000000000000000000000",
        ),
        (
            "TWILIO_VERIFY_SERVICE_SID",
            "VAsandbox0000000000000000000000000",
        ),
    ],
};

pub(crate) const LINEAR: Provider = Provider {
    name: "Linear",
    credentials: &["LINEAR_API_KEY", "LINEAR_API_KEY_FILE"],
    sandbox: &[
        ("LINEAR_API_URL", "{sandbox}/linear"),
        ("LINEAR_API_KEY", "lin_api_sandbox-only-key-of-the-planner"),
    ],
};

/// All of them, to say which are real.
pub(crate) const PROVIDERS: [&Provider; 5] = [&GOOGLE, &SLACK, &STRIPE, &TWILIO, &LINEAR];

/// Seals the tokens of connected accounts. Readable text, so that production refuses it.
pub(crate) const INTEGRATIONS_KEY: &str =
    "development-only:ZGV2ZWxvcG1lbnQgb25seSwgbm90IGZvciBvdGhlcnM=";

/// The clients with which the API connects accounts.
pub(crate) const OAUTH_CLIENTS: [&Provider; 3] = [
    &Provider {
        name: "Google",
        credentials: &["GOOGLE_OAUTH_CLIENT_ID"],
        sandbox: &[
            (
                "GOOGLE_OAUTH_CLIENT_ID",
                "sandbox-client.apps.googleusercontent.com",
            ),
            (
                "GOOGLE_OAUTH_CLIENT_SECRET",
                "sandbox-google-client-secret-for-development-only",
            ),
            (
                "GOOGLE_OAUTH_AUTHORIZE_URL",
                "{sandbox}/google/o/oauth2/v2/auth",
            ),
            ("GOOGLE_OAUTH_API_URL", "{sandbox}/google"),
        ],
    },
    &Provider {
        name: "Slack",
        credentials: &["SLACK_OAUTH_CLIENT_ID"],
        sandbox: &[
            ("SLACK_OAUTH_CLIENT_ID", "1000000000001.1000000000002"),
            (
                "SLACK_OAUTH_CLIENT_SECRET",
                "sandbox-only-client-secret-of-the-app",
            ),
            (
                "SLACK_OAUTH_AUTHORIZE_URL",
                "{sandbox}/slack/oauth/v2/authorize",
            ),
            ("SLACK_OAUTH_API_URL", "{sandbox}/slack/api"),
        ],
    },
    &Provider {
        name: "Linear",
        credentials: &["LINEAR_OAUTH_CLIENT_ID"],
        sandbox: &[
            ("LINEAR_OAUTH_CLIENT_ID", "sandbox-linear-client"),
            (
                "LINEAR_OAUTH_CLIENT_SECRET",
                "sandbox-linear-client-secret-for-development-only",
            ),
            (
                "LINEAR_OAUTH_AUTHORIZE_URL",
                "{sandbox}/linear/oauth/authorize",
            ),
            ("LINEAR_OAUTH_API_URL", "{sandbox}/linear"),
        ],
    },
];

/// What the person who starts us has set.
pub(crate) struct Given {
    /// The variables of `.env` that have a value.
    pub(crate) file: Environment,
    /// Names of variables in our own environment, which our children inherit.
    inherited: Vec<String>,
}

impl Given {
    /// Reads `.env` in the checkout, if there is one, and our own environment.
    pub(crate) fn read(checkout: &Path) -> anyhow::Result<Self> {
        let path = checkout.join(".env");
        let mut file = Environment::new();
        if path.exists() {
            let pairs = dotenvy::from_path_iter(&path).context("reading .env")?;
            for pair in pairs {
                // The line may hold a secret, and so may dotenvy's words about it.
                let (name, value) = pair.map_err(|_| unreadable(file.last()))?;
                file.extend(Some((name, value)).filter(|(_, value)| !value.is_empty()));
            }
        }
        let inherited = std::env::vars_os()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, _)| name.into_string().ok())
            .collect();
        Ok(Self { file, inherited })
    }

    /// What `.env` has under this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.file.iter();
        let (_, value) = pairs.find(|(given, _)| given == name)?;
        Some(value)
    }

    fn has(&self, name: &str) -> bool {
        self.inherited.iter().any(|given| given == name)
            || self.file.iter().any(|(given, _)| given == name)
    }
}

fn unreadable(last: Option<&(String, String)>) -> anyhow::Error {
    let place = last.map_or("the first".to_owned(), |(name, _)| {
        format!("after {name} a")
    });
    anyhow::anyhow!("{place} line of .env is not NAME=value: put quotes round a value with spaces")
}

impl Provider {
    /// Whether somebody gave credentials of their own.
    pub(crate) fn is_real(&self, given: &Given) -> bool {
        self.credentials.iter().any(|name| given.has(name))
    }

    /// What leads its sidecars to the sandbox; nothing with credentials of somebody's own.
    pub(crate) fn environment(&self, given: &Given, sandbox: &str) -> Environment {
        if self.is_real(given) {
            return Environment::new();
        }
        let pairs = self.sandbox.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), value.replace("{sandbox}", sandbox)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str) -> Given {
        Given {
            file: vec![(name.to_owned(), "x".to_owned())],
            inherited: Vec::new(),
        }
    }

    #[test]
    fn own_credentials_lead_to_the_real_provider_and_nothing_else_does() {
        let sandbox = "http://127.0.0.1:3020";
        let led = SLACK.environment(&given("ALLOWED_CHANNELS"), sandbox);
        assert!(led.contains(&(
            "SLACK_API_URL".into(),
            "http://127.0.0.1:3020/slack/api".into()
        )));
        assert_eq!(SLACK.environment(&given("SLACK_BOT_TOKEN"), sandbox), []);
        assert!(!STRIPE.is_real(&given("SLACK_BOT_TOKEN")));
    }
}
