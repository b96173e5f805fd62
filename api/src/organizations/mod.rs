//! Organizations: the tenants.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use crate::{
    access::{
        Access, ApiKeyToken, ManageOrganization, ReadOrganization, Role, Scope, SeeSelf,
        ServiceAccess,
    },
    api_keys::{self, NewApiKey},
    extract::{IfMatch, Json, MergePatch, Path},
    members::{self, Member, NewMember},
    problem::Problem,
    state::App,
    tasks,
    work::{Answer, Work},
};

mod queries;
pub use queries::{booking_run, linear_team, name};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_organization))
        .routes(routes!(get_organization, update_organization))
        .routes(routes!(get_me))
}

/// Whether booking an event starts the playbook `booking`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type,
)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum BookingRun {
    /// Where at least one sidecar that its steps need is there, or one is for an agent of the organization's own.
    #[default]
    Auto,
    On,
    Off,
}

/// A tenant: everything belongs to one.
#[derive(Debug, Serialize, ToSchema)]
pub struct Organization {
    pub id: Uuid,
    pub name: String,
    /// What is asked as a deposit where none of an event's venues and caterers asks for one, in basis points of the
    /// total: 2000 is 20 %.
    pub default_deposit_rate_bps: i32,
    pub booking_run: BookingRun,
    /// Key or id of the Linear team whose issues show the organization's tasks; null where none does.
    pub linear_team: Option<String>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What `NewOrganization` cannot set.
const READ_ONLY: &[&str] = &["id", "version", "created_at", "updated_at"];

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Acme Events"}))]
pub struct NewOrganization {
    #[validate(length(min = 1, max = 200), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub name: String,
    /// What is asked as a deposit where none of an event's venues and caterers asks for one, in basis points of the
    /// total.
    #[serde(default = "default_deposit_rate_bps")]
    #[validate(range(min = 1, max = 10_000))]
    #[schema(minimum = 1, maximum = 10_000, default = 2_000)]
    pub default_deposit_rate_bps: i32,
    /// `AUTO` when left out.
    #[serde(default)]
    #[schema(required = false)]
    pub booking_run: BookingRun,
    /// Key or id of a Linear team, such as `EVT`: from now on tasks that change are shown as its issues. 501
    /// `sidecar_not_configured` where this installation has no Linear sidecar.
    #[serde(default)]
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub linear_team: Option<String>,
}

/// 20 %.
fn default_deposit_rate_bps() -> i32 {
    2_000
}

/// An organization together with its first owner.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Acme Events", "owner_name": "Ada", "owner_email": "ada@example.com"}))]
pub struct NewTenant {
    #[validate(length(min = 1, max = 200), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub name: String,
    #[validate(length(min = 1, max = 200), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub owner_name: String,
    #[validate(email, length(max = 320))]
    #[schema(format = "email", max_length = 320)]
    pub owner_email: String,
}

/// What a new organization starts with.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tenant {
    pub organization: Organization,
    pub owner: Member,
    /// The owner's API key. It is shown this once; a replay of the answer has null.
    pub api_key: Option<String>,
}

/// The caller, as we see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub organization: Organization,
    pub member: Member,
    /// What the credential may be used for.
    pub scopes: Vec<Scope>,
}

/// Create an organization with its first owner. Only an operator's service token may.
#[utoipa::path(post, path = "/v1/organizations", request_body = NewTenant, tag = "organizations",
    responses((status = 201, description = "The organization, its owner and the owner's key.", body = Tenant)))]
async fn create_organization(
    State(app): State<App>,
    access: ServiceAccess,
    Json(new): Json<NewTenant>,
) -> Result<Response, Problem> {
    let mut work = access.begin(&app).await?;
    let token = ApiKeyToken::generate()?;
    let mut tenant = found(&mut work, &new, &token).await?;
    let location = format!("/v1/organizations/{}", tenant.organization.id);
    let answer = Answer::created(location.clone(), tenant.organization.version, &tenant)?;
    tenant.api_key = None;
    let replay = Answer::created(location, tenant.organization.version, &tenant)?;
    work.commit_with_replay(answer, &replay).await
}

/// Puts an organization, its owner and the owner's key into a change.
pub async fn found(
    work: &mut Work,
    new: &NewTenant,
    token: &ApiKeyToken,
) -> Result<Tenant, Problem> {
    let (id, now) = (work.new_id(), work.now);
    let organization = queries::insert(work, id, &new.name, now).await?;
    work.adopt(id);
    work.audit(
        "organization.created",
        ("organization", id),
        None::<&()>,
        Some(&organization),
    )
    .await?;
    let owner = NewMember {
        name: new.owner_name.clone(),
        email: new.owner_email.clone(),
        role: Role::Owner,
    };
    let owner = members::create(work, id, &owner).await?;
    let key = NewApiKey {
        name: "First key".into(),
        member_id: Some(owner.id),
        scopes: None,
        expires_at: None,
    };
    api_keys::create(work, id, owner.id, &key, token).await?;
    Ok(Tenant {
        organization,
        owner,
        api_key: Some(token.expose().to_owned()),
    })
}

/// Get the caller's own organization.
#[utoipa::path(get, path = "/v1/organizations/{organization_id}", tag = "organizations",
    params(("organization_id" = Uuid, Path, description = "The organization.")),
    responses((status = 200, description = "The organization.", body = Organization)))]
async fn get_organization(
    State(app): State<App>,
    access: Access<ReadOrganization>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let organization = own(
        &access,
        id,
        queries::get(&app.db, access.organization_id()).await?,
    )?;
    Answer::ok(organization.version, &organization)
}

/// Change the caller's own organization.
#[utoipa::path(patch, path = "/v1/organizations/{organization_id}", tag = "organizations",
    params(("organization_id" = Uuid, Path, description = "The organization.")),
    request_body(content = NewOrganization, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The organization as it is now.", body = Organization)))]
async fn update_organization(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Response, Problem> {
    own(&access, id, ())?;
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, id).await?;
    if_match.check(current.version)?;
    let new: NewOrganization = patch.apply(&current, READ_ONLY)?;
    if new.linear_team.is_some() && new.linear_team != current.linear_team {
        app.sidecars.linear.check()?;
        if current.linear_team.is_none() {
            tasks::enqueue_open(&mut work).await?;
        }
    }
    let now = work.now;
    let organization = queries::update(&mut work, id, &new, now).await?;
    work.audit(
        "organization.updated",
        ("organization", id),
        Some(&current),
        Some(&organization),
    )
    .await?;
    work.commit(Answer::ok(organization.version, &organization)?)
        .await
}

/// Who the credential speaks for, and what it may do.
#[utoipa::path(get, path = "/v1/me", tag = "organizations",
    responses((status = 200, description = "The caller.", body = Me)))]
async fn get_me(State(app): State<App>, access: Access<SeeSelf>) -> Result<Answer, Problem> {
    let organization_id = access.organization_id();
    let organization = queries::get(&app.db, organization_id).await?;
    let member = members::queries::get(&app.db, organization_id, access.person.member_id).await?;
    Answer::plain(&Me {
        organization,
        member,
        scopes: access.person.scopes,
    })
}

/// Any other organization is unknown.
fn own<P, T>(access: &Access<P>, id: Uuid, thing: T) -> Result<T, Problem> {
    if id == access.person.organization_id {
        Ok(thing)
    } else {
        Err(Problem::NotFound)
    }
}
