use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{Channel, MessageTemplate, NewMessageTemplate};

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<MessageTemplate>> {
    sqlx::query_as!(
        MessageTemplate,
        r#"SELECT id, name, channel AS "channel: Channel", text, version, created_at, updated_at FROM message_templates
           WHERE organization_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3"#,
        organization_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<MessageTemplate> {
    sqlx::query_as!(
        MessageTemplate,
        r#"SELECT id, name, channel AS "channel: Channel", text, version, created_at, updated_at FROM message_templates
           WHERE organization_id = $1 AND id = $2"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

pub async fn lock(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<MessageTemplate> {
    sqlx::query_as!(
        MessageTemplate,
        r#"SELECT id, name, channel AS "channel: Channel", text, version, created_at, updated_at FROM message_templates
           WHERE organization_id = $1 AND id = $2 FOR UPDATE"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewMessageTemplate,
    now: Timestamp,
) -> sqlx::Result<MessageTemplate> {
    sqlx::query_as!(
        MessageTemplate,
        r#"INSERT INTO message_templates (organization_id, id, name, channel, text, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $6)
           RETURNING id, name, channel AS "channel: Channel", text, version, created_at, updated_at"#,
        organization_id,
        id,
        new.name,
        new.channel as Channel,
        new.text,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewMessageTemplate,
    now: Timestamp,
) -> sqlx::Result<MessageTemplate> {
    sqlx::query_as!(
        MessageTemplate,
        r#"UPDATE message_templates SET name = $3, channel = $4, text = $5, updated_at = $6, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, name, channel AS "channel: Channel", text, version, created_at, updated_at"#,
        organization_id,
        id,
        new.name,
        new.channel as Channel,
        new.text,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn delete(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM message_templates WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}
