//! Checklists: those that are shipped, and an organization's own.

use std::{collections::HashSet, sync::LazyLock};

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json as Jsonb};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::Due;
use crate::{
    access::{Access, ReadEvents, WriteEvents},
    extract::{IfMatch, Json, MergePatch, Path},
    page::{List, NoFilter, Page},
    plans::brief::EventType,
    problem::{OnConstraint, Problem, kinds},
    state::App,
    work::Answer,
};

mod queries;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_checklist_templates, create_checklist_template))
        .routes(routes!(
            get_checklist_template,
            update_checklist_template,
            delete_checklist_template
        ))
}

/// A list of things to do that many events have in common.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChecklistTemplate {
    /// What it is called by, e.g. `wedding`.
    pub key: String,
    pub name: String,
    pub description: String,
    #[schema(value_type = Vec<ChecklistItem>)]
    pub items: Jsonb<Vec<ChecklistItem>>,
    /// It comes with the product and does not change; an own one with the same key takes its place.
    pub is_shipped: bool,
    /// 0 for a shipped one.
    pub version: i64,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
    #[serde(skip)]
    pub id: Uuid,
}

/// What a patch cannot set: the key stays, as tasks are known by it.
const READ_ONLY: &[&str] = &["is_shipped", "version", "created_at", "updated_at"];

#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "key": "board_meeting", "name": "Board meeting",
    "items": [{"key": "agenda", "title": "Send the agenda", "due": {"days_before": 7, "time": "12:00"}}]
}))]
pub struct NewChecklistTemplate {
    /// What it is called by; that of a shipped one to take its place.
    #[validate(custom(function = key))]
    #[schema(pattern = "^[a-z][a-z0-9_]{0,49}$")]
    pub key: String,
    #[validate(length(min = 1, max = 200), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub name: String,
    #[serde(default)]
    #[validate(length(max = 2_000))]
    #[schema(max_length = 2_000, required = false)]
    pub description: String,
    #[validate(length(min = 1, max = 100), custom(function = distinct_keys), nested)]
    #[schema(min_items = 1, max_items = 100)]
    pub items: Vec<ChecklistItem>,
}

/// A task of a checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChecklistItem {
    /// What its task is known by: the same checklist applied twice makes it once.
    #[validate(custom(function = key))]
    #[schema(pattern = "^[a-z][a-z0-9_]{0,49}$")]
    pub key: String,
    #[validate(length(min = 1, max = 200), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub title: String,
    #[serde(default)]
    #[validate(length(max = 10_000))]
    #[schema(max_length = 10_000, required = false)]
    pub description: String,
    #[validate(nested)]
    pub due: Due,
}

static SHIPPED: LazyLock<Result<Vec<ChecklistTemplate>, String>> = LazyLock::new(|| {
    let read: Vec<NewChecklistTemplate> =
        serde_json::from_str(include_str!("checklists.json")).map_err(|error| error.to_string())?;
    let shipped = read.into_iter().map(|new| ChecklistTemplate {
        key: new.key,
        name: new.name,
        description: new.description,
        items: Jsonb(new.items),
        is_shipped: true,
        version: 0,
        created_at: None,
        updated_at: None,
        id: Uuid::nil(),
    });
    Ok(shipped.collect())
});

/// The checklists that come with the product.
fn shipped() -> Result<&'static [ChecklistTemplate], Problem> {
    let shipped = SHIPPED.as_deref();
    shipped.map_err(|error| anyhow::anyhow!("the shipped checklists: {error}").into())
}

/// The checklist for a kind of event.
pub fn key_for(event_type: EventType) -> &'static str {
    match event_type {
        EventType::Offsite => "offsite",
        EventType::Conference => "conference",
        EventType::Wedding => "wedding",
        EventType::Meetup => "meetup",
        EventType::Launch => "product_launch",
        EventType::Dinner | EventType::Other => "default",
    }
}

/// The organization's own checklist of that key, or else the shipped one.
pub async fn find(
    db: &mut PgConnection,
    organization_id: Uuid,
    key: &str,
) -> Result<Option<ChecklistTemplate>, Problem> {
    let own = queries::find(db, organization_id, key).await?;
    if own.is_some() {
        return Ok(own);
    }
    Ok(shipped()?
        .iter()
        .find(|shipped| shipped.key == key)
        .cloned())
}

/// List the checklists by key: the shipped ones and the organization's own.
#[utoipa::path(get, path = "/v1/checklist-templates", tag = "tasks",
    responses((status = 200, description = "One page.", body = Page<ChecklistTemplate>)))]
async fn list_checklist_templates(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let after = list.after::<String>()?.unwrap_or_default();
    let own = queries::list(&app.db, organization_id, &after, list.fetch()).await?;
    let taken: HashSet<_> = own.iter().map(|own| own.key.clone()).collect();
    let others = shipped()?.iter();
    let others = others.filter(|shipped| shipped.key > after && !taken.contains(&shipped.key));
    let mut templates: Vec<_> = others.cloned().collect();
    templates.extend(own);
    templates.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(list.page(templates, |template| template.key.clone()))
}

