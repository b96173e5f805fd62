//! Playbooks: what is done for one kind of event or work, as data. Some are shipped; organizations add their own.

use std::collections::BTreeMap;

use axum::{
    extract::{FromRequest, Request, State},
    response::Response,
};
use jiff_sqlx::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgConnection, types::Json as Jsonb};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use crate::{
    access::{Access, ReadEvents, WriteBookings},
    agents::Directory,
    extract::{self, IfMatch, Path},
    page::{List, NoFilter, Page},
    problem::{OnConstraint, Problem, kinds},
    state::App,
    strict::{self, Unique},
    work::{Answer, Work},
};

pub mod check;
pub mod definition;
mod queries;
pub mod references;
mod shipped;
pub use definition::{Approval, Compensation, Definition, Matching, Step};
pub use shipped::SHIPPED;

/// Playbooks of an organization that a description is compared with.
const MOST_COMPARED: i64 = 500;
/// Of a playbook's YAML, aliases written out: more than its rules leave room for.
const MOST_NODES: usize = 10_000;
/// Longest definition, in bytes of JSON: lists and runs hold many of them.
const LONGEST_DEFINITION: usize = 64 * 1024;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_playbooks, create_playbook))
        .routes(routes!(get_playbook, replace_playbook, delete_playbook))
}

/// A playbook, and where it comes from.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Playbook {
    #[serde(flatten)]
    pub definition: Definition,
    /// It comes along; one of the same name takes its place.
    pub is_shipped: bool,
    /// Null for a shipped one.
    pub version: Option<i64>,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
}

/// A playbook of an organization.
#[derive(Debug)]
pub struct Own {
    id: Uuid,
    definition: Jsonb<Definition>,
    version: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A playbook as a body: JSON, or YAML (`application/yaml`).
pub struct Body(Definition);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = extract::media_type(request.headers());
        let value = match media_type.as_str() {
            "application/json" => extract::parse(&extract::bytes_of(request, state).await?)?,
            "application/yaml" => {
                let bytes = extract::bytes_of(request, state).await?;
                from_yaml(&bytes).map_err(|error| {
                    let detail = format!("not YAML: {error}");
                    Problem::Malformed(&kinds::MALFORMED_REQUEST, detail, Vec::new())
                })?
            }
            _ => {
                let wanted = "application/json or application/yaml";
                return Err(Problem::UnsupportedMediaType(wanted));
            }
        };
        read(value).map(Self)
    }
}

/// List the playbooks by their name: those that are shipped, and the organization's own.
#[utoipa::path(get, path = "/v1/playbooks", tag = "playbooks",
    responses((status = 200, description = "One page.", body = Page<Playbook>)))]
async fn list_playbooks(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let after: Option<String> = list.after()?;
    let own = queries::list(&app.db, organization_id, after.as_deref(), list.fetch()).await?;
    let mut playbooks: BTreeMap<String, Playbook> = SHIPPED
        .iter()
        .filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after))
        .map(|(name, shipped)| (name.clone(), shipped.into()))
        .collect();
    let own = own.into_iter().map(Playbook::from);
    playbooks.extend(own.map(|own| (own.definition.name.clone(), own)));
    Ok(list.page(playbooks.into_values().collect(), |playbook| {
        playbook.definition.name.clone()
    }))
}

/// Add a playbook, as JSON or as YAML. One with the name of a shipped playbook takes its place.
#[utoipa::path(post, path = "/v1/playbooks", tag = "playbooks",
    request_body(content((Definition = "application/json"), (String = "application/yaml"))),
    responses((status = 201, description = "The playbook.", body = Playbook)))]
async fn create_playbook(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Body(new): Body,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    hold(&mut work, organization_id, &new).await?;
    let (id, now) = (work.new_id(), work.now);
    let own = queries::insert(&mut work, organization_id, id, &new, now)
        .await
        .on_constraint(|constraint| {
            let detail = "another playbook of the organization has this name; replace that one";
            (constraint == "playbook_name_once")
                .then(|| Problem::conflict(&kinds::ALREADY_EXISTS, detail))
        })?;
    let playbook = Playbook::from(own);
    work.audit(
        "playbook.created",
        ("playbook", id),
        None::<&()>,
        Some(&playbook),
    )
    .await?;
    let location = format!("/v1/playbooks/{}", new.name);
    work.commit(Answer::created(location, 1, &playbook)?).await
}

/// Get a playbook.
#[utoipa::path(get, path = "/v1/playbooks/{name}", tag = "playbooks",
    params(("name" = String, Path, description = "The playbook's name.")),
    responses((status = 200, description = "The playbook.", body = Playbook)))]
async fn get_playbook(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(name): Path<String>,
) -> Result<Answer, Problem> {
    let mut db = app.db.acquire().await?;
    let playbook = by_name(&mut db, access.organization_id(), &name).await?;
    let playbook = playbook.ok_or(Problem::NotFound)?;
    match playbook.version {
        Some(version) => Answer::ok(version, &playbook),
        None => Answer::plain(&playbook),
    }
}

