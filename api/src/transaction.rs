//! How transactions begin.

use std::panic::resume_unwind;

use sqlx::{PgPool, Postgres, Transaction};

/// Begins a transaction with `statement`, such as `BEGIN`, even if whoever asked goes away meanwhile: sqlx 0.9 gives a
/// connection back with its transaction open when nobody waits for its `BEGIN` any more, and what others write with it is lost.
pub async fn begin(
    db: &PgPool,
    statement: &'static str,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let db = db.clone();
    match tokio::spawn(async move { db.begin_with(statement).await }).await {
        Ok(begun) => begun,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        // The process ends.
        Err(_) => Err(sqlx::Error::PoolClosed),
    }
}
