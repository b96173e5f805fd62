//! When a task is due: so many days before the event, in the event's zone, and moving along with it.

use jiff::{Timestamp, ToSpan, civil::Time, tz::TimeZone};
use jiff_sqlx::ToSqlx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::{queries, record_all};
use crate::{
    civil,
    events::Event,
    problem::{FieldError, Problem},
    work::Work,
};

/// A day counted from the event's, and a wall time on it in the event's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"days_before": 14, "time": "17:00"}))]
pub struct Due {
    /// Calendar days before the event's local date; negative for days after it.
    #[validate(range(min = -366, max = 3_660))]
    #[schema(minimum = -366, maximum = 3660)]
    pub days_before: i32,
    /// Five in the afternoon when left out. A time that a clock change leaves out means as much later as the clock jumps,
    /// one that happens twice means the earlier one (RFC 5545).
    #[serde(default = "five_in_the_afternoon", deserialize_with = "civil::time")]
    #[schema(value_type = String, required = false, example = "17:00", pattern = r"^\d{2}:\d{2}(:\d{2})?$")]
    pub time: Time,
}

/// When a task is due after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    pub due_at: Timestamp,
    /// It is due today because its own day has passed.
    pub is_late: bool,
}

/// A task that moved with its event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MovedTask {
    pub task_id: Uuid,
    pub title: String,
    pub assignee_id: Option<Uuid>,
    pub due_at: DueChange,
    /// Its new day has passed already, so it is due today.
    pub is_late: bool,
    /// Before the move.
    #[serde(skip)]
    pub version: i64,
}

/// A due time before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct DueChange {
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
}

impl Due {
    /// The instant that is asked for, whether it has passed or not.
    pub fn instant(&self, event: &Event) -> Result<Timestamp, Problem> {
        let zone = TimeZone::get(&event.time_zone).map_err(anyhow::Error::from)?;
        let day = event.local_start.to_jiff().date();
        day.checked_sub(self.days_before.days())
            .and_then(|day| zone.to_timestamp(day.to_datetime(self.time)))
            .map_err(anyhow::Error::from)
            .map_err(Problem::from)
    }

    /// What is asked for; or the end of today where that has passed.
    pub fn planned(&self, event: &Event, now: Timestamp) -> Result<Planned, Problem> {
        let due_at = self.instant(event)?;
        if due_at > now {
            return Ok(Planned {
                due_at,
                is_late: false,
            });
        }
        let zone = TimeZone::get(&event.time_zone).map_err(anyhow::Error::from)?;
        let today = zone.to_datetime(now).date();
        let due_at = zone.to_timestamp(today.at(23, 59, 0, 0));
        Ok(Planned {
            due_at: due_at.map_err(anyhow::Error::from)?,
            is_late: true,
        })
    }
}

/// Moves the open tasks of an event that has another time now; those whose day stays the same stay as they are.
pub async fn follow(
    work: &mut Work,
    organization_id: Uuid,
    before: &Event,
    after: &Event,
) -> Result<Vec<MovedTask>, Problem> {
    let same_day = before.local_start.to_jiff().date() == after.local_start.to_jiff().date();
    if same_day && before.time_zone == after.time_zone {
        return Ok(Vec::new());
    }
    let now = work.now;
    let mut moved = Vec::new();
    let mut changes = queries::DueChanges::default();
    for task in queries::lock_open_of(work, organization_id, after.id).await? {
        let Some(due) = &task.due else { continue };
        if due.instant(before)? == due.instant(after)? {
            continue;
        }
        let planned = due.planned(after, now)?;
        changes.push(task.id, &planned);
        moved.push((task, planned));
    }
    if moved.is_empty() {
        return Ok(Vec::new());
    }
    let updated = queries::set_due(work, organization_id, &changes, now).await?;
    let changes = updated.iter().map(|task| {
        let before = moved.iter().find(|(before, _)| before.id == task.id);
        (task.id, before.map(|(before, _)| before), Some(task))
    });
    record_all(work, "task.updated", &changes.collect::<Vec<_>>()).await?;
    let moved = moved.into_iter().map(|(task, planned)| MovedTask {
        task_id: task.id,
        title: task.title,
        assignee_id: task.assignee_id,
        due_at: DueChange {
            from: task.due_at.to_jiff(),
            to: planned.due_at,
        },
        is_late: planned.is_late,
        version: task.version,
    });
    Ok(moved.collect())
}

/// 422 unless a due time is within the years that events may be in.
pub fn check_instant(due_at: jiff_sqlx::Timestamp) -> Result<(), Problem> {
    let years = 2000..=2200;
    if years.contains(&TimeZone::UTC.to_datetime(due_at.to_jiff()).year()) {
        return Ok(());
    }
    let detail = "must be in the years 2000 to 2200";
    Err(Problem::Invalid(vec![FieldError::new(
        "/due_at", "range", detail,
    )]))
}

impl From<jiff_sqlx::Timestamp> for Planned {
    fn from(due_at: jiff_sqlx::Timestamp) -> Self {
        Self {
            due_at: due_at.to_jiff(),
            is_late: false,
        }
    }
}

impl Planned {
    pub fn sql(&self) -> jiff_sqlx::Timestamp {
        self.due_at.to_sqlx()
    }
}

fn five_in_the_afternoon() -> Time {
    Time::constant(17, 0, 0, 0)
}
