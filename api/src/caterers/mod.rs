//! Caterers: kitchens, their cuisines, reach and prices.

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
mod caterer;
mod csv;
mod filter;
pub mod queries;
pub use caterer::{Caterer, NewCaterer};
pub use filter::CatererFilter;

/// What `NewCaterer` cannot set.
const READ_ONLY: &[&str] = &["id", "version", "created_at", "updated_at"];

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(import_caterers))
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .routes(routes!(list_caterers, create_caterer))
        .routes(routes!(export_caterers))
        .routes(routes!(get_caterer, update_caterer, delete_caterer))
        .merge(blocked_dates::routes())
}

/// List caterers, oldest first. Filters are combined: all of them hold.
#[utoipa::path(get, path = "/v1/caterers", params(CatererFilter), tag = "caterers",
    responses((status = 200, description = "One page.", body = Page<Caterer>)))]
async fn list_caterers(
    State(app): State<App>,
    access: Access<ReadCatalogue>,
    list: List<CatererFilter>,
) -> Result<Response, Problem> {
    let criteria = list.filter.criteria()?;
    let caterers = queries::list(
        &app.db,
        access.organization_id(),
        &criteria,
        list.after()?,
        list.fetch(),
    )
    .await?;
    Ok(list.page(caterers, |caterer| caterer.id))
}

/// Add a caterer.
#[utoipa::path(post, path = "/v1/caterers", request_body = NewCaterer, tag = "caterers",
    responses((status = 201, description = "The caterer.", body = Caterer)))]
async fn create_caterer(
    State(app): State<App>,
    access: Access<WriteCatalogue>,
    Json(new): Json<NewCaterer>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let id = work.new_id();
    let caterer = save(&mut work, organization_id, id, new).await?;
    work.audit(
        "caterer.created",
        ("caterer", id),
        None::<&()>,
        Some(&caterer),
    )
    .await?;
    work.commit(Answer::created(
        format!("/v1/caterers/{id}"),
        caterer.version,
        &caterer,
    )?)
    .await
}

/// Get a caterer.
#[utoipa::path(get, path = "/v1/caterers/{caterer_id}", tag = "caterers",
    params(("caterer_id" = Uuid, Path, description = "The caterer.")),
    responses((status = 200, description = "The caterer.", body = Caterer)))]
async fn get_caterer(
    State(app): State<App>,
    access: Access<ReadCatalogue>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let caterer = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(caterer.version, &caterer)
}

/// Change a caterer. Bookings made before keep their prices and terms.
#[utoipa::path(patch, path = "/v1/caterers/{caterer_id}", tag = "caterers",
    params(("caterer_id" = Uuid, Path, description = "The caterer.")),
    request_body(content = NewCaterer, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The caterer as it is now.", body = Caterer)))]
async fn update_caterer(
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
    let caterer = save(
        &mut work,
        organization_id,
        id,
        patch.apply(&current, READ_ONLY)?,
    )
    .await?;
    work.audit(
        "caterer.updated",
        ("caterer", id),
        Some(&current),
        Some(&caterer),
    )
    .await?;
    work.commit(Answer::ok(caterer.version, &caterer)?).await
}

/// Remove a caterer and its blocked dates. 409 once it has bookings, even cancelled ones.
#[utoipa::path(delete, path = "/v1/caterers/{caterer_id}", tag = "caterers",
    params(("caterer_id" = Uuid, Path, description = "The caterer.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_caterer(
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
    work.audit(
        "caterer.deleted",
        ("caterer", id),
        Some(&current),
        None::<&()>,
    )
    .await?;
    work.commit(Answer::no_content()).await
}

/// Import caterers from CSV.
///
/// Each row is known by its `external_id`: a new one is created, a known one is updated. The columns
/// are those of the export, in any order; optional ones may be left out, which leaves their fields as
/// they are. An empty cell sets the default. Rows that hold are applied together, the others are told
/// in `items` and change nothing. UTF-8, parted by comma, semicolon or tab, at most 10,000 rows and
/// 10 MiB; `,` is also a decimal sign where `;` parts the cells.
#[utoipa::path(post, path = "/v1/caterers/import", tag = "caterers", params(ValidateOnly),
    request_body(content = String, content_type = "text/csv"),
    responses(
        (status = 200, description = "With `validate_only`: what would become of each row.", body = ImportReport),
        (status = 207, description = "What became of each row.", body = ImportReport)))]
async fn import_caterers(
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

/// Puts the rows of a CSV file that hold into a change, as `import_caterers` does.
pub async fn import(
    work: &mut Work,
    organization_id: Uuid,
    csv: &[u8],
) -> Result<ImportReport, Problem> {
    let import = Import::read(csv, csv::COLUMNS)?;
    let current =
        queries::lock_by_external_id(work, organization_id, &import.external_ids()).await?;
    let met = import.meet(&current, READ_ONLY, NewCaterer::normalized, || {
        work.new_id()
    })?;
    let now = work.now;
    queries::save(work, organization_id, &met.writes, now)
        .await
        .on_constraint(raced)?;
    ImportReport::record(work, organization_id, "caterer.imported", met.items).await
}

/// Export all caterers as CSV.
///
/// The file can be imported again; rows without `external_id` need one first. A text that a
/// spreadsheet program would run as a formula has an apostrophe before it, which an import removes.
#[utoipa::path(get, path = "/v1/caterers/export", tag = "caterers", params(ExportOptions),
    responses((status = 200, description = "The file.", body = String, content_type = "text/csv")))]
async fn export_caterers(
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
    export::download("caterers.csv", csv::COLUMNS, options.bom, page).await
}

async fn save(
    work: &mut Work,
    organization_id: Uuid,
    id: Uuid,
    new: NewCaterer,
) -> Result<Caterer, Problem> {
    let now = work.now;
    queries::save(work, organization_id, &[(id, new.normalized())], now)
        .await
        .on_constraint(named)?;
    Ok(queries::get(&mut **work, organization_id, id).await?)
}

fn named(constraint: &str) -> Option<Problem> {
    match constraint {
        "caterer_external_id_once" => Some(Problem::conflict(
            &kinds::ALREADY_EXISTS,
            "another caterer has this external_id",
        )),
        "booking_caterer" => Some(Problem::conflict(
            &kinds::IN_USE,
            "the caterer has bookings",
        )),
        _ => None,
    }
}

/// Somebody else created one of the rows while we read them.
fn raced(constraint: &str) -> Option<Problem> {
    let kind = &kinds::CONCURRENT_CHANGE;
    (constraint == "caterer_external_id_once").then(|| Problem::conflict(kind, kind.detail()))
}
