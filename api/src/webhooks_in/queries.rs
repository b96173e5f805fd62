use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::Received;

/// The event and its job, both or neither; false when the event is there already.
pub async fn insert(
    db: &PgPool,
    job_id: Uuid,
    event: &Received<'_>,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"WITH received AS (
               INSERT INTO received_events (provider, external_id, payload, received_at) VALUES ($1, $2, $3, $4)
               ON CONFLICT DO NOTHING RETURNING provider, external_id
           ), job AS (
               INSERT INTO jobs (organization_id, id, kind, payload, request_id)
               SELECT $5, $6, $7, jsonb_build_object('provider', provider, 'external_id', external_id), NULLIF($8, '')
               FROM received WHERE $7::text IS NOT NULL
               RETURNING pg_notify('jobs', '')
           )
           SELECT EXISTS (SELECT FROM received) AS "is_new!" FROM (SELECT count(*) FROM job) enqueued"#,
        event.provider,
        event.external_id,
        event.payload,
        now.to_sqlx(),
        event.organization_id.unwrap_or_default(),
        job_id,
        event.job,
        event.request_id
    )
    .fetch_one(db)
    .await
}

pub async fn payload(db: &PgPool, provider: &str, external_id: &str) -> sqlx::Result<Value> {
    sqlx::query_scalar!(
        "SELECT payload FROM received_events WHERE provider = $1 AND external_id = $2",
        provider,
        external_id
    )
    .fetch_one(db)
    .await
}

pub async fn forget(db: &PgPool, before: Timestamp) -> sqlx::Result<u64> {
    let gone = sqlx::query!(
        "DELETE FROM received_events WHERE received_at < $1",
        before.to_sqlx()
    );
    Ok(gone.execute(db).await?.rows_affected())
}
