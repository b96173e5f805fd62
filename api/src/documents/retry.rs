//! Documents that could not be made: told as failed, whatever became of their jobs, and made again when somebody asks.

use axum::{extract::State, response::Response};
use jiff::ToSpan;
use uuid::Uuid;

use super::{About, Document, DocumentStatus, audit, make, queries};
use crate::{
    access::{Access, WriteEvents},
    extract::Path,
    jobs::{Done, Failure, Job, NewJob},
    problem::{Problem, kinds},
    state::App,
    work::{Answer, Work},
};

/// Longer than any job works on a document without a word.
const SILENCE_MINUTES: i64 = 15;
const NO_WORD: &str = "whatever was to make it has ended without a word";

/// Make a failed document again. An uploaded one is uploaded again instead, under its key. Needs an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/documents/{document_id}/retry", tag = "documents",
    params(("document_id" = Uuid, Path, description = "The document.")),
    responses((status = 200, description = "The document, on its way to Drive again.", body = Document)))]
pub async fn retry_document(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin_once(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    let content = queries::content(&mut *work, organization_id, id).await?;
    if current.status != DocumentStatus::Failed || content.is_none() {
        let detail = format!(
            "the document is {}; only one that was to be made from Markdown and is FAILED is made again",
            current.status
        );
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    let (now, end) = (work.now, queries::End::new(DocumentStatus::Pending));
    let document = queries::set(&mut work, organization_id, id, &end, now).await?;
    work.enqueue(NewJob::new("documents.create", &About { document_id: id })?.lane(make::LANE))
        .await?;
    audit(&mut work, "document.retried", Some(&current), &document).await?;
    work.commit(Answer::ok(document.version, &document)?).await
}

/// `documents.give_up`: what no job will make any more is told as failed, with the last word of the job that died.
pub async fn give_up_abandoned(app: App, _: Job) -> Result<Done, Failure> {
    let since = app.now() - SILENCE_MINUTES.minutes();
    for (organization_id, id, why) in queries::abandoned(&app.db, since).await? {
        let mut work = Work::system(&app, organization_id).await?;
        let current = queries::lock(&mut work, organization_id, id).await?;
        if current.status == DocumentStatus::Pending {
            make::keep(&mut work, id, Err(why.as_deref().unwrap_or(NO_WORD))).await?;
            work.commit_silently().await?;
        }
    }
    Ok(Done::Finished)
}
