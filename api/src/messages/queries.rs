use jiff_sqlx::{Timestamp, ToSqlx};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Channel, Message, MessageFilter, MessageStatus, Notice};
use crate::events::EventStatus;

pub mod opt_outs;

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    filter: &MessageFilter,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Message>> {
    sqlx::query_as!(
        Message,
        r#"SELECT id, event_id, channel AS "channel: Channel", recipient, text, template_id, template_version, reminder_id,
                  status AS "status: MessageStatus", failure, provider_id, place, sent_at, retracted_at, version, created_at,
                  updated_at, round, first_attempt_at, expires_at
           FROM messages
           WHERE organization_id = $1 AND ($2::uuid IS NULL OR id > $2) AND ($3::uuid IS NULL OR event_id = $3)
             AND ($4::text IS NULL OR channel = $4) AND ($5::text IS NULL OR status = $5)
             AND ($6::text IS NULL OR recipient = $6)
           ORDER BY id LIMIT $7"#,
        organization_id,
        after,
        filter.event_id,
        filter.channel as Option<Channel>,
        filter.status as Option<MessageStatus>,
        filter.recipient,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<Message> {
    sqlx::query_as!(
        Message,
        r#"SELECT id, event_id, channel AS "channel: Channel", recipient, text, template_id, template_version, reminder_id,
                  status AS "status: MessageStatus", failure, provider_id, place, sent_at, retracted_at, version, created_at,
                  updated_at, round, first_attempt_at, expires_at
           FROM messages WHERE organization_id = $1 AND id = $2"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

pub async fn lock(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<Message> {
    sqlx::query_as!(
        Message,
        r#"SELECT id, event_id, channel AS "channel: Channel", recipient, text, template_id, template_version, reminder_id,
                  status AS "status: MessageStatus", failure, provider_id, place, sent_at, retracted_at, version, created_at,
                  updated_at, round, first_attempt_at, expires_at
           FROM messages WHERE organization_id = $1 AND id = $2 FOR UPDATE"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// A row to write.
pub struct NewMessage<'a> {
    pub id: Uuid,
    pub event_id: Uuid,
    pub notice: &'a Notice,
    pub recipient: &'a str,
    pub status: MessageStatus,
    pub failure: Option<&'a str>,
}

/// The row of a notice to a recipient, and whether it is new.
pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    new: &NewMessage<'_>,
    now: jiff::Timestamp,
) -> sqlx::Result<(Message, bool)> {
    let notice = new.notice;
    let inserted = sqlx::query!(
        "INSERT INTO messages (organization_id, id, event_id, channel, recipient, notice, template_id, template_version,
                               reminder_id, text, status, failure, expires_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)
         ON CONFLICT ON CONSTRAINT message_once_per_recipient DO NOTHING",
        organization_id,
        new.id,
        new.event_id,
        notice.channel as Channel,
        new.recipient,
        notice.of,
        notice.template.map(|(id, _)| id),
        notice.template.map(|(_, version)| version),
        notice.reminder_id,
        notice.text,
        new.status as MessageStatus,
        new.failure,
        notice.expires_at.map(ToSqlx::to_sqlx) as Option<Timestamp>,
        now.to_sqlx()
    )
    .execute(&mut *db)
    .await?;
    let message = sqlx::query_as!(
        Message,
        r#"SELECT id, event_id, channel AS "channel: Channel", recipient, text, template_id, template_version, reminder_id,
                  status AS "status: MessageStatus", failure, provider_id, place, sent_at, retracted_at, version, created_at,
                  updated_at, round, first_attempt_at, expires_at
           FROM messages
           WHERE organization_id = $1 AND event_id = $2 AND channel = $3 AND recipient = $4 AND notice = $5"#,
        organization_id,
        new.event_id,
        notice.channel as Channel,
        new.recipient,
        notice.of
    )
    .fetch_one(db)
    .await?;
    Ok((message, inserted.rows_affected() == 1))
}

/// The one row of a notice, whoever its recipient is.
pub async fn find_notice(
    db: &PgPool,
    organization_id: Uuid,
    event_id: Uuid,
    notice: &str,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "SELECT id FROM messages WHERE organization_id = $1 AND event_id = $2 AND notice = $3 ORDER BY id LIMIT 1",
        organization_id,
        event_id,
        notice
    )
    .fetch_optional(db)
    .await
}

/// What became of an attempt, or of the message since.
pub struct Outcome<'a> {
    pub status: MessageStatus,
    pub failure: Option<&'a str>,
    pub provider_id: Option<&'a str>,
    pub place: Option<&'a str>,
}

impl<'a> Outcome<'a> {
    /// Of a message that the provider has not taken.
    pub fn without(status: MessageStatus, failure: &'a str) -> Self {
        let failure = Some(failure);
        Self {
            status,
            failure,
            provider_id: None,
            place: None,
        }
    }
}

/// `sent_at` is set with the first status that means it.
pub async fn set(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    outcome: &Outcome<'_>,
    now: jiff::Timestamp,
) -> sqlx::Result<Message> {
    sqlx::query_as!(
        Message,
        r#"UPDATE messages
           SET status = $3, failure = $4, provider_id = COALESCE($5, provider_id), place = COALESCE($6, place),
               sent_at = CASE WHEN $3 IN ('SENT', 'DELIVERED') THEN COALESCE(sent_at, $7) ELSE sent_at END,
               version = version + 1, updated_at = $7
           WHERE organization_id = $1 AND id = $2
           RETURNING id, event_id, channel AS "channel: Channel", recipient, text, template_id, template_version, reminder_id,
                  status AS "status: MessageStatus", failure, provider_id, place, sent_at, retracted_at, version, created_at,
                  updated_at, round, first_attempt_at, expires_at"#,
        organization_id,
        id,
        outcome.status as MessageStatus,
        outcome.failure,
        outcome.provider_id,
        outcome.place,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

/// Begins another round. An attempt whose outcome nobody knows is still looked for in it; one that the provider has told
/// of is over.
pub async fn again(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    now: jiff::Timestamp,
) -> sqlx::Result<Message> {
    sqlx::query_as!(
        Message,
        r#"UPDATE messages
           SET status = 'QUEUED', failure = NULL, round = round + 1, version = version + 1, updated_at = $3,
               first_attempt_at = CASE WHEN provider_id IS NULL THEN first_attempt_at END,
               provider_id = NULL, place = NULL, sent_at = NULL, expires_at = NULL
           WHERE organization_id = $1 AND id = $2
           RETURNING id, event_id, channel AS "channel: Channel", recipient, text, template_id, template_version, reminder_id,
                  status AS "status: MessageStatus", failure, provider_id, place, sent_at, retracted_at, version, created_at,
                  updated_at, round, first_attempt_at, expires_at"#,
        organization_id,
        id,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn retracted(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    now: jiff::Timestamp,
) -> sqlx::Result<Message> {
    sqlx::query_as!(
        Message,
        r#"UPDATE messages SET retracted_at = $3, version = version + 1, updated_at = $3
           WHERE organization_id = $1 AND id = $2
           RETURNING id, event_id, channel AS "channel: Channel", recipient, text, template_id, template_version, reminder_id,
                  status AS "status: MessageStatus", failure, provider_id, place, sent_at, retracted_at, version, created_at,
                  updated_at, round, first_attempt_at, expires_at"#,
        organization_id,
        id,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

/// Remembers that an attempt may come through from now on, by the clock of the database. False where the message was taken
/// back before.
pub async fn attempt_begins(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<bool> {
    let begun = sqlx::query!(
        "UPDATE messages SET first_attempt_at = COALESCE(first_attempt_at, clock_timestamp())
         WHERE organization_id = $1 AND id = $2 AND status = 'QUEUED'",
        organization_id,
        id
    );
    Ok(begun.execute(db).await?.rows_affected() == 1)
}

/// Surely nothing came through.
pub async fn attempt_undone(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE messages SET first_attempt_at = NULL WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writers of an organization's messages queue here, so that its quota holds.
pub async fn take_turn(db: &mut PgConnection, organization_id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended('messages ' || $1::text, 0))",
        organization_id.to_string()
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

/// Messages of the last hour that were to be sent, and when the oldest of them was written.
pub async fn in_last_hour(
    db: &mut PgConnection,
    organization_id: Uuid,
    now: jiff::Timestamp,
) -> sqlx::Result<(i64, Option<Timestamp>)> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "count!", min(created_at) AS oldest FROM messages
           WHERE organization_id = $1 AND created_at > $2::timestamptz - interval '1 hour' AND status <> 'SKIPPED'"#,
        organization_id,
        now.to_sqlx() as Timestamp
    )
    .fetch_one(db)
    .await?;
    Ok((row.count, row.oldest))
}

/// Whose message it is that Twilio speaks of: the one question that no organization is known for yet.
pub async fn owner_of(db: &PgPool, provider_id: &str) -> sqlx::Result<Option<(Uuid, Uuid)>> {
    let row = sqlx::query!(
        "SELECT organization_id, id FROM messages WHERE channel = 'SMS' AND provider_id = $1",
        provider_id
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| (row.organization_id, row.id)))
}

/// A text message of which no end has been told.
pub struct Unsettled {
    pub organization_id: Uuid,
    pub id: Uuid,
    pub provider_id: String,
}

/// Text messages sent five minutes to three days ago whose end is unknown, each at most every ten minutes.
pub async fn take_unsettled(
    db: &PgPool,
    now: jiff::Timestamp,
    limit: i64,
) -> sqlx::Result<Vec<Unsettled>> {
    sqlx::query_as!(
        Unsettled,
        r#"UPDATE messages m SET checked_at = $1
           FROM (SELECT organization_id, id FROM messages
                 WHERE channel = 'SMS' AND status = 'SENT' AND provider_id IS NOT NULL
                   AND sent_at BETWEEN $1::timestamptz - interval '3 days' AND $1::timestamptz - interval '5 minutes'
                   AND (checked_at IS NULL OR checked_at < $1::timestamptz - interval '10 minutes')
                 ORDER BY checked_at NULLS FIRST, sent_at LIMIT $2) due
           WHERE m.organization_id = due.organization_id AND m.id = due.id
           RETURNING m.organization_id, m.id, m.provider_id AS "provider_id!""#,
        now.to_sqlx() as Timestamp,
        limit
    )
    .fetch_all(db)
    .await
}

/// Messages about an event of which no attempt was made yet.
pub async fn waiting(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<Vec<Message>> {
    sqlx::query_as!(
        Message,
        r#"SELECT id, event_id, channel AS "channel: Channel", recipient, text, template_id, template_version, reminder_id,
                  status AS "status: MessageStatus", failure, provider_id, place, sent_at, retracted_at, version, created_at,
                  updated_at, round, first_attempt_at, expires_at
           FROM messages
           WHERE organization_id = $1 AND event_id = $2 AND status = 'QUEUED' AND first_attempt_at IS NULL
           ORDER BY id FOR UPDATE"#,
        organization_id,
        event_id
    )
    .fetch_all(db)
    .await
}

/// How things stand with the event that a message is about.
pub struct Standing {
    pub status: EventStatus,
    /// Whether it is a reminder of a start that is no longer the event's.
    pub was_moved: bool,
}

pub async fn standing(
    db: &mut PgConnection,
    organization_id: Uuid,
    message: &Message,
) -> sqlx::Result<Standing> {
    sqlx::query_as!(
        Standing,
        r#"SELECT e.status AS "status: EventStatus", COALESCE(r.handled_for <> e.starts_at, false) AS "was_moved!"
           FROM events e LEFT JOIN reminders r ON r.organization_id = e.organization_id AND r.id = $3
           WHERE e.organization_id = $1 AND e.id = $2"#,
        organization_id,
        message.event_id,
        message.reminder_id
    )
    .fetch_one(db)
    .await
}