/// Replace a playbook of the organization. Runs that have begun go on with what they began with.
#[utoipa::path(put, path = "/v1/playbooks/{name}", tag = "playbooks",
    params(("name" = String, Path, description = "The playbook's name.")),
    request_body(content((Definition = "application/json"), (String = "application/yaml"))),
    responses((status = 200, description = "The playbook as it is now.", body = Playbook)))]
async fn replace_playbook(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(name): Path<String>,
    if_match: IfMatch,
    Body(new): Body,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, &name).await?;
    let current = current.ok_or_else(|| shipped_or_unknown(&name))?;
    if_match.check(current.version)?;
    if new.name != name {
        let detail = format!("must stay {name}; add another playbook instead");
        return Err(Problem::field("/name", "fixed", detail));
    }
    hold(&mut work, organization_id, &new).await?;
    let (id, now) = (current.id, work.now);
    let own = queries::update(&mut work, organization_id, id, &new, now).await?;
    let (before, playbook) = (Playbook::from(current), Playbook::from(own));
    work.audit(
        "playbook.updated",
        ("playbook", id),
        Some(&before),
        Some(&playbook),
    )
    .await?;
    let version = playbook.version.unwrap_or_default();
    work.commit(Answer::ok(version, &playbook)?).await
}

/// Remove a playbook of the organization; a shipped one of that name is in its place again.
#[utoipa::path(delete, path = "/v1/playbooks/{name}", tag = "playbooks",
    params(("name" = String, Path, description = "The playbook's name.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_playbook(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Path(name): Path<String>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, &name).await?;
    let current = current.ok_or_else(|| shipped_or_unknown(&name))?;
    if_match.check(current.version)?;
    let id = current.id;
    queries::delete(&mut work, organization_id, id).await?;
    let before = Playbook::from(current);
    work.audit(
        "playbook.deleted",
        ("playbook", id),
        Some(&before),
        None::<&()>,
    )
    .await?;
    work.commit(Answer::no_content()).await
}

/// The playbook of that name: the organization's own before the shipped one.
pub async fn by_name(
    db: &mut PgConnection,
    organization_id: Uuid,
    name: &str,
) -> sqlx::Result<Option<Playbook>> {
    let own = queries::get(db, organization_id, name).await?;
    Ok(own
        .map(Playbook::from)
        .or_else(|| SHIPPED.get(name).map(Playbook::from)))
}

/// Every playbook that an organization can use.
pub async fn all(db: &mut PgConnection, organization_id: Uuid) -> sqlx::Result<Vec<Playbook>> {
    let own = queries::list(db, organization_id, None, MOST_COMPARED).await?;
    let shipped = SHIPPED.values().map(Playbook::from);
    let mut by_name: BTreeMap<String, Playbook> = shipped
        .map(|shipped| (shipped.definition.name.clone(), shipped))
        .collect();
    let own = own.into_iter().map(Playbook::from);
    by_name.extend(own.map(|own| (own.definition.name.clone(), own)));
    Ok(by_name.into_values().collect())
}

/// A playbook from JSON, with its own rules held; whether its names are known is another question.
pub fn read(value: Value) -> Result<Definition, Problem> {
    let length = value.to_string().len();
    if length > LONGEST_DEFINITION {
        let detail = format!("has {length} bytes as JSON; at most {LONGEST_DEFINITION} are taken");
        return Err(Problem::field("", "too_large", detail));
    }
    let definition: Definition =
        strict::from_value(value).map_err(|error| Problem::Invalid(vec![error]))?;
    definition
        .validate()
        .map_err(|errors| Problem::Invalid(extract::field_errors(&errors)))?;
    Ok(definition)
}

/// YAML 1.2 as JSON; a name twice in one mapping is an error, and aliases cannot make it explode: what they stand for counts.
pub(crate) fn from_yaml(bytes: &[u8]) -> Result<Value, String> {
    let budget = serde_saphyr::budget! { max_nodes: MOST_NODES, max_events: 2 * MOST_NODES };
    let options = serde_saphyr::options! { with_snippet: false, budget: budget };
    let Unique(value) = serde_saphyr::from_slice_with_options(bytes, options)
        .map_err(|error| error.to_string().chars().take(300).collect::<String>())?;
    Ok(value)
}

/// 422 unless every name that it uses is known.
async fn hold(work: &mut Work, organization_id: Uuid, new: &Definition) -> Result<(), Problem> {
    let directory = Directory::load(work, organization_id).await?;
    let faults = check::check(new, &directory);
    if faults.is_empty() {
        return Ok(());
    }
    Err(Problem::Invalid(faults))
}

fn shipped_or_unknown(name: &str) -> Problem {
    if SHIPPED.contains_key(name) {
        let detail =
            "a shipped playbook does not change; POST one of the same name to take its place";
        return Problem::conflict(&kinds::IN_USE, detail);
    }
    Problem::NotFound
}

impl From<&Definition> for Playbook {
    fn from(shipped: &Definition) -> Self {
        Self {
            definition: shipped.clone(),
            is_shipped: true,
            version: None,
            created_at: None,
            updated_at: None,
        }
    }
}

impl From<Own> for Playbook {
    fn from(own: Own) -> Self {
        Self {
            definition: own.definition.0,
            is_shipped: false,
            version: Some(own.version),
            created_at: Some(own.created_at),
            updated_at: Some(own.updated_at),
        }
    }
}
