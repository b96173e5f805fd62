//! The keys that seal what we have to send as it was given to us, such as tokens: XChaCha20-Poly1305, bound to the place of
//! what is sealed, and replaced one by one.

use std::{fmt, sync::Arc};

use anyhow::{Context, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::{
    config,
    problem::{Problem, kinds},
};

mod rotate;

pub use rotate::rotate;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// The ring of this installation, if it has one. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Keys(Option<Arc<KeyRing>>);

/// Keys by their ids: the first one seals, all of them open.
pub struct KeyRing(Vec<Key>);

struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
    /// Whether it could be typed: a key is random bytes.
    is_text: bool,
}

/// Where something sealed belongs: in any other place it does not open.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub organization_id: Uuid,
    pub row_id: Uuid,
    /// What it is, such as `agent_token`.
    pub column: &'static str,
}

/// What the database keeps of a secret: a nonce, then what was sealed under it.
pub type Sealed = Vec<u8>;

impl Keys {
    /// For what may have been stored before there was a ring.
    pub fn get(&self) -> Option<&KeyRing> {
        self.0.as_deref()
    }

    /// # Errors
    /// 501, which names the setting: secrets are kept sealed or not at all.
    pub fn ring(&self) -> Result<&KeyRing, Problem> {
        self.get().ok_or_else(|| {
            let detail = "set INTEGRATIONS_KEYS (or its file): secrets are sealed under it";
            Problem::Sidecar(&kinds::INTEGRATION_NOT_CONFIGURED, detail.to_owned(), None)
        })
    }
}

impl From<Option<KeyRing>> for Keys {
    fn from(ring: Option<KeyRing>) -> Self {
        Self(ring.map(Arc::new))
    }
}

impl KeyRing {
    /// Keys as `<key id>:<base64 of 32 bytes>`, newest first, separated by white space or commas.
    ///
    /// # Errors
    /// No key, a key that is not of this form, an id that comes twice.
    pub fn parse(text: &SecretString) -> anyhow::Result<Self> {
        let keys = config::words(text).map(Key::parse);
        let keys: Vec<Key> = keys.collect::<anyhow::Result<_>>()?;
        ensure!(!keys.is_empty(), "INTEGRATIONS_KEYS holds no key");
        for (index, key) in keys.iter().enumerate() {
            let is_new = keys[..index].iter().all(|known| known.id != key.id);
            ensure!(is_new, "INTEGRATIONS_KEYS: the id {} comes twice", key.id);
        }
        Ok(Self(keys))
    }

    /// # Errors
    /// A key that stands in some example: it is readable text.
    pub fn refuse_examples(&self) -> anyhow::Result<()> {
        for key in &self.0 {
            ensure!(
                !key.is_text,
                "INTEGRATIONS_KEYS: the key {} is readable text, as in an example: use 32 random bytes, e.g. `openssl rand -base64 32`",
                key.id
            );
        }
        Ok(())
    }

    /// The id of the key that seals.
    pub fn newest(&self) -> &str {
        self.0.first().map_or("", |key| &key.id)
    }

    /// Seals under the newest key.
    pub fn seal(&self, place: Place, secret: &SecretString) -> anyhow::Result<Sealed> {
        let key = self.0.first().context("no key")?;
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        let payload = Payload {
            msg: secret.expose_secret().as_bytes(),
            aad: &place.bind(&key.id),
        };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| anyhow::anyhow!("sealing failed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// What was sealed there under the key of that id.
    ///
    /// # Errors
    /// The key is not in the ring, or this was not sealed for this place.
    pub fn open(&self, place: Place, key_id: &str, sealed: &[u8]) -> anyhow::Result<SecretString> {
        let key = self.0.iter().find(|key| key.id == key_id);
        let key = key.with_context(|| format!("INTEGRATIONS_KEYS lacks the key {key_id}"))?;
        let (nonce, msg) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .context("sealed text is too short")?;
        let aad = place.bind(key_id);
        let payload = Payload { msg, aad: &aad };
        let opened = key.cipher.decrypt(&XNonce::from(*nonce), payload);
        let opened = opened.map_err(|_| {
            anyhow::anyhow!("not sealed for {} under the key {key_id}", place.column)
        })?;
        Ok(String::from_utf8(opened).context("opened text")?.into())
    }
}

impl Key {
    fn parse(word: &str) -> anyhow::Result<Self> {
        // Nothing of the word is told: it may be the key.
        let form = "INTEGRATIONS_KEYS: a key is <key id>:<base64 of 32 bytes>";
        let (id, key) = word.split_once(':').context(form)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        ensure!(
            (1..=40).contains(&id.len()) && id.bytes().all(is_plain),
            "INTEGRATIONS_KEYS: a key's id has 1 to 40 letters, digits, `-`, `_` or `.`"
        );
        let bytes = STANDARD.decode(key).ok().context(form)?;
        ensure!(bytes.len() == KEY_BYTES, form);
        Ok(Self {
            id: id.to_owned(),
            cipher: XChaCha20Poly1305::new_from_slice(&bytes)
                .ok()
                .context(form)?,
            is_text: bytes.iter().all(|byte| (b' '..=b'~').contains(byte)),
        })
    }
}

impl Place {
    /// The associated data. The lengths keep its parts apart; those of the ids are fixed.
    fn bind(self, key_id: &str) -> Vec<u8> {
        let length = u8::try_from(key_id.len()).unwrap_or(u8::MAX);
        [
            &[length],
            key_id.as_bytes(),
            self.organization_id.as_bytes(),
            self.row_id.as_bytes(),
            self.column.as_bytes(),
        ]
        .concat()
    }
}

/// Ids only.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|key| &key.id))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, byte: u8) -> String {
        format!("{id}:{}", STANDARD.encode([byte; KEY_BYTES]))
    }

