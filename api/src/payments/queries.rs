use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{
    NewPaymentKind, Payment, PaymentFilter, PaymentRefusal, PaymentStatus,
    facts::{Dispute, Facts},
};
use crate::{
    bookings::{PaymentKind, PaymentMethod},
    money::Money,
};

mod dues;
pub use dues::{
    Due, Share, beyond_price, default_deposit_rate, dues, is_being_paid, only_for_cancelled, shares,
};

/// A payment through Stripe as we keep it.
#[expect(clippy::struct_excessive_bools, reason = "the columns of the facts")]
#[derive(Debug, Clone)]
pub struct Request {
    pub id: Uuid,
    pub event_id: Uuid,
    pub kind: PaymentKind,
    pub amount: Money,
    pub status: PaymentStatus,
    pub is_processing: bool,
    pub has_failed: bool,
    pub has_expired: bool,
    pub is_cancelled: bool,
    pub paid_amount: i64,
    pub refunded_amount: i64,
    pub dispute: Option<Dispute>,
    pub disputed_amount: i64,
    pub session_id: Option<String>,
    pub intent_id: Option<String>,
    pub expires_at: jiff_sqlx::Timestamp,
    pub cancel_requested_at: Option<jiff_sqlx::Timestamp>,
    pub version: i64,
}

impl Request {
    pub fn facts(&self) -> Facts {
        Facts {
            is_processing: self.is_processing,
            has_failed: self.has_failed,
            has_expired: self.has_expired,
            is_cancelled: self.is_cancelled,
            paid: self.paid_amount,
            refunded: self.refunded_amount,
            dispute: self.dispute,
            disputed: self.disputed_amount,
        }
    }
}

