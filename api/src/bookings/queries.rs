use std::time::Duration;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{
    Booking, BookingFilter, BookingStatus, CancellationReason,
    hold::{Claim, Conflict, Place},
};
use crate::{catalogue::CancellationTerm, money::Money, plans::option::PriceLine};

mod expiry;
pub use expiry::{expire, is_being_paid, organizations_with_expired_holds};

/// Makes the writers of an organization's bookings queue, and gives the version that they write.
/// Everything that changes a booking takes this first: so no two of them can deadlock, what is
/// found free stays free, and planning sees every change.
pub async fn lock_availability(db: &mut PgConnection, organization_id: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "INSERT INTO planning_versions AS v (organization_id, availability) VALUES ($1, 1)
         ON CONFLICT (organization_id) DO UPDATE SET availability = v.availability + 1
         RETURNING availability",
        organization_id
    )
    .fetch_one(db)
    .await
}

pub async fn list(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    filter: &BookingFilter,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Booking>> {
    sqlx::query_as!(
        Booking,
        r#"SELECT b.id, event_id, venue_id, caterer_id, plan_id, status AS "status: BookingStatus", number_of_guests,
                  starts_at, ends_at, occupied_from, occupied_until, service_date,
                  price(total_amount, b.currency) AS "total!: Money", price(deposit_amount, b.currency) AS "deposit!: Money",
                  price(COALESCE(p.paid, 0), b.currency) AS "paid!: Money", lines AS "lines: Json<Vec<PriceLine>>",
                  cancellation_terms AS "cancellation_terms: Json<Vec<CancellationTerm>>", expires_at, confirmed_at,
                  cancelled_at, cancellation_reason AS "cancellation_reason: CancellationReason",
                  price(cancellation_fee_amount, b.currency) AS "cancellation_fee?: Money",
                  version, b.created_at, updated_at
           FROM bookings b
           LEFT JOIN LATERAL (
               SELECT sum(CASE WHEN kind = 'REFUND' THEN -amount ELSE amount END)::bigint AS paid FROM payments
               WHERE organization_id = b.organization_id AND booking_id = b.id) p ON true
           WHERE organization_id = $1
             AND ($2::uuid IS NULL OR b.id > $2)
             AND ($3::uuid IS NULL OR event_id = $3)
             AND ($4::uuid IS NULL OR venue_id = $4)
             AND ($5::uuid IS NULL OR caterer_id = $5)
             AND ($6::text IS NULL OR status = $6)
           ORDER BY b.id LIMIT $7"#,
        organization_id,
        after,
        filter.event_id,
        filter.venue_id,
        filter.caterer_id,
        filter.status as Option<BookingStatus>,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Booking> {
    sqlx::query_as!(
        Booking,
        r#"SELECT b.id, event_id, venue_id, caterer_id, plan_id, status AS "status: BookingStatus", number_of_guests,
                  starts_at, ends_at, occupied_from, occupied_until, service_date,
                  price(total_amount, b.currency) AS "total!: Money", price(deposit_amount, b.currency) AS "deposit!: Money",
                  price(COALESCE(p.paid, 0), b.currency) AS "paid!: Money", lines AS "lines: Json<Vec<PriceLine>>",
                  cancellation_terms AS "cancellation_terms: Json<Vec<CancellationTerm>>", expires_at, confirmed_at,
                  cancelled_at, cancellation_reason AS "cancellation_reason: CancellationReason",
                  price(cancellation_fee_amount, b.currency) AS "cancellation_fee?: Money",
                  version, b.created_at, updated_at
           FROM bookings b
           LEFT JOIN LATERAL (
               SELECT sum(CASE WHEN kind = 'REFUND' THEN -amount ELSE amount END)::bigint AS paid FROM payments
               WHERE organization_id = b.organization_id AND booking_id = b.id) p ON true
           WHERE organization_id = $1 AND b.id = $2"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// `get` within a change.
pub async fn get_in(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Booking> {
    get(db, organization_id, id).await
}

/// Claims a place; false when it is gone or has no place left that day.
pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    event_id: Uuid,
    claim: &Claim,
    expires_at: Timestamp,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let (venue_id, caterer_id) = match claim.place {
        Place::Venue(id) => (Some(id), None),
        Place::Caterer(id) => (None, Some(id)),
    };
    let lines =
        serde_json::to_value(&claim.lines).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let done = sqlx::query!(
        "INSERT INTO bookings (organization_id, id, event_id, venue_id, caterer_id, plan_id, status, number_of_guests,
                               starts_at, ends_at, occupied_from, occupied_until, service_date, slot, currency,
                               total_amount, deposit_amount, lines, cancellation_terms, expires_at,
                               availability_version, created_at, updated_at)
         SELECT $1, $2, $3, $4, $5, $6, 'HELD', $7, $8, $9, $10, $11, $12, place.slot, $13, $14, $15, $16,
                place.cancellation_terms, $17, versions.availability, $18, $18
         FROM planning_versions versions, (
             SELECT cancellation_terms, NULL::smallint AS slot FROM venues WHERE organization_id = $1 AND id = $4
             UNION ALL
             SELECT c.cancellation_terms, free.slot::smallint FROM caterers c, LATERAL (
                 SELECT min(slot) AS slot FROM generate_series(1, c.daily_capacity) AS slot
                 WHERE slot NOT IN (
                     SELECT b.slot FROM bookings b
                     WHERE b.organization_id = $1 AND b.caterer_id = c.id AND b.service_date = $12
                       AND b.status <> 'CANCELLED')) free
             WHERE c.organization_id = $1 AND c.id = $5 AND free.slot IS NOT NULL
         ) place
         WHERE versions.organization_id = $1",
        organization_id,
        id,
        event_id,
        venue_id,
        caterer_id,
        claim.plan_id,
        claim.number_of_guests,
        claim.starts_at.to_sqlx(),
        claim.ends_at.to_sqlx(),
        claim.occupied_from.to_sqlx(),
        claim.occupied_until.to_sqlx(),
        claim.service_date.to_sqlx(),
        claim.total.currency.as_str(),
        claim.total.amount,
        claim.deposit.amount,
        lines,
        expires_at.to_sqlx(),
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The live bookings but for some, and the blocked dates, of a venue that overlap the claim.
pub async fn venue_conflicts(
    db: &mut PgConnection,
    organization_id: Uuid,
    venue_id: Uuid,
    claim: &Claim,
    but_for: &[Uuid],
) -> sqlx::Result<Vec<Conflict>> {
    sqlx::query_as!(
        Conflict,
        r#"SELECT 'BOOKING' AS "kind!", $2::uuid AS venue_id, NULL::uuid AS caterer_id, id AS "id!",
                  occupied_from AS "from!", occupied_until AS "until!"
           FROM bookings
           WHERE organization_id = $1 AND venue_id = $2 AND status <> 'CANCELLED' AND id <> ALL ($7)
             AND tstzrange(occupied_from, occupied_until) && tstzrange($3, $4)
           UNION ALL
           SELECT 'BLOCKED_DATE', $2, NULL, b.id, b.from_date::timestamp AT TIME ZONE v.time_zone,
                  (b.to_date + 1)::timestamp AT TIME ZONE v.time_zone
           FROM blocked_dates b JOIN venues v ON v.organization_id = b.organization_id AND v.id = b.venue_id
           WHERE b.organization_id = $1 AND b.venue_id = $2
             AND tstzrange(b.from_date::timestamp AT TIME ZONE v.time_zone,
                           (b.to_date + 1)::timestamp AT TIME ZONE v.time_zone) && tstzrange($5, $6)"#,
        organization_id,
        venue_id,
        claim.occupied_from.to_sqlx(),
        claim.occupied_until.to_sqlx(),
        claim.starts_at.to_sqlx(),
        claim.ends_at.to_sqlx(),
        but_for
    )
    .fetch_all(db)
    .await
}

/// The live bookings but for some that fill a caterer's day, and its blocked dates.
pub async fn caterer_conflicts(
    db: &mut PgConnection,
    organization_id: Uuid,
    caterer_id: Uuid,
    claim: &Claim,
    but_for: &[Uuid],
) -> sqlx::Result<Vec<Conflict>> {
    sqlx::query_as!(
        Conflict,
        r#"SELECT 'DAILY_CAPACITY' AS "kind!", NULL::uuid AS venue_id, $2::uuid AS caterer_id, b.id AS "id!",
                  b.starts_at AS "from!", b.ends_at AS "until!"
           FROM bookings b JOIN caterers c ON c.organization_id = b.organization_id AND c.id = b.caterer_id
           WHERE b.organization_id = $1 AND b.caterer_id = $2 AND b.status <> 'CANCELLED' AND b.service_date = $3
             AND b.id <> ALL ($4) AND c.daily_capacity <= (
                 SELECT count(*) FROM bookings WHERE organization_id = $1 AND caterer_id = $2
                 AND status <> 'CANCELLED' AND service_date = $3 AND id <> ALL ($4))
           UNION ALL
           SELECT 'BLOCKED_DATE', NULL, $2, b.id, b.from_date::timestamp AT TIME ZONE c.time_zone,
                  (b.to_date + 1)::timestamp AT TIME ZONE c.time_zone
           FROM blocked_dates b JOIN caterers c ON c.organization_id = b.organization_id AND c.id = b.caterer_id
           WHERE b.organization_id = $1 AND b.caterer_id = $2 AND $3 BETWEEN b.from_date AND b.to_date"#,
        organization_id,
        caterer_id,
        claim.service_date.to_sqlx(),
        but_for
    )
    .fetch_all(db)
    .await
}

/// Gives a booking the time and the price of the claim; on another day a caterer's first free place.
pub async fn move_to(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    claim: &Claim,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE bookings b
         SET starts_at = $3, ends_at = $4, occupied_from = $5, occupied_until = $6, service_date = $7, total_amount = $8,
             deposit_amount = $9, lines = $10, updated_at = $11, version = b.version + 1,
             availability_version = v.availability,
             slot = CASE WHEN b.service_date = $7 OR b.caterer_id IS NULL THEN b.slot ELSE (
                 SELECT min(free)::smallint FROM caterers c, generate_series(1, c.daily_capacity) AS free
                 WHERE c.organization_id = $1 AND c.id = b.caterer_id AND free NOT IN (
                     SELECT o.slot FROM bookings o
                     WHERE o.organization_id = $1 AND o.caterer_id = b.caterer_id AND o.service_date = $7
                       AND o.status <> 'CANCELLED')) END
         FROM planning_versions v
         WHERE b.organization_id = $1 AND b.id = $2 AND v.organization_id = $1",
        organization_id,
        id,
        claim.starts_at.to_sqlx(),
        claim.ends_at.to_sqlx(),
        claim.occupied_from.to_sqlx(),
        claim.occupied_until.to_sqlx(),
        claim.service_date.to_sqlx(),
        claim.total.amount,
        claim.deposit.amount,
        Json(&claim.lines) as _,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn confirm(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE bookings b
         SET status = 'CONFIRMED', expires_at = NULL, confirmed_at = $3, updated_at = $3, version = b.version + 1,
             availability_version = v.availability
         FROM planning_versions v
         WHERE b.organization_id = $1 AND b.id = $2 AND v.organization_id = $1",
        organization_id,
        id,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn cancel(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    reason: CancellationReason,
    fee: i64,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE bookings b
         SET status = 'CANCELLED', expires_at = NULL, cancelled_at = $3, cancellation_reason = $4,
             cancellation_fee_amount = $5, updated_at = $3, version = b.version + 1,
             availability_version = v.availability
         FROM planning_versions v
         WHERE b.organization_id = $1 AND b.id = $2 AND v.organization_id = $1",
        organization_id,
        id,
        now.to_sqlx(),
        reason as CancellationReason,
        fee
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Lets holds last until `until`, but none longer than `longest` since it was made; gives the ids of those that changed.
pub async fn keep(
    db: &mut PgConnection,
    organization_id: Uuid,
    ids: &[Uuid],
    until: Timestamp,
    longest: Duration,
    now: Timestamp,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "UPDATE bookings b
         SET expires_at = least($3, created_at + make_interval(secs => $4)), updated_at = $5, version = b.version + 1
         WHERE organization_id = $1 AND id = ANY ($2) AND status = 'HELD'
           AND expires_at < least($3, created_at + make_interval(secs => $4))
         RETURNING b.id",
        organization_id,
        ids,
        until.to_sqlx() as _,
        longest.as_secs_f64(),
        now.to_sqlx()
    )
    .fetch_all(db)
    .await
}

/// An expired hold as a confirmed booking; false when a caterer has no place left that day.
pub async fn revive(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE bookings b
         SET status = 'CONFIRMED', confirmed_at = $3, cancelled_at = NULL, cancellation_reason = NULL,
             cancellation_fee_amount = NULL, slot = place.slot, updated_at = $3, version = b.version + 1,
             availability_version = v.availability
         FROM planning_versions v, (
             SELECT o.id, NULL::smallint AS slot FROM bookings o
             WHERE o.organization_id = $1 AND o.id = $2 AND o.venue_id IS NOT NULL
             UNION ALL
             SELECT o.id, free.slot::smallint FROM bookings o
             JOIN caterers c ON c.organization_id = $1 AND c.id = o.caterer_id, LATERAL (
                 SELECT min(slot) AS slot FROM generate_series(1, c.daily_capacity) AS slot
                 WHERE slot NOT IN (
                     SELECT t.slot FROM bookings t
                     WHERE t.organization_id = $1 AND t.caterer_id = c.id AND t.service_date = o.service_date
                       AND t.status <> 'CANCELLED')) free
             WHERE o.organization_id = $1 AND o.id = $2 AND free.slot IS NOT NULL
         ) place
         WHERE b.organization_id = $1 AND b.id = $2 AND b.status = 'CANCELLED' AND v.organization_id = $1 AND place.id = b.id",
        organization_id,
        id,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
