use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{BookingRun, NewOrganization, Organization};

pub async fn get(db: &PgPool, organization_id: Uuid) -> sqlx::Result<Organization> {
    sqlx::query_as!(
        Organization,
        r#"SELECT id, name, default_deposit_rate_bps, booking_run AS "booking_run: BookingRun", linear_team, version, created_at, updated_at FROM organizations WHERE id = $1"#,
        organization_id
    )
    .fetch_one(db)
    .await
}

pub async fn lock(db: &mut PgConnection, organization_id: Uuid) -> sqlx::Result<Organization> {
    sqlx::query_as!(
        Organization,
        r#"SELECT id, name, default_deposit_rate_bps, booking_run AS "booking_run: BookingRun", linear_team, version, created_at, updated_at FROM organizations WHERE id = $1 FOR NO KEY UPDATE"#,
        organization_id
    )
    .fetch_one(db)
    .await
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    name: &str,
    now: Timestamp,
) -> sqlx::Result<Organization> {
    sqlx::query_as!(
        Organization,
        r#"INSERT INTO organizations (id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)
         RETURNING id, name, default_deposit_rate_bps, booking_run AS "booking_run: BookingRun", linear_team, version, created_at, updated_at"#,
        organization_id,
        name,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    new: &NewOrganization,
    now: Timestamp,
) -> sqlx::Result<Organization> {
    sqlx::query_as!(
        Organization,
        r#"UPDATE organizations SET name = $2, updated_at = $3, booking_run = $4, default_deposit_rate_bps = $5, linear_team = $6, version = version + 1 WHERE id = $1
         RETURNING id, name, default_deposit_rate_bps, booking_run AS "booking_run: BookingRun", linear_team, version, created_at, updated_at"#,
        organization_id,
        new.name,
        now.to_sqlx(),
        new.booking_run as BookingRun,
        new.default_deposit_rate_bps,
        new.linear_team
    )
    .fetch_one(db)
    .await
}

pub async fn name(db: &mut PgConnection, organization_id: Uuid) -> sqlx::Result<String> {
    sqlx::query_scalar!(
        "SELECT name FROM organizations WHERE id = $1",
        organization_id
    )
    .fetch_one(db)
    .await
}

/// Whether booking starts a run.
pub async fn booking_run(db: &mut PgConnection, organization_id: Uuid) -> sqlx::Result<BookingRun> {
    sqlx::query_scalar!(
        r#"SELECT booking_run AS "booking_run: BookingRun" FROM organizations WHERE id = $1"#,
        organization_id
    )
    .fetch_one(db)
    .await
}

/// The Linear team that shows the organization's tasks.
pub async fn linear_team(
    db: &mut PgConnection,
    organization_id: Uuid,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "SELECT linear_team FROM organizations WHERE id = $1",
        organization_id
    )
    .fetch_one(db)
    .await
}
