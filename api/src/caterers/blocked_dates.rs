use axum::{extract::State, response::Response};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    access::{Access, ReadCatalogue, WriteCatalogue},
    catalogue::blocked_dates::{self, BlockedDate, Entry, NewBlockedDate},
    extract::{IfMatch, Json, Path},
    page::{List, NoFilter, Page},
    problem::Problem,
    state::App,
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(
            list_caterer_blocked_dates,
            create_caterer_blocked_date
        ))
        .routes(routes!(delete_caterer_blocked_date))
}

/// List the days on which a caterer takes no events, by first day.
#[utoipa::path(get, path = "/v1/caterers/{caterer_id}/blocked-dates", tag = "caterers",
    params(("caterer_id" = Uuid, Path, description = "The caterer.")),
    responses((status = 200, description = "One page.", body = Page<BlockedDate>)))]
async fn list_caterer_blocked_dates(
    State(app): State<App>,
    access: Access<ReadCatalogue>,
    Path(id): Path<Uuid>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    blocked_dates::list(&app, access.organization_id(), Entry::Caterer(id), list).await
}

/// Block days, both ends included: the caterer takes no events on them. Bookings made before stay.
#[utoipa::path(post, path = "/v1/caterers/{caterer_id}/blocked-dates", tag = "caterers",
    params(("caterer_id" = Uuid, Path, description = "The caterer.")), request_body = NewBlockedDate,
    responses((status = 201, description = "The blocked days.", body = BlockedDate)))]
async fn create_caterer_blocked_date(
    State(app): State<App>,
    access: Access<WriteCatalogue>,
    Path(id): Path<Uuid>,
    Json(new): Json<NewBlockedDate>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let work = access.begin(&app).await?;
    blocked_dates::create(work, organization_id, Entry::Caterer(id), &new).await
}

/// Free blocked days again. They have one version, so their `ETag` is always `"1"`.
#[utoipa::path(delete, path = "/v1/caterers/{caterer_id}/blocked-dates/{blocked_date_id}", tag = "caterers",
    params(("caterer_id" = Uuid, Path, description = "The caterer."),
           ("blocked_date_id" = Uuid, Path, description = "The blocked days.")),
    responses((status = 204, description = "Free again.")))]
async fn delete_caterer_blocked_date(
    State(app): State<App>,
    access: Access<WriteCatalogue>,
    Path((caterer_id, id)): Path<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let work = access.begin(&app).await?;
    blocked_dates::delete(
        work,
        organization_id,
        Entry::Caterer(caterer_id),
        id,
        &if_match,
    )
    .await
}
