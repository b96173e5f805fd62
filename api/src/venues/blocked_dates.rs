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
        .routes(routes!(list_venue_blocked_dates, create_venue_blocked_date))
        .routes(routes!(delete_venue_blocked_date))
}

/// List the days on which a venue takes no events, by first day.
#[utoipa::path(get, path = "/v1/venues/{venue_id}/blocked-dates", tag = "venues",
    params(("venue_id" = Uuid, Path, description = "The venue.")),
    responses((status = 200, description = "One page.", body = Page<BlockedDate>)))]
async fn list_venue_blocked_dates(
    State(app): State<App>,
    access: Access<ReadCatalogue>,
    Path(id): Path<Uuid>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    blocked_dates::list(&app, access.organization_id(), Entry::Venue(id), list).await
}

/// Block days, both ends included: the venue takes no events on them. Bookings made before stay.
#[utoipa::path(post, path = "/v1/venues/{venue_id}/blocked-dates", tag = "venues",
    params(("venue_id" = Uuid, Path, description = "The venue.")), request_body = NewBlockedDate,
    responses((status = 201, description = "The blocked days.", body = BlockedDate)))]
async fn create_venue_blocked_date(
    State(app): State<App>,
    access: Access<WriteCatalogue>,
    Path(id): Path<Uuid>,
    Json(new): Json<NewBlockedDate>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let work = access.begin(&app).await?;
    blocked_dates::create(work, organization_id, Entry::Venue(id), &new).await
}

/// Free blocked days again. They have one version, so their `ETag` is always `"1"`.
#[utoipa::path(delete, path = "/v1/venues/{venue_id}/blocked-dates/{blocked_date_id}", tag = "venues",
    params(("venue_id" = Uuid, Path, description = "The venue."),
           ("blocked_date_id" = Uuid, Path, description = "The blocked days.")),
    responses((status = 204, description = "Free again.")))]
async fn delete_venue_blocked_date(
    State(app): State<App>,
    access: Access<WriteCatalogue>,
    Path((venue_id, id)): Path<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let work = access.begin(&app).await?;
    blocked_dates::delete(work, organization_id, Entry::Venue(venue_id), id, &if_match).await
}
