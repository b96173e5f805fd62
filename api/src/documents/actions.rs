//! What orchestrations do with documents: each once for its errand's key, with a row like any other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use validator::Validate;

use super::{Document, DocumentKind, DocumentStatus, audit, give_up, make, plain_name, queries};
use crate::{
    events,
    extract::field_errors,
    jobs::Failure,
    problem::Problem,
    sidecars::{Errand, SidecarError},
    state::App,
    work::Work,
};

/// The folder of the event, which is made once.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CreateFolderInput {
    /// Its name, if it has to be made; the event's title and day without it.
    #[serde(default)]
    #[validate(length(min = 1, max = 255), custom(function = plain_name))]
    pub name: Option<String>,
}

/// A document from Markdown.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CreateDocumentInput {
    /// Drive's id of the folder to make it in; the event's own folder without it.
    #[serde(default)]
    pub folder_id: Option<String>,
    #[validate(length(min = 1, max = 255), custom(function = plain_name))]
    pub name: String,
    /// Markdown.
    #[serde(default)]
    #[validate(length(max = 500_000))]
    pub content: String,
    /// What it is; `OTHER` without it.
    #[serde(default)]
    pub kind: DocumentKind,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrashInput {
    #[schemars(with = "String")]
    pub document_id: Uuid,
}

/// A folder or document in Drive.
#[derive(Debug, Serialize)]
pub struct DocumentOutput {
    pub document_id: Uuid,
    /// Drive's id.
    pub file_id: String,
    /// Where people open it.
    pub url: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct TrashOutput {
    pub document_id: Uuid,
}

/// Makes the event's folder, or finds it. [`trash`] undoes it.
pub async fn create_folder(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    input: CreateFolderInput,
) -> Result<DocumentOutput, Failure> {
    check(&input)?;
    let (row, file_id) = make::folder(app, errand, event_id, input.name.as_deref()).await?;
    Ok(DocumentOutput {
        document_id: row.id,
        file_id,
        url: row.url,
    })
}

/// Makes a document. [`trash`] undoes it.
pub async fn create_document(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    input: CreateDocumentInput,
) -> Result<DocumentOutput, Failure> {
    check(&input)?;
    if input.kind == DocumentKind::Folder {
        return Err(Failure::Fatal("a folder is made with create_folder".into()));
    }
    let mut document = reserve(app, errand, event_id, &input).await?;
    if document.status.is_to_be_made() {
        let made = make::make(app, errand, &document, input.folder_id).await;
        let made = match made {
            Err(SidecarError::Refused(refusal)) => Err(refusal.message),
            made => Ok(made?),
        };
        let mut work = Work::system(app, errand.organization_id).await?;
        document = make::keep(
            &mut work,
            document.id,
            made.as_ref().map_err(String::as_str),
        )
        .await?;
        work.commit_silently().await?;
    }
    let Document {
        id,
        status,
        failure,
        file_id,
        url,
        ..
    } = document;
    match file_id {
        Some(file_id) if status == DocumentStatus::Ready => Ok(DocumentOutput {
            document_id: id,
            file_id,
            url,
        }),
        _ => {
            let why = failure.unwrap_or_default();
            Err(Failure::Fatal(format!("document {id} is {status}: {why}")))
        }
    }
}

/// Puts a document into the trash; a folder only when it is empty.
pub async fn trash(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    input: TrashInput,
) -> Result<TrashOutput, Failure> {
    let organization_id = errand.organization_id;
    let mut work = Work::system(app, organization_id).await?;
    let document = queries::lock(&mut work, organization_id, input.document_id).await?;
    if document.event_id != event_id {
        return Err(Problem::NotFound.into());
    }
    give_up(&mut work, organization_id, &document)
        .await
        .map_err(|problem| match problem {
            // No time changes it: somebody has put other documents there.
            Problem::Conflict(_, detail, _) => Failure::Fatal(detail),
            problem => problem.into(),
        })?;
    work.commit_silently().await?;
    if let Some(file_id) = &document.file_id {
        make::trash_file(app, errand, file_id).await?;
    }
    Ok(TrashOutput {
        document_id: document.id,
    })
}

/// The errand's row, written once.
async fn reserve(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    input: &CreateDocumentInput,
) -> Result<Document, Failure> {
    let organization_id = errand.organization_id;
    let effect_key = format!("action:{}", errand.idempotency_key);
    let mut work = Work::system(app, organization_id).await?;
    events::queries::lock(&mut work, organization_id, event_id).await?;
    let new = queries::NewRow {
        id: work.new_id(),
        event_id,
        kind: input.kind,
        name: &input.name,
        content: Some(&input.content),
        media_type: None,
        effect_key: Some(&effect_key),
    };
    let now = work.now;
    let is_new = queries::insert(&mut work, organization_id, &new, now).await?;
    let document = queries::of_effect(&mut work, organization_id, &effect_key).await?;
    if is_new {
        audit(&mut work, "document.created", None, &document).await?;
    }
    work.commit_silently().await?;
    Ok(document)
}

fn check(input: &impl Validate) -> Result<(), Failure> {
    let checked = input.validate();
    checked.map_err(|errors| Problem::Invalid(field_errors(&errors)).into())
}
