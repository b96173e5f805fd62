//! Venues: places, their capacity, prices and in-house catering.

use axum::{
    extract::{DefaultBodyLimit, State},
    response::Response,
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    access::{Access, ReadCatalogue, WriteCatalogue},
    catalogue::{
        Csv, ExportOptions, export,
        import::{Import, ImportReport, MAX_BYTES},
    },
    extract::{IfMatch, Json, MergePatch, Path, Query, ValidateOnly},
    page::{List, Page},
    problem::{OnConstraint, Problem, kinds},
    state::App,
    work::{Answer, Work},
};

mod blocked_dates;
mod csv;
mod filter;
pub mod queries;
mod venue;
pub use filter::VenueFilter;
pub use venue::{NewVenue, Venue};

/// What `NewVenue` cannot set.
const READ_ONLY: &[&str] = &["id", "version", "created_at", "updated_at"];

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(import_venues))
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .routes(routes!(list_venues, create_venue))
        .routes(routes!(export_venues))
        .routes(routes!(get_venue, update_venue, delete_venue))
        .merge(blocked_dates::routes())
}

/// List venues, oldest first. Filters are combined: all of them hold.
#[utoipa::path(get, path = "/v1/venues", params(VenueFilter), tag = "venues",
    responses((status = 200, description = "One page.", body = Page<Venue>)))]
async fn list_venues(
    State(app): State<App>,
    access: Access<ReadCatalogue>,
    list: List<VenueFilter>,
) -> Result<Response, Problem> {
    let criteria = list.filter.criteria()?;
    let venues = queries::list(
        &app.db,
        access.organization_id(),
        &criteria,
        list.after()?,
        list.fetch(),
    )
    .await?;
    Ok(list.page(venues, |venue| venue.id))
}

/// Add a venue.
#[utoipa::path(post, path = "/v1/venues", request_body = NewVenue, tag = "venues",
    responses((status = 201, description = "The venue.", body = Venue)))]
async fn create_venue(
    State(app): State<App>,
    access: Access<WriteCatalogue>,
    Json(new): Json<NewVenue>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let id = work.new_id();
    let venue = save(&mut work, organization_id, id, new).await?;
    work.audit("venue.created", ("venue", id), None::<&()>, Some(&venue))
        .await?;
    work.commit(Answer::created(
        format!("/v1/venues/{id}"),
        venue.version,
        &venue,
    )?)
    .await
}

/// Get a venue.
#[utoipa::path(get, path = "/v1/venues/{venue_id}", tag = "venues",
    params(("venue_id" = Uuid, Path, description = "The venue.")),
    responses((status = 200, description = "The venue.", body = Venue)))]
async fn get_venue(
    State(app): State<App>,
    access: Access<ReadCatalogue>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let venue = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(venue.version, &venue)
}

/// Change a venue. Bookings made before keep their prices and terms.
#[utoipa::path(patch, path = "/v1/venues/{venue_id}", tag = "venues",
    params(("venue_id" = Uuid, Path, description = "The venue.")),
    request_body(content = NewVenue, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The venue as it is now.", body = Venue)))]
async fn update_venue(
    State(app): State<App>,
    access: Access<WriteCatalogue>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    let venue = save(
        &mut work,
        organization_id,
        id,
        patch.apply(&current, READ_ONLY)?,
    )
    .await?;
    work.audit("venue.updated", ("venue", id), Some(&current), Some(&venue))
        .await?;
    work.commit(Answer::ok(venue.version, &venue)?).await
}

/// Remove a venue and its blocked dates. 409 once it has bookings, even cancelled ones.
#[utoipa::path(delete, path = "/v1/venues/{venue_id}", tag = "venues",
    params(("venue_id" = Uuid, Path, description = "The venue.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_venue(
    State(app): State<App>,
    access: Access<WriteCatalogue>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    queries::delete(&mut work, organization_id, id)
        .await
        .on_constraint(named)?;
    work.audit("venue.deleted", ("venue", id), Some(&current), None::<&()>)
        .await?;
    work.commit(Answer::no_content()).await
}

/// Import venues from CSV.
///
/// Each row is known by its `external_id`: a new one is created, a known one is updated. The columns
/// are those of the export, in any order; optional ones may be left out, which leaves their fields as
/// they are. An empty cell sets the default. Rows that hold are applied together, the others are told
/// in `items` and change nothing. UTF-8, parted by comma, semicolon or tab, at most 10,000 rows and
/// 10 MiB; `,` is also a decimal sign where `;` parts the cells.
#[utoipa::path(post, path = "/v1/venues/import", tag = "venues", params(ValidateOnly),
    request_body(content = String, content_type = "text/csv"),
    responses(
        (status = 200, description = "With `validate_only`: what would become of each row.", body = ImportReport),
        (status = 207, description = "What became of each row.", body = ImportReport)))]
async fn import_venues(
    State(app): State<App>,
    access: Access<WriteCatalogue>,
    Query(query): Query<ValidateOnly>,
    Csv(csv): Csv,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?.rehearse(query.validate_only);
    let report = import(&mut work, organization_id, &csv).await?;
    work.commit(report.answer()?).await
}

/// Puts the rows of a CSV file that hold into a change, as `import_venues` does.
pub async fn import(
    work: &mut Work,
    organization_id: Uuid,
    csv: &[u8],
) -> Result<ImportReport, Problem> {
    let import = Import::read(csv, csv::COLUMNS)?;
    let current =
        queries::lock_by_external_id(work, organization_id, &import.external_ids()).await?;
    let met = import.meet(&current, READ_ONLY, NewVenue::normalized, || work.new_id())?;
    let now = work.now;
    queries::save(work, organization_id, &met.writes, now)
        .await
        .on_constraint(raced)?;
    ImportReport::record(work, organization_id, "venue.imported", met.items).await
}

/// Export all venues as CSV.
///
/// The file can be imported again; rows without `external_id` need one first. A text that a
/// spreadsheet program would run as a formula has an apostrophe before it, which an import removes.
#[utoipa::path(get, path = "/v1/venues/export", tag = "venues", params(ExportOptions),
    responses((status = 200, description = "The file.", body = String, content_type = "text/csv")))]
async fn export_venues(
    State(app): State<App>,
    access: Access<ReadCatalogue>,
    Query(options): Query<ExportOptions>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let page = move |after| {
        let db = app.db.clone();
        async move {
            queries::list(
                &db,
                organization_id,
                &filter::Criteria::default(),
                after,
                export::PAGE,
            )
            .await
        }
    };
    export::download("venues.csv", csv::COLUMNS, options.bom, page).await
}

async fn save(
    work: &mut Work,
    organization_id: Uuid,
    id: Uuid,
    new: NewVenue,
) -> Result<Venue, Problem> {
    let now = work.now;
    queries::save(work, organization_id, &[(id, new.normalized())], now)
        .await
        .on_constraint(named)?;
    Ok(queries::get(&mut **work, organization_id, id).await?)
}

fn named(constraint: &str) -> Option<Problem> {
    match constraint {
        "venue_external_id_once" => Some(Problem::conflict(
            &kinds::ALREADY_EXISTS,
            "another venue has this external_id",
        )),
        "booking_venue" => Some(Problem::conflict(&kinds::IN_USE, "the venue has bookings")),
        _ => None,
    }
}

/// Somebody else created one of the rows while we read them.
fn raced(constraint: &str) -> Option<Problem> {
    let kind = &kinds::CONCURRENT_CHANGE;
    (constraint == "venue_external_id_once").then(|| Problem::conflict(kind, kind.detail()))
}
