//! The newest key takes the place of older ones, row by row.

use sqlx::PgPool;

use super::KeyRing;
use crate::{agents, integrations, transaction, webhooks};

/// Most rows of each table that are sealed anew in one transaction.
const BATCH: i64 = 100;

/// Seals everything under the newest key, also what was written before secrets were sealed; answers how many rows. Stopped in
/// between, it goes on where it was when it is run again. What people began before and did not finish within ten minutes is
/// left alone: it ends by itself.
///
/// # Errors
/// A row whose key is not in the ring. The batches before it are done.
pub async fn rotate(db: &PgPool, ring: &KeyRing) -> anyhow::Result<u64> {
    let mut sealed = 0;
    loop {
        let mut tx = transaction::begin(db, "BEGIN").await?;
        let rows = integrations::seal_anew(&mut tx, ring, BATCH).await?
            + agents::seal_anew(&mut tx, ring, BATCH).await?
            + webhooks::seal_anew(&mut tx, ring, BATCH).await?;
        tx.commit().await?;
        if rows == 0 {
            return Ok(sealed);
        }
        sealed += rows as u64;
    }
}
