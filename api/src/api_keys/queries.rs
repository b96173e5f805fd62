use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{ApiKey, NewApiKey};
use crate::access::{ApiKeyToken, Scope};

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<ApiKey>> {
    sqlx::query_as!(
        ApiKey,
        "SELECT id, member_id, name, hint, scopes, expires_at, last_used_at, revoked_at, version, created_at, updated_at
         FROM api_keys WHERE organization_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
        organization_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<ApiKey> {
    sqlx::query_as!(
        ApiKey,
        "SELECT id, member_id, name, hint, scopes, expires_at, last_used_at, revoked_at, version, created_at, updated_at
         FROM api_keys WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

pub async fn lock(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<ApiKey> {
    sqlx::query_as!(
        ApiKey,
        "SELECT id, member_id, name, hint, scopes, expires_at, last_used_at, revoked_at, version, created_at, updated_at
         FROM api_keys WHERE organization_id = $1 AND id = $2 FOR UPDATE",
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
    member_id: Uuid,
    new: &NewApiKey,
    token: &ApiKeyToken,
    now: Timestamp,
) -> sqlx::Result<ApiKey> {
    let scopes = new.scopes.as_deref().unwrap_or(&Scope::ALL);
    let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    sqlx::query_as!(
        ApiKey,
        "INSERT INTO api_keys (organization_id, id, member_id, name, token_hash, hint, scopes, expires_at,
                               created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
         RETURNING id, member_id, name, hint, scopes, expires_at, last_used_at, revoked_at, version, created_at, updated_at",
        organization_id,
        id,
        member_id,
        new.name,
        &token.hash()[..],
        token.hint(),
        &scopes,
        new.expires_at as Option<jiff_sqlx::Timestamp>,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn revoke(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    now: Timestamp,
) -> sqlx::Result<ApiKey> {
    sqlx::query_as!(
        ApiKey,
        "UPDATE api_keys SET revoked_at = $3, updated_at = $3, version = version + 1
         WHERE organization_id = $1 AND id = $2
         RETURNING id, member_id, name, hint, scopes, expires_at, last_used_at, revoked_at, version, created_at, updated_at",
        organization_id,
        id,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}
