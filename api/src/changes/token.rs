//! Sync tokens: how far a reader has come. Opaque, bound to the organization and to the database that gave them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::kept_since;
use crate::{
    problem::{Problem, kinds},
    state::sha256,
};

/// A place in the order of the feed: transaction, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(pub u64, pub Uuid);

impl Position {
    pub const START: Self = Self(0, Uuid::nil());

    /// Before everything of this transaction and later ones.
    pub fn before(transaction_id: u64) -> Self {
        Self(transaction_id, Uuid::nil())
    }
}

#[derive(Debug)]
pub struct SyncToken {
    /// Of organization and database: numbers of transactions mean nothing elsewhere.
    digest: u32,
    pub after: Position,
    /// Nothing that changed later has been read, so the token is good while changes of that time are kept.
    at: Timestamp,
}

impl SyncToken {
    pub fn new(organization_id: Uuid, home: &str, after: Position, at: Timestamp) -> Self {
        let digest = digest(organization_id, home);
        Self { digest, after, at }
    }

    /// # Errors
    /// 410 where it is no token.
    pub fn read(text: &str) -> Result<Self, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| expired())?;
        let (digest, after, at) = serde_json::from_slice(&bytes).map_err(|_| expired())?;
        Ok(Self { digest, after, at })
    }

    /// # Errors
    /// 410 where it is of another organization or database, or too old.
    pub fn check(&self, organization_id: Uuid, home: &str, now: Timestamp) -> Result<(), Problem> {
        if self.digest != digest(organization_id, home) || self.at < kept_since(now) {
            return Err(expired());
        }
        Ok(())
    }

    pub fn write(&self) -> String {
        let parts = (self.digest, self.after, self.at);
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&parts).unwrap_or_default())
    }
}

fn digest(organization_id: Uuid, home: &str) -> u32 {
    let hash = sha256(&[organization_id.as_bytes(), home.as_bytes()]);
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

fn expired() -> Problem {
    let kind = &kinds::SYNC_TOKEN_EXPIRED;
    Problem::Malformed(kind, kind.detail(), Vec::new())
}
