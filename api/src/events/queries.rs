use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{Event, EventFilter, EventStatus, Fold, NewEvent, WallTime};
use crate::{money::Money, plans::brief::EventType};

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    filter: &EventFilter,
    after: Option<(jiff_sqlx::Timestamp, Uuid)>,
    limit: i64,
) -> sqlx::Result<Vec<Event>> {
    let (after_start, after_id) = after.unzip();
    sqlx::query_as!(
        Event,
        r#"SELECT id, title, event_type AS "event_type: EventType", status AS "status: EventStatus", local_start,
                  time_zone, fold AS "fold: Fold", duration_minutes, starts_at, ends_at, capacity,
                  price(budget_amount, budget_currency) AS "budget?: Money",
                  contact_name, contact_email, contact_phone, notes, version, created_at, updated_at
           FROM events
           WHERE organization_id = $1
             AND ($2::timestamptz IS NULL OR (starts_at, id) > ($2, $3::uuid))
             AND ($4::text IS NULL OR status = $4)
             AND ($5::text IS NULL OR event_type = $5)
             AND ($6::timestamptz IS NULL OR ends_at > $6)
             AND ($7::timestamptz IS NULL OR starts_at < $7)
           ORDER BY starts_at, id LIMIT $8"#,
        organization_id,
        after_start as Option<jiff_sqlx::Timestamp>,
        after_id,
        filter.status as Option<EventStatus>,
        filter.event_type as Option<EventType>,
        filter.ends_after as Option<jiff_sqlx::Timestamp>,
        filter.starts_before as Option<jiff_sqlx::Timestamp>,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(db: impl PgExecutor<'_>, organization_id: Uuid, id: Uuid) -> sqlx::Result<Event> {
    sqlx::query_as!(
        Event,
        r#"SELECT id, title, event_type AS "event_type: EventType", status AS "status: EventStatus", local_start,
                  time_zone, fold AS "fold: Fold", duration_minutes, starts_at, ends_at, capacity,
                  price(budget_amount, budget_currency) AS "budget?: Money",
                  contact_name, contact_email, contact_phone, notes, version, created_at, updated_at
           FROM events WHERE organization_id = $1 AND id = $2"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// As `get`, within a change.
pub async fn get_in(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<Event> {
    get(db, organization_id, id).await
}

pub async fn lock(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<Event> {
    sqlx::query_as!(
        Event,
        r#"SELECT id, title, event_type AS "event_type: EventType", status AS "status: EventStatus", local_start,
                  time_zone, fold AS "fold: Fold", duration_minutes, starts_at, ends_at, capacity,
                  price(budget_amount, budget_currency) AS "budget?: Money",
                  contact_name, contact_email, contact_phone, notes, version, created_at, updated_at
           FROM events WHERE organization_id = $1 AND id = $2 FOR UPDATE"#,
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
    new: &NewEvent,
    time: &WallTime,
    status: EventStatus,
    now: Timestamp,
) -> sqlx::Result<Event> {
    sqlx::query_as!(
        Event,
        r#"INSERT INTO events (organization_id, id, title, event_type, status, local_start, time_zone, fold,
                               duration_minutes, starts_at, ends_at, capacity, budget_amount, budget_currency,
                               contact_name, contact_email, contact_phone, notes, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $19)
           RETURNING id, title, event_type AS "event_type: EventType", status AS "status: EventStatus", local_start,
                  time_zone, fold AS "fold: Fold", duration_minutes, starts_at, ends_at, capacity,
                  price(budget_amount, budget_currency) AS "budget?: Money",
                  contact_name, contact_email, contact_phone, notes, version, created_at, updated_at"#,
        organization_id,
        id,
        new.title,
        new.event_type as EventType,
        status as EventStatus,
        new.local_start as jiff_sqlx::DateTime,
        new.time_zone,
        new.fold as Fold,
        new.duration_minutes,
        time.starts_at.to_sqlx(),
        time.ends_at.to_sqlx(),
        new.capacity,
        new.budget.map(|budget| budget.amount),
        new.budget.map(|budget| budget.currency.to_string()),
        new.contact_name,
        new.contact_email,
        new.contact_phone,
        new.notes,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewEvent,
    time: &WallTime,
    now: Timestamp,
) -> sqlx::Result<Event> {
    sqlx::query_as!(
        Event,
        r#"UPDATE events
           SET title = $3, event_type = $4, local_start = $5, time_zone = $6, fold = $7, duration_minutes = $8,
               starts_at = $9, ends_at = $10, capacity = $11, budget_amount = $12, budget_currency = $13,
               contact_name = $14, contact_email = $15, contact_phone = $16, notes = $17,
               updated_at = $18, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, title, event_type AS "event_type: EventType", status AS "status: EventStatus", local_start,
                  time_zone, fold AS "fold: Fold", duration_minutes, starts_at, ends_at, capacity,
                  price(budget_amount, budget_currency) AS "budget?: Money",
                  contact_name, contact_email, contact_phone, notes, version, created_at, updated_at"#,
        organization_id,
        id,
        new.title,
        new.event_type as EventType,
        new.local_start as jiff_sqlx::DateTime,
        new.time_zone,
        new.fold as Fold,
        new.duration_minutes,
        time.starts_at.to_sqlx(),
        time.ends_at.to_sqlx(),
        new.capacity,
        new.budget.map(|budget| budget.amount),
        new.budget.map(|budget| budget.currency.to_string()),
        new.contact_name,
        new.contact_email,
        new.contact_phone,
        new.notes,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn set_status(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    status: EventStatus,
    now: Timestamp,
) -> sqlx::Result<Event> {
    sqlx::query_as!(
        Event,
        r#"UPDATE events SET status = $3, updated_at = $4, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, title, event_type AS "event_type: EventType", status AS "status: EventStatus", local_start,
                  time_zone, fold AS "fold: Fold", duration_minutes, starts_at, ends_at, capacity,
                  price(budget_amount, budget_currency) AS "budget?: Money",
                  contact_name, contact_email, contact_phone, notes, version, created_at, updated_at"#,
        organization_id,
        id,
        status as EventStatus,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn delete(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM events WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn has_live_bookings(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM bookings
           WHERE organization_id = $1 AND event_id = $2 AND status <> 'CANCELLED') AS "exists!""#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// The money of an event's bookings in one currency, in minor units.
pub struct Sums {
    pub currency: String,
    pub held: i64,
    pub committed: i64,
    pub paid: i64,
}

/// One row for each currency, and the event's own budget.
pub async fn sums(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<Vec<Sums>> {
    sqlx::query_as!(
        Sums,
        r#"SELECT b.currency,
                  COALESCE(sum(b.total_amount) FILTER (WHERE b.status = 'HELD'), 0)::bigint AS "held!",
                  COALESCE(sum(CASE b.status WHEN 'CONFIRMED' THEN b.total_amount
                                             WHEN 'CANCELLED' THEN b.cancellation_fee_amount END), 0)::bigint AS "committed!",
                  COALESCE(sum(p.paid), 0)::bigint AS "paid!"
           FROM bookings b
           LEFT JOIN LATERAL (
               SELECT sum(CASE WHEN kind = 'REFUND' THEN -amount ELSE amount END) AS paid FROM payments
               WHERE organization_id = b.organization_id AND booking_id = b.id) p ON true
           WHERE b.organization_id = $1 AND b.event_id = $2
           GROUP BY b.currency ORDER BY b.currency"#,
        organization_id,
        id
    )
    .fetch_all(db)
    .await
}
