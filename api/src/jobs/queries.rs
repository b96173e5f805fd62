use std::time::Duration;

use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Job, NewJob, dead_letters::DeadLetter};

/// Answers the id of the job that stands for it: its own, or that of the live job with the same unique key.
pub async fn enqueue(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    job: &NewJob,
    request_id: &str,
) -> sqlx::Result<Uuid> {
    sqlx::query_scalar!(
        r#"WITH inserted AS (
               INSERT INTO jobs (organization_id, id, kind, payload, lane, unique_key, available_at, request_id)
               VALUES ($1, $2, $3, $4, $5, $6, COALESCE($7, clock_timestamp() - make_interval(secs => $9)), NULLIF($8, ''))
               ON CONFLICT (organization_id, kind, unique_key) WHERE died_at IS NULL DO NOTHING
               RETURNING id, pg_notify('jobs', '')
           )
           SELECT COALESCE(
               (SELECT id FROM inserted),
               (SELECT id FROM jobs WHERE organization_id = $1 AND kind = $3 AND unique_key = $6 AND died_at IS NULL),
               $2) AS "id!""#,
        organization_id,
        id,
        job.kind,
        job.payload,
        job.lane,
        job.unique_key,
        job.due.map(ToSqlx::to_sqlx) as _,
        request_id,
        job.head_start.as_secs_f64()
    )
    .fetch_one(db)
    .await
}

/// How many jobs of which lanes a worker has running, and how many it may have of one.
pub struct Lanes {
    pub names: Vec<String>,
    pub counts: Vec<i64>,
    pub most: i64,
}

/// Claims up to `limit` due jobs for `lease`, a share of them for each organization after `after`, and of a lane no more than
/// it has room for.
pub async fn claim(
    db: &PgPool,
    kinds: &[String],
    after: Uuid,
    limit: i64,
    share: i64,
    lease: Duration,
    lanes: &Lanes,
) -> sqlx::Result<Vec<Job>> {
    sqlx::query_as!(
        Job,
        r#"WITH RECURSIVE tenants AS (
               (SELECT organization_id FROM jobs WHERE died_at IS NULL AND organization_id >= $2 ORDER BY organization_id LIMIT 1)
               UNION ALL
               SELECT (SELECT organization_id FROM jobs WHERE died_at IS NULL AND organization_id > t.organization_id
                       ORDER BY organization_id LIMIT 1)
               FROM tenants t WHERE t.organization_id IS NOT NULL
           ), busy AS (
               SELECT lane, running FROM UNNEST($6::text[], $7::bigint[]) AS busy (lane, running)
           ), due AS (
               SELECT j.organization_id, j.id, j.lane, j.available_at FROM tenants t CROSS JOIN LATERAL (
                   SELECT organization_id, id, lane, available_at FROM jobs
                   WHERE organization_id = t.organization_id AND died_at IS NULL AND available_at <= clock_timestamp()
                     AND kind = ANY ($1)
                     AND lane <> ALL (ARRAY(SELECT lane FROM busy WHERE running >= $8
                                            UNION ALL SELECT lane FROM job_lanes WHERE paused_until > clock_timestamp()))
                   ORDER BY available_at, id LIMIT $4 FOR UPDATE SKIP LOCKED) j
               LIMIT $3
           ), queued AS (
               SELECT organization_id, id, lane, row_number() OVER (PARTITION BY lane ORDER BY available_at, id) AS place FROM due
           ), fitting AS (
               SELECT organization_id, id FROM queued LEFT JOIN busy USING (lane)
               WHERE lane = '' OR place <= $8 - COALESCE(running, 0)
           )
           UPDATE jobs SET fence = fence + 1, attempts = attempts + 1,
                  available_at = clock_timestamp() + make_interval(secs => $5)
           FROM fitting WHERE jobs.organization_id = fitting.organization_id AND jobs.id = fitting.id
           RETURNING jobs.organization_id, jobs.id, kind, payload, lane, attempts, fence, request_id"#,
        kinds,
        after,
        limit,
        share,
        lease.as_secs_f64(),
        &lanes.names,
        &lanes.counts,
        lanes.most
    )
    .fetch_all(db)
    .await
}

/// Whether the job was still ours, and is gone now.
pub async fn settle(db: &mut PgConnection, job: &Job) -> sqlx::Result<bool> {
    let gone = sqlx::query!(
        "DELETE FROM jobs WHERE organization_id = $1 AND id = $2 AND fence = $3",
        job.organization_id,
        job.id,
        job.fence
    );
    Ok(gone.execute(db).await?.rows_affected() == 1)
}

