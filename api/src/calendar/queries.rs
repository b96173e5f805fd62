use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::{CalendarEntry, CalendarStatus, Drift, Showing, sync::Recorded};
use crate::events::EventStatus;

pub async fn get(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<Option<CalendarEntry>> {
    sqlx::query_as!(
        CalendarEntry,
        r#"SELECT id, event_id, status AS "status: CalendarStatus", provider_event_id, link, written AS "shows?: Json<Showing>",
                  drift AS "drift?: Json<Drift>", error, synced_at, version, created_at, updated_at, is_wanted, generation,
                  hold_key, etag, intended AS "intended?: Json<Showing>", overwrites, asked
           FROM calendar_entries WHERE organization_id = $1 AND event_id = $2"#,
        organization_id,
        event_id
    )
    .fetch_optional(db)
    .await
}

pub async fn lock(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<Option<CalendarEntry>> {
    sqlx::query_as!(
        CalendarEntry,
        r#"SELECT id, event_id, status AS "status: CalendarStatus", provider_event_id, link, written AS "shows?: Json<Showing>",
                  drift AS "drift?: Json<Drift>", error, synced_at, version, created_at, updated_at, is_wanted, generation,
                  hold_key, etag, intended AS "intended?: Json<Showing>", overwrites, asked
           FROM calendar_entries WHERE organization_id = $1 AND event_id = $2 FOR UPDATE"#,
        organization_id,
        event_id
    )
    .fetch_optional(db)
    .await
}

/// What a calendar should show of an event now.
pub struct Wanted {
    pub status: EventStatus,
    pub title: String,
    pub starts_at: jiff_sqlx::Timestamp,
    pub ends_at: jiff_sqlx::Timestamp,
    pub time_zone: String,
    /// The venue that is booked.
    pub location: String,
}

pub async fn wanted(db: &PgPool, organization_id: Uuid, event_id: Uuid) -> sqlx::Result<Wanted> {
    sqlx::query_as!(
        Wanted,
        r#"SELECT e.status AS "status: EventStatus", title, e.starts_at, e.ends_at, e.time_zone,
                  COALESCE((SELECT concat_ws(', ', v.name, NULLIF(v.address, ''), v.city)
                   FROM bookings b JOIN venues v ON v.organization_id = b.organization_id AND v.id = b.venue_id
                   WHERE b.organization_id = $1 AND b.event_id = $2 AND b.status <> 'CANCELLED' ORDER BY b.id LIMIT 1), '') AS "location!"
           FROM events e WHERE e.organization_id = $1 AND e.id = $2"#,
        organization_id,
        event_id
    )
    .fetch_one(db)
    .await
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    (event_id, id): (Uuid, Uuid),
    hold_key: Option<&str>,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO calendar_entries (organization_id, id, event_id, status, is_wanted, hold_key, created_at, updated_at)
         VALUES ($1, $2, $3, 'PENDING', true, $4, $5, $5)",
        organization_id,
        id,
        event_id,
        hold_key,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Asks for the entry to stand or not, whatever stands there now.
pub async fn want(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    is_wanted: bool,
    hold_key: Option<&str>,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE calendar_entries
         SET is_wanted = $3, overwrites = $3, status = 'PENDING', drift = NULL, error = NULL, hold_key = COALESCE($4, hold_key),
             asked = asked + 1, updated_at = $5, version = version + 1
         WHERE organization_id = $1 AND id = $2",
        organization_id,
        id,
        is_wanted,
        hold_key,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes what stands in the calendar for what we wrote.
pub async fn accept(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    drift: &Drift,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE calendar_entries
         SET is_wanted = $3, status = CASE WHEN $3 THEN 'PENDING' ELSE 'CANCELLED' END, drift = NULL,
             written = COALESCE($4, written), etag = COALESCE($5, etag), asked = asked + 1, updated_at = $6, version = version + 1
         WHERE organization_id = $1 AND id = $2",
        organization_id,
        id,
        !drift.is_deleted,
        drift.shows.as_ref().map(Json) as _,
        drift.etag,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Asks for an entry that should stand to be brought up to date; gives its id, if there is one.
pub async fn touch(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
    now: Timestamp,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "UPDATE calendar_entries
         SET status = CASE status WHEN 'DRIFTED' THEN status ELSE 'PENDING' END, asked = asked + 1, updated_at = $3,
             version = version + 1
         WHERE organization_id = $1 AND event_id = $2 AND is_wanted AND status <> 'CANCELLED' RETURNING id",
        organization_id,
        event_id,
        now.to_sqlx()
    )
    .fetch_optional(db)
    .await
}

/// Says what is about to be written, so that it is known as ours even if nobody hears that it was.
pub async fn intend(
    db: &PgPool,
    organization_id: Uuid,
    id: Uuid,
    showing: &Showing,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE calendar_entries SET intended = $3 WHERE organization_id = $1 AND id = $2",
        organization_id,
        id,
        Json(showing) as _
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Keeps what was found and done. Its meaning is kept only if nothing else has been asked for since `asked`. What was about to be
/// written stays known after an error: it may stand there.
pub async fn record(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    asked: i64,
    recorded: &Recorded,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE calendar_entries
         SET provider_event_id = $4, etag = $5, link = $6, written = $7, generation = $8, synced_at = $12,
             intended = CASE WHEN $11::text IS NOT NULL THEN intended END,
             status = CASE asked WHEN $3 THEN $9 ELSE status END, drift = CASE asked WHEN $3 THEN $10 ELSE drift END,
             error = CASE asked WHEN $3 THEN $11 ELSE error END, overwrites = overwrites AND asked <> $3,
             updated_at = CASE WHEN $13 THEN $12 ELSE updated_at END, version = version + $13::boolean::integer
         WHERE organization_id = $1 AND id = $2",
        organization_id,
        id,
        asked,
        recorded.provider_event_id,
        recorded.etag,
        recorded.link,
        recorded.shows.as_ref().map(Json) as _,
        recorded.generation,
        recorded.status as CalendarStatus,
        recorded.drift.as_ref().map(Json) as _,
        recorded.error,
        now.to_sqlx(),
        recorded.is_change
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Across organizations: this only tells where to look.
pub async fn organizations_with_entries(db: &PgPool) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT DISTINCT organization_id FROM calendar_entries WHERE is_wanted AND provider_event_id IS NOT NULL"
    )
    .fetch_all(db)
    .await
}

pub async fn sync_token(db: &PgPool, organization_id: Uuid) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "SELECT sync_token FROM calendar_feeds WHERE organization_id = $1",
        organization_id
    )
    .fetch_optional(db)
    .await
}

pub async fn keep_sync_token(
    db: &mut PgConnection,
    organization_id: Uuid,
    token: &str,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO calendar_feeds (organization_id, sync_token, read_at) VALUES ($1, $2, $3)
         ON CONFLICT (organization_id) DO UPDATE SET sync_token = $2, read_at = $3",
        organization_id,
        token,
        now.to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Asks for another look at the entries whose version at the provider is not the one that we know; with `is_all`, also at
/// those that are not in the list at all. Gives their events.
pub async fn suspect(
    db: &mut PgConnection,
    organization_id: Uuid,
    ids: &[String],
    etags: &[String],
    is_all: bool,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "UPDATE calendar_entries c SET asked = asked + 1
         WHERE organization_id = $1 AND is_wanted AND provider_event_id IS NOT NULL AND status <> 'CANCELLED'
           AND CASE WHEN provider_event_id = ANY ($2)
               THEN NOT EXISTS (SELECT FROM UNNEST($2::text[], $3::text[]) AS listed (id, etag)
                                WHERE listed.id = c.provider_event_id AND listed.etag = c.etag)
               ELSE $4 END
         RETURNING event_id",
        organization_id,
        ids,
        etags,
        is_all
    )
    .fetch_all(db)
    .await
}
