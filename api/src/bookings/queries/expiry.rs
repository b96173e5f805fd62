//! Holds that nobody confirmed in time.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Releases the expired holds of an organization; gives their ids.
pub async fn expire(
    db: &mut PgConnection,
    organization_id: Uuid,
    now: Timestamp,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "UPDATE bookings b
         SET status = 'CANCELLED', expires_at = NULL, cancelled_at = $2, cancellation_reason = 'EXPIRED',
             cancellation_fee_amount = 0, updated_at = $2, version = b.version + 1,
             availability_version = v.availability
         FROM planning_versions v
         WHERE b.organization_id = $1 AND v.organization_id = $1 AND b.status = 'HELD' AND b.expires_at <= $2
         RETURNING b.id",
        organization_id,
        now.to_sqlx()
    )
    .fetch_all(db)
    .await
}

/// Across organizations: this only tells the sweeper where to look.
pub async fn organizations_with_expired_holds(
    db: &PgPool,
    now: Timestamp,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT DISTINCT organization_id FROM bookings WHERE status = 'HELD' AND expires_at <= $1 ORDER BY organization_id",
        now.to_sqlx()
    )
    .fetch_all(db)
    .await
}
