//! Reminders of an event that moves: nothing is written, because they are counted from the start when it is time.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::queries;
use crate::{events::Event, messages::Channel, problem::Problem, tasks::DueChange, work::Work};

/// A reminder that is due at another time.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MovedReminder {
    pub reminder_id: Uuid,
    pub channel: Channel,
    pub due_at: DueChange,
    /// Its new time has passed: what is more than an hour late is skipped.
    pub is_past: bool,
}

/// The reminders of an event whose time changes with it.
pub async fn moved(
    work: &mut Work,
    organization_id: Uuid,
    before: &Event,
    after: &Event,
) -> Result<Vec<MovedReminder>, Problem> {
    let now = work.now;
    let rows = queries::list(&mut **work, organization_id, after.id, None, i64::MAX).await?;
    let moved = rows.iter().filter_map(|row| {
        let lead = row.lead()?;
        let (from, to) = (lead.before(before)?, lead.before(after)?);
        (from != to).then_some(MovedReminder {
            reminder_id: row.id,
            channel: row.channel,
            due_at: DueChange { from, to },
            is_past: to <= now,
        })
    });
    Ok(moved.collect())
}
