use jiff_sqlx::{Timestamp, ToSqlx};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{Lead, NewReminder, Reminder};
use crate::{events::Event, messages::Channel};

/// A row; when it is due follows from its event.
#[derive(Debug)]
pub struct Row {
    pub id: Uuid,
    pub event_id: Uuid,
    pub offset: String,
    pub local_time: Option<String>,
    pub channel: Channel,
    pub template_id: Option<Uuid>,
    pub text: Option<String>,
    pub recipients: Vec<String>,
    pub handled_for: Option<Timestamp>,
    pub failure: Option<String>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Row {
    pub fn lead(&self) -> Option<Lead> {
        Lead::parse(&self.offset, self.local_time.as_deref())
    }

    pub fn of(self, event: &Event) -> Reminder {
        let due_at = self.lead().and_then(|lead| lead.before(event));
        Reminder {
            id: self.id,
            event_id: self.event_id,
            offset: self.offset,
            local_time: self.local_time,
            channel: self.channel,
            template_id: self.template_id,
            text: self.text,
            recipients: self.recipients,
            due_at: due_at.map(ToSqlx::to_sqlx),
            handled_for: self.handled_for,
            failure: self.failure,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

pub async fn list(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    event_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"SELECT id, event_id, "offset", local_time, channel AS "channel: Channel", template_id, text, recipients,
                  handled_for, failure, version, created_at, updated_at
           FROM reminders WHERE organization_id = $1 AND event_id = $2 AND ($3::uuid IS NULL OR id > $3) ORDER BY id LIMIT $4"#,
        organization_id,
        event_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(
    db: &PgPool,
    organization_id: Uuid,
    event_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Row> {
    sqlx::query_as!(
        Row,
        r#"SELECT id, event_id, "offset", local_time, channel AS "channel: Channel", template_id, text, recipients,
                  handled_for, failure, version, created_at, updated_at
           FROM reminders WHERE organization_id = $1 AND event_id = $2 AND id = $3"#,
        organization_id,
        event_id,
        id
    )
    .fetch_one(db)
    .await
}

pub async fn lock(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Row> {
    sqlx::query_as!(
        Row,
        r#"SELECT id, event_id, "offset", local_time, channel AS "channel: Channel", template_id, text, recipients,
                  handled_for, failure, version, created_at, updated_at
           FROM reminders WHERE organization_id = $1 AND event_id = $2 AND id = $3 FOR UPDATE"#,
        organization_id,
        event_id,
        id
    )
    .fetch_one(db)
    .await
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    event_id: Uuid,
    new: &NewReminder,
    seconds: i64,
    now: jiff::Timestamp,
) -> sqlx::Result<Row> {
    sqlx::query_as!(
        Row,
        r#"INSERT INTO reminders (organization_id, id, event_id, "offset", local_time, offset_seconds, channel, template_id,
                                  text, recipients, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
           RETURNING id, event_id, "offset", local_time, channel AS "channel: Channel", template_id, text, recipients,
                  handled_for, failure, version, created_at, updated_at"#,
        organization_id,
        id,
        event_id,
        new.offset,
        new.local_time,
        seconds,
        new.channel as Channel,
        new.template_id,
        new.text,
        &new.recipients,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

/// A changed reminder is looked at anew; the ledger knows who has had it.
pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewReminder,
    seconds: i64,
    now: jiff::Timestamp,
) -> sqlx::Result<Row> {
    sqlx::query_as!(
        Row,
        r#"UPDATE reminders
           SET "offset" = $3, local_time = $4, offset_seconds = $5, channel = $6, template_id = $7, text = $8, recipients = $9,
               handled_for = NULL, failure = NULL, updated_at = $10, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, event_id, "offset", local_time, channel AS "channel: Channel", template_id, text, recipients,
                  handled_for, failure, version, created_at, updated_at"#,
        organization_id,
        id,
        new.offset,
        new.local_time,
        seconds,
        new.channel as Channel,
        new.template_id,
        new.text,
        &new.recipients,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn delete(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM reminders WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A reminder that may be due.
pub struct Candidate {
    pub organization_id: Uuid,
    pub event_id: Uuid,
    pub id: Uuid,
    offset: String,
    local_time: Option<String>,
    starts_at: Timestamp,
    time_zone: String,
    /// When it is due but for wall times and clock changes.
    about: Timestamp,
}

impl Candidate {
    pub fn is_due(&self, now: jiff::Timestamp) -> bool {
        let lead = Lead::parse(&self.offset, self.local_time.as_deref());
        let due =
            lead.and_then(|lead| lead.before_start(self.starts_at.to_jiff(), &self.time_zone));
        due.is_some_and(|due| due <= now)
    }
}

/// Reminders of all organizations that are due or nearly so, behind the one given: two days are more than wall times and clock
/// changes can shift. An event of last week reminds nobody.
pub async fn candidates(
    db: &PgPool,
    now: jiff::Timestamp,
    after: Option<&Candidate>,
    limit: i64,
) -> sqlx::Result<Vec<Candidate>> {
    let (about, id) = after.map(|last| (last.about, last.id)).unzip();
    sqlx::query_as!(
        Candidate,
        r#"SELECT * FROM (
               SELECT r.organization_id, r.event_id, r.id, r."offset", r.local_time, e.starts_at, e.time_zone,
                      e.starts_at - make_interval(secs => r.offset_seconds) AS "about!"
               FROM reminders r JOIN events e ON e.organization_id = r.organization_id AND e.id = r.event_id
               WHERE e.status NOT IN ('COMPLETED', 'CANCELLED') AND r.handled_for IS DISTINCT FROM e.starts_at
                 AND e.starts_at > $1::timestamptz - interval '7 days') AS open
           WHERE "about!" <= $1::timestamptz + interval '2 days'
             AND ($2::timestamptz IS NULL OR ("about!", id) > ($2, $3::uuid))
           ORDER BY "about!", id LIMIT $4"#,
        now.to_sqlx() as Timestamp,
        about as Option<Timestamp>,
        id,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn handled(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    starts_at: Timestamp,
    failure: Option<&str>,
    now: jiff::Timestamp,
) -> sqlx::Result<Row> {
    sqlx::query_as!(
        Row,
        r#"UPDATE reminders SET handled_for = $3, failure = $4, updated_at = $5, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, event_id, "offset", local_time, channel AS "channel: Channel", template_id, text, recipients,
                  handled_for, failure, version, created_at, updated_at"#,
        organization_id,
        id,
        starts_at as Timestamp,
        failure,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}
