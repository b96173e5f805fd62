//! API keys: `epk_` and 256 random bits, shown once, kept as SHA-256.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use crate::state::sha256;

const PREFIX: &str = "epk_";

/// A whole API key, at the one moment when we have it.
#[derive(Debug)]
pub struct ApiKeyToken(SecretString);

impl ApiKeyToken {
    /// A fresh key from the operating system's generator.
    pub fn generate() -> anyhow::Result<Self> {
        let mut secret = [0_u8; 32];
        getrandom::fill(&mut secret).map_err(|error| anyhow::anyhow!("random bytes: {error}"))?;
        Ok(Self(
            format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret)).into(),
        ))
    }

    /// A key that somebody else made, e.g. for the demo.
    pub fn from_secret(key: &SecretString) -> anyhow::Result<Self> {
        let text = key.expose_secret();
        anyhow::ensure!(
            text.starts_with(PREFIX) && text.len() >= 40,
            "an API key is `epk_` and at least 36 random characters"
        );
        Ok(Self(key.clone()))
    }

    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is stored and looked up.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[self.expose().as_bytes()])
    }

    /// The beginning, by which a person tells two keys apart.
    pub fn hint(&self) -> String {
        self.expose().chars().take(PREFIX.len() + 4).collect()
    }
}
