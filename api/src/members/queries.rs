use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Member, NewMember};
use crate::access::Role;

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Member>> {
    sqlx::query_as!(
        Member,
        r#"SELECT id, name, email, role AS "role: Role", version, created_at, updated_at FROM members
           WHERE organization_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3"#,
        organization_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<Member> {
    sqlx::query_as!(
        Member,
        r#"SELECT id, name, email, role AS "role: Role", version, created_at, updated_at FROM members
           WHERE organization_id = $1 AND id = $2"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

pub async fn lock(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<Member> {
    sqlx::query_as!(
        Member,
        r#"SELECT id, name, email, role AS "role: Role", version, created_at, updated_at FROM members
           WHERE organization_id = $1 AND id = $2 FOR UPDATE"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// All owners, locked, so that two of them cannot leave at the same time.
pub async fn lock_owners(db: &mut PgConnection, organization_id: Uuid) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT id FROM members WHERE organization_id = $1 AND role = 'OWNER' ORDER BY id FOR UPDATE",
        organization_id
    )
    .fetch_all(db)
    .await
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewMember,
    now: Timestamp,
) -> sqlx::Result<Member> {
    sqlx::query_as!(
        Member,
        r#"INSERT INTO members (organization_id, id, name, email, role, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $6)
           RETURNING id, name, email, role AS "role: Role", version, created_at, updated_at"#,
        organization_id,
        id,
        new.name,
        new.email,
        new.role as Role,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewMember,
    now: Timestamp,
) -> sqlx::Result<Member> {
    sqlx::query_as!(
        Member,
        r#"UPDATE members SET name = $3, email = $4, role = $5, updated_at = $6, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, name, email, role AS "role: Role", version, created_at, updated_at"#,
        organization_id,
        id,
        new.name,
        new.email,
        new.role as Role,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn delete(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM members WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}
