//! Numbers whose owner has answered STOP, and how one is written to again.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::queries::opt_outs as queries;
use crate::{
    access::{Access, ReadEvents, WriteEvents},
    extract::{IfMatch, Path},
    page::{List, NoFilter, Page},
    problem::Problem,
    state::App,
    work::Answer,
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_message_opt_outs))
        .routes(routes!(delete_message_opt_out))
}

/// A number that gets no text messages of the organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageOptOut {
    /// In E.164.
    pub number: String,
    pub created_at: Timestamp,
}

/// List the numbers that have opted out of text messages.
#[utoipa::path(get, path = "/v1/message-opt-outs", tag = "messages",
    responses((status = 200, description = "One page.", body = Page<MessageOptOut>)))]
async fn list_message_opt_outs(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let after: Option<String> = list.after()?;
    let found = queries::list(&app.db, organization_id, after.as_deref(), list.fetch()).await?;
    Ok(list.page(found, |opt_out| opt_out.number.clone()))
}

/// Write to a number again, because its owner wants that. Twilio goes on refusing until they have answered START.
#[utoipa::path(delete, path = "/v1/message-opt-outs/{number}", tag = "messages",
    params(("number" = String, Path, description = "The number, in E.164.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_message_opt_out(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(number): Path<String>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let gone = queries::delete(&mut work, organization_id, &number).await?;
    let gone = gone.ok_or(Problem::NotFound)?;
    // It never changes.
    if_match.check(1)?;
    // A number has no id: the entry is known by what it says.
    let subject = ("message_opt_out", work.new_id());
    work.audit("message_opt_out.deleted", subject, Some(&gone), None::<&()>)
        .await?;
    work.commit(Answer::no_content()).await
}