    fn ring(keys: &[String]) -> KeyRing {
        KeyRing::parse(&keys.join(" ,\n").into()).unwrap()
    }

    fn place(column: &'static str) -> Place {
        Place {
            organization_id: Uuid::from_u128(1),
            row_id: Uuid::from_u128(2),
            column,
        }
    }

    #[test]
    fn what_is_sealed_opens_in_its_own_place_only() {
        let ring = ring(&[key("k1", 1)]);
        let here = place("access_token");
        let sealed = ring.seal(here, &"ya29.secret".into()).unwrap();
        let opened = ring.open(here, "k1", &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "ya29.secret");
        let other_row = Place {
            row_id: Uuid::from_u128(3),
            ..here
        };
        let other_tenant = Place {
            organization_id: Uuid::from_u128(9),
            ..here
        };
        for elsewhere in [place("refresh_token"), other_row, other_tenant] {
            assert!(ring.open(elsewhere, "k1", &sealed).is_err());
        }
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(ring.open(here, "k1", &changed).is_err(), "byte {index}");
        }
        for length in 0..sealed.len() {
            assert!(ring.open(here, "k1", &sealed[..length]).is_err());
        }
    }

    #[test]
    fn the_same_secret_never_looks_the_same() {
        let ring = ring(&[key("k1", 1)]);
        let seal = || ring.seal(place("access_token"), &"same".into()).unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn the_newest_key_seals_and_all_of_them_open() {
        let old = ring(&[key("old", 1)]);
        let here = place("access_token");
        let sealed = old.seal(here, &"secret".into()).unwrap();
        let both = ring(&[key("new", 2), key("old", 1)]);
        assert_eq!(both.newest(), "new");
        assert!(both.open(here, "old", &sealed).is_ok());
        assert!(both.open(here, "new", &sealed).is_err());
        let anew = both.seal(here, &"secret".into()).unwrap();
        assert!(old.open(here, "new", &anew).is_err());
        // A key of another value under a known id opens nothing.
        assert!(ring(&[key("old", 3)]).open(here, "old", &sealed).is_err());
    }

    #[test]
    fn a_ring_that_is_none_is_told_without_its_keys() {
        let good = key("k1", 1);
        for text in [
            String::new(),
            " ,\n".to_owned(),
            "c2VjcmV0".to_owned(),
            "k1:c2VjcmV0".to_owned(),
            "k1:no base64".to_owned(),
            format!("k 1{}", &good[2..]),
            format!("{good} {good}"),
            format!("{}:x", "k".repeat(41)),
        ] {
            let error = KeyRing::parse(&text.clone().into())
                .unwrap_err()
                .to_string();
            assert!(error.contains("INTEGRATIONS_KEYS"), "{error}");
            assert!(!error.contains("c2VjcmV0"), "{error}");
        }
        assert_eq!(format!("{:?}", ring(&[good])), r#"["k1"]"#);
    }

    #[test]
    fn a_key_that_can_be_read_is_an_example() {
        let text = STANDARD.encode("development only, not for others");
        let example = ring(&[key("k2", 0x80), format!("k1:{text}")]);
        let error = example.refuse_examples().unwrap_err().to_string();
        assert!(error.contains("k1"), "{error}");
        assert!(ring(&[key("k2", 0x80)]).refuse_examples().is_ok());
    }
}
