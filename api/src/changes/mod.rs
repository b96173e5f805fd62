//! The change feed: what changed since one last asked, without gaps. A reader gets only what is older than every
//! transaction that was still under way, so nothing commits behind its back.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use crate::{
    access::{Access, ReadChanges},
    extract::Query,
    problem::Problem,
    state::App,
    work::Work,
};

pub mod kinds;
mod queries;
mod token;

use kinds::Change;
pub use queries::forget;
use token::{Position, SyncToken};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_changes))
}

/// One change of one thing.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeItem {
    /// What changed, e.g. `event`.
    #[serde(rename = "type")]
    pub thing: &'static str,
    pub id: Uuid,
    pub action: Change,
    /// What happened, e.g. `event.published`.
    pub event_type: &'static str,
    /// Of the thing after the change. One that is not higher than the version one has is old news.
    pub version: Option<i64>,
    pub changed_at: jiff_sqlx::Timestamp,
    /// The thing after the change, as its own route shows it; null when it is gone, or was imported.
    #[schema(value_type = Option<Object>)]
    pub data: Option<Value>,
}

/// What changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangePage {
    pub items: Vec<ChangeItem>,
    /// Send it as `sync_token` next time, at once when `has_more`.
    pub next_sync_token: String,
    pub has_more: bool,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChangesQuery {
    /// `next_sync_token` of the last answer; without it, from the changes of 29 days ago.
    #[validate(length(min = 1, max = 500))]
    #[param(min_length = 1, max_length = 500)]
    pub sync_token: Option<String>,
    /// `now`: no items, only a token to start from. Take one before reading the lists for the first time.
    #[param(inline)]
    pub from: Option<From>,
    /// Items at most.
    #[validate(range(min = 1, max = 200))]
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default = "default_limit")]
    pub limit: i64,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum From {
    Now,
}

/// Read what changed since a token was given, oldest first.
///
/// It shows what the caller's role and scopes may read. To start: take a token with `from=now`, read the lists, then ask
/// with the token. A token is good for 30 days; 410 means to start over.
#[utoipa::path(get, path = "/v1/changes", params(ChangesQuery), tag = "changes",
    responses((status = 200, description = "The changes.", body = ChangePage)))]
async fn get_changes(
    State(app): State<App>,
    access: Access<ReadChanges>,
    Query(query): Query<ChangesQuery>,
) -> Result<Response, Problem> {
    if query.from.is_some() && query.sync_token.is_some() {
        let detail = "starts anew, so it goes without sync_token";
        return Err(Problem::parameter("from", "conflict", detail));
    }
    let (organization_id, now) = (access.organization_id(), app.now());
    let token = query.sync_token.as_deref().map(SyncToken::read);
    let token = token.transpose()?;
    let start = match &token {
        Some(token) => (token.after, None),
        None => (Position::START, Some(starts_at(now))),
    };
    let limit = if query.from.is_some() {
        0
    } else {
        query.limit + 1
    };
    let readable: Vec<_> = kinds::readable_by(&access.person)
        .filter(|kind| kind.thing.is_some())
        .map(|kind| kind.name.to_owned())
        .collect();
    let found = queries::list(&app.db, organization_id, &readable, start, limit).await?;
    if !found.is_at_home {
        let detail = "this is a restored copy, whose feed begins when its deliveries are released";
        return Err(Problem::Unavailable(detail.into()));
    }
    if let Some(token) = token {
        token.check(organization_id, &found.home, now)?;
    }
    let has_more = query.from.is_none() && i64::try_from(found.changes.len()).ok() == Some(limit);
    let mut changes = found.changes;
    changes.truncate(usize::try_from(query.limit).unwrap_or_default());
    let last = changes.last().filter(|_| has_more);
    let (after, at) = last.map_or((Position::before(found.horizon), now), |last| {
        (last.position, last.changed_at.to_jiff())
    });
    let page = ChangePage {
        items: changes.into_iter().filter_map(item).collect(),
        next_sync_token: SyncToken::new(organization_id, &found.home, after, at).write(),
        has_more,
    };
    Ok(axum::Json(page).into_response())
}

fn item(row: queries::Row) -> Option<ChangeItem> {
    let kind = kinds::find(&row.event_type)?;
    Some(ChangeItem {
        thing: kind.thing?,
        id: row.subject_id,
        action: kind.change(),
        event_type: kind.name,
        version: row.version,
        changed_at: row.changed_at,
        data: row.data,
    })
}

/// Tells of things that one audit entry stands for together: an import.
pub async fn record_many(
    work: &mut Work,
    event_type: &str,
    things: &[Uuid],
) -> Result<(), Problem> {
    let (organization_id, now) = (work.organization_id(), work.now);
    let ids: Vec<_> = things.iter().map(|_| work.new_id()).collect();
    Ok(queries::insert_many(work, organization_id, event_type, &ids, things, now).await?)
}

/// How long changes are kept, and tokens are good.
fn kept_since(now: Timestamp) -> Timestamp {
    now.checked_sub((30 * 24).hours()).unwrap_or(now)
}

/// How far back a reading without a token goes. Its first token is as old as what was read last, and so is good for a day.
fn starts_at(now: Timestamp) -> Timestamp {
    kept_since(now).checked_add(24.hours()).unwrap_or(now)
}

fn default_limit() -> i64 {
    50
}
