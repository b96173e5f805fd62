use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{Definition, Own};

pub async fn list(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    after: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<Own>> {
    sqlx::query_as!(
        Own,
        r#"SELECT id, definition AS "definition: Json<Definition>", version, created_at, updated_at
           FROM playbooks WHERE organization_id = $1 AND ($2::text IS NULL OR name COLLATE "C" > $2)
           ORDER BY name COLLATE "C" LIMIT $3"#,
        organization_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(
    db: &mut PgConnection,
    organization_id: Uuid,
    name: &str,
) -> sqlx::Result<Option<Own>> {
    sqlx::query_as!(
        Own,
        r#"SELECT id, definition AS "definition: Json<Definition>", version, created_at, updated_at
           FROM playbooks WHERE organization_id = $1 AND name = $2"#,
        organization_id,
        name
    )
    .fetch_optional(db)
    .await
}

pub async fn lock(
    db: &mut PgConnection,
    organization_id: Uuid,
    name: &str,
) -> sqlx::Result<Option<Own>> {
    sqlx::query_as!(
        Own,
        r#"SELECT id, definition AS "definition: Json<Definition>", version, created_at, updated_at
           FROM playbooks WHERE organization_id = $1 AND name = $2 FOR UPDATE"#,
        organization_id,
        name
    )
    .fetch_optional(db)
    .await
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    definition: &Definition,
    now: Timestamp,
) -> sqlx::Result<Own> {
    sqlx::query_as!(
        Own,
        r#"INSERT INTO playbooks (organization_id, id, name, definition, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
           RETURNING id, definition AS "definition: Json<Definition>", version, created_at, updated_at"#,
        organization_id,
        id,
        definition.name,
        Json(definition) as _,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    definition: &Definition,
    now: Timestamp,
) -> sqlx::Result<Own> {
    sqlx::query_as!(
        Own,
        r#"UPDATE playbooks SET definition = $3, updated_at = $4, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, definition AS "definition: Json<Definition>", version, created_at, updated_at"#,
        organization_id,
        id,
        Json(definition) as _,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn delete(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM playbooks WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}
