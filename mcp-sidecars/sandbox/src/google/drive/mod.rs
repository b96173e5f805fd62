//! Drive v3: files, folders, shared drives, permissions; contents on disk.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, MutexGuard},
};

use askama::Template;
use axum::{
    Router,
    http::HeaderMap,
    routing::{get, post, put},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    error::Refusal,
    token::{Identity, authorized},
};
use crate::world::{Things, World};

mod about;
mod access;
mod blobs;
mod change;
mod create;
mod download;
mod fields;
mod file;
mod find;
mod multipart;
mod parameters;
mod permissions;
mod query;
mod resumable;
mod upload;

use blobs::Blobs;
use file::{File, Metadata, SharedDrive};

const ALL: &str = "https://www.googleapis.com/auth/drive";
const OWN: &str = "https://www.googleapis.com/auth/drive.file";
const READ: &str = "https://www.googleapis.com/auth/drive.readonly";
const METADATA: &str = "https://www.googleapis.com/auth/drive.metadata.readonly";

/// Scopes for what changes something.
const WRITERS: &[&str] = &[ALL, OWN];
/// Scopes for contents.
const READERS: &[&str] = &[ALL, OWN, READ];
/// Scopes for what stands about a file.
const LOOKERS: &[&str] = &[ALL, OWN, READ, METADATA];

/// Ids given out for files to come; older ones are forgotten.
const GENERATED: usize = 10_000;
/// Contents of all files together, in bytes.
const QUOTA: u64 = 5 * 1024 * 1024 * 1024;

/// What Drive keeps.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    files: BTreeMap<String, File>,
    drives: BTreeMap<String, SharedDrive>,
    uploads: BTreeMap<String, Upload>,
    generated: VecDeque<String>,
    notices: Vec<Notice>,
    #[serde(skip)]
    blobs: Option<Arc<Blobs>>,
}

/// A resumable upload: what it will be, and where its bytes are meanwhile.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Upload {
    account: String,
    /// The file whose content is replaced; a new one without it.
    target: Option<String>,
    metadata: Metadata,
    media_type: Option<String>,
    length: Option<u64>,
    blob: String,
    fields: Option<String>,
    all_drives: bool,
    /// The file that came of it.
    done: Option<String>,
}

/// A mail that Google would have sent.
#[derive(Debug, Serialize, Deserialize)]
struct Notice {
    to: String,
    file: String,
    role: String,
    message: Option<String>,
}

#[derive(Template)]
#[template(path = "google_drive.html")]
struct View<'a> {
    drives: Vec<&'a SharedDrive>,
    rows: Vec<Row<'a>>,
    notices: &'a [Notice],
}

struct Row<'a> {
    path: String,
    file: &'a File,
    shared: Vec<String>,
}

impl State {
    /// How much of each thing there is.
    pub(crate) fn counts(&self) -> Value {
        let files: Vec<_> = self.files.values().filter(|file| !file.is_root).collect();
        json!({
            "files": files.len(),
            "folders": files.iter().filter(|file| file.is_folder()).count(),
            "trashed": files.iter().filter(|file| file.trashed).count(),
            "permissions": files.iter().map(|file| file.permissions.len()).sum::<usize>(),
            "notices": self.notices.len(),
            "uploads": self.uploads.len(),
        })
    }

    /// What a person would see there: HTML for the page.
    pub(crate) fn view(&self) -> Result<String, askama::Error> {
        let mut rows: Vec<_> = self
            .files
            .values()
            .filter(|file| !file.is_root)
            .map(|file| Row {
                path: self.path_of(file),
                file,
                shared: file.shared_with(),
            })
            .collect();
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        let drives = self.drives.values().collect();
        let notices = &self.notices;
        View {
            drives,
            rows,
            notices,
        }
        .render()
    }

    fn path_of(&self, file: &File) -> String {
        let mut names = vec![file.name.as_str()];
        let mut at = file;
        while let Some(parent) = at.parents.first().and_then(|id| self.files.get(id)) {
            names.push(&parent.name);
            at = parent;
        }
        names.reverse();
        names.join(" / ")
    }

    /// An id as Drive has them.
    fn new_id() -> Result<String, Refusal> {
        let mut random = [0; 24];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| Refusal::trouble(axum::http::StatusCode::INTERNAL_SERVER_ERROR))?;
        Ok(format!("1{}", URL_SAFE_NO_PAD.encode(random)))
    }
}

/// Who asks, and everything, for as long as the guard lives.
fn enter<'a>(
    world: &'a World,
    headers: &HeaderMap,
    accepted: &[&str],
) -> Result<(MutexGuard<'a, Things>, Identity), Refusal> {
    let mut things = world.things();
    let identity = authorized(headers, &things.google.tokens, world.now(), accepted)?;
    things
        .google
        .drive
        .ensure_root(&identity.account, world.now());
    Ok((things, identity))
}

pub(crate) fn routes() -> Router<Arc<World>> {
    let files = get(find::list).post(create::create);
    let file = get(find::get).patch(change::update).delete(change::delete);
    let content = put(resumable::put).patch(upload::start_update);
    Router::new()
        .route("/drive/v3/about", get(about::about))
        .route(
            "/drive/v3/drives",
            get(about::drives).post(about::create_drive),
        )
        .route("/drive/v3/drives/{drive}", get(about::drive))
        .route("/drive/v3/files", files)
        .route("/drive/v3/files/generateIds", get(about::generate_ids))
        .route("/drive/v3/files/{file}", file)
        .route("/drive/v3/files/{file}/copy", post(create::copy))
        .route("/drive/v3/files/{file}/export", get(download::export))
        .route(
            "/drive/v3/files/{file}/permissions",
            get(permissions::list).post(permissions::create),
        )
        .route(
            "/drive/v3/files/{file}/permissions/{permission}",
            get(permissions::get).delete(permissions::delete),
        )
        .route(
            "/upload/drive/v3/files",
            post(upload::start_create)
                .put(resumable::put)
                .delete(resumable::give_up),
        )
        .route("/upload/drive/v3/files/{file}", content)
}
