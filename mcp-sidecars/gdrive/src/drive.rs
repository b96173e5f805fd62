//! Drive behind the tools: one client, the allowed folders, and what both need.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use event_planner_google::Google;
use mcp_kit::{Call, Metrics, Outgoing, Policy, ToolError};
use reqwest::Method;
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    files::{DriveFile, FIELDS},
    keys::Keys,
    settings::Settings,
};

/// Folders above a file that are looked at.
const DEEPEST: usize = 32;
/// Uploads that hold a chunk in memory at once; others wait for their turn.
const UPLOADS: usize = 2;

/// The client. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Drive(Arc<Inner>);

struct Inner {
    google: Google,
    settings: Settings,
    keys: Keys,
    uploads: Semaphore,
}

/// The folders already found to be allowed or not, within one call.
#[derive(Default)]
pub(crate) struct Seen(BTreeMap<String, bool>);

impl Drive {
    pub(crate) fn new(settings: &Settings, metrics: &Metrics) -> anyhow::Result<Self> {
        let scope = if settings.read_only {
            "https://www.googleapis.com/auth/drive.readonly"
        } else {
            "https://www.googleapis.com/auth/drive"
        };
        let policy = Policy {
            attempt_timeout: Duration::from_secs(30),
            ..Policy::default()
        };
        Ok(Self(Arc::new(Inner {
            google: Google::new("google_drive", &settings.google, &[scope], policy, metrics)?,
            settings: settings.clone(),
            keys: Keys::default(),
            uploads: Semaphore::new(UPLOADS),
        })))
    }

    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let request = Outgoing::new(Method::GET, ["drive", "v3", "about"]);
        self.0
            .google
            .ready(request.query("fields", "user(permissionId)"))
            .await
    }

    pub(crate) fn google(&self) -> &Google {
        &self.0.google
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn max_file_bytes(&self) -> u64 {
        self.0.settings.max_file_bytes
    }

    /// A turn to upload; waits for it.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, ToolError> {
        self.0.uploads.acquire().await.map_err(ToolError::internal)
    }

    /// A file, wherever it is.
    pub(crate) async fn look(&self, call: &Call, id: &str) -> Result<DriveFile, ToolError> {
        let request = files(Method::GET, &[id]).query("fields", FIELDS);
        self.google().send(call, request).await?.json()
    }

    /// A file within the allowed folders.
    pub(crate) async fn file(&self, call: &Call, id: &str) -> Result<DriveFile, ToolError> {
        let file = self.look(call, id).await?;
        if self.is_allowed(call, &file, &mut Seen::default()).await? {
            return Ok(file);
        }
        Err(outside())
    }

    /// The folder for something new: the one that is named, else the first of the allowed, else the top of the
    /// account's own files.
    pub(crate) async fn folder(
        &self,
        call: &Call,
        named: Option<&str>,
        pointer: &str,
    ) -> Result<DriveFile, ToolError> {
        let allowed = &self.0.settings.allowed_folders;
        let id = named
            .or(allowed.first().map(String::as_str))
            .unwrap_or("root");
        let folder = self.file(call, id).await?;
        if folder.is_folder() && !folder.trashed {
            return Ok(folder);
        }
        let words = "must be a folder that is not in the trash";
        Err(ToolError::field(pointer, "folder", words))
    }

    /// Whether a file is, or is within, one of the allowed folders.
    pub(crate) async fn is_allowed(
        &self,
        call: &Call,
        file: &DriveFile,
        seen: &mut Seen,
    ) -> Result<bool, ToolError> {
        let allowed = &self.0.settings.allowed_folders;
        if allowed.is_empty() {
            return Ok(true);
        }
        let names = |id: &String| allowed.contains(id);
        let mut way = vec![file.id.clone()];
        let mut above = file.parents.first().cloned();
        let mut is_within = names(&file.id) || file.drive_id.as_ref().is_some_and(names);
        while !is_within && way.len() < DEEPEST {
            let Some(id) = above.take() else {
                break;
            };
            if let Some(known) = seen.0.get(&id) {
                is_within = *known;
                break;
            }
            is_within = names(&id);
            if !is_within {
                let parent = match self.look(call, &id).await {
                    Err(error) if error.code == mcp_kit::Code::NotFound => break,
                    looked => looked?,
                };
                above = parent.parents.into_iter().next();
            }
            way.push(id);
        }
        seen.0.extend(way.into_iter().map(|id| (id, is_within)));
        Ok(is_within)
    }

    /// An id for a file to come, so that making it twice makes it once.
    pub(crate) async fn new_id(&self, call: &Call) -> Result<String, ToolError> {
        #[derive(Deserialize)]
        struct Ids {
            ids: Vec<String>,
        }
        let request = Outgoing::new(Method::GET, ["drive", "v3", "files", "generateIds"]);
        let request = request.query("count", "1").query("fields", "ids");
        let given: Ids = self.google().send(call, request).await?.json()?;
        let id = given.ids.into_iter().next();
        id.ok_or_else(|| ToolError::internal(anyhow::anyhow!("Drive gave no id")))
    }
}

/// A request below `files`, for own files and shared drives alike.
pub(crate) fn files(method: Method, segments: &[&str]) -> Outgoing {
    let path = ["drive", "v3", "files"];
    let path = path.iter().chain(segments).copied();
    Outgoing::new(method, path).query("supportsAllDrives", "true")
}

/// The same for uploads.
pub(crate) fn uploads(method: Method, kind: &str) -> Outgoing {
    Outgoing::new(method, ["upload", "drive", "v3", "files"])
        .query("uploadType", kind)
        .query("supportsAllDrives", "true")
        .query("fields", FIELDS)
}

pub(crate) fn outside() -> ToolError {
    ToolError::refused("this is outside the folders that this server may touch (ALLOWED_FOLDERS)")
}
