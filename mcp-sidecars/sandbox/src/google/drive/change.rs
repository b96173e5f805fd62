//! Changing, moving, trashing and deleting files.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State as AxumState},
    http::{HeaderMap, StatusCode},
};
use serde_json::Value;

use super::{
    State, WRITERS,
    access::{Role, resolved},
    create::{FIELDS, check_properties},
    enter,
    fields::FILE,
    file::Metadata,
    parameters::{Parameters, read_json},
};
use crate::{google::error::Refusal, world::World};

pub(super) const PARAMETERS: &[&str] = &[
    "addParents",
    "enforceSingleParent",
    "includeLabels",
    "includePermissionsForView",
    "keepRevisionForever",
    "ocrLanguage",
    "removeParents",
    "supportsAllDrives",
    "supportsTeamDrives",
    "useContentAsIndexableText",
];

/// `files.update` of metadata.
pub(super) async fn update(
    AxumState(world): AxumState<Arc<World>>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let (mut things, identity) = enter(&world, &headers, WRITERS)?;
    parameters.only(PARAMETERS)?;
    let mask = parameters.mask(FIELDS)?;
    mask.check(FILE, &[])?;
    let metadata: Metadata = read_json(&body, Metadata::WRITABLE)?;
    check(&metadata)?;
    let (account, all_drives) = (&identity.account, parameters.all_drives()?);
    let drive = &mut things.google.drive;
    let least = if metadata.trashed.is_some() {
        Role::FileOrganizer
    } else {
        Role::Writer
    };
    let file = drive.may(&id, account, all_drives, least)?;
    if file.is_root {
        return Err(forbidden("The root folder cannot be changed."));
    }
    let id = file.id.clone();
    let parents = moved(drive, &id, &parameters, account, all_drives)?;
    let above = parents.first().and_then(|parent| drive.files.get(parent));
    let drive_id = above.and_then(|parent| parent.drive_id.clone());
    if let Some(file) = drive.files.get_mut(&id) {
        metadata.apply(file);
        if let Some(kind) = &metadata.mime_type {
            file.mime_type.clone_from(kind);
        }
        (file.parents, file.drive_id) = (parents, drive_id);
        (file.modified, file.version) = (
            metadata.modified_time.unwrap_or_else(|| world.now()),
            file.version + 1,
        );
    }
    let (file, role) = drive.see(&id, account, true)?;
    Ok(Json(mask.apply(file.resource(account, role))))
}

/// Refuses what an update may not say.
pub(super) fn check(metadata: &Metadata) -> Result<(), Refusal> {
    if metadata.parents.is_some() {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "fieldNotWritable",
            "The parents field is not directly writable in update requests. Use the addParents and removeParents parameters instead.",
        ));
    }
    if metadata.id.is_some() {
        let words = "The resource body includes fields which are not directly writable.";
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "fieldNotWritable",
            words,
        ));
    }
    check_properties(metadata)
}

/// The parents after `addParents` and `removeParents`: one at most.
fn moved(
    drive: &State,
    id: &str,
    parameters: &Parameters,
    account: &str,
    all_drives: bool,
) -> Result<Vec<String>, Refusal> {
    let named = |name| -> Vec<String> {
        let list = parameters.get(name).unwrap_or_default().split(',');
        list.filter(|id| !id.is_empty())
            .map(|id| resolved(id.trim(), account))
            .collect()
    };
    let (added, removed) = (named("addParents"), named("removeParents"));
    for parent in &added {
        let folder = drive.may(parent, account, all_drives, Role::Writer)?;
        if !folder.is_folder() {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "parentNotAFolder",
                "The specified parent is not a folder.",
            ));
        }
        if drive.is_within(parent, id) {
            return Err(forbidden("A folder cannot be moved into itself."));
        }
    }
    let mut parents = drive
        .files
        .get(id)
        .map(|file| file.parents.clone())
        .unwrap_or_default();
    parents.retain(|parent| !removed.contains(parent));
    parents.extend(added);
    parents.dedup();
    if parents.len() > 1 {
        let words = "Increasing the number of parents is not allowed";
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "cannotAddParent",
            words,
        ));
    }
    Ok(parents)
}

/// `files.delete`: for ever, with all that is in a folder.
pub(super) async fn delete(
    AxumState(world): AxumState<Arc<World>>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let (mut things, identity) = enter(&world, &headers, WRITERS)?;
    parameters.only(&[
        "enforceSingleParent",
        "supportsAllDrives",
        "supportsTeamDrives",
    ])?;
    let drive = &mut things.google.drive;
    let all_drives = parameters.all_drives()?;
    let file = drive.may(&id, &identity.account, all_drives, Role::Organizer)?;
    if file.is_root || file.drive_id.as_ref() == Some(&file.id) {
        return Err(forbidden("The root folder cannot be deleted."));
    }
    let top = file.id.clone();
    let gone: Vec<String> = drive
        .files
        .keys()
        .filter(|id| drive.is_within(id, &top))
        .cloned()
        .collect();
    let removed: Vec<_> = gone
        .iter()
        .filter_map(|id| drive.files.remove(id))
        .collect();
    for content in removed.into_iter().filter_map(|file| file.content) {
        drive.drop_blob(&content.blob);
    }
    Ok(StatusCode::NO_CONTENT)
}

fn forbidden(words: &'static str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "forbidden", words)
}
