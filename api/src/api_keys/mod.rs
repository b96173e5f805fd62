//! API keys: shown once, stored hashed, revoked within a second.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use crate::{
    access::{Access, ApiKeyToken, ManageOrganization, Scope},
    extract::{IfMatch, Json, Path},
    page::{List, NoFilter, Page},
    problem::{OnConstraint, Problem},
    state::App,
    work::{Answer, Work},
};

mod queries;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_api_keys, create_api_key))
        .routes(routes!(get_api_key, revoke_api_key))
}

/// A credential that speaks for a member.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKey {
    pub id: Uuid,
    /// Whose rights it carries.
    pub member_id: Uuid,
    pub name: String,
    /// The first characters of the key.
    pub hint: String,
    /// What it may be used for, within its owner's role.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: Vec<String>,
    pub expires_at: Option<Timestamp>,
    /// Its last use, to the minute.
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A key at the one moment when it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedApiKey {
    #[serde(flatten)]
    pub api_key: ApiKey,
    /// The key itself. It is shown this once; a replay of the answer has null.
    pub key: Option<String>,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Box office", "scopes": ["events:read"]}))]
pub struct NewApiKey {
    /// What it is for.
    #[validate(length(min = 1, max = 200), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub name: String,
    /// Whose rights it carries; the caller's when left out.
    pub member_id: Option<Uuid>,
    /// What it may be used for, no more than the caller's key; the same when left out.
    #[validate(length(min = 1, max = 50))]
    #[schema(min_items = 1, max_items = 50)]
    pub scopes: Option<Vec<Scope>>,
    /// From when on it is refused; never when left out.
    pub expires_at: Option<Timestamp>,
}

/// List the API keys, oldest first.
#[utoipa::path(get, path = "/v1/api-keys", tag = "api_keys",
    responses((status = 200, description = "One page.", body = Page<ApiKey>)))]
async fn list_api_keys(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let keys = queries::list(
        &app.db,
        access.organization_id(),
        list.after()?,
        list.fetch(),
    )
    .await?;
    Ok(list.page(keys, |key| key.id))
}

/// Create an API key. The answer shows it, once.
#[utoipa::path(post, path = "/v1/api-keys", request_body = NewApiKey, tag = "api_keys",
    responses((status = 201, description = "The key.", body = CreatedApiKey)))]
async fn create_api_key(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Json(new): Json<NewApiKey>,
) -> Result<Response, Problem> {
    let (organization_id, caller) = (access.organization_id(), access.person.member_id);
    let scopes = narrowed(new.scopes.as_deref(), &access.person.scopes)?;
    let new = NewApiKey {
        scopes: Some(scopes),
        ..new
    };
    let mut work = access.begin(&app).await?;
    if new
        .expires_at
        .is_some_and(|expires_at| expires_at.to_jiff() <= work.now)
    {
        return Err(Problem::field(
            "/expires_at",
            "past",
            "must be in the future",
        ));
    }
    let token = ApiKeyToken::generate()?;
    let owner = new.member_id.unwrap_or(caller);
    let api_key = create(&mut work, organization_id, owner, &new, &token).await?;
    let (location, version) = (format!("/v1/api-keys/{}", api_key.id), api_key.version);
    let mut created = CreatedApiKey {
        api_key,
        key: Some(token.expose().to_owned()),
    };
    let answer = Answer::created(location.clone(), version, &created)?;
    created.key = None;
    let replay = Answer::created(location, version, &created)?;
    work.commit_with_replay(answer, &replay).await
}

/// The scopes of a new key: no more than the caller's own.
fn narrowed(wanted: Option<&[Scope]>, own: &[Scope]) -> Result<Vec<Scope>, Problem> {
    let mut scopes = wanted.unwrap_or(own).to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    match scopes.iter().find(|scope| !own.contains(scope)) {
        None => Ok(scopes),
        Some(scope) => Err(Problem::Forbidden(format!(
            "your own key lacks the scope {scope}"
        ))),
    }
}

/// Puts a key for `member_id` into a change.
pub async fn create(
    work: &mut Work,
    organization_id: Uuid,
    member_id: Uuid,
    new: &NewApiKey,
    token: &ApiKeyToken,
) -> Result<ApiKey, Problem> {
    let (id, now) = (work.new_id(), work.now);
    let key = queries::insert(work, organization_id, id, member_id, new, token, now);
    let key = key.await.on_constraint(|name| {
        let unknown = || Problem::field("/member_id", "unknown", "there is no such member");
        (name == "api_key_owner").then(unknown)
    })?;
    work.audit("api_key.created", ("api_key", id), None::<&()>, Some(&key))
        .await?;
    Ok(key)
}

/// Get an API key, without the key itself.
#[utoipa::path(get, path = "/v1/api-keys/{api_key_id}", tag = "api_keys",
    params(("api_key_id" = Uuid, Path, description = "The API key.")),
    responses((status = 200, description = "The key.", body = ApiKey)))]
async fn get_api_key(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let key = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(key.version, &key)
}

/// Revoke an API key: within a second it is refused everywhere. It stays in the list.
#[utoipa::path(delete, path = "/v1/api-keys/{api_key_id}", tag = "api_keys",
    params(("api_key_id" = Uuid, Path, description = "The API key.")),
    responses((status = 204, description = "Revoked.")))]
async fn revoke_api_key(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    if current.revoked_at.is_none() {
        let now = work.now;
        let revoked = queries::revoke(&mut work, organization_id, id, now).await?;
        work.audit(
            "api_key.revoked",
            ("api_key", id),
            Some(&current),
            Some(&revoked),
        )
        .await?;
    }
    work.commit(Answer::no_content()).await
}
