//! The secret that signs: `whsec_` and the base64 of its bytes (Standard Webhooks 1.0.0).

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::problem::Problem;

const PREFIX: &str = "whsec_";

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

    /// As the database keeps it; a key ring would seal it here.
    pub fn keep(&self) -> String {
        self.expose()
    }

    /// From what the database keeps.
    ///
    /// # Errors
    /// It is not a secret.
    pub fn restore(kept: &str) -> anyhow::Result<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_the_standard_does() {
        let secret = Secret::restore("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
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
    fn it_has_32_bytes_and_survives_the_database() {
        let secret = Secret::generate().unwrap();
        assert_eq!(secret.0.len(), 32);
        assert_eq!(Secret::restore(&secret.keep()).unwrap().0, secret.0);
        assert!(Secret::restore("plain").is_err());
    }
}