/// Create a checklist of the organization's own.
#[utoipa::path(post, path = "/v1/checklist-templates", request_body = NewChecklistTemplate, tag = "tasks",
    responses((status = 201, description = "The checklist.", body = ChecklistTemplate)))]
async fn create_checklist_template(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Json(new): Json<NewChecklistTemplate>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let (id, now) = (work.new_id(), work.now);
    let template = queries::insert(&mut work, organization_id, id, &new, now)
        .await
        .on_constraint(|name| {
            let detail = "the organization has a checklist of this key; change that one";
            (name == "checklist_template_once")
                .then(|| Problem::conflict(&kinds::ALREADY_EXISTS, detail))
        })?;
    let subject = ("checklist_template", id);
    work.audit(
        "checklist_template.created",
        subject,
        None::<&()>,
        Some(&template),
    )
    .await?;
    let location = format!("/v1/checklist-templates/{}", template.key);
    work.commit(Answer::created(location, template.version, &template)?)
        .await
}

/// Get a checklist.
#[utoipa::path(get, path = "/v1/checklist-templates/{template_key}", tag = "tasks",
    params(("template_key" = String, Path, description = "The key of the checklist.")),
    responses((status = 200, description = "The checklist.", body = ChecklistTemplate)))]
async fn get_checklist_template(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(key): Path<String>,
) -> Result<Answer, Problem> {
    let mut db = app.db.acquire().await?;
    let template = find(&mut db, access.organization_id(), &key).await?;
    let template = template.ok_or(Problem::NotFound)?;
    Answer::ok(template.version, &template)
}

/// Change a checklist of the organization's own. Tasks that were made from it stay as they are.
#[utoipa::path(patch, path = "/v1/checklist-templates/{template_key}", tag = "tasks",
    params(("template_key" = String, Path, description = "The key of the checklist.")),
    request_body(content = NewChecklistTemplate, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The checklist as it is now.", body = ChecklistTemplate)))]
async fn update_checklist_template(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(key): Path<String>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = lock_own(&mut work, organization_id, &key).await?;
    if_match.check(current.version)?;
    let new: NewChecklistTemplate = patch.apply(&current, READ_ONLY)?;
    if new.key != key {
        return Err(Problem::field(
            "/key",
            "read_only",
            "the key stays as it is",
        ));
    }
    let now = work.now;
    let template = queries::update(&mut work, organization_id, current.id, &new, now).await?;
    let subject = ("checklist_template", current.id);
    work.audit(
        "checklist_template.updated",
        subject,
        Some(&current),
        Some(&template),
    )
    .await?;
    work.commit(Answer::ok(template.version, &template)?).await
}

/// Remove a checklist of the organization's own; where it stood for a shipped one, that one is back.
#[utoipa::path(delete, path = "/v1/checklist-templates/{template_key}", tag = "tasks",
    params(("template_key" = String, Path, description = "The key of the checklist.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_checklist_template(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(key): Path<String>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = lock_own(&mut work, organization_id, &key).await?;
    if_match.check(current.version)?;
    queries::delete(&mut work, organization_id, current.id).await?;
    let subject = ("checklist_template", current.id);
    work.audit(
        "checklist_template.deleted",
        subject,
        Some(&current),
        None::<&()>,
    )
    .await?;
    work.commit(Answer::no_content()).await
}

/// 409 for one that is shipped only.
async fn lock_own(
    db: &mut PgConnection,
    organization_id: Uuid,
    key: &str,
) -> Result<ChecklistTemplate, Problem> {
    if let Some(own) = queries::lock(db, organization_id, key).await? {
        return Ok(own);
    }
    if shipped()?.iter().any(|shipped| shipped.key == key) {
        let detail = "it is shipped and stays as it is; create your own with this key, which takes its place";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    Err(Problem::NotFound)
}

fn key(key: &str) -> Result<(), ValidationError> {
    let is_plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    if key.starts_with(|first: char| first.is_ascii_lowercase())
        && key.len() <= 50
        && key.chars().all(is_plain)
    {
        return Ok(());
    }
    let message = "must be snake_case of at most 50 characters: a letter, then letters, digits and underscores";
    Err(ValidationError::new("pattern").with_message(message.into()))
}

fn distinct_keys(items: &[ChecklistItem]) -> Result<(), ValidationError> {
    let mut seen = HashSet::new();
    if items.iter().all(|item| seen.insert(&item.key)) {
        return Ok(());
    }
    Err(ValidationError::new("distinct").with_message("must have different keys".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shipped_checklist_would_be_taken_from_a_client() {
        let text = include_str!("checklists.json");
        let read: Vec<NewChecklistTemplate> = serde_json::from_str(text).unwrap();
        for template in &read {
            template.validate().unwrap();
        }
        let keys: HashSet<_> = read.iter().map(|template| template.key.as_str()).collect();
        assert_eq!(keys.len(), read.len());
        let types = [
            EventType::Offsite,
            EventType::Conference,
            EventType::Wedding,
            EventType::Meetup,
            EventType::Launch,
            EventType::Dinner,
            EventType::Other,
        ];
        for event_type in types {
            assert!(keys.contains(key_for(event_type)), "{event_type:?}");
        }
    }
}