/// Whether the job is still ours, and stays so until this change ends.
pub async fn lock(db: &mut PgConnection, job: &Job) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        "SELECT id FROM jobs WHERE organization_id = $1 AND id = $2 AND fence = $3 FOR UPDATE",
        job.organization_id,
        job.id,
        job.fence
    );
    Ok(found.fetch_optional(db).await?.is_some())
}

/// The claims that an update of many jobs is about, as columns.
#[derive(Debug, Default)]
pub struct Claims {
    pub organization_ids: Vec<Uuid>,
    pub ids: Vec<Uuid>,
    pub fences: Vec<i64>,
}

impl Claims {
    pub fn push(&mut self, job: &Job) {
        self.organization_ids.push(job.organization_id);
        self.ids.push(job.id);
        self.fences.push(job.fence);
    }
}

/// Takes finished jobs off the queue. Rows are locked in one order, here and in `extend`, so that neither waits for the other.
pub async fn finish(db: &PgPool, claims: &Claims) -> sqlx::Result<u64> {
    let gone = sqlx::query!(
        "WITH ours AS (
             SELECT j.organization_id, j.id FROM jobs j
             JOIN UNNEST($1::uuid[], $2::uuid[], $3::bigint[]) AS c (organization_id, id, fence) USING (organization_id, id, fence)
             ORDER BY j.organization_id, j.id FOR UPDATE OF j)
         DELETE FROM jobs USING ours WHERE jobs.organization_id = ours.organization_id AND jobs.id = ours.id",
        &claims.organization_ids,
        &claims.ids,
        &claims.fences
    );
    Ok(gone.execute(db).await?.rows_affected())
}

/// Keeps jobs that are being worked on for another `lease`; answers the claims that are still ours, as id and fence.
pub async fn extend(
    db: &PgPool,
    claims: &Claims,
    lease: Duration,
) -> sqlx::Result<Vec<(Uuid, i64)>> {
    let kept = sqlx::query!(
        "WITH ours AS (
             SELECT j.organization_id, j.id FROM jobs j
             JOIN UNNEST($1::uuid[], $2::uuid[], $3::bigint[]) AS c (organization_id, id, fence) USING (organization_id, id, fence)
             ORDER BY j.organization_id, j.id FOR UPDATE OF j)
         UPDATE jobs SET available_at = clock_timestamp() + make_interval(secs => $4)
         FROM ours WHERE jobs.organization_id = ours.organization_id AND jobs.id = ours.id
         RETURNING jobs.id, jobs.fence",
        &claims.organization_ids,
        &claims.ids,
        &claims.fences,
        lease.as_secs_f64()
    );
    let kept = kept.fetch_all(db).await?;
    Ok(kept.into_iter().map(|job| (job.id, job.fence)).collect())
}

/// What becomes of a job that was not done.
#[derive(Debug, Clone, Copy)]
pub struct Again {
    /// Wait at least this long.
    pub after: Duration,
    /// And a random time up to this.
    pub spread: Duration,
    /// The attempt counts.
    pub counts: bool,
    /// Give it up.
    pub dies: bool,
}

/// Gives a job back, for later or as a dead letter. Without an error it is housekeeping that was done and comes again.
/// The claim ends here: an extension of its lease that is on its way finds it no more.
pub async fn release(
    db: &PgPool,
    job: &Job,
    error: Option<&str>,
    again: Again,
) -> sqlx::Result<bool> {
    let released = sqlx::query!(
        "UPDATE jobs SET last_error = $4, fence = fence + 1,
                attempts = CASE WHEN $4::text IS NULL THEN 0 WHEN $7 THEN attempts ELSE attempts - 1 END,
                available_at = clock_timestamp() + make_interval(secs => $5 + random() * $6),
                died_at = CASE WHEN $8 THEN clock_timestamp() END
         WHERE organization_id = $1 AND id = $2 AND fence = $3",
        job.organization_id,
        job.id,
        job.fence,
        error,
        again.after.as_secs_f64(),
        again.spread.as_secs_f64(),
        again.counts,
        again.dies
    );
    Ok(released.execute(db).await?.rows_affected() == 1)
}

