use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{BookingPayment, NewBookingPayment, PaymentKind, PaymentMethod};
use crate::money::Money;

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    booking_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<BookingPayment>> {
    sqlx::query_as!(
        BookingPayment,
        r#"SELECT id, COALESCE(payment_request_id, id) AS "payment_id!", booking_id, kind AS "kind: PaymentKind",
                  method AS "method: PaymentMethod", price(amount, currency) AS "amount!: Money", reference, received_at,
                  created_at
           FROM payments
           WHERE organization_id = $1 AND booking_id = $2 AND ($3::uuid IS NULL OR id > $3)
           ORDER BY id LIMIT $4"#,
        organization_id,
        booking_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

/// What somebody is asked for, or paying right now, of a booking: not paid yet.
pub async fn under_way(
    db: &mut PgConnection,
    organization_id: Uuid,
    booking_id: Uuid,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COALESCE(sum(s.amount), 0)::bigint AS "amount!"
           FROM payment_shares s
           JOIN payment_requests r ON r.organization_id = s.organization_id AND r.id = s.payment_request_id
           WHERE s.organization_id = $1 AND s.booking_id = $2 AND r.status IN ('PENDING', 'PROCESSING')"#,
        organization_id,
        booking_id
    )
    .fetch_one(db)
    .await
}

/// `payment_request_id`: of the payment through Stripe that it belongs to.
pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    booking_id: Uuid,
    payment_request_id: Option<Uuid>,
    new: &NewBookingPayment,
    now: Timestamp,
) -> sqlx::Result<BookingPayment> {
    let received_at = new.received_at.unwrap_or_else(|| now.to_sqlx());
    sqlx::query_as!(
        BookingPayment,
        r#"WITH touched AS (
               UPDATE bookings SET version = version + 1, updated_at = $9 WHERE organization_id = $1 AND id = $3)
           INSERT INTO payments (organization_id, id, booking_id, kind, method, amount, currency, reference,
                                 received_at, created_at, payment_request_id)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $10, $9, $11)
           RETURNING id, COALESCE(payment_request_id, id) AS "payment_id!", booking_id, kind AS "kind: PaymentKind",
                     method AS "method: PaymentMethod", price(amount, currency) AS "amount!: Money", reference,
                     received_at, created_at"#,
        organization_id,
        id,
        booking_id,
        new.kind as PaymentKind,
        new.method as PaymentMethod,
        new.amount.amount,
        new.amount.currency.as_str(),
        new.reference,
        now.to_sqlx(),
        received_at as jiff_sqlx::Timestamp,
        payment_request_id
    )
    .fetch_one(db)
    .await
}
