use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    endpoints::{NewWebhookEndpoint, WebhookEndpoint},
    secret::{SealedSecrets, Stored},
};

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<WebhookEndpoint>> {
    sqlx::query_as!(
        WebhookEndpoint,
        "SELECT id, url, description, event_types, enabled, disabled_reason, failing_since, old_secret_expires_at, version, created_at, updated_at
         FROM webhook_endpoints WHERE organization_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
        organization_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<WebhookEndpoint> {
    sqlx::query_as!(
        WebhookEndpoint,
        "SELECT id, url, description, event_types, enabled, disabled_reason, failing_since, old_secret_expires_at, version, created_at, updated_at
         FROM webhook_endpoints WHERE organization_id = $1 AND id = $2",
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
) -> sqlx::Result<WebhookEndpoint> {
    sqlx::query_as!(
        WebhookEndpoint,
        "SELECT id, url, description, event_types, enabled, disabled_reason, failing_since, old_secret_expires_at, version, created_at, updated_at
         FROM webhook_endpoints WHERE organization_id = $1 AND id = $2 FOR UPDATE",
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// None where the organization has `most` endpoints already.
pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewWebhookEndpoint,
    kept: &SealedSecrets,
    most: i64,
    now: Timestamp,
) -> sqlx::Result<Option<WebhookEndpoint>> {
    sqlx::query_as!(
        WebhookEndpoint,
        "INSERT INTO webhook_endpoints (organization_id, id, url, description, event_types, enabled, key_id, sealed_secret, created_at, updated_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $9
         WHERE (SELECT count(*) FROM webhook_endpoints WHERE organization_id = $1) < $10
         RETURNING id, url, description, event_types, enabled, disabled_reason, failing_since, old_secret_expires_at, version, created_at, updated_at",
        organization_id,
        id,
        new.url,
        new.description,
        &new.event_types,
        new.enabled,
        kept.key_id,
        kept.secret,
        now.to_sqlx(),
        most
    )
    .fetch_optional(db)
    .await
}

/// One that is enabled again starts with a clean record.
pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewWebhookEndpoint,
    now: Timestamp,
) -> sqlx::Result<WebhookEndpoint> {
    sqlx::query_as!(
        WebhookEndpoint,
        "UPDATE webhook_endpoints SET url = $3, description = $4, event_types = $5, enabled = $6,
             disabled_reason = CASE WHEN $6 THEN NULL ELSE disabled_reason END,
             failing_since = CASE WHEN $6 AND NOT enabled THEN NULL ELSE failing_since END,
             updated_at = $7, version = version + 1
         WHERE organization_id = $1 AND id = $2
         RETURNING id, url, description, event_types, enabled, disabled_reason, failing_since, old_secret_expires_at, version, created_at, updated_at",
        organization_id,
        id,
        new.url,
        new.description,
        &new.event_types,
        new.enabled,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

/// The secrets, for whoever gives an endpoint new ones.
pub async fn secrets(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Stored> {
    sqlx::query_as!(
        Stored,
        "SELECT organization_id, id AS endpoint_id, key_id, sealed_secret, sealed_old_secret, secret, old_secret
         FROM webhook_endpoints WHERE organization_id = $1 AND id = $2 FOR UPDATE",
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

pub async fn rotate(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    kept: &SealedSecrets,
    expires: Timestamp,
    now: Timestamp,
) -> sqlx::Result<WebhookEndpoint> {
    sqlx::query_as!(
        WebhookEndpoint,
        "UPDATE webhook_endpoints SET key_id = $3, sealed_secret = $4, sealed_old_secret = $5, old_secret_expires_at = $6,
             secret = NULL, old_secret = NULL, updated_at = $7, version = version + 1
         WHERE organization_id = $1 AND id = $2
         RETURNING id, url, description, event_types, enabled, disabled_reason, failing_since, old_secret_expires_at, version, created_at, updated_at",
        organization_id,
        id,
        kept.key_id,
        kept.secret,
        kept.old_secret,
        expires.to_sqlx(),
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn disable(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    reason: &str,
    now: Timestamp,
) -> sqlx::Result<WebhookEndpoint> {
    sqlx::query_as!(
        WebhookEndpoint,
        "UPDATE webhook_endpoints SET enabled = false, disabled_reason = $3, updated_at = $4, version = version + 1
         WHERE organization_id = $1 AND id = $2
         RETURNING id, url, description, event_types, enabled, disabled_reason, failing_since, old_secret_expires_at, version, created_at, updated_at",
        organization_id,
        id,
        reason,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn delete(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM webhook_endpoints WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Endpoints of all organizations that we have disabled.
pub async fn count_disabled(db: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM webhook_endpoints WHERE disabled_reason IS NOT NULL"#
    )
    .fetch_one(db)
    .await
}
