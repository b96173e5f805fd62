//! Documents of events, kept in Drive: made from Markdown by a job, or uploaded through us piece by piece.

use axum::{extract::State, http::StatusCode, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::{
    access::{Access, ReadEvents, WriteEvents},
    events,
    extract::{IfMatch, Json, MergePatch, Path},
    jobs::NewJob,
    page::{List, Page},
    problem::{FieldError, Problem, kinds},
    state::App,
    work::{Answer, Work},
};

pub mod actions;
mod content;
mod make;
mod queries;
mod retry;
mod share;

pub use content::{attachment, forget_broken_uploads};
pub use make::{ATTEMPTS, create, trash};
pub use retry::give_up_abandoned;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_documents))
        .routes(routes!(get_document, update_document, delete_document))
        .routes(routes!(create_event_document))
        .routes(routes!(content::upload_event_document))
        .routes(routes!(content::get_document_content))
        .routes(routes!(share::share_document))
        .routes(routes!(retry::retry_document))
}

#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    ToSchema,
    schemars::JsonSchema,
    sqlx::Type,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DocumentKind {
    /// The folder of an event, which is made by itself.
    Folder,
    Contract,
    Menu,
    FloorPlan,
    Invoice,
    Brief,
    #[default]
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum DocumentStatus {
    /// On its way to Drive.
    Pending,
    /// In Drive.
    Ready,
    /// `failure` says why; `POST …/retry` makes it again.
    Failed,
    /// In Drive's trash.
    Trashed,
}

impl DocumentStatus {
    /// Whether whoever is asked for it makes it: what failed is tried again.
    fn is_to_be_made(self) -> bool {
        matches!(self, Self::Pending | Self::Failed)
    }
}

impl std::fmt::Display for DocumentStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pending => "PENDING",
            Self::Ready => "READY",
            Self::Failed => "FAILED",
            Self::Trashed => "TRASHED",
        })
    }
}

/// A file of an event.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Document {
    pub id: Uuid,
    pub event_id: Uuid,
    pub kind: DocumentKind,
    /// As we call it, also when it is downloaded; in Drive it keeps the name that it was made with.
    pub name: String,
    pub status: DocumentStatus,
    /// Of an uploaded file.
    pub media_type: Option<String>,
    pub size_bytes: Option<i64>,
    /// Drive's id.
    pub file_id: Option<String>,
    /// Where people open it.
    pub url: Option<String>,
    pub failure: Option<String>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What `DocumentChange` cannot set.
const READ_ONLY: &[&str] = &[
    "id",
    "event_id",
    "status",
    "media_type",
    "size_bytes",
    "file_id",
    "url",
    "failure",
    "version",
    "created_at",
    "updated_at",
];

/// A document that is made from Markdown.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "BRIEF", "name": "Brief", "content": "# Offsite\n\n40 people, Lisbon."}))]
pub struct NewDocument {
    /// `FOLDER` is not made this way.
    #[validate(custom(function = no_folder))]
    pub kind: DocumentKind,
    #[validate(length(min = 1, max = 255), custom(function = plain_name))]
    #[schema(min_length = 1, max_length = 255, pattern = r"\S")]
    pub name: String,
    /// Markdown; empty for an empty document.
    #[serde(default)]
    #[validate(length(max = 500_000))]
    #[schema(max_length = 500_000, required = false)]
    pub content: String,
}

/// What can be changed.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentChange {
    pub kind: DocumentKind,
    #[validate(length(min = 1, max = 255), custom(function = plain_name))]
    #[schema(min_length = 1, max_length = 255, pattern = r"\S")]
    pub name: String,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DocumentFilter {
    /// Only documents of this event.
    pub event_id: Option<Uuid>,
    pub kind: Option<DocumentKind>,
    pub status: Option<DocumentStatus>,
}

/// The payload of jobs about one document.
#[derive(Debug, Serialize, Deserialize)]
pub struct About {
    pub document_id: Uuid,
}

/// As Drive's sidecar wants it.
fn plain_name(name: &str) -> Result<(), ValidationError> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        let message = "must not be blank and must not hold control characters or line ends";
        return Err(ValidationError::new("name").with_message(message.into()));
    }
    Ok(())
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that validator calls"
)]
fn no_folder(kind: &DocumentKind) -> Result<(), ValidationError> {
    if *kind != DocumentKind::Folder {
        return Ok(());
    }
    let message = "the folder of an event is made by itself";
    Err(ValidationError::new("kind").with_message(message.into()))
}

/// List documents, oldest first. The folder of an event is one of them.
#[utoipa::path(get, path = "/v1/documents", params(DocumentFilter), tag = "documents",
    responses((status = 200, description = "One page.", body = Page<Document>)))]
