//! Secrets of endpoints under the newest key.

use sqlx::PgConnection;

use super::secret::Stored;
use crate::keyring::KeyRing;

/// Seals the secrets of up to `most` endpoints; answers how many there were.
pub async fn seal_anew(db: &mut PgConnection, ring: &KeyRing, most: i64) -> anyhow::Result<usize> {
    let rows = sqlx::query_as!(
        Stored,
        "SELECT organization_id, id AS endpoint_id, key_id, sealed_secret, sealed_old_secret, secret, old_secret
         FROM webhook_endpoints WHERE key_id IS DISTINCT FROM $1 ORDER BY organization_id, id LIMIT $2 FOR UPDATE",
        ring.newest(),
        most
    );
    let rows = rows.fetch_all(&mut *db).await?;
    for row in &rows {
        let secrets = row.open(Some(ring))?;
        let kept = secrets.seal(ring, row.organization_id, row.endpoint_id)?;
        let update = sqlx::query!(
            "UPDATE webhook_endpoints
             SET key_id = $3, sealed_secret = $4, sealed_old_secret = $5, secret = NULL, old_secret = NULL
             WHERE organization_id = $1 AND id = $2",
            row.organization_id,
            row.endpoint_id,
            kept.key_id,
            kept.secret,
            kept.old_secret
        );
        update.execute(&mut *db).await?;
    }
    Ok(rows.len())
}
