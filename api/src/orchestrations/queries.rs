use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::{Facts, OrchestrationFilter, Priority, Row, Run, RunStatus, SubtaskStatus};
use crate::playbooks::Definition;

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    filter: &OrchestrationFilter,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Run>> {
    sqlx::query_as!(
        Run,
        r#"SELECT id, event_id, is_booking_run, playbook, playbook_version, definition AS "definition: Json<Definition>",
                  description, facts AS "facts: Json<Facts>", notes, priority AS "priority: Priority",
                  status AS "status: RunStatus", requested_by, estimated_tokens, estimated_duration_minutes, version,
                  created_at, updated_at, started_at, ended_at
           FROM orchestrations
           WHERE organization_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::uuid IS NULL OR event_id = $3)
             AND ($4::uuid IS NULL OR id < $4)
           ORDER BY id DESC LIMIT $5"#,
        organization_id,
        filter.status as Option<RunStatus>,
        filter.event_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<Run> {
    sqlx::query_as!(
        Run,
        r#"SELECT id, event_id, is_booking_run, playbook, playbook_version, definition AS "definition: Json<Definition>",
                  description, facts AS "facts: Json<Facts>", notes, priority AS "priority: Priority",
                  status AS "status: RunStatus", requested_by, estimated_tokens, estimated_duration_minutes, version,
                  created_at, updated_at, started_at, ended_at
           FROM orchestrations WHERE organization_id = $1 AND id = $2"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

pub async fn lock(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<Run> {
    sqlx::query_as!(
        Run,
        r#"SELECT id, event_id, is_booking_run, playbook, playbook_version, definition AS "definition: Json<Definition>",
                  description, facts AS "facts: Json<Facts>", notes, priority AS "priority: Priority",
                  status AS "status: RunStatus", requested_by, estimated_tokens, estimated_duration_minutes, version,
                  created_at, updated_at, started_at, ended_at
           FROM orchestrations WHERE organization_id = $1 AND id = $2 FOR NO KEY UPDATE"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// The runs that end with the event: those that go on, and the one of its booking even if it is done.
pub async fn of_event(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT id FROM orchestrations
         WHERE organization_id = $1 AND event_id = $2
           AND (status IN ('QUEUED', 'RUNNING', 'WAITING', 'FAILED') OR is_booking_run AND status = 'SUCCEEDED') ORDER BY id",
        organization_id,
        event_id
    )
    .fetch_all(db)
    .await
}

/// The run of an event's booking, unless it was undone.
pub async fn booking_run(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "SELECT id FROM orchestrations
         WHERE organization_id = $1 AND event_id = $2 AND is_booking_run
           AND status NOT IN ('CANCELLING', 'CANCELLED', 'COMPENSATION_FAILED')",
        organization_id,
        event_id
    )
    .fetch_optional(db)
    .await
}

pub async fn insert(db: &mut PgConnection, organization_id: Uuid, run: &Run) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO orchestrations (organization_id, id, event_id, is_booking_run, playbook, playbook_version, definition,
                                     description, facts, notes, priority, status, requested_by, estimated_tokens,
                                     estimated_duration_minutes, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        organization_id,
        run.id,
        run.event_id,
        run.is_booking_run,
        run.playbook,
        run.playbook_version,
        &run.definition as _,
        run.description,
        &run.facts as _,
        &run.notes,
        run.priority as Priority,
        run.status as RunStatus,
        run.requested_by,
        run.estimated_tokens,
        run.estimated_duration_minutes,
        run.version,
        run.created_at as jiff_sqlx::Timestamp,
        run.updated_at as jiff_sqlx::Timestamp
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes how far the run has come.
pub async fn update(db: &mut PgConnection, organization_id: Uuid, run: &Run) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE orchestrations SET status = $3, version = $4, updated_at = $5, started_at = $6, ended_at = $7
         WHERE organization_id = $1 AND id = $2",
        organization_id,
        run.id,
        run.status as RunStatus,
        run.version,
        run.updated_at as jiff_sqlx::Timestamp,
        run.started_at as Option<jiff_sqlx::Timestamp>,
        run.ended_at as Option<jiff_sqlx::Timestamp>
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn insert_subtask(
    db: &mut PgConnection,
    organization_id: Uuid,
    orchestration_id: Uuid,
    row: &Row,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO subtasks (organization_id, id, orchestration_id, position, status, due_at, changed_in)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        organization_id,
        row.id,
        orchestration_id,
        row.position,
        row.status as SubtaskStatus,
        row.due_at as Option<jiff_sqlx::Timestamp>,
        row.changed_in
    )
    .execute(db)
    .await?;
    Ok(())
}

/// By their position.
pub async fn subtasks(
    db: &mut PgConnection,
    organization_id: Uuid,
    orchestration_id: Uuid,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"SELECT id, position, status AS "status: SubtaskStatus", attempts, is_uncertain, approved_by, input, output, error,
                  due_at, started_at, ended_at, changed_in
           FROM subtasks WHERE organization_id = $1 AND orchestration_id = $2 ORDER BY position"#,
        organization_id,
        orchestration_id
    )
    .fetch_all(db)
    .await
}

pub async fn update_subtask(
    db: &mut PgConnection,
    organization_id: Uuid,
    row: &Row,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE subtasks SET status = $3, attempts = $4, is_uncertain = $5, approved_by = $6, input = $7, output = $8, error = $9,
                started_at = $10, ended_at = $11, changed_in = $12
         WHERE organization_id = $1 AND id = $2",
        organization_id,
        row.id,
        row.status as SubtaskStatus,
        row.attempts,
        row.is_uncertain,
        row.approved_by,
        row.input,
        row.output,
        row.error,
        row.started_at as Option<jiff_sqlx::Timestamp>,
        row.ended_at as Option<jiff_sqlx::Timestamp>,
        row.changed_in
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What a watcher has to know before it asks for more: the run's version and status.
pub async fn progress(
    db: &PgPool,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<(i64, RunStatus)> {
    let run = sqlx::query!(
        r#"SELECT version, status AS "status: RunStatus" FROM orchestrations WHERE organization_id = $1 AND id = $2"#,
        organization_id,
        id
    );
    let run = run.fetch_one(db).await?;
    Ok((run.version, run.status))
}

/// Whether the credential that a watcher came with is still good.
pub async fn may_watch(
    db: &PgPool,
    organization_id: Uuid,
    member_id: Uuid,
    api_key_id: Option<Uuid>,
    now: jiff::Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM members WHERE organization_id = $1 AND id = $2)
                  AND ($3::uuid IS NULL OR EXISTS (
                      SELECT FROM api_keys WHERE organization_id = $1 AND id = $3 AND revoked_at IS NULL
                        AND (expires_at IS NULL OR expires_at > $4))) AS "may!""#,
        organization_id,
        member_id,
        api_key_id,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

/// What an event's live bookings come to.
pub struct Booked {
    pub venue: Option<String>,
    pub city: Option<String>,
    pub caterer: Option<String>,
    /// The most guests of one booking.
    pub guests: Option<i32>,
    /// None when there is none, or more than one.
    pub currency: Option<String>,
    pub total: Option<i64>,
    /// Deposits less what has been paid, at least nothing.
    pub deposit_due: Option<i64>,
}

pub async fn booked(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<Booked> {
    sqlx::query_as!(
        Booked,
        r#"SELECT max(v.name) AS venue, max(v.city) AS city, max(c.name) AS caterer, max(b.number_of_guests) AS guests,
                  CASE WHEN count(DISTINCT b.currency) = 1 THEN max(b.currency) END AS currency,
                  sum(b.total_amount)::bigint AS total,
                  greatest(0, sum(b.deposit_amount - COALESCE(p.paid, 0)))::bigint AS deposit_due
           FROM bookings b
           LEFT JOIN venues v ON v.organization_id = b.organization_id AND v.id = b.venue_id
           LEFT JOIN caterers c ON c.organization_id = b.organization_id AND c.id = b.caterer_id
           LEFT JOIN LATERAL (
               SELECT sum(CASE WHEN kind = 'REFUND' THEN -amount ELSE amount END) AS paid FROM payments
               WHERE organization_id = b.organization_id AND booking_id = b.id) p ON true
           WHERE b.organization_id = $1 AND b.event_id = $2 AND b.status <> 'CANCELLED'"#,
        organization_id,
        event_id
    )
    .fetch_one(db)
    .await
}

/// Runs of all organizations in one status.
pub struct OpenRuns {
    pub status: String,
    pub count: i64,
    /// Seconds since the one that has not changed for longest did.
    pub oldest: f64,
}

/// A row for each status in which a run is under way, or waits for somebody.
pub async fn count_open(db: &PgPool) -> sqlx::Result<Vec<OpenRuns>> {
    sqlx::query_as!(
        OpenRuns,
        r#"SELECT s.status AS "status!", count(o.id) AS "count!",
                  COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - min(o.updated_at)), 0)::float8 AS "oldest!"
           FROM UNNEST(ARRAY['QUEUED', 'RUNNING', 'WAITING', 'FAILED', 'CANCELLING', 'COMPENSATION_FAILED']) AS s (status)
           LEFT JOIN orchestrations o ON o.status = s.status AND o.status NOT IN ('SUCCEEDED', 'CANCELLED')
           GROUP BY s.status"#
    )
    .fetch_all(db)
    .await
}
