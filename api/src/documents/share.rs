//! `POST /v1/documents/{document_id}/share`.

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::{file_of, queries};
use crate::{
    access::{Access, WriteEvents},
    extract::{Json, Path},
    problem::Problem,
    state::App,
    work::Answer,
};

/// With whom, and what they may do.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = one_party))]
#[schema(example = json!({"email": "ada@example.com", "role": "COMMENTER"}))]
pub struct NewShare {
    /// One person, who gets no mail about it; give this or `anyone`.
    #[serde(default)]
    #[validate(email, length(max = 254))]
    #[schema(format = "email", max_length = 254)]
    pub email: Option<String>,
    /// Everybody who has the link, if the installation allows that.
    #[serde(default)]
    #[schema(required = false)]
    pub anyone: bool,
    pub role: ShareRole,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ShareRole {
    Reader,
    Commenter,
    Writer,
}

impl ShareRole {
    fn in_drive(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Commenter => "commenter",
            Self::Writer => "writer",
        }
    }
}

/// Who may do what now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Share {
    /// What to hand on.
    pub url: Option<String>,
    pub email: Option<String>,
    pub anyone: bool,
    pub role: ShareRole,
    /// They had this role already.
    pub already: bool,
}

#[derive(Deserialize)]
struct Shared {
    replayed: bool,
}

fn one_party(new: &NewShare) -> Result<(), ValidationError> {
    if new.email.is_some() != new.anyone {
        return Ok(());
    }
    Err(ValidationError::new("one_of").with_message("give email or anyone, one of them".into()))
}

/// Share a document in Drive. Sharing it twice is sharing it once, so this is done at once, and a refusal of Drive is told.
#[utoipa::path(post, path = "/v1/documents/{document_id}/share", request_body = NewShare, tag = "documents",
    params(("document_id" = Uuid, Path, description = "The document.")),
    responses((status = 200, description = "Who may do what now.", body = Share)))]
pub async fn share_document(
    State(app): State<App>,
    access: Access<WriteEvents>,
    Path(id): Path<Uuid>,
    Json(new): Json<NewShare>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let document = queries::get(&app.db, organization_id, id).await?;
    let with = if new.anyone {
        "anyone_with_link"
    } else {
        "user"
    };
    let arguments = json!({
        "file_id": file_of(&document)?, "with": with, "address": new.email, "role": new.role.in_drive(),
    });
    // Written down before: what Drive has done is in the trail even if nobody hears of it any more.
    let subject = ("document", id);
    access
        .audit(&app, "document.share_requested", subject, &new)
        .await?;
    let errand = access.errand();
    let shared: Shared = app
        .sidecars
        .gdrive
        .ask(&errand, "share_file", &arguments)
        .await?;
    let share = Share {
        url: document.url.clone(),
        email: new.email,
        anyone: new.anyone,
        role: new.role,
        already: shared.replayed,
    };
    let mut work = access.begin(&app).await?;
    work.audit("document.shared", subject, None::<&()>, Some(&share))
        .await?;
    work.commit(Answer::plain(&share)?).await
}
