use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::{Due, NewTask, Task, TaskFilter, TaskStatus, due::Planned, templates::ChecklistItem};

pub mod mirror;

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    filter: &TaskFilter,
    after: Option<(jiff_sqlx::Timestamp, Uuid)>,
    limit: i64,
) -> sqlx::Result<Vec<Task>> {
    let (after_due, after_id) = after.unzip();
    sqlx::query_as!(
        Task,
        r#"SELECT id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", due_at, is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at
           FROM tasks
           WHERE organization_id = $1
             AND ($2::timestamptz IS NULL OR (due_at, id) > ($2, $3::uuid))
             AND ($4::uuid IS NULL OR event_id = $4)
             AND ($5::text IS NULL OR status = $5)
             AND ($6::uuid IS NULL OR assignee_id = $6)
             AND ($7::timestamptz IS NULL OR due_at < $7)
             AND ($8::timestamptz IS NULL OR due_at >= $8)
           ORDER BY due_at, id LIMIT $9"#,
        organization_id,
        after_due as Option<jiff_sqlx::Timestamp>,
        after_id,
        filter.event_id,
        filter.status as Option<TaskStatus>,
        filter.assignee_id,
        filter.due_before as Option<jiff_sqlx::Timestamp>,
        filter.due_after as Option<jiff_sqlx::Timestamp>,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<Task> {
    sqlx::query_as!(
        Task,
        r#"SELECT id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", due_at, is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at
           FROM tasks WHERE organization_id = $1 AND id = $2"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

pub async fn event_of(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Uuid> {
    sqlx::query_scalar!(
        "SELECT event_id FROM tasks WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

pub async fn lock(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<Task> {
    sqlx::query_as!(
        Task,
        r#"SELECT id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", due_at, is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at
           FROM tasks WHERE organization_id = $1 AND id = $2 FOR UPDATE"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await
}

/// The open tasks of an event, in the order in which they are due.
pub async fn lock_open_of(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<Vec<Task>> {
    sqlx::query_as!(
        Task,
        r#"SELECT id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", due_at, is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at
           FROM tasks WHERE organization_id = $1 AND event_id = $2 AND status = 'OPEN' ORDER BY due_at, id FOR UPDATE"#,
        organization_id,
        event_id
    )
    .fetch_all(db)
    .await
}

/// All tasks of an event that come from a checklist.
pub async fn of_checklist(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
    checklist: &str,
) -> sqlx::Result<Vec<Task>> {
    sqlx::query_as!(
        Task,
        r#"SELECT id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", due_at, is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at
           FROM tasks WHERE organization_id = $1 AND event_id = $2 AND checklist = $3 ORDER BY due_at, id"#,
        organization_id,
        event_id,
        checklist
    )
    .fetch_all(db)
    .await
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    (event_id, id): (Uuid, Uuid),
    new: &NewTask,
    planned: &Planned,
    now: Timestamp,
) -> sqlx::Result<Task> {
    sqlx::query_as!(
        Task,
        r#"INSERT INTO tasks (organization_id, id, event_id, title, description, assignee_id, days_before, due_time, due_at,
                              is_late, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::time, $9, $10, $11, $11)
           RETURNING id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", due_at, is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at"#,
        organization_id,
        id,
        event_id,
        new.title,
        new.description,
        new.assignee_id,
        new.due.map(|due| due.days_before),
        new.due.map(|due| due.time.to_string()),
        planned.sql() as _,
        planned.is_late,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

/// The tasks of a checklist's items as columns.
#[derive(Debug, Default)]
pub struct NewItems<'a> {
    pub ids: Vec<Uuid>,
    pub items: Vec<&'a str>,
    pub titles: Vec<&'a str>,
    pub descriptions: Vec<&'a str>,
    pub days_before: Vec<i32>,
    pub times: Vec<String>,
    pub due_at: Vec<jiff_sqlx::Timestamp>,
    pub is_late: Vec<bool>,
}

impl<'a> NewItems<'a> {
    pub fn push(&mut self, id: Uuid, item: &'a ChecklistItem, planned: &Planned) {
        self.ids.push(id);
        self.items.push(&item.key);
        self.titles.push(&item.title);
        self.descriptions.push(&item.description);
        self.days_before.push(item.due.days_before);
        self.times.push(item.due.time.to_string());
        self.due_at.push(planned.sql());
        self.is_late.push(planned.is_late);
    }
}

/// Makes the tasks of items that have none yet; gives those that are new.
pub async fn insert_items(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
    checklist: &str,
    new: &NewItems<'_>,
    now: Timestamp,
) -> sqlx::Result<Vec<Task>> {
    sqlx::query_as!(
        Task,
        r#"INSERT INTO tasks (organization_id, id, event_id, title, description, days_before, due_time, due_at, is_late,
                              checklist, checklist_item, created_at, updated_at)
           SELECT $1, n.id, $2, n.title, n.description, n.days_before, n.due_time::time, n.due_at, n.is_late, $3, n.item, $4, $4
           FROM UNNEST($5::uuid[], $6::text[], $7::text[], $8::text[], $9::integer[], $10::text[], $11::timestamptz[], $12::boolean[])
                AS n (id, item, title, description, days_before, due_time, due_at, is_late)
           ON CONFLICT ON CONSTRAINT task_once_per_checklist_item DO NOTHING
           RETURNING id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", due_at, is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at"#,
        organization_id,
        event_id,
        checklist,
        now.to_sqlx(),
        &new.ids,
        &new.items as _,
        &new.titles as _,
        &new.descriptions as _,
        &new.days_before,
        &new.times,
        &new.due_at as _,
        &new.is_late
    )
    .fetch_all(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewTask,
    planned: &Planned,
    now: Timestamp,
) -> sqlx::Result<Task> {
    sqlx::query_as!(
        Task,
        r#"UPDATE tasks SET title = $3, description = $4, assignee_id = $5, days_before = $6, due_time = $7::text::time,
                  due_at = $8, is_late = $9, updated_at = $10, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", due_at, is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at"#,
        organization_id,
        id,
        new.title,
        new.description,
        new.assignee_id,
        new.due.map(|due| due.days_before),
        new.due.map(|due| due.time.to_string()),
        planned.sql() as _,
        planned.is_late,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

/// New due times of many tasks, as columns.
#[derive(Debug, Default)]
pub struct DueChanges {
    ids: Vec<Uuid>,
    due_at: Vec<jiff_sqlx::Timestamp>,
    is_late: Vec<bool>,
}

impl DueChanges {
    pub fn push(&mut self, id: Uuid, planned: &Planned) {
        self.ids.push(id);
        self.due_at.push(planned.sql());
        self.is_late.push(planned.is_late);
    }
}

pub async fn set_due(
    db: &mut PgConnection,
    organization_id: Uuid,
    changes: &DueChanges,
    now: Timestamp,
) -> sqlx::Result<Vec<Task>> {
    sqlx::query_as!(
        Task,
        r#"UPDATE tasks t SET due_at = n.due_at, is_late = n.is_late, updated_at = $2, version = version + 1
           FROM UNNEST($3::uuid[], $4::timestamptz[], $5::boolean[]) AS n (id, due_at, is_late)
           WHERE t.organization_id = $1 AND t.id = n.id
           RETURNING t.id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", t.due_at, t.is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at"#,
        organization_id,
        now.to_sqlx(),
        &changes.ids,
        &changes.due_at as _,
        &changes.is_late
    )
    .fetch_all(db)
    .await
}

pub async fn complete(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    now: Timestamp,
) -> sqlx::Result<Task> {
    sqlx::query_as!(
        Task,
        r#"UPDATE tasks SET status = 'DONE', completed_at = $3, updated_at = $3, version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", due_at, is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at"#,
        organization_id,
        id,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn reopen(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    planned: &Planned,
    now: Timestamp,
) -> sqlx::Result<Task> {
    sqlx::query_as!(
        Task,
        r#"UPDATE tasks SET status = 'OPEN', completed_at = NULL, due_at = $3, is_late = $4, updated_at = $5,
                  version = version + 1
           WHERE organization_id = $1 AND id = $2
           RETURNING id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", due_at, is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at"#,
        organization_id,
        id,
        planned.sql() as _,
        planned.is_late,
        now.to_sqlx()
    )
    .fetch_one(db)
    .await
}

pub async fn cancel_open_of(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
    now: Timestamp,
) -> sqlx::Result<Vec<Task>> {
    sqlx::query_as!(
        Task,
        r#"UPDATE tasks SET status = 'CANCELLED', updated_at = $3, version = version + 1
           WHERE organization_id = $1 AND event_id = $2 AND status = 'OPEN'
           RETURNING id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", due_at, is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at"#,
        organization_id,
        event_id,
        now.to_sqlx()
    )
    .fetch_all(db)
    .await
}

pub async fn delete(
    db: &mut PgConnection,
    organization_id: Uuid,
    ids: &[Uuid],
) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM tasks WHERE organization_id = $1 AND id = ANY ($2)",
        organization_id,
        ids
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Removes all tasks of an event, and gives them as they were.
pub async fn delete_of(
    db: &mut PgConnection,
    organization_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<Vec<Task>> {
    sqlx::query_as!(
        Task,
        r#"DELETE FROM tasks WHERE organization_id = $1 AND event_id = $2
           RETURNING id, event_id, title, description, status AS "status: TaskStatus", assignee_id,
                  task_due(days_before, due_time) AS "due?: Json<Due>", due_at, is_late, checklist, checklist_item,
                  completed_at, version, created_at, updated_at"#,
        organization_id,
        event_id
    )
    .fetch_all(db)
    .await
}
