//! The newest key takes the place of older ones, row by row.

use sqlx::PgPool;
use uuid::Uuid;

use super::keyring::{KeyRing, Place, Sealed};

/// Rows sealed anew in one transaction.
const BATCH: i64 = 100;

struct Row {
    organization_id: Uuid,
    id: Uuid,
    key_id: String,
    access_token: Sealed,
    refresh_token: Option<Sealed>,
}

/// Seals everything under the newest key; answers how many rows. Stopped in between, it goes on where it was when it is run
/// again. What people began before and did not finish within ten minutes is left alone: it ends by itself.
///
/// # Errors
/// A row whose key is not in the ring. The rows before it are done.
pub async fn rotate(db: &PgPool, ring: &KeyRing) -> anyhow::Result<u64> {
    let mut sealed = 0;
    loop {
        let mut tx = db.begin().await?;
        let rows = sqlx::query_as!(
            Row,
            "SELECT organization_id, id, key_id, access_token, refresh_token FROM integrations
             WHERE key_id <> $1 ORDER BY organization_id, id LIMIT $2 FOR UPDATE",
            ring.newest(),
            BATCH
        );
        let rows = rows.fetch_all(&mut *tx).await?;
        for row in &rows {
            let (access_token, refresh_token) = row.seal_anew(ring)?;
            let update = sqlx::query!(
                "UPDATE integrations SET key_id = $3, access_token = $4, refresh_token = $5
                 WHERE organization_id = $1 AND id = $2",
                row.organization_id,
                row.id,
                ring.newest(),
                access_token,
                refresh_token
            );
            update.execute(&mut *tx).await?;
        }
        let retired = sqlx::query_as!(
            Row,
            "SELECT organization_id, id, key_id, access_token, refresh_token FROM integration_revocations
             WHERE key_id <> $1 ORDER BY organization_id, id LIMIT $2 FOR UPDATE",
            ring.newest(),
            BATCH
        );
        let retired = retired.fetch_all(&mut *tx).await?;
        for row in &retired {
            let (access_token, refresh_token) = row.seal_anew(ring)?;
            let update = sqlx::query!(
                "UPDATE integration_revocations SET key_id = $3, access_token = $4, refresh_token = $5
                 WHERE organization_id = $1 AND id = $2",
                row.organization_id,
                row.id,
                ring.newest(),
                access_token,
                refresh_token
            );
            update.execute(&mut *tx).await?;
        }
        tx.commit().await?;
        if rows.is_empty() && retired.is_empty() {
            return Ok(sealed);
        }
        sealed += (rows.len() + retired.len()) as u64;
    }
}

impl Row {
    fn seal_anew(&self, ring: &KeyRing) -> anyhow::Result<(Sealed, Option<Sealed>)> {
        let anew = |column, sealed: &Sealed| {
            let place = Place {
                organization_id: self.organization_id,
                row_id: self.id,
                column,
            };
            ring.seal(place, &ring.open(place, &self.key_id, sealed)?)
        };
        let refresh_token = self.refresh_token.as_ref();
        let refresh_token = refresh_token.map(|sealed| anew("refresh_token", sealed));
        Ok((
            anew("access_token", &self.access_token)?,
            refresh_token.transpose()?,
        ))
    }
}
