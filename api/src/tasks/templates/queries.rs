use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::{ChecklistItem, ChecklistTemplate, NewChecklistTemplate};

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    after: &str,
    limit: i64,
) -> sqlx::Result<Vec<ChecklistTemplate>> {
    sqlx::query_as!(
        ChecklistTemplate,
        r#"SELECT id, key, name, description, items AS "items: Json<Vec<ChecklistItem>>", false AS "is_shipped!", version,
                  created_at AS "created_at?", updated_at AS "updated_at?"
           FROM checklist_templates WHERE organization_id = $1 AND key COLLATE "C" > $2 ORDER BY key COLLATE "C" LIMIT $3"#,
        organization_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn find(
    db: &mut PgConnection,
    organization_id: Uuid,
    key: &str,
) -> sqlx::Result<Option<ChecklistTemplate>> {
    sqlx::query_as!(
        ChecklistTemplate,
        r#"SELECT id, key, name, description, items AS "items: Json<Vec<ChecklistItem>>", false AS "is_shipped!", version,
                  created_at AS "created_at?", updated_at AS "updated_at?"
           FROM checklist_templates WHERE organization_id = $1 AND key = $2"#,
        organization_id,
        key
    )
    .fetch_optional(db)
    .await
}

pub async fn lock(
    db: &mut PgConnection,
    organization_id: Uuid,
    key: &str,
) -> sqlx::Result<Option<ChecklistTemplate>> {
    sqlx::query_as!(
        ChecklistTemplate,
        r#"SELECT id, key, name, description, items AS "items: Json<Vec<ChecklistItem>>", false AS "is_shipped!", version,
                  created_at AS "created_at?", updated_at AS "updated_at?"
           FROM checklist_templates WHERE organization_id = $1 AND key = $2 FOR UPDATE"#,
        organization_id,
        key
    )
    .fetch_optional(db)
    .await
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewChecklistTemplate,
    now: Timestamp,
) -> sqlx::Result<ChecklistTemplate> {
    sqlx::query_as!(
        ChecklistTemplate,
        r#"INSERT INTO checklist_templates (organization_id, id, key, name, description, items, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
           RETURNING id, key, name, description, items AS "items: Json<Vec<ChecklistItem>>", false AS "is_shipped!", version,
                  created_at AS "created_at?", updated_at AS "updated_at?""#,
        organization_id,
        id,
        new.key,
        new.name,
        new.description,
        Json(&new.items) as _,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewChecklistTemplate,
    now: Timestamp,
) -> sqlx::Result<ChecklistTemplate> {
    sqlx::query_as!(
        ChecklistTemplate,
        r#"UPDATE checklist_templates SET name = $3, description = $4, items = $5, updated_at = $6, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, key, name, description, items AS "items: Json<Vec<ChecklistItem>>", false AS "is_shipped!", version,
                  created_at AS "created_at?", updated_at AS "updated_at?""#,
        organization_id,
        id,
        new.name,
        new.description,
        Json(&new.items) as _,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn delete(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM checklist_templates WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}
