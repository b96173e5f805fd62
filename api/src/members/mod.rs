//! Members: the people of an organization, and their roles.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use crate::{
    access::{Access, ManageOrganization, ReadOrganization, Role},
    extract::{IfMatch, Json, MergePatch, Path},
    page::{List, NoFilter, Page},
    problem::{OnConstraint, Problem, kinds},
    state::App,
    work::{Answer, Work},
};

pub mod queries;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_members, create_member))
        .routes(routes!(get_member, update_member, delete_member))
}

/// A person in an organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    pub id: Uuid,
    pub name: String,
    pub email: String,
    pub role: Role,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What `NewMember` cannot set.
const READ_ONLY: &[&str] = &["id", "version", "created_at", "updated_at"];

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Grace", "email": "grace@example.com", "role": "PLANNER"}))]
pub struct NewMember {
    #[validate(length(min = 1, max = 200), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub name: String,
    /// Once in an organization, whatever its case.
    #[validate(email, length(max = 320))]
    #[schema(format = "email", max_length = 320)]
    pub email: String,
    pub role: Role,
}

/// List the members, oldest first.
#[utoipa::path(get, path = "/v1/members", tag = "members",
    responses((status = 200, description = "One page.", body = Page<Member>)))]
async fn list_members(
    State(app): State<App>,
    access: Access<ReadOrganization>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let members = queries::list(
        &app.db,
        access.organization_id(),
        list.after()?,
        list.fetch(),
    )
    .await?;
    Ok(list.page(members, |member| member.id))
}

/// Add a member.
#[utoipa::path(post, path = "/v1/members", request_body = NewMember, tag = "members",
    responses((status = 201, description = "The member.", body = Member)))]
async fn create_member(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Json(new): Json<NewMember>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let member = create(&mut work, organization_id, &new).await?;
    work.commit(Answer::created(
        format!("/v1/members/{}", member.id),
        member.version,
        &member,
    )?)
    .await
}

/// Puts a member into a change.
pub async fn create(
    work: &mut Work,
    organization_id: Uuid,
    new: &NewMember,
) -> Result<Member, Problem> {
    let (id, now) = (work.new_id(), work.now);
    let member = queries::insert(work, organization_id, id, new, now)
        .await
        .on_constraint(named)?;
    work.audit("member.created", ("member", id), None::<&()>, Some(&member))
        .await?;
    Ok(member)
}

/// Get a member.
#[utoipa::path(get, path = "/v1/members/{member_id}", tag = "members",
    params(("member_id" = Uuid, Path, description = "The member.")),
    responses((status = 200, description = "The member.", body = Member)))]
async fn get_member(
    State(app): State<App>,
    access: Access<ReadOrganization>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let member = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(member.version, &member)
}

/// Change a member. An organization keeps at least one owner.
#[utoipa::path(patch, path = "/v1/members/{member_id}", tag = "members",
    params(("member_id" = Uuid, Path, description = "The member.")),
    request_body(content = NewMember, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The member as it is now.", body = Member)))]
async fn update_member(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let owners = queries::lock_owners(&mut work, organization_id).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    let new: NewMember = patch.apply(&current, READ_ONLY)?;
    if new.role != Role::Owner {
        keep_an_owner(&owners, id)?;
    }
    let now = work.now;
    let member = queries::update(&mut work, organization_id, id, &new, now)
        .await
        .on_constraint(named)?;
    work.audit(
        "member.updated",
        ("member", id),
        Some(&current),
        Some(&member),
    )
    .await?;
    work.commit(Answer::ok(member.version, &member)?).await
}

/// Remove a member, and with them their API keys.
#[utoipa::path(delete, path = "/v1/members/{member_id}", tag = "members",
    params(("member_id" = Uuid, Path, description = "The member.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_member(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let owners = queries::lock_owners(&mut work, organization_id).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    keep_an_owner(&owners, id)?;
    queries::delete(&mut work, organization_id, id).await?;
    work.audit(
        "member.deleted",
        ("member", id),
        Some(&current),
        None::<&()>,
    )
    .await?;
    work.commit(Answer::no_content()).await
}

fn keep_an_owner(owners: &[Uuid], leaving: Uuid) -> Result<(), Problem> {
    if owners == [leaving] {
        return Err(Problem::conflict(
            &kinds::LAST_OWNER,
            kinds::LAST_OWNER.detail(),
        ));
    }
    Ok(())
}

fn named(constraint: &str) -> Option<Problem> {
    let taken = "another member has this e-mail address";
    (constraint == "member_email_once_per_organization")
        .then(|| Problem::conflict(&kinds::ALREADY_EXISTS, taken))
}
