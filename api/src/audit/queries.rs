use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{AuditEntry, AuditFilter, NewEntry};
use crate::access::Person;

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    filter: &AuditFilter,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<AuditEntry>> {
    sqlx::query_as!(
        AuditEntry,
        "SELECT id, occurred_at, actor_kind, actor_id, member_id, action, subject_type, subject_id,
                before, after, request_id
         FROM audit_entries
         WHERE organization_id = $1
           AND ($2::uuid IS NULL OR id < $2)
           AND ($3::uuid IS NULL OR subject_id = $3)
           AND ($4::text IS NULL OR action = $4)
           AND ($5::uuid IS NULL OR member_id = $5)
         ORDER BY id DESC LIMIT $6",
        organization_id,
        before,
        filter.subject_id,
        filter.action,
        filter.member_id,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn insert(
    db: &mut PgConnection,
    entry: NewEntry<'_>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let audience = entry.audience;
    sqlx::query!(
        "WITH entry AS (
             INSERT INTO audit_entries (organization_id, id, occurred_at, actor_kind, actor_id, member_id,
                                        action, subject_type, subject_id, before, after, request_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULLIF($12, ''))
         ), change AS (
             INSERT INTO changes (organization_id, id, event_type, subject_id, version, changed_at)
             SELECT $1, $2, $7, $9, ($11::jsonb ->> 'version')::bigint, $3 WHERE $13
         ), delivery AS (
             INSERT INTO webhook_deliveries (organization_id, id, endpoint_id, entry_id, event_type, created_at)
             SELECT $1, uuid_beside($2), id, $2, $14, $3 FROM webhook_endpoints
             WHERE organization_id = $1 AND $14::text IS NOT NULL
               AND CASE WHEN $15::uuid IS NULL THEN enabled AND event_types && ARRAY['*', $14::text] ELSE id = $15 END
             RETURNING id, endpoint_id
         ), job AS (
             INSERT INTO jobs (organization_id, id, kind, payload, lane, request_id)
             SELECT $1, id, 'webhook.deliver', '{}', 'webhook:' || endpoint_id, NULLIF($12, '') FROM delivery
         )
         SELECT pg_notify('jobs', '') FROM delivery LIMIT 1",
        entry.organization_id,
        entry.id,
        now.to_sqlx(),
        entry.actor.map_or("SYSTEM", Person::actor_kind),
        entry.actor.and_then(|person| person.api_key_id),
        entry.actor.map(|person| person.member_id),
        entry.action,
        entry.subject_type,
        entry.subject_id,
        entry.before,
        entry.after,
        entry.request_id,
        audience.is_in_feed,
        audience.event_type,
        audience.endpoint_id
    )
    .execute(db)
    .await?;
    Ok(())
}
