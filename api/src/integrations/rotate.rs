//! Tokens of accounts under the newest key.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::keyring::{KeyRing, Place, Sealed};

struct Row {
    organization_id: Uuid,
    id: Uuid,
    key_id: String,
    access_token: Sealed,
    refresh_token: Option<Sealed>,
}

/// Seals up to `most` accounts, and as many that were disconnected; answers how many there were.
pub async fn seal_anew(db: &mut PgConnection, ring: &KeyRing, most: i64) -> anyhow::Result<usize> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT organization_id, id, key_id, access_token, refresh_token FROM integrations
         WHERE key_id <> $1 ORDER BY organization_id, id LIMIT $2 FOR UPDATE",
        ring.newest(),
        most
    );
    let rows = rows.fetch_all(&mut *db).await?;
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
        update.execute(&mut *db).await?;
    }
    let retired = sqlx::query_as!(
        Row,
        "SELECT organization_id, id, key_id, access_token, refresh_token FROM integration_revocations
         WHERE key_id <> $1 ORDER BY organization_id, id LIMIT $2 FOR UPDATE",
        ring.newest(),
        most
    );
    let retired = retired.fetch_all(&mut *db).await?;
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
        update.execute(&mut *db).await?;
    }
    Ok(rows.len() + retired.len())
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
