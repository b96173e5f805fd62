use jiff_sqlx::Date;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::tasks::TaskStatus;

/// What is shown of a task.
pub struct Shown {
    pub title: String,
    pub description: String,
    pub status: TaskStatus,
    /// In the event's zone.
    pub due_date: Date,
    pub version: i64,
}

pub async fn shown(
    db: &mut PgConnection,
    organization_id: Uuid,
    task_id: Uuid,
) -> sqlx::Result<Option<Shown>> {
    sqlx::query_as!(
        Shown,
        r#"SELECT t.title, t.description, t.status AS "status: TaskStatus", t.version,
                  (t.due_at AT TIME ZONE e.time_zone)::date AS "due_date!: Date"
           FROM tasks t JOIN events e ON e.organization_id = t.organization_id AND e.id = t.event_id
           WHERE t.organization_id = $1 AND t.id = $2"#,
        organization_id,
        task_id
    )
    .fetch_optional(db)
    .await
}

/// Tasks of events to come that nobody has done, oldest first.
pub async fn open(db: &mut PgConnection, organization_id: Uuid) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT t.id FROM tasks t JOIN events e ON e.organization_id = t.organization_id AND e.id = t.event_id
         WHERE t.organization_id = $1 AND t.status = 'OPEN' AND e.status NOT IN ('COMPLETED', 'CANCELLED')
         ORDER BY t.id",
        organization_id
    )
    .fetch_all(db)
    .await
}

/// Linear's id of the issue that shows a task.
pub async fn issue(
    db: &mut PgConnection,
    organization_id: Uuid,
    task_id: Uuid,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "SELECT issue_id FROM task_issues WHERE organization_id = $1 AND task_id = $2",
        organization_id,
        task_id
    )
    .fetch_optional(db)
    .await
}

pub async fn keep(
    db: &PgPool,
    organization_id: Uuid,
    task_id: Uuid,
    issue_id: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO task_issues (organization_id, task_id, issue_id) VALUES ($1, $2, $3)
         ON CONFLICT (organization_id, task_id) DO UPDATE SET issue_id = $3",
        organization_id,
        task_id,
        issue_id
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn forget(db: &PgPool, organization_id: Uuid, task_id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM task_issues WHERE organization_id = $1 AND task_id = $2",
        organization_id,
        task_id
    )
    .execute(db)
    .await?;
    Ok(())
}