async fn list_documents(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<DocumentFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let after = list.after()?;
    let documents =
        queries::list(&app.db, organization_id, &list.filter, after, list.fetch()).await?;
    Ok(list.page(documents, |document| document.id))
}

/// Get a document.
#[utoipa::path(get, path = "/v1/documents/{document_id}", tag = "documents",
    params(("document_id" = Uuid, Path, description = "The document.")),
    responses((status = 200, description = "The document.", body = Document)))]
async fn get_document(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let document = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(document.version, &document)
}

/// Make a document from Markdown, in the event's folder of Drive. It is `PENDING` until a job has made it.
#[utoipa::path(post, path = "/v1/events/{event_id}/documents", request_body = NewDocument, tag = "documents",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 202, description = "The document.", body = Document)))]
async fn create_event_document(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(event_id): Path<Uuid>,
    Json(new): Json<NewDocument>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    events::queries::lock(&mut work, organization_id, event_id).await?;
    let row = queries::NewRow {
        id: work.new_id(),
        event_id,
        kind: new.kind,
        name: &new.name,
        content: Some(&new.content),
        media_type: None,
        effect_key: None,
    };
    let now = work.now;
    queries::insert(&mut work, organization_id, &row, now).await?;
    let document = queries::lock(&mut work, organization_id, row.id).await?;
    audit(&mut work, "document.created", None, &document).await?;
    let job = NewJob::new(
        "documents.create",
        &About {
            document_id: row.id,
        },
    )?;
    work.enqueue(job.lane(make::LANE)).await?;
    let location = format!("/v1/documents/{}", document.id);
    let answer = Answer::created(location, document.version, &document)?;
    work.commit(Answer {
        status: StatusCode::ACCEPTED,
        ..answer
    })
    .await
}

/// Rename a document or say what it is.
#[utoipa::path(patch, path = "/v1/documents/{document_id}", tag = "documents",
    params(("document_id" = Uuid, Path, description = "The document.")),
    request_body(content = DocumentChange, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The document as it is now.", body = Document)))]
async fn update_document(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    let change: DocumentChange = patch.apply(&current, READ_ONLY)?;
    if (change.kind == DocumentKind::Folder) != (current.kind == DocumentKind::Folder) {
        let detail = "a folder stays one, and nothing else becomes one";
        return Err(Problem::Invalid(vec![FieldError::new(
            "/kind", "kind", detail,
        )]));
    }
    let now = work.now;
    let document = queries::update(&mut work, organization_id, id, &change, now).await?;
    audit(&mut work, "document.updated", Some(&current), &document).await?;
    work.commit(Answer::ok(document.version, &document)?).await
}

/// Put a document into Drive's trash; a folder only when it is empty. Its row stays, as `TRASHED`.
#[utoipa::path(delete, path = "/v1/documents/{document_id}", tag = "documents",
    params(("document_id" = Uuid, Path, description = "The document.")),
    responses((status = 204, description = "Trashed.")))]
async fn delete_document(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    if give_up(&mut work, organization_id, &current).await? {
        let job = NewJob::new("documents.trash", &About { document_id: id })?;
        work.enqueue(job.lane(make::LANE).once(id.to_string()))
            .await?;
    }
    work.commit(Answer::no_content()).await
}

/// Marks a document as trashed; whether there is a file to trash.
async fn give_up(
    work: &mut Work,
    organization_id: Uuid,
    current: &Document,
) -> Result<bool, Problem> {
    if current.status == DocumentStatus::Trashed {
        return Ok(false);
    }
    if current.kind == DocumentKind::Folder
        && queries::has_others(work, organization_id, current.event_id).await?
    {
        let detail = "the folder has documents in it; trash those first";
        return Err(Problem::conflict(&kinds::IN_USE, detail));
    }
    let now = work.now;
    let end = queries::End::new(DocumentStatus::Trashed);
    let document = queries::set(work, organization_id, current.id, &end, now).await?;
    audit(work, "document.trashed", Some(current), &document).await?;
    Ok(document.file_id.is_some())
}

async fn audit(
    work: &mut Work,
    action: &str,
    before: Option<&Document>,
    after: &Document,
) -> Result<(), Problem> {
    work.audit(action, ("document", after.id), before, Some(after))
        .await
}

/// 409 unless it is in Drive; gives its id there.
fn file_of(document: &Document) -> Result<&str, Problem> {
    let file_id = document.file_id.as_deref();
    file_id
        .filter(|_| document.status == DocumentStatus::Ready)
        .ok_or_else(|| {
            let detail = format!(
                "the document is {}; this takes a READY one",
                document.status
            );
            Problem::conflict(&kinds::INVALID_TRANSITION, detail)
        })
}
