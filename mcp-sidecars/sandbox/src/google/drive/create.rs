//! New files: by metadata alone, or as a copy.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State as AxumState},
    http::{HeaderMap, StatusCode},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    State, WRITERS,
    access::{Role, permission_id, resolved},
    enter,
    fields::FILE,
    file::{FOLDER, File, FileContent, Metadata, Permission},
    parameters::{Parameters, read_json},
};
use crate::{google::error::Refusal, world::World};

pub(super) const FIELDS: &str = "kind,id,name,mimeType";
pub(super) const PARAMETERS: &[&str] = &[
    "enforceSingleParent",
    "ignoreDefaultVisibility",
    "includeLabels",
    "includePermissionsForView",
    "keepRevisionForever",
    "ocrLanguage",
    "supportsAllDrives",
    "supportsTeamDrives",
    "useContentAsIndexableText",
];

/// Key and value of a property together, in bytes.
const LONGEST_PROPERTY: usize = 124;

/// `files.create` without content.
pub(super) async fn create(
    AxumState(world): AxumState<Arc<World>>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let (mut things, identity) = enter(&world, &headers, WRITERS)?;
    parameters.only(PARAMETERS)?;
    let mask = parameters.mask(FIELDS)?;
    mask.check(FILE, &[])?;
    let metadata: Metadata = read_json(&body, Metadata::WRITABLE)?;
    let drive = &mut things.google.drive;
    let all_drives = parameters.all_drives()?;
    drive.check_new(&metadata, &identity.account, all_drives)?;
    let media_type = "application/octet-stream";
    let file = drive.add(&metadata, media_type, None, &identity.account, world.now())?;
    Ok(Json(
        mask.apply(file.resource(&identity.account, Role::Owner)),
    ))
}

/// `files.copy`.
pub(super) async fn copy(
    AxumState(world): AxumState<Arc<World>>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let (mut things, identity) = enter(&world, &headers, WRITERS)?;
    parameters.only(&[PARAMETERS, &["copyComments"]].concat())?;
    let mask = parameters.mask(FIELDS)?;
    mask.check(FILE, &[])?;
    let mut metadata: Metadata = read_json(&body, Metadata::WRITABLE)?;
    let drive = &mut things.google.drive;
    let all_drives = parameters.all_drives()?;
    let (source, _) = drive.see(&id, &identity.account, all_drives)?;
    if source.is_folder() {
        let words = "This file cannot be copied by the user.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "cannotCopyFile", words));
    }
    let source = source.clone();
    metadata
        .name
        .get_or_insert_with(|| format!("Copy of {}", source.name));
    metadata
        .parents
        .get_or_insert_with(|| source.parents.clone());
    metadata
        .mime_type
        .get_or_insert_with(|| source.mime_type.clone());
    drive.check_new(&metadata, &identity.account, all_drives)?;
    let file = drive.add(
        &metadata,
        &source.mime_type,
        source.content,
        &identity.account,
        world.now(),
    )?;
    Ok(Json(
        mask.apply(file.resource(&identity.account, Role::Owner)),
    ))
}

impl State {
    /// Refuses what cannot become a file.
    pub(super) fn check_new(
        &self,
        metadata: &Metadata,
        account: &str,
        all_drives: bool,
    ) -> Result<(), Refusal> {
        check_properties(metadata)?;
        if let Some(id) = &metadata.id {
            self.check_id(id, metadata)?;
        }
        if metadata.trashed == Some(true) {
            let words = "The resource body includes fields which are not directly writable.";
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "fieldNotWritable",
                words,
            ));
        }
        let parents = metadata.parents.as_deref().unwrap_or_default();
        if parents.len() > 1 {
            let words = "A file cannot have more than one parent.";
            return Err(Refusal::invalid(words).at("parameter", "parents"));
        }
        for parent in parents {
            let folder = self.may(parent, account, all_drives, Role::Writer)?;
            if !folder.is_folder() {
                let words = "The specified parent is not a folder.";
                return Err(
                    Refusal::new(StatusCode::FORBIDDEN, "parentNotAFolder", words)
                        .at("parameter", "parents"),
                );
            }
        }
        Ok(())
    }

    /// An id from `generateIds`, not used yet, and not for what Google converts.
    fn check_id(&self, id: &str, metadata: &Metadata) -> Result<(), Refusal> {
        if self.files.contains_key(id) {
            let words = "A file already exists with the provided ID.";
            return Err(Refusal::new(StatusCode::CONFLICT, "fileIdInUse", words));
        }
        if !self.generated.iter().any(|given| given == id) {
            let words = "The provided file ID is not usable.";
            return Err(Refusal::invalid(words).at("parameter", "file.id"));
        }
        let kind = metadata.mime_type.as_deref().unwrap_or_default();
        if kind.starts_with("application/vnd.google-apps.") && kind != FOLDER {
            let words = "Generated IDs are not supported for Docs Editors formats.";
            return Err(Refusal::invalid(words).at("parameter", "file.id"));
        }
        Ok(())
    }

    /// Makes the file that was [checked](Self::check_new).
    pub(super) fn add(
        &mut self,
        metadata: &Metadata,
        media_type: &str,
        content: Option<FileContent>,
        account: &str,
        now: Timestamp,
    ) -> Result<&File, Refusal> {
        let id = metadata.id.clone().map_or_else(Self::new_id, Ok)?;
        let parents = metadata.parents.clone().unwrap_or_default();
        let parent = parents.first().map_or("root", String::as_str);
        let parent = resolved(parent, account);
        let drive_id = self
            .files
            .get(&parent)
            .and_then(|parent| parent.drive_id.clone());
        let owner = drive_id.is_none().then(|| account.to_owned());
        let permissions = owner.iter().map(|owner| Permission {
            id: permission_id(owner),
            kind: "user".to_owned(),
            role: Role::Owner,
            whom: Some(owner.clone()),
        });
        let mut file = File {
            id: id.clone(),
            name: "Untitled".to_owned(),
            mime_type: metadata
                .mime_type
                .clone()
                .unwrap_or_else(|| media_type.to_owned()),
            description: None,
            parents: vec![parent],
            permissions: permissions.collect(),
            owner,
            drive_id,
            created: metadata.created_time.unwrap_or(now),
            modified: metadata.modified_time.unwrap_or(now),
            trashed: false,
            starred: false,
            is_root: false,
            app_properties: [].into(),
            properties: [].into(),
            content,
            version: 1,
        };
        metadata.apply(&mut file);
        if !file.is_google() && file.content.is_none() {
            // An empty file has a content, too.
            file.content = Some(FileContent {
                blob: "empty".to_owned(),
                size: 0,
                md5: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
                text: None,
            });
        }
        Ok(self.files.entry(id).or_insert(file))
    }
}

pub(super) fn check_properties(metadata: &Metadata) -> Result<(), Refusal> {
    let pairs = metadata
        .app_properties
        .iter()
        .chain(&metadata.properties)
        .flatten();
    let is_long = |(key, value): (&String, &Option<String>)| {
        key.len() + value.as_ref().map_or(0, String::len) > LONGEST_PROPERTY
    };
    if pairs.into_iter().any(is_long) {
        let words = "The property is too large; key and value together have at most 124 bytes.";
        return Err(Refusal::invalid(words).at("parameter", "appProperties"));
    }
    Ok(())
}
