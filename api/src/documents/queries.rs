use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{Document, DocumentChange, DocumentFilter, DocumentKind, DocumentStatus};

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    filter: &DocumentFilter,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Document>> {
    sqlx::query_as!(
        Document,
        r#"SELECT id, event_id, kind AS "kind: DocumentKind", name, status AS "status: DocumentStatus", media_type, size_bytes,
                  file_id, url, failure, version, created_at, updated_at
           FROM documents
           WHERE organization_id = $1 AND ($2::uuid IS NULL OR id > $2) AND ($3::uuid IS NULL OR event_id = $3)
             AND ($4::text IS NULL OR kind = $4) AND ($5::text IS NULL OR status = $5)
           ORDER BY id LIMIT $6"#,
        organization_id,
        after,
        filter.event_id,
        filter.kind as Option<DocumentKind>,
        filter.status as Option<DocumentStatus>,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<Document> {
    sqlx::query_as!(
        Document,
        r#"SELECT id, event_id, kind AS "kind: DocumentKind", name, status AS "status: DocumentStatus", media_type, size_bytes,
                  file_id, url, failure, version, created_at, updated_at
           FROM documents WHERE organization_id = $1 AND id = $2"#,
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
) -> sqlx::Result<Document> {
    sqlx::query_as!(
        Document,
        r#"SELECT id, event_id, kind AS "kind: DocumentKind", name, status AS "status: DocumentStatus", media_type, size_bytes,
                  file_id, url, failure, version, created_at, updated_at
           FROM documents WHERE organization_id = $1 AND id = $2 FOR UPDATE"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// The live folder of an event.
pub async fn folder(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<Document> {
    sqlx::query_as!(
        Document,
        r#"SELECT id, event_id, kind AS "kind: DocumentKind", name, status AS "status: DocumentStatus", media_type, size_bytes,
                  file_id, url, failure, version, created_at, updated_at
           FROM documents WHERE organization_id = $1 AND event_id = $2 AND kind = 'FOLDER' AND status <> 'TRASHED'"#,
        organization_id,
        event_id
    )
    .fetch_one(db)
    .await
}

/// The row of an effect.
pub async fn of_effect(
    db: &mut PgConnection,
    organization_id: Uuid,
    effect_key: &str,
) -> sqlx::Result<Document> {
    sqlx::query_as!(
        Document,
        r#"SELECT id, event_id, kind AS "kind: DocumentKind", name, status AS "status: DocumentStatus", media_type, size_bytes,
                  file_id, url, failure, version, created_at, updated_at
           FROM documents WHERE organization_id = $1 AND effect_key = $2"#,
        organization_id,
        effect_key
    )
    .fetch_one(db)
    .await
}

pub async fn content(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "SELECT content FROM documents WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// A row to write, as `PENDING`.
pub struct NewRow<'a> {
    pub id: Uuid,
    pub event_id: Uuid,
    pub kind: DocumentKind,
    pub name: &'a str,
    pub content: Option<&'a str>,
    pub media_type: Option<&'a str>,
    pub effect_key: Option<&'a str>,
}

/// Whether it is new: an event has one folder, and an effect one row.
pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    new: &NewRow<'_>,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let inserted = sqlx::query!(
        "INSERT INTO documents (organization_id, id, event_id, kind, name, content, status, media_type, effect_key,
                                created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'PENDING', $7, $8, $9, $9)
         ON CONFLICT DO NOTHING",
        organization_id,
        new.id,
        new.event_id,
        new.kind as DocumentKind,
        new.name,
        new.content,
        new.media_type,
        new.effect_key,
        now.to_sqlx()
    );
    Ok(inserted.execute(db).await?.rows_affected() == 1)
}

pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    change: &DocumentChange,
    now: Timestamp,
) -> sqlx::Result<Document> {
    sqlx::query_as!(
        Document,
        r#"UPDATE documents SET kind = $3, name = $4, updated_at = $5, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, event_id, kind AS "kind: DocumentKind", name, status AS "status: DocumentStatus", media_type, size_bytes,
                  file_id, url, failure, version, created_at, updated_at"#,
        organization_id,
        id,
        change.kind as DocumentKind,
        change.name,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

/// What became of a document.
#[derive(Debug)]
pub struct End<'a> {
    pub status: DocumentStatus,
    pub failure: Option<&'a str>,
    pub file_id: Option<&'a str>,
    pub url: Option<&'a str>,
    pub size_bytes: Option<i64>,
}

impl End<'_> {
    pub fn new(status: DocumentStatus) -> Self {
        Self {
            status,
            failure: None,
            file_id: None,
            url: None,
            size_bytes: None,
        }
    }
}

pub async fn set(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    end: &End<'_>,
    now: Timestamp,
) -> sqlx::Result<Document> {
    sqlx::query_as!(
        Document,
        r#"UPDATE documents
           SET status = $3, failure = $4, file_id = COALESCE($5, file_id), url = COALESCE($6, url),
               size_bytes = COALESCE($7, size_bytes), content = CASE WHEN $3 IN ('FAILED', 'PENDING') THEN content END,
               updated_at = $8, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, event_id, kind AS "kind: DocumentKind", name, status AS "status: DocumentStatus", media_type, size_bytes,
                  file_id, url, failure, version, created_at, updated_at"#,
        organization_id,
        id,
        end.status as DocumentStatus,
        end.failure,
        end.file_id,
        end.url,
        end.size_bytes,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

/// Whether an event has documents beside its folder.
pub async fn has_others(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM documents WHERE organization_id = $1 AND event_id = $2 AND kind <> 'FOLDER'
                          AND status IN ('PENDING', 'READY')) AS "exists!""#,
        organization_id,
        event_id
    )
    .fetch_one(db)
    .await
}

/// Uploads of all organizations that began before `since` and never ended.
pub async fn broken_uploads(db: &PgPool, since: Timestamp) -> sqlx::Result<Vec<(Uuid, Uuid)>> {
    let rows = sqlx::query!(
        "SELECT organization_id, id FROM documents
         WHERE status = 'PENDING' AND updated_at < $1 AND effect_key LIKE 'upload:%' LIMIT 500",
        since.to_sqlx()
    );
    let rows = rows.fetch_all(db).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.organization_id, row.id))
        .collect())
}

/// Documents of all organizations that were to be made before `since`, and that no job will make any more; with what the
/// job said when it died.
pub async fn abandoned(
    db: &PgPool,
    since: Timestamp,
) -> sqlx::Result<Vec<(Uuid, Uuid, Option<String>)>> {
    let rows = sqlx::query!(
        "SELECT d.organization_id, d.id, dead.last_error FROM documents d
         LEFT JOIN LATERAL (
             SELECT last_error FROM jobs
             WHERE organization_id = d.organization_id AND died_at IS NOT NULL AND payload->>'document_id' = d.id::text
             ORDER BY died_at DESC LIMIT 1) dead ON true
         WHERE d.status = 'PENDING' AND d.updated_at < $1 AND COALESCE(d.effect_key, '') NOT LIKE 'upload:%'
           AND NOT EXISTS (
               SELECT FROM jobs
               WHERE organization_id = d.organization_id AND died_at IS NULL
                 AND (payload->>'document_id' = d.id::text OR 'action:' || (payload->>'subtask_id') = d.effect_key))
         LIMIT 500",
        since.to_sqlx()
    );
    let rows = rows.fetch_all(db).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.organization_id, row.id, row.last_error))
        .collect())
}
