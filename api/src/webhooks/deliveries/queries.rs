use jiff::{Timestamp, ToSpan};
use jiff_sqlx::ToSqlx;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{DeliveryFilter, DeliveryStatus, WebhookAttempt, WebhookDelivery};
use crate::{
    jobs::Job,
    keyring::Sealed,
    webhooks::{deliver::Outcome, secret::Stored},
};

/// How many failed deliveries are replayed at once.
const MOST_REPLAYS: i64 = 10_000;
/// How long deliveries are kept.
const KEPT_DAYS: i64 = 30;

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    endpoint_id: Uuid,
    filter: &DeliveryFilter,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<WebhookDelivery>> {
    sqlx::query_as!(
        WebhookDelivery,
        r#"SELECT d.id, d.endpoint_id, d.event_type, d.status AS "status: DeliveryStatus", d.attempts, d.last_status_code, d.last_reason,
                  j.available_at AS "next_attempt_at?", d.created_at, d.ended_at
           FROM webhook_deliveries d
           LEFT JOIN jobs j ON j.organization_id = d.organization_id AND j.id = d.id AND j.died_at IS NULL
           WHERE d.organization_id = $1 AND d.endpoint_id = $2 AND ($3::uuid IS NULL OR d.id < $3)
             AND ($4::text IS NULL OR d.status = $4) AND ($5::text IS NULL OR d.event_type = $5)
           ORDER BY d.id DESC LIMIT $6"#,
        organization_id,
        endpoint_id,
        before,
        filter.status as Option<DeliveryStatus>,
        filter.event_type,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<WebhookDelivery> {
    sqlx::query_as!(
        WebhookDelivery,
        r#"SELECT d.id, d.endpoint_id, d.event_type, d.status AS "status: DeliveryStatus", d.attempts, d.last_status_code, d.last_reason,
                  j.available_at AS "next_attempt_at?", d.created_at, d.ended_at
           FROM webhook_deliveries d
           LEFT JOIN jobs j ON j.organization_id = d.organization_id AND j.id = d.id AND j.died_at IS NULL
           WHERE d.organization_id = $1 AND d.id = $2"#,
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
) -> sqlx::Result<WebhookDelivery> {
    sqlx::query_as!(
        WebhookDelivery,
        r#"SELECT d.id, d.endpoint_id, d.event_type, d.status AS "status: DeliveryStatus", d.attempts, d.last_status_code, d.last_reason,
                  j.available_at AS "next_attempt_at?", d.created_at, d.ended_at
           FROM webhook_deliveries d
           LEFT JOIN jobs j ON j.organization_id = d.organization_id AND j.id = d.id AND j.died_at IS NULL
           WHERE d.organization_id = $1 AND d.id = $2 FOR UPDATE OF d"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

pub async fn newest(
    db: &mut PgConnection,
    organization_id: Uuid,
    endpoint_id: Uuid,
) -> sqlx::Result<WebhookDelivery> {
    sqlx::query_as!(
        WebhookDelivery,
        r#"SELECT d.id, d.endpoint_id, d.event_type, d.status AS "status: DeliveryStatus", d.attempts, d.last_status_code, d.last_reason,
                  j.available_at AS "next_attempt_at?", d.created_at, d.ended_at
           FROM webhook_deliveries d
           LEFT JOIN jobs j ON j.organization_id = d.organization_id AND j.id = d.id AND j.died_at IS NULL
           WHERE d.organization_id = $1 AND d.endpoint_id = $2 ORDER BY d.id DESC LIMIT 1"#,
        organization_id,
        endpoint_id
    )
    .fetch_one(db)
    .await
}

pub async fn attempts(
    db: &PgPool,
    organization_id: Uuid,
    delivery_id: Uuid,
) -> sqlx::Result<Vec<WebhookAttempt>> {
    sqlx::query_as!(
        WebhookAttempt,
        "SELECT attempted_at, status_code, reason FROM webhook_attempts
         WHERE organization_id = $1 AND delivery_id = $2 ORDER BY id",
        organization_id,
        delivery_id
    )
    .fetch_all(db)
    .await
}

/// The failed deliveries of an endpoint, oldest first.
pub async fn failed_since(
    db: &mut PgConnection,
    organization_id: Uuid,
    endpoint_id: Uuid,
    since: Option<Timestamp>,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT id FROM webhook_deliveries
         WHERE organization_id = $1 AND endpoint_id = $2 AND status = 'FAILED' AND ($3::timestamptz IS NULL OR created_at >= $3)
         ORDER BY id LIMIT $4 FOR UPDATE",
        organization_id,
        endpoint_id,
        since.map(ToSqlx::to_sqlx) as _,
        MOST_REPLAYS
    )
    .fetch_all(db)
    .await
}

/// Puts deliveries back on the queue, with all their attempts and their old ids.
pub async fn replay(
    db: &mut PgConnection,
    organization_id: Uuid,
    ids: &[Uuid],
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"WITH again AS (
               UPDATE webhook_deliveries SET status = 'PENDING', attempts = 0, ended_at = NULL
               WHERE organization_id = $1 AND id = ANY ($2) AND status <> 'PENDING' RETURNING id, endpoint_id
           ), job AS (
               INSERT INTO jobs (organization_id, id, kind, payload, lane)
               SELECT $1, id, 'webhook.deliver', '{}', 'webhook:' || endpoint_id FROM again
               ON CONFLICT (organization_id, id) DO UPDATE SET died_at = NULL, attempts = 0, available_at = clock_timestamp()
               RETURNING pg_notify('jobs', '')
           )
           SELECT count(*) AS "count!" FROM job"#,
        organization_id,
        ids
    )
    .fetch_one(db)
    .await
}

/// What a delivery needs: the endpoint as it is now, and the change as it was.
pub struct Due {
    pub event_type: String,
    pub status: DeliveryStatus,
    pub attempts: i32,
    pub endpoint_id: Uuid,
    pub url: String,
    pub enabled: bool,
    pub key_id: Option<String>,
    pub sealed_secret: Option<Sealed>,
    pub sealed_old_secret: Option<Sealed>,
    pub secret: Option<String>,
    pub old_secret: Option<String>,
    pub old_secret_expires_at: Option<jiff_sqlx::Timestamp>,
    pub failing_since: Option<jiff_sqlx::Timestamp>,
    pub occurred_at: jiff_sqlx::Timestamp,
    pub subject_type: String,
    pub subject_id: Uuid,
    pub object: Option<Value>,
}

impl Due {
    pub fn secrets(&mut self, organization_id: Uuid) -> Stored {
        Stored {
            organization_id,
            endpoint_id: self.endpoint_id,
            key_id: self.key_id.take(),
            sealed_secret: self.sealed_secret.take(),
            sealed_old_secret: self.sealed_old_secret.take(),
            secret: self.secret.take(),
            old_secret: self.old_secret.take(),
        }
    }
}

/// None when the endpoint is gone.
pub async fn due(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<Option<Due>> {
    sqlx::query_as!(
        Due,
        r#"SELECT d.event_type, d.status AS "status: DeliveryStatus", d.attempts, d.endpoint_id, e.url, e.enabled,
                  e.key_id, e.sealed_secret, e.sealed_old_secret, e.secret, e.old_secret, e.old_secret_expires_at, e.failing_since, a.occurred_at, a.subject_type, a.subject_id,
                  a.after AS object
           FROM webhook_deliveries d
           JOIN webhook_endpoints e ON e.organization_id = d.organization_id AND e.id = d.endpoint_id
           JOIN audit_entries a ON a.organization_id = d.organization_id AND a.id = d.entry_id
           WHERE d.organization_id = $1 AND d.id = $2"#,
        organization_id,
        id
    )
    .fetch_optional(db)
    .await
}

/// Writes an attempt down, and takes the job off the queue where it was the last; false when the job is no longer ours.
pub async fn record(
    db: &PgPool,
    job: &Job,
    attempt_id: Uuid,
    outcome: &Outcome,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"WITH mine AS (
               SELECT organization_id, id FROM jobs WHERE organization_id = $1 AND id = $2 AND fence = $3 FOR UPDATE
           ), attempt AS (
               INSERT INTO webhook_attempts (organization_id, delivery_id, id, attempted_at, status_code, reason)
               SELECT organization_id, id, $4, $5, $6, $7 FROM mine
           ), delivery AS (
               UPDATE webhook_deliveries d SET attempts = attempts + 1, last_status_code = $6, last_reason = $7,
                      status = $8, ended_at = CASE WHEN $8 <> 'PENDING' THEN $5::timestamptz END
               FROM mine WHERE d.organization_id = mine.organization_id AND d.id = mine.id
               RETURNING d.organization_id, d.endpoint_id
           ), endpoint AS (
               UPDATE webhook_endpoints e SET failing_since = CASE WHEN $7 IS NULL THEN NULL ELSE $5 END
               FROM delivery d
               WHERE e.organization_id = d.organization_id AND e.id = d.endpoint_id AND (failing_since IS NULL) = ($7 IS NOT NULL)
           ), gone AS (
               DELETE FROM jobs USING mine
               WHERE $8 <> 'PENDING' AND jobs.organization_id = mine.organization_id AND jobs.id = mine.id
           )
           SELECT count(*) > 0 AS "mine!" FROM mine"#,
        job.organization_id,
        job.id,
        job.fence,
        attempt_id,
        now.to_sqlx(),
        outcome.status_code,
        outcome.reason,
        outcome.status as DeliveryStatus
    )
    .fetch_one(db)
    .await
}

/// Removes deliveries that ended long ago, a bounded number at a time.
pub async fn forget(db: &PgPool, now: Timestamp) -> sqlx::Result<u64> {
    let before = now.checked_sub((KEPT_DAYS * 24).hours()).unwrap_or(now);
    let done = sqlx::query!(
        "DELETE FROM webhook_deliveries WHERE (organization_id, id) IN (
             SELECT organization_id, id FROM webhook_deliveries WHERE created_at < $1 AND status <> 'PENDING' LIMIT 5000)",
        before.to_sqlx()
    );
    Ok(done.execute(db).await?.rows_affected())
}
