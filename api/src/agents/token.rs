//! Tokens of agents: sealed in the database, open only while an agent is called.

use anyhow::Context;
use secrecy::SecretString;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::keyring::{KeyRing, Place, Sealed};

/// What the database has of a token: sealed under a key, or, from before there were keys, as it is.
#[derive(Debug, Clone)]
pub struct Stored {
    pub organization_id: Uuid,
    pub agent_id: Uuid,
    pub key_id: Option<String>,
    pub token: Sealed,
}

/// A token to keep.
pub struct SealedToken {
    pub key_id: String,
    pub token: Sealed,
}

impl SealedToken {
    /// # Errors
    /// The operating system has no randomness.
    pub fn new(
        ring: &KeyRing,
        organization_id: Uuid,
        agent_id: Uuid,
        token: &SecretString,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            key_id: ring.newest().to_owned(),
            token: ring.seal(place(organization_id, agent_id), token)?,
        })
    }
}

impl Stored {
    /// # Errors
    /// There is no ring, its key is not in it, or this was not sealed for this agent.
    pub fn open(&self, ring: Option<&KeyRing>) -> anyhow::Result<SecretString> {
        let Some(key_id) = &self.key_id else {
            let token = String::from_utf8(self.token.clone());
            return Ok(token.context("the token of an agent")?.into());
        };
        let ring = ring.context("INTEGRATIONS_KEYS is not set, and a token is sealed")?;
        ring.open(
            place(self.organization_id, self.agent_id),
            key_id,
            &self.token,
        )
    }
}

/// Seals the tokens of up to `most` agents under the newest key; answers how many there were.
pub async fn seal_anew(db: &mut PgConnection, ring: &KeyRing, most: i64) -> anyhow::Result<usize> {
    let rows = sqlx::query_as!(
        Stored,
        r#"SELECT organization_id, id AS agent_id, key_id, token AS "token!" FROM agents
           WHERE token IS NOT NULL AND key_id IS DISTINCT FROM $1 ORDER BY organization_id, id LIMIT $2 FOR UPDATE"#,
        ring.newest(),
        most
    );
    let rows = rows.fetch_all(&mut *db).await?;
    for row in &rows {
        let token = row.open(Some(ring))?;
        let kept = SealedToken::new(ring, row.organization_id, row.agent_id, &token)?;
        let update = sqlx::query!(
            "UPDATE agents SET key_id = $3, token = $4 WHERE organization_id = $1 AND id = $2",
            row.organization_id,
            row.agent_id,
            kept.key_id,
            kept.token
        );
        update.execute(&mut *db).await?;
    }
    Ok(rows.len())
}

fn place(organization_id: Uuid, row_id: Uuid) -> Place {
    Place {
        organization_id,
        row_id,
        column: "agent_token",
    }
}
