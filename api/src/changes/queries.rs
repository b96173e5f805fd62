use jiff::{Timestamp, ToSpan};
use jiff_sqlx::ToSqlx;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{kept_since, token::Position};

/// A change as it is kept, and the thing as the audit trail shows it.
pub struct Row {
    pub position: Position,
    pub event_type: String,
    pub subject_id: Uuid,
    pub version: Option<i64>,
    pub changed_at: jiff_sqlx::Timestamp,
    pub data: Option<Value>,
}

pub struct Found {
    /// Every transaction before this one has ended.
    pub horizon: u64,
    pub home: String,
    /// Whether the database is where its changes were written.
    pub is_at_home: bool,
    pub changes: Vec<Row>,
}

/// Changes of these kinds after a position, and not from before an instant, that no transaction can add to any more.
pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    event_types: &[String],
    (after, since): (Position, Option<Timestamp>),
    limit: i64,
) -> sqlx::Result<Found> {
    let rows = sqlx::query!(
        r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS "horizon!", database_home() AS "home!",
                  d.home = database_home() AS "is_at_home!", c.transaction_id AS "transaction_id?", c.id AS "id?",
                  c.event_type AS "event_type?", c.subject_id AS "subject_id?", c.version, c.changed_at AS "changed_at?",
                  a.after AS "data?"
           FROM deliveries d LEFT JOIN LATERAL (
               SELECT transaction_id::text, id, event_type, subject_id, version, changed_at FROM changes
               WHERE organization_id = $1 AND event_type = ANY ($2) AND (transaction_id, id) > ($3::text::xid8, $4::uuid)
                 AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
                 AND ($6::timestamptz IS NULL OR changed_at >= $6)
               ORDER BY changes.transaction_id, id LIMIT $5) c ON true
           LEFT JOIN audit_entries a ON a.organization_id = $1 AND a.id = c.id
           ORDER BY c.transaction_id::xid8, c.id"#,
        organization_id,
        event_types,
        after.0.to_string(),
        after.1,
        limit,
        since.map(ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>
    )
    .fetch_all(db)
    .await?;
    let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let (horizon, home, is_at_home) = (
        number(&first.horizon)?,
        first.home.clone(),
        first.is_at_home,
    );
    let mut changes = Vec::with_capacity(rows.len());
    for row in rows {
        // One row without a change, where there is none.
        let (Some(transaction_id), Some(id), Some(event_type), Some(subject_id), Some(changed_at)) = (
            row.transaction_id,
            row.id,
            row.event_type,
            row.subject_id,
            row.changed_at,
        ) else {
            continue;
        };
        changes.push(Row {
            position: Position(number(&transaction_id)?, id),
            event_type,
            subject_id,
            version: row.version,
            changed_at,
            data: row.data,
        });
    }
    Ok(Found {
        horizon,
        home,
        is_at_home,
        changes,
    })
}

fn number(text: &str) -> sqlx::Result<u64> {
    text.parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

pub async fn insert_many(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_type: &str,
    ids: &[Uuid],
    things: &[Uuid],
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO changes (organization_id, id, event_type, subject_id, changed_at)
         SELECT $1, id, $2, thing, $5 FROM UNNEST($3::uuid[], $4::uuid[]) AS t (id, thing)",
        organization_id,
        event_type,
        ids,
        things,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Removes changes that no good token needs, a bounded number at a time. The day more is for clocks that differ.
pub async fn forget(db: &PgPool, now: Timestamp) -> sqlx::Result<u64> {
    let before = kept_since(now).checked_sub(24.hours()).unwrap_or(now);
    let done = sqlx::query!(
        "DELETE FROM changes WHERE (organization_id, transaction_id, id) IN (
             SELECT organization_id, transaction_id, id FROM changes WHERE changed_at < $1 LIMIT 5000)",
        before.to_sqlx()
    );
    Ok(done.execute(db).await?.rows_affected())
}
