//! The secret that signs: `whsec_` and the base64 of its bytes (Standard Webhooks 1.0.0).

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use uuid::Uuid;

use crate::{
    keyring::{KeyRing, Place, Sealed},
    problem::Problem,
};

const PREFIX: &str = "whsec_";
/// Bound into what is sealed.
const COLUMN: &str = "webhook_secret";
const OLD_COLUMN: &str = "webhook_old_secret";

/// 24 to 64 bytes are right; ours have 32. `Debug` does not show it.
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// # Errors
    /// INTERNAL when the operating system has no randomness.
    pub fn generate() -> Result<Self, Problem> {
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("randomness: {error}"))?;
        Ok(Self(bytes))
    }

    /// As receivers know it; shown once.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// # Errors
    /// It is not a secret.
    fn parse(kept: &str) -> anyhow::Result<Self> {
        let text = kept.strip_prefix(PREFIX);
        let bytes = text.and_then(|text| STANDARD.decode(text).ok());
        bytes
            .map(Self)
            .ok_or_else(|| anyhow::anyhow!("a webhook secret in the database is not readable"))
    }

    /// One signature of the header `webhook-signature`.
    ///
    /// # Errors
    /// None: HMAC takes keys of any length.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> anyhow::Result<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Ok(format!(
            "v1,{}",
            STANDARD.encode(mac.finalize().into_bytes())
        ))
    }
}

/// The secrets of an endpoint: the one before signs as well until it expires.
#[derive(Debug)]
pub struct Secrets {
    pub current: Secret,
    pub old: Option<Secret>,
}

/// What the database has of them: sealed under a key, or, from before there were keys, as they are.
pub struct Stored {
    pub organization_id: Uuid,
    pub endpoint_id: Uuid,
    pub key_id: Option<String>,
    pub sealed_secret: Option<Sealed>,
    pub sealed_old_secret: Option<Sealed>,
    pub secret: Option<String>,
    pub old_secret: Option<String>,
}

/// Both secrets, under one key.
pub struct SealedSecrets {
    pub key_id: String,
    pub secret: Sealed,
    pub old_secret: Option<Sealed>,
}

impl Secrets {
    /// # Errors
    /// The operating system has no randomness.
    pub fn seal(
        &self,
        ring: &KeyRing,
        organization_id: Uuid,
        endpoint_id: Uuid,
    ) -> anyhow::Result<SealedSecrets> {
        let seal = |secret: &Secret, column| {
            let place = Place {
                organization_id,
                row_id: endpoint_id,
                column,
            };
            ring.seal(place, &SecretString::from(secret.expose()))
        };
        let old_secret = self.old.as_ref();
        let old_secret = old_secret.map(|old| seal(old, OLD_COLUMN));
        Ok(SealedSecrets {
            key_id: ring.newest().to_owned(),
            secret: seal(&self.current, COLUMN)?,
            old_secret: old_secret.transpose()?,
        })
    }
}

impl Stored {
    /// # Errors
    /// The key is not in the ring, there is no ring, or this was not sealed for this endpoint.
    pub fn open(&self, ring: Option<&KeyRing>) -> anyhow::Result<Secrets> {
        let current = self.one(
            ring,
            COLUMN,
            self.sealed_secret.as_ref(),
            self.secret.as_ref(),
        )?;
        let (sealed, plain) = (self.sealed_old_secret.as_ref(), self.old_secret.as_ref());
        Ok(Secrets {
            current: current.context("a webhook endpoint has no secret")?,
            old: self.one(ring, OLD_COLUMN, sealed, plain)?,
        })
    }

    fn one(
        &self,
        ring: Option<&KeyRing>,
        column: &'static str,
        sealed: Option<&Sealed>,
        plain: Option<&String>,
    ) -> anyhow::Result<Option<Secret>> {
        let (Some(key_id), Some(sealed)) = (&self.key_id, sealed) else {
            return plain.map(|plain| Secret::parse(plain)).transpose();
        };
        let place = Place {
            organization_id: self.organization_id,
            row_id: self.endpoint_id,
            column,
        };
        let ring = ring.context("INTEGRATIONS_KEYS is not set, and a webhook secret is sealed")?;
        let opened = ring.open(place, key_id, sealed)?;
        Ok(Some(Secret::parse(opened.expose_secret())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_the_standard_does() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signature.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn it_has_32_bytes_and_is_read_as_it_was_shown() {
        let secret = Secret::generate().unwrap();
        assert_eq!(secret.0.len(), 32);
        assert_eq!(Secret::parse(&secret.expose()).unwrap().0, secret.0);
        assert!(Secret::parse("plain").is_err());
    }
}