/// All payments, or the one with `id`. Stripe's total may have a refund in it that is still pending with us: it counts once.
pub async fn list(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    id: Option<Uuid>,
    filter: &PaymentFilter,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Payment>> {
    sqlx::query_as!(
        Payment,
        r#"SELECT id AS "id!", event_id AS "event_id!", booking_ids AS "booking_ids!", kind AS "kind!: PaymentKind",
                  method AS "method!: PaymentMethod", status AS "status!: PaymentStatus",
                  price(amount, currency) AS "amount!: Money", price(refunded, currency) AS "refunded!: Money",
                  price(pending, currency) AS "refund_pending!: Money", url, expires_at, paid_at, cancel_requested_at,
                  refusal AS "refusal: PaymentRefusal", failure, version AS "version!", created_at AS "created_at!",
                  updated_at AS "updated_at!"
           FROM (
               SELECT r.id, event_id, ARRAY(
                          SELECT booking_id FROM payment_shares s
                          WHERE s.organization_id = $1 AND s.payment_request_id = r.id ORDER BY 1) AS booking_ids,
                      kind, 'STRIPE' AS method, status, amount, currency, refunded_amount AS refunded,
                      LEAST(back.pending, GREATEST(back.made + back.pending - refunded_amount, 0)) AS pending,
                      CASE status WHEN 'PENDING' THEN url END AS url, expires_at, paid_at, cancel_requested_at, refusal,
                      failure, version, created_at, updated_at
               FROM payment_requests r
               CROSS JOIN LATERAL (
                   SELECT COALESCE(sum(f.amount) FILTER (WHERE f.status = 'PENDING'), 0)::bigint AS pending,
                          COALESCE(sum(f.amount) FILTER (WHERE f.status = 'SUCCEEDED'), 0)::bigint AS made
                   FROM payment_refunds f WHERE f.organization_id = $1 AND f.payment_request_id = r.id) back
               WHERE organization_id = $1
               UNION ALL
               SELECT p.id, b.event_id, ARRAY[p.booking_id], p.kind, p.method, 'SUCCEEDED', p.amount, p.currency, 0, 0, NULL,
                      NULL, p.received_at, NULL, NULL, NULL, 1, p.created_at, p.created_at
               FROM payments p JOIN bookings b ON b.organization_id = p.organization_id AND b.id = p.booking_id
               WHERE p.organization_id = $1 AND p.payment_request_id IS NULL
           ) payments
           WHERE ($2::uuid IS NULL OR id = $2) AND ($3::uuid IS NULL OR id > $3) AND ($4::uuid IS NULL OR event_id = $4)
             AND ($5::uuid IS NULL OR $5 = ANY (booking_ids)) AND ($6::text IS NULL OR status = $6)
           ORDER BY id LIMIT $7"#,
        organization_id,
        id,
        after,
        filter.event_id,
        filter.booking_id,
        filter.status as Option<PaymentStatus>,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Payment> {
    let filter = PaymentFilter::default();
    let found = list(db, organization_id, Some(id), &filter, None, 1).await?;
    found.into_iter().next().ok_or(sqlx::Error::RowNotFound)
}

/// `get` within a change.
pub async fn get_in(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Payment> {
    get(db, organization_id, id).await
}

/// Keeps its row from everybody else until the end of the change.
pub async fn lock(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<Request> {
    sqlx::query_scalar!(
        "SELECT id FROM payment_requests WHERE organization_id = $1 AND id = $2 FOR UPDATE",
        organization_id,
        id
    )
    .fetch_one(&mut *db)
    .await?;
    read(db, organization_id, id).await
}

/// The payment as it is now.
pub async fn read(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Request> {
    sqlx::query_as!(
        Request,
        r#"SELECT id, event_id, kind AS "kind: PaymentKind", price(amount, currency) AS "amount!: Money",
                  status AS "status: PaymentStatus", is_processing, has_failed, has_expired, is_cancelled, paid_amount,
                  refunded_amount, dispute AS "dispute: Dispute", disputed_amount, session_id, intent_id, expires_at,
                  cancel_requested_at, version
           FROM payment_requests WHERE organization_id = $1 AND id = $2"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// Across organizations: whose payment an intent of Stripe's belongs to.
pub async fn owner_of(db: &sqlx::PgPool, intent_id: &str) -> sqlx::Result<Option<(Uuid, Uuid)>> {
    let found = sqlx::query!(
        "SELECT organization_id, id FROM payment_requests WHERE intent_id = $1",
        intent_id
    );
    let found = found.fetch_optional(db).await?;
    Ok(found.map(|row| (row.organization_id, row.id)))
}

/// The payment that an action asked for under this key.
pub async fn by_key(
    db: &mut PgConnection,
    organization_id: Uuid,
    key: &str,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "SELECT id FROM payment_requests WHERE organization_id = $1 AND idempotency_key = $2",
        organization_id,
        key
    )
    .fetch_optional(db)
    .await
}

/// A payment to keep.
pub struct NewRequest<'a> {
    pub id: Uuid,
    pub event_id: Uuid,
    pub kind: NewPaymentKind,
    pub amount: Money,
    pub expires_at: Timestamp,
    pub idempotency_key: Option<&'a str>,
    pub bookings: Vec<Uuid>,
    /// In the order of `bookings`.
    pub shares: Vec<i64>,
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    new: &NewRequest<'_>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let kind = match new.kind {
        NewPaymentKind::Deposit => PaymentKind::Deposit,
        NewPaymentKind::Balance => PaymentKind::Balance,
    };
    sqlx::query!(
        "WITH request AS (
             INSERT INTO payment_requests (organization_id, id, event_id, kind, amount, currency, status, expires_at,
                                           idempotency_key, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, 'PENDING', $7, $8, $9, $9))
         INSERT INTO payment_shares (organization_id, payment_request_id, booking_id, amount)
         SELECT $1, $2, share.booking_id, share.amount
         FROM UNNEST($10::uuid[], $11::bigint[]) AS share (booking_id, amount)",
        organization_id,
        new.id,
        new.event_id,
        kind as PaymentKind,
        new.amount.amount,
        new.amount.currency.as_str(),
        new.expires_at.to_sqlx() as _,
        new.idempotency_key,
        now.to_sqlx() as _,
        &new.bookings,
        &new.shares
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What is known of a payment from now on. One that failed or expired leaves its key to the next: the action that is tried
/// again asks anew. One that was cancelled keeps it: somebody wanted it undone.
pub async fn know(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    facts: Facts,
    intent_id: Option<&str>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let is_paid = facts.paid > 0;
    sqlx::query!(
        "UPDATE payment_requests
         SET status = $3, is_processing = $4, has_failed = $5, has_expired = $6, is_cancelled = $7, paid_amount = $8,
             refunded_amount = $9, dispute = $10, disputed_amount = $11, intent_id = COALESCE($12, intent_id),
             paid_at = CASE WHEN $13 THEN COALESCE(paid_at, $14) END, updated_at = $14, version = version + 1,
             idempotency_key = CASE WHEN $3 NOT IN ('FAILED', 'EXPIRED') OR cancel_requested_at IS NOT NULL
                                    THEN idempotency_key END
         WHERE organization_id = $1 AND id = $2",
        organization_id,
        id,
        facts.status() as PaymentStatus,
        facts.is_processing,
        facts.has_failed,
        facts.has_expired,
        facts.is_cancelled,
        facts.paid,
        facts.refunded,
        facts.dispute as Option<Dispute>,
        facts.disputed,
        intent_id,
        is_paid,
        now.to_sqlx() as _
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Where it is paid.
pub async fn set_session(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    session_id: &str,
    url: &str,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE payment_requests SET session_id = $3, url = $4, updated_at = $5, version = version + 1
         WHERE organization_id = $1 AND id = $2",
        organization_id,
        id,
        session_id,
        url,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn set_expiry(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    expires_at: Timestamp,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE payment_requests SET expires_at = $3, updated_at = $4, version = version + 1
         WHERE organization_id = $1 AND id = $2",
        organization_id,
        id,
        expires_at.to_sqlx() as _,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn set_failure(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    failure: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE payment_requests SET failure = $3 WHERE organization_id = $1 AND id = $2",
        organization_id,
        id,
        failure
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn set_refusal(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    refusal: PaymentRefusal,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE payment_requests SET refusal = $3 WHERE organization_id = $1 AND id = $2",
        organization_id,
        id,
        refusal as PaymentRefusal
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn request_cancel(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE payment_requests SET cancel_requested_at = COALESCE(cancel_requested_at, $3), updated_at = $3, version = version + 1
         WHERE organization_id = $1 AND id = $2",
        organization_id,
        id,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}
