use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{NewOrganization, Organization};

pub async fn get(db: &PgPool, organization_id: Uuid) -> sqlx::Result<Organization> {
    sqlx::query_as!(
        Organization,
        "SELECT id, name, default_deposit_rate_bps, version, created_at, updated_at FROM organizations WHERE id = $1",
        organization_id
    )
    .fetch_one(db)
    .await
}

pub async fn lock(db: &mut PgConnection, organization_id: Uuid) -> sqlx::Result<Organization> {
    sqlx::query_as!(
        Organization,
        "SELECT id, name, default_deposit_rate_bps, version, created_at, updated_at FROM organizations WHERE id = $1 FOR NO KEY UPDATE",
        organization_id
    )
    .fetch_one(db)
    .await
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    name: &str,
    now: Timestamp,
) -> sqlx::Result<Organization> {
    sqlx::query_as!(
        Organization,
        "INSERT INTO organizations (id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)
         RETURNING id, name, default_deposit_rate_bps, version, created_at, updated_at",
        organization_id,
        name,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    new: &NewOrganization,
    now: Timestamp,
) -> sqlx::Result<Organization> {
    sqlx::query_as!(
        Organization,
        "UPDATE organizations SET name = $2, default_deposit_rate_bps = $4, updated_at = $3, version = version + 1 WHERE id = $1
         RETURNING id, name, default_deposit_rate_bps, version, created_at, updated_at",
        organization_id,
        new.name,
        now.to_sqlx(),
        new.default_deposit_rate_bps
    )
    .fetch_one(db)
    .await
}

pub async fn name(db: &mut PgConnection, organization_id: Uuid) -> sqlx::Result<String> {
    sqlx::query_scalar!(
        "SELECT name FROM organizations WHERE id = $1",
        organization_id
    )
    .fetch_one(db)
    .await
}