/// Pauses a lane: `after` at least, and longer with each pause in a row, up to five minutes. Workers who find the same
/// at the same time make one pause of it; ten quiet minutes make it short again. One in which something `went_well` since its
/// last pause is not away, only asked too often: it is left alone as long as it says. False where it was paused already.
pub async fn pause_lane(
    db: &PgPool,
    lane: &str,
    after: Duration,
    went_well: bool,
) -> sqlx::Result<bool> {
    let paused = sqlx::query!(
        "INSERT INTO job_lanes (lane, paused_until, pauses)
         VALUES ($1, clock_timestamp() + make_interval(secs => greatest($2::float8, CASE WHEN $3::boolean THEN 1 ELSE 5 END)),
                 CASE WHEN $3 THEN 0 ELSE 1 END)
         ON CONFLICT (lane) DO UPDATE SET
             pauses = CASE WHEN $3 THEN 0
                           WHEN job_lanes.paused_until < clock_timestamp() - interval '10 minutes' THEN 1
                           ELSE job_lanes.pauses + 1 END,
             paused_until = clock_timestamp() + make_interval(secs => greatest($2::float8,
                           CASE WHEN $3 THEN 1
                                WHEN job_lanes.paused_until < clock_timestamp() - interval '10 minutes' THEN 5
                                ELSE least(300, 5 * 2 ^ least(job_lanes.pauses, 6)) END))
         WHERE job_lanes.paused_until <= clock_timestamp()",
        lane,
        after.as_secs_f64(),
        went_well
    );
    Ok(paused.execute(db).await?.rows_affected() > 0)
}

/// Makes sure that a piece of housekeeping is on the queue.
pub async fn ensure(db: &PgPool, id: Uuid, kind: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO jobs (organization_id, id, kind, payload, unique_key) VALUES ($1, $2, $3, '{}', 'housekeeping')
         ON CONFLICT (organization_id, kind, unique_key) WHERE died_at IS NULL DO NOTHING",
        Uuid::nil(),
        id,
        kind
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What the metrics say of the queue.
pub struct Queue {
    pub due: i64,
    pub dead: i64,
    /// Seconds since the oldest due job became due.
    pub oldest: f64,
    pub paused_lanes: i64,
}

/// Kinds of due jobs that are not among these.
pub async fn unknown_kinds(db: &PgPool, kinds: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "SELECT DISTINCT kind FROM jobs WHERE died_at IS NULL AND available_at <= clock_timestamp() AND kind <> ALL ($1)",
        kinds
    )
    .fetch_all(db)
    .await
}

pub async fn measure(db: &PgPool) -> sqlx::Result<Queue> {
    sqlx::query_as!(
        Queue,
        r#"SELECT count(*) FILTER (WHERE died_at IS NULL AND available_at <= clock_timestamp()) AS "due!",
                  count(*) FILTER (WHERE died_at IS NOT NULL) AS "dead!",
                  COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - min(available_at) FILTER (WHERE died_at IS NULL AND available_at <= clock_timestamp())), 0)::float8 AS "oldest!",
                  (SELECT count(*) FROM job_lanes WHERE paused_until > clock_timestamp()) AS "paused_lanes!"
           FROM jobs"#
    )
    .fetch_one(db)
    .await
}

/// Whether this database is where it was when deliveries were last allowed.
pub async fn is_at_home(db: &PgPool) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT home = database_home() AS "at_home!" FROM deliveries"#)
        .fetch_one(db)
        .await
}

/// Deliver from here on. The change feed begins anew: the numbers of the original's transactions mean nothing here.
pub async fn release_deliveries(db: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH moved AS (UPDATE deliveries SET home = database_home() WHERE home <> database_home() RETURNING home)
         DELETE FROM changes WHERE EXISTS (SELECT FROM moved)"
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn list_dead(
    db: &PgPool,
    organization_id: Uuid,
    kind: Option<&str>,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<DeadLetter>> {
    sqlx::query_as!(
        DeadLetter,
        r#"SELECT id, kind, lane, payload, attempts, last_error AS error, died_at AS "died_at!", created_at, request_id FROM jobs
           WHERE organization_id = $1 AND died_at IS NOT NULL AND ($2::text IS NULL OR kind = $2)
             AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4"#,
        organization_id,
        kind,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn lock_dead(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<DeadLetter> {
    sqlx::query_as!(
        DeadLetter,
        r#"SELECT id, kind, lane, payload, attempts, last_error AS error, died_at AS "died_at!", created_at, request_id FROM jobs
           WHERE organization_id = $1 AND id = $2 AND died_at IS NOT NULL FOR UPDATE"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// Back on the queue, with all its attempts and its old id.
pub async fn replay(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH replayed AS (
             UPDATE jobs SET died_at = NULL, attempts = 0, available_at = clock_timestamp()
             WHERE organization_id = $1 AND id = $2 RETURNING id)
         SELECT pg_notify('jobs', '') FROM replayed",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn discard(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM jobs WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}
