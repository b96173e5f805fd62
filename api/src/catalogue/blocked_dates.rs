//! Days on which a venue or a caterer takes no events.

use axum::response::Response;
use jiff_sqlx::{Date, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::queries;
use crate::{
    extract::IfMatch,
    page::{List, NoFilter},
    problem::{OnConstraint, Problem},
    state::App,
    work::{Answer, Work},
};

/// A blocked date is never changed, only removed: this is its one version.
const VERSION: i64 = 1;

/// Whose dates they are.
#[derive(Debug, Clone, Copy)]
pub enum Entry {
    Venue(Uuid),
    Caterer(Uuid),
}

impl Entry {
    /// As the two columns of which one is filled.
    pub(super) fn columns(self) -> (Option<Uuid>, Option<Uuid>) {
        match self {
            Self::Venue(id) => (Some(id), None),
            Self::Caterer(id) => (None, Some(id)),
        }
    }
}

/// Local days, both ends included, on which a venue or a caterer takes no events.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockedDate {
    pub id: Uuid,
    pub venue_id: Option<Uuid>,
    pub caterer_id: Option<Uuid>,
    pub from_date: Date,
    pub to_date: Date,
    pub reason: String,
    pub created_at: Timestamp,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = in_order))]
#[schema(example = json!({"from_date": "2027-12-24", "to_date": "2028-01-01", "reason": "closed for the holidays"}))]
pub struct NewBlockedDate {
    /// The first day, in the time zone of the venue or caterer.
    #[serde(deserialize_with = "crate::civil::date")]
    pub from_date: Date,
    /// The last day, not before the first.
    #[serde(deserialize_with = "crate::civil::date")]
    pub to_date: Date,
    /// For people. Empty when left out.
    #[serde(default)]
    #[validate(length(max = 500))]
    #[schema(max_length = 500, default = "")]
    pub reason: String,
}

/// One page, by first day; 404 when there is no such venue or caterer.
pub async fn list(
    app: &App,
    organization_id: Uuid,
    entry: Entry,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let after = list.after()?;
    let found =
        queries::list_blocked_dates(&app.db, organization_id, entry, after, list.fetch()).await?;
    let dates = found.ok_or(Problem::NotFound)?;
    Ok(list.page(dates, |date| (date.from_date.to_jiff(), date.id)))
}

/// Blocks days; 404 when there is no such venue or caterer.
pub async fn create(
    mut work: Work,
    organization_id: Uuid,
    entry: Entry,
    new: &NewBlockedDate,
) -> Result<Response, Problem> {
    let (id, now) = (work.new_id(), work.now);
    let date = queries::insert_blocked_date(&mut work, organization_id, id, entry, new, now).await;
    let date = date.on_constraint(|name| {
        ["blocked_date_venue", "blocked_date_caterer"]
            .contains(&name)
            .then_some(Problem::NotFound)
    })?;
    work.audit(
        "blocked_date.created",
        ("blocked_date", id),
        None::<&()>,
        Some(&date),
    )
    .await?;
    work.commit(Answer::added(&date)?).await
}

/// Frees days again.
pub async fn delete(
    mut work: Work,
    organization_id: Uuid,
    entry: Entry,
    id: Uuid,
    if_match: &IfMatch,
) -> Result<Response, Problem> {
    let date = queries::delete_blocked_date(&mut work, organization_id, entry, id).await?;
    if_match.check(VERSION)?;
    work.audit(
        "blocked_date.deleted",
        ("blocked_date", id),
        Some(&date),
        None::<&()>,
    )
    .await?;
    work.commit(Answer::no_content()).await
}

fn in_order(new: &NewBlockedDate) -> Result<(), ValidationError> {
    if new.from_date.to_jiff() <= new.to_date.to_jiff() {
        return Ok(());
    }
    Err(super::error(
        "order",
        "to_date must not be before from_date",
    ))
}
