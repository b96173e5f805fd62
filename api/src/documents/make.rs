//! Making things in Drive, and trashing them. A row's id is its key there, so that one row is one file.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{About, Document, DocumentKind, DocumentStatus, audit, queries, queries::End};
use crate::{
    events::{self, Event},
    jobs::{Done, Failure, Job, NewJob},
    problem::Problem,
    sidecars::{Errand, SidecarError},
    state::App,
    work::Work,
};

pub const LANE: &str = "gdrive";
pub const ATTEMPTS: u32 = 12;
const CALL_TIMEOUT: Duration = Duration::from_secs(50);
const LONGEST_NAME: usize = 255;

/// What the sidecar has made.
#[derive(Debug, Deserialize)]
pub struct Made {
    pub file: File,
}

#[derive(Debug, Deserialize)]
pub struct File {
    pub id: String,
    pub size: Option<i64>,
    pub link: Option<String>,
}

/// `documents.create`: makes a document from its Markdown.
pub async fn create(app: App, job: Job) -> Result<Done, Failure> {
    let About { document_id } = job.read()?;
    let organization_id = job.organization_id;
    let document = match queries::get(&app.db, organization_id, document_id).await {
        Err(sqlx::Error::RowNotFound) => return Ok(Done::Finished),
        found => found?,
    };
    if !document.status.is_to_be_made() {
        return Ok(Done::Finished);
    }
    let made = make(&app, &job.errand(CALL_TIMEOUT), &document, None).await;
    let made = match made {
        Err(SidecarError::Refused(refusal)) => Err(refusal.message),
        made => Ok(made?),
    };
    let mut work = Work::system(&app, organization_id).await?;
    keep(
        &mut work,
        document_id,
        made.as_ref().map_err(String::as_str),
    )
    .await?;
    let done = job.settle(&mut work).await?;
    work.commit_silently().await?;
    Ok(done)
}

/// `documents.trash`: puts the file of a document that is marked as trashed where it belongs.
pub async fn trash(app: App, job: Job) -> Result<Done, Failure> {
    let About { document_id } = job.read()?;
    let document = queries::get(&app.db, job.organization_id, document_id).await?;
    if let Some(file_id) = &document.file_id {
        trash_file(&app, &job.errand(CALL_TIMEOUT), file_id).await?;
    }
    Ok(Done::Finished)
}

/// Saying it twice changes nothing, and what is gone is gone.
pub async fn trash_file(app: &App, errand: &Errand, file_id: &str) -> Result<(), SidecarError> {
    let arguments = json!({ "file_id": file_id });
    let trashed = app
        .sidecars
        .gdrive
        .ask::<Value>(errand, "trash_file", &arguments)
        .await;
    match trashed {
        Err(SidecarError::Refused(refusal)) if refusal.code == mcp_kit::Code::NotFound => Ok(()),
        trashed => trashed.map(|_| ()),
    }
}

/// Makes a document in that folder, or in the event's own.
pub async fn make(
    app: &App,
    errand: &Errand,
    document: &Document,
    folder_id: Option<String>,
) -> Result<Made, SidecarError> {
    let organization_id = errand.organization_id;
    let folder_id = match folder_id {
        Some(folder_id) => folder_id,
        None => folder(app, errand, document.event_id, None).await?.1,
    };
    let content = queries::content(&app.db, organization_id, document.id)
        .await
        .map_err(ours)?;
    let arguments = json!({
        "name": document.name, "folder_id": folder_id, "content": content.unwrap_or_default(),
    });
    let errand = keyed(errand, document.id);
    app.sidecars
        .gdrive
        .run(&errand, "create_document", &arguments)
        .await
}

/// Writes down what became of a document. One that was trashed meanwhile is trashed in Drive, too.
pub async fn keep(
    work: &mut Work,
    id: Uuid,
    made: Result<&Made, &str>,
) -> Result<Document, Problem> {
    let (organization_id, now) = (work.organization_id(), work.now);
    let current = queries::lock(work, organization_id, id).await?;
    if current.status == DocumentStatus::Ready {
        // Somebody else was quicker with the same key.
        return Ok(current);
    }
    let is_trashed = current.status == DocumentStatus::Trashed;
    let (action, mut end) = match made {
        Ok(made) => {
            let end = End {
                file_id: Some(&made.file.id),
                url: made.file.link.as_deref(),
                size_bytes: made.file.size,
                ..End::new(DocumentStatus::Ready)
            };
            ("document.ready", end)
        }
        Err(why) => {
            let end = End {
                failure: Some(why),
                ..End::new(DocumentStatus::Failed)
            };
            ("document.failed", end)
        }
    };
    if is_trashed {
        end.status = DocumentStatus::Trashed;
    }
    let document = queries::set(work, organization_id, id, &end, now).await?;
    if is_trashed {
        let job = NewJob::new("documents.trash", &About { document_id: id })?;
        work.enqueue(job.lane(LANE)).await?;
    } else {
        audit(work, action, Some(&current), &document).await?;
    }
    Ok(document)
}

/// The folder of an event, made when it is first needed; and its id in Drive.
pub async fn folder(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    name: Option<&str>,
) -> Result<(Document, String), SidecarError> {
    let organization_id = errand.organization_id;
    let row = folder_row(app, organization_id, event_id, name)
        .await
        .map_err(problem)?;
    if let (DocumentStatus::Ready, Some(file_id)) = (row.status, row.file_id.clone()) {
        return Ok((row, file_id));
    }
    let arguments = json!({ "name": row.name });
    let errand = keyed(errand, row.id);
    let made: Made = app
        .sidecars
        .gdrive
        .run(&errand, "create_folder", &arguments)
        .await?;
    let kept = async {
        let mut work = Work::system(app, organization_id).await?;
        let folder = keep(&mut work, row.id, Ok(&made)).await?;
        work.commit_silently().await?;
        Ok(folder)
    };
    Ok((kept.await.map_err(problem)?, made.file.id))
}

/// The one live folder's row.
async fn folder_row(
    app: &App,
    organization_id: Uuid,
    event_id: Uuid,
    name: Option<&str>,
) -> Result<Document, Problem> {
    let mut work = Work::system(app, organization_id).await?;
    let event = events::queries::get_in(&mut work, organization_id, event_id).await?;
    let usual = folder_name(&event);
    let new = queries::NewRow {
        id: work.new_id(),
        event_id,
        kind: DocumentKind::Folder,
        name: name.unwrap_or(&usual),
        content: None,
        media_type: None,
        effect_key: None,
    };
    let now = work.now;
    let is_new = queries::insert(&mut work, organization_id, &new, now).await?;
    let row = queries::folder(&mut work, organization_id, event_id).await?;
    if is_new {
        audit(&mut work, "document.created", None, &row).await?;
    }
    work.commit_silently().await?;
    Ok(row)
}

/// The title and the day, so that two of one title are told apart.
fn folder_name(event: &Event) -> String {
    let day = event.local_start.to_jiff().date();
    let title = event.title.replace(char::is_control, " ");
    let title: String = title.chars().take(LONGEST_NAME - 20).collect();
    format!("{} ({day})", title.trim())
}

/// The same errand, for the effect that this row stands for.
pub fn keyed(errand: &Errand, id: Uuid) -> Errand {
    Errand {
        idempotency_key: id.to_string(),
        ..errand.clone()
    }
}

fn problem(problem: Problem) -> SidecarError {
    SidecarError::Problem(Box::new(problem))
}

fn ours(error: sqlx::Error) -> SidecarError {
    problem(error.into())
}
