use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::PgPool;
use uuid::Uuid;

use super::Role;

pub struct ApiKeyOwner {
    pub organization_id: Uuid,
    pub id: Uuid,
    pub member_id: Uuid,
    pub role: Role,
    pub scopes: Vec<String>,
    /// Its last use is worth writing down again.
    pub seen_long_ago: bool,
}

/// The one query without an organization: the key tells it.
pub async fn api_key(
    db: &PgPool,
    hash: &[u8],
    now: Timestamp,
) -> sqlx::Result<Option<ApiKeyOwner>> {
    sqlx::query_as!(
        ApiKeyOwner,
        r#"SELECT k.organization_id, k.id, k.member_id, m.role AS "role: Role", k.scopes,
                  (k.last_used_at IS NULL OR k.last_used_at < $2::timestamptz - interval '1 minute') AS "seen_long_ago!"
           FROM api_keys k JOIN members m ON m.organization_id = k.organization_id AND m.id = k.member_id
           WHERE k.token_hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)"#,
        hash,
        now.to_sqlx()
    )
    .fetch_optional(db)
    .await
}

/// Notes the use of a key, about once a minute.
pub async fn touch(
    db: &PgPool,
    organization_id: Uuid,
    id: Uuid,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE api_keys SET last_used_at = $3, version = version + 1 WHERE organization_id = $1 AND id = $2",
        organization_id,
        id,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn member_role(
    db: &PgPool,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Option<Role>> {
    sqlx::query_scalar!(
        r#"SELECT role AS "role: Role" FROM members WHERE organization_id = $1 AND id = $2"#,
        organization_id,
        id
    )
    .fetch_optional(db)
    .await
}
