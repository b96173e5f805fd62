//! What is due for bookings, and which part of a payment is whose.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::bookings::BookingStatus;

/// A booking of an event, and what is due for it, in minor units.
#[derive(Debug, Clone)]
pub struct Due {
    pub booking_id: Uuid,
    pub status: BookingStatus,
    pub currency: String,
    pub total: i64,
    pub deposit: i64,
    pub paid: i64,
    /// Asked for, or being paid.
    pub under_way: i64,
}

pub async fn dues(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<Vec<Due>> {
    sqlx::query_as!(
        Due,
        r#"SELECT b.id AS booking_id, b.status AS "status: BookingStatus", b.currency, b.total_amount AS total,
                  b.deposit_amount AS deposit, COALESCE(p.paid, 0) AS "paid!", COALESCE(w.amount, 0) AS "under_way!"
           FROM bookings b
           LEFT JOIN LATERAL (
               SELECT sum(CASE WHEN kind = 'REFUND' THEN -amount ELSE amount END)::bigint AS paid FROM payments
               WHERE organization_id = $1 AND booking_id = b.id) p ON true
           LEFT JOIN LATERAL (
               SELECT sum(s.amount)::bigint AS amount FROM payment_shares s
               JOIN payment_requests r ON r.organization_id = $1 AND r.id = s.payment_request_id
               WHERE s.organization_id = $1 AND s.booking_id = b.id AND r.status IN ('PENDING', 'PROCESSING')) w ON true
           WHERE b.organization_id = $1 AND b.event_id = $2 ORDER BY b.id"#,
        organization_id,
        event_id
    )
    .fetch_all(db)
    .await
}

pub async fn default_deposit_rate(
    db: &mut PgConnection,
    organization_id: Uuid,
) -> sqlx::Result<i32> {
    sqlx::query_scalar!(
        "SELECT default_deposit_rate_bps FROM organizations WHERE id = $1",
        organization_id
    )
    .fetch_one(db)
    .await
}

/// What a payment has for one booking, and what the ledger says of it.
#[derive(Debug)]
pub struct Share {
    pub booking_id: Uuid,
    pub amount: i64,
    pub entered_in: i64,
    pub entered_back: i64,
}

/// In the order in which refunds are taken from them: what was cancelled gives back before what is kept. A hold that has
/// expired counts as kept, as money may still take it back.
pub async fn shares(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Vec<Share>> {
    sqlx::query_as!(
        Share,
        r#"SELECT s.booking_id, s.amount, COALESCE(e.amount_in, 0) AS "entered_in!", COALESCE(e.amount_back, 0) AS "entered_back!"
           FROM payment_shares s
           JOIN bookings b ON b.organization_id = $1 AND b.id = s.booking_id
           LEFT JOIN LATERAL (
               SELECT sum(amount) FILTER (WHERE kind <> 'REFUND')::bigint AS amount_in,
                      sum(amount) FILTER (WHERE kind = 'REFUND')::bigint AS amount_back
               FROM payments p
               WHERE p.organization_id = $1 AND p.booking_id = s.booking_id AND p.payment_request_id = $2) e ON true
           WHERE s.organization_id = $1 AND s.payment_request_id = $2
           ORDER BY b.status = 'CANCELLED' AND b.cancellation_reason <> 'EXPIRED' DESC, s.booking_id"#,
        organization_id,
        id
    )
    .fetch_all(db)
    .await
}

/// Payments that are still asked for, for this booking and none that stands.
pub async fn only_for_cancelled(
    db: &mut PgConnection,
    organization_id: Uuid,
    booking_id: Uuid,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT r.id FROM payment_requests r
         JOIN payment_shares s ON s.organization_id = $1 AND s.payment_request_id = r.id AND s.booking_id = $2
         WHERE r.organization_id = $1 AND r.status IN ('PENDING', 'PROCESSING') AND r.cancel_requested_at IS NULL
           AND NOT EXISTS (
               SELECT FROM payment_shares o JOIN bookings b ON b.organization_id = $1 AND b.id = o.booking_id
               WHERE o.organization_id = $1 AND o.payment_request_id = r.id AND b.status <> 'CANCELLED')
         ORDER BY r.id",
        organization_id,
        booking_id
    )
    .fetch_all(db)
    .await
}

/// Payments that are still asked for, for a booking of which more is paid or asked for than it costs.
pub async fn beyond_price(
    db: &mut PgConnection,
    organization_id: Uuid,
    booking_id: Uuid,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "WITH asked AS (
             SELECT r.id, s.amount FROM payment_requests r
             JOIN payment_shares s ON s.organization_id = $1 AND s.payment_request_id = r.id AND s.booking_id = $2
             WHERE r.organization_id = $1 AND r.status IN ('PENDING', 'PROCESSING') AND r.cancel_requested_at IS NULL
         )
         SELECT id FROM asked
         WHERE (SELECT total_amount FROM bookings WHERE organization_id = $1 AND id = $2)
               < (SELECT sum(amount) FROM asked)
                 + (SELECT COALESCE(sum(CASE WHEN kind = 'REFUND' THEN -amount ELSE amount END), 0) FROM payments
                    WHERE organization_id = $1 AND booking_id = $2)
         ORDER BY id",
        organization_id,
        booking_id
    )
    .fetch_all(db)
    .await
}

/// Whether money of an event is still asked for or on its way, and wanted.
pub async fn is_being_paid(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM payment_requests WHERE organization_id = $1 AND event_id = $2
                          AND status IN ('PENDING', 'PROCESSING') AND cancel_requested_at IS NULL) AS "exists!""#,
        organization_id,
        event_id
    )
    .fetch_one(db)
    .await
}
