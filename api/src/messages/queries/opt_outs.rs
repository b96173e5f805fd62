use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::messages::opt_outs::MessageOptOut;

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    after: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<MessageOptOut>> {
    sqlx::query_as!(
        MessageOptOut,
        r#"SELECT number, created_at FROM message_opt_outs
           WHERE organization_id = $1 AND ($2::text IS NULL OR number COLLATE "C" > $2) ORDER BY number COLLATE "C" LIMIT $3"#,
        organization_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn has_opted_out(
    db: &mut PgConnection,
    organization_id: Uuid,
    number: &str,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM message_opt_outs WHERE organization_id = $1 AND number = $2) AS "exists!""#,
        organization_id,
        number
    )
    .fetch_one(db)
    .await
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    number: &str,
    now: jiff::Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO message_opt_outs (organization_id, number, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        organization_id,
        number,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn delete(
    db: &mut PgConnection,
    organization_id: Uuid,
    number: &str,
) -> sqlx::Result<Option<MessageOptOut>> {
    sqlx::query_as!(
        MessageOptOut,
        "DELETE FROM message_opt_outs WHERE organization_id = $1 AND number = $2 RETURNING number, created_at",
        organization_id,
        number
    )
    .fetch_optional(db)
    .await
}
