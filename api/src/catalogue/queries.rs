use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::blocked_dates::{BlockedDate, Entry, NewBlockedDate};

/// None when there is no such venue or caterer; `after` is the last day and id of the page before.
pub async fn list_blocked_dates(
    db: &PgPool,
    organization_id: Uuid,
    entry: Entry,
    after: Option<(jiff::civil::Date, Uuid)>,
    limit: i64,
) -> sqlx::Result<Option<Vec<BlockedDate>>> {
    let (venue_id, caterer_id) = entry.columns();
    let (after_date, after_id) = after.unzip();
    let rows = sqlx::query!(
        r#"SELECT b.id AS "id?", b.venue_id, b.caterer_id, b.from_date AS "from_date?", b.to_date AS "to_date?",
                  b.reason AS "reason?", b.created_at AS "created_at?"
           FROM (SELECT FROM venues WHERE organization_id = $1 AND id = $2
                 UNION ALL SELECT FROM caterers WHERE organization_id = $1 AND id = $3) entry
           LEFT JOIN blocked_dates b
             ON b.organization_id = $1 AND (b.venue_id = $2 OR b.caterer_id = $3)
            AND ($4::date IS NULL OR (b.from_date, b.id) > ($4, $5::uuid))
           ORDER BY b.from_date, b.id LIMIT $6"#,
        organization_id,
        venue_id,
        caterer_id,
        after_date.map(ToSqlx::to_sqlx) as Option<jiff_sqlx::Date>,
        after_id,
        limit
    )
    .fetch_all(db)
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let dates = rows.into_iter().filter_map(|row| {
        Some(BlockedDate {
            id: row.id?,
            venue_id: row.venue_id,
            caterer_id: row.caterer_id,
            from_date: row.from_date?,
            to_date: row.to_date?,
            reason: row.reason?,
            created_at: row.created_at?,
        })
    });
    Ok(Some(dates.collect()))
}

pub async fn insert_blocked_date(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    entry: Entry,
    new: &NewBlockedDate,
    now: Timestamp,
) -> sqlx::Result<BlockedDate> {
    let (venue_id, caterer_id) = entry.columns();
    sqlx::query_as!(
        BlockedDate,
        "INSERT INTO blocked_dates (organization_id, id, venue_id, caterer_id, from_date, to_date, reason, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         RETURNING id, venue_id, caterer_id, from_date, to_date, reason, created_at",
        organization_id,
        id,
        venue_id,
        caterer_id,
        new.from_date as jiff_sqlx::Date,
        new.to_date as jiff_sqlx::Date,
        new.reason,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn delete_blocked_date(
    db: &mut PgConnection,
    organization_id: Uuid,
    entry: Entry,
    id: Uuid,
) -> sqlx::Result<BlockedDate> {
    let (venue_id, caterer_id) = entry.columns();
    sqlx::query_as!(
        BlockedDate,
        "DELETE FROM blocked_dates
         WHERE organization_id = $1 AND id = $2 AND (venue_id = $3 OR caterer_id = $4)
         RETURNING id, venue_id, caterer_id, from_date, to_date, reason, created_at",
        organization_id,
        id,
        venue_id,
        caterer_id
    )
    .fetch_one(db)
    .await
}
