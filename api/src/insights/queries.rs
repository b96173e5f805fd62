use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::saved::{NewSavedQuery, QueryParameter, SavedQuery};

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<SavedQuery>> {
    sqlx::query_as!(
        SavedQuery,
        r#"SELECT id, name, description, sql, parameters AS "parameters: Json<Vec<QueryParameter>>", version, created_at, updated_at
           FROM saved_queries WHERE organization_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3"#,
        organization_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<SavedQuery> {
    sqlx::query_as!(
        SavedQuery,
        r#"SELECT id, name, description, sql, parameters AS "parameters: Json<Vec<QueryParameter>>", version, created_at, updated_at
           FROM saved_queries WHERE organization_id = $1 AND id = $2"#,
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
) -> sqlx::Result<SavedQuery> {
    sqlx::query_as!(
        SavedQuery,
        r#"SELECT id, name, description, sql, parameters AS "parameters: Json<Vec<QueryParameter>>", version, created_at, updated_at
           FROM saved_queries WHERE organization_id = $1 AND id = $2 FOR UPDATE"#,
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
    new: &NewSavedQuery,
    now: Timestamp,
) -> sqlx::Result<SavedQuery> {
    sqlx::query_as!(
        SavedQuery,
        r#"INSERT INTO saved_queries (organization_id, id, name, description, sql, parameters, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
           RETURNING id, name, description, sql, parameters AS "parameters: Json<Vec<QueryParameter>>", version, created_at, updated_at"#,
        organization_id,
        id,
        new.name,
        new.description,
        new.sql,
        Json(&new.parameters) as _,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewSavedQuery,
    now: Timestamp,
) -> sqlx::Result<SavedQuery> {
    sqlx::query_as!(
        SavedQuery,
        r#"UPDATE saved_queries SET name = $3, description = $4, sql = $5, parameters = $6, updated_at = $7, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, name, description, sql, parameters AS "parameters: Json<Vec<QueryParameter>>", version, created_at, updated_at"#,
        organization_id,
        id,
        new.name,
        new.description,
        new.sql,
        Json(&new.parameters) as _,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn delete(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM saved_queries WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}
