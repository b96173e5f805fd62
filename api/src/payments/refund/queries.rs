use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Why money is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    Requested,
    HoldLost,
    BookingCancelled,
    PaymentCancelled,
}

/// A refund to make.
#[derive(Debug)]
pub struct NewRow<'a> {
    pub payment_id: Uuid,
    pub amount: i64,
    pub reason: Reason,
    pub note: &'a str,
    /// The action's that asks for it.
    pub idempotency_key: Option<&'a str>,
}

/// A refund that we keep.
pub struct Row {
    pub payment_id: Uuid,
    pub amount: i64,
    pub is_done: bool,
    pub has_failed: bool,
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewRow<'_>,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH touched AS (
             UPDATE payment_requests SET updated_at = $8, version = version + 1 WHERE organization_id = $1 AND id = $3)
         INSERT INTO payment_refunds (organization_id, id, payment_request_id, amount, reason, note, status,
                                      idempotency_key, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'PENDING', $7, $8, $8)",
        organization_id,
        id,
        new.payment_id,
        new.amount,
        new.reason as Reason,
        new.note,
        new.idempotency_key,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn get(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<Row> {
    sqlx::query_as!(
        Row,
        r#"SELECT payment_request_id AS payment_id, amount, status = 'SUCCEEDED' AS "is_done!",
                  status = 'FAILED' AS "has_failed!"
           FROM payment_refunds WHERE organization_id = $1 AND id = $2"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// The refund that an action asked for under this key.
pub async fn by_key(
    db: &mut PgConnection,
    organization_id: Uuid,
    key: &str,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "SELECT id FROM payment_refunds WHERE organization_id = $1 AND idempotency_key = $2",
        organization_id,
        key
    )
    .fetch_optional(db)
    .await
}

/// One that failed leaves its key to the next: the action that is tried again asks for another.
pub async fn end(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    is_done: bool,
    refund_id: Option<&str>,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH refund AS (
             UPDATE payment_refunds SET status = CASE WHEN $3 THEN 'SUCCEEDED' ELSE 'FAILED' END,
                    refund_id = COALESCE($4, refund_id), idempotency_key = CASE WHEN $3 THEN idempotency_key END,
                    updated_at = $5
             WHERE organization_id = $1 AND id = $2 RETURNING payment_request_id)
         UPDATE payment_requests SET updated_at = $5, version = version + 1
         WHERE organization_id = $1 AND id = (SELECT payment_request_id FROM refund)",
        organization_id,
        id,
        is_done,
        refund_id,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}
