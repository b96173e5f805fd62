//! Who did what, on whose behalf, and what it was before and after.

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use crate::{
    access::{Access, ManageOrganization, Person},
    page::{List, Page},
    problem::Problem,
    state::App,
    webhooks::Audience,
};

mod queries;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_audit_entries))
}

/// One change, as it was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    pub id: Uuid,
    pub occurred_at: jiff_sqlx::Timestamp,
    /// `API_KEY`, `SERVICE` (one of our services for a person) or `SYSTEM`.
    pub actor_kind: String,
    /// The API key, if it was one.
    pub actor_id: Option<Uuid>,
    /// The member for whom it was done.
    pub member_id: Option<Uuid>,
    /// What was done, e.g. `venue.created`.
    pub action: String,
    /// The kind of thing it was done to, e.g. `venue`.
    pub subject_type: String,
    pub subject_id: Uuid,
    /// The thing before, unless it is new.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// The thing after, unless it is gone.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// The request's `X-Request-Id`.
    pub request_id: Option<String>,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// Only changes of this thing.
    pub subject_id: Option<Uuid>,
    /// Only this action, e.g. `booking.confirmed`.
    #[validate(length(min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    pub action: Option<String>,
    /// Only changes on behalf of this member.
    pub member_id: Option<Uuid>,
}

/// List the audit trail, newest first.
#[utoipa::path(get, path = "/v1/audit", params(AuditFilter), tag = "audit",
    responses((status = 200, description = "One page.", body = Page<AuditEntry>)))]
async fn list_audit_entries(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    list: List<AuditFilter>,
) -> Result<Response, Problem> {
    let entries = queries::list(
        &app.db,
        access.organization_id(),
        &list.filter,
        list.after()?,
        list.fetch(),
    )
    .await?;
    Ok(list.page(entries, |entry| entry.id))
}

/// An entry to write.
pub struct NewEntry<'a> {
    pub id: Uuid,
    pub organization_id: Uuid,
    /// None when we did it ourselves.
    pub actor: Option<&'a Person>,
    pub action: &'a str,
    pub subject_type: &'a str,
    pub subject_id: Uuid,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub request_id: &'a str,
    /// Who is told.
    pub audience: Audience,
}

/// Writes an entry into the transaction of the change itself.
pub async fn record(
    db: &mut PgConnection,
    entry: NewEntry<'_>,
    now: Timestamp,
) -> Result<(), Problem> {
    Ok(queries::insert(db, entry, now).await?)
}

/// A thing as the trail keeps it.
pub fn json(thing: Option<&impl Serialize>) -> Result<Option<Value>, Problem> {
    let value = thing.map(serde_json::to_value).transpose();
    Ok(value.map_err(anyhow::Error::from)?)
}
