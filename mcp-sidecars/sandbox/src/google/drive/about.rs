//! About the account, shared drives, and ids to come.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State as AxumState},
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    GENERATED, LOOKERS, QUOTA, State, WRITERS,
    access::{Role, permission_id},
    enter,
    file::{FOLDER, File, Permission, SharedDrive, user},
    parameters::{Parameters, read_json},
};
use crate::{google::error::Refusal, world::World};

/// `about.get`.
pub(super) async fn about(
    AxumState(world): AxumState<Arc<World>>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let (things, identity) = enter(&world, &headers, LOOKERS)?;
    parameters.only(&[])?;
    if parameters.get("fields").is_none() {
        let words = "The 'fields' parameter is required for this method.";
        return Err(Refusal::required(words).at("parameter", "fields"));
    }
    let used = things.google.drive.used().to_string();
    let answer = json!({
        "kind": "drive#about",
        "user": user(&identity.account, &identity.account),
        "storageQuota": { "limit": QUOTA.to_string(), "usage": used, "usageInDrive": used, "usageInDriveTrash": "0" },
        "maxUploadSize": QUOTA.to_string(),
        "appInstalled": true,
        "canCreateDrives": true,
        "exportFormats": {
            "application/vnd.google-apps.document": ["text/markdown", "text/plain"],
            "application/vnd.google-apps.spreadsheet": ["text/csv"],
        },
    });
    let mask = parameters.mask("*")?;
    let known = [
        "kind",
        "user",
        "storageQuota",
        "maxUploadSize",
        "appInstalled",
        "canCreateDrives",
        "exportFormats",
        "importFormats",
        "maxImportSizes",
        "folderColorPalette",
        "driveThemes",
        "teamDriveThemes",
        "canCreateTeamDrives",
    ];
    mask.check(&known, &[])?;
    Ok(Json(mask.apply(answer)))
}

/// `files.generateIds`.
pub(super) async fn generate_ids(
    AxumState(world): AxumState<Arc<World>>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let (mut things, _) = enter(&world, &headers, WRITERS)?;
    parameters.only(&["count", "space", "type"])?;
    let count = parameters.number("count", 1, 1000)?.unwrap_or(10);
    if let Some(other) = parameters.get("space").filter(|space| *space != "drive") {
        return Err(Refusal::invalid_parameter("space", other));
    }
    let ids = (0..count)
        .map(|_| State::new_id())
        .collect::<Result<Vec<_>, _>>()?;
    let generated = &mut things.google.drive.generated;
    generated.extend(ids.iter().cloned());
    let surplus = generated.len().saturating_sub(GENERATED);
    generated.drain(..surplus);
    let answer = json!({ "kind": "drive#generatedIds", "space": "drive", "ids": ids });
    Ok(Json(parameters.mask("*")?.apply(answer)))
}

#[derive(Deserialize)]
struct NewDrive {
    name: Option<String>,
}

/// `drives.create`; the same `requestId` again is the same drive.
pub(super) async fn create_drive(
    AxumState(world): AxumState<Arc<World>>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let (mut things, identity) = enter(&world, &headers, &[super::ALL])?;
    parameters.only(&["requestId"])?;
    let mask = parameters.mask("kind,id,name")?;
    let request_id = parameters.get("requestId").filter(|id| !id.is_empty());
    let request_id = request_id.ok_or_else(|| {
        Refusal::required("Required parameter: requestId").at("parameter", "requestId")
    })?;
    let new: NewDrive = read_json(&body, &["name", "themeId", "hidden", "restrictions"])?;
    let name = new.name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| {
        Refusal::required("The shared drive name is required.").at("parameter", "name")
    })?;
    let drive = &mut things.google.drive;
    if drive
        .drives
        .values()
        .any(|known| known.request_id == request_id)
    {
        let words = "A shared drive was already created with this request id.";
        return Err(Refusal::new(StatusCode::CONFLICT, "duplicate", words));
    }
    let (id, now) = (format!("0A{}PVA", &State::new_id()?[1..14]), world.now());
    let shared = SharedDrive {
        id: id.clone(),
        name: name.clone(),
        request_id: request_id.to_owned(),
        created: now,
    };
    let top = top_of(&shared, &identity.account);
    drive.files.insert(id.clone(), top);
    let answer = shared.resource();
    drive.drives.insert(id, shared);
    Ok(Json(mask.apply(answer)))
}

/// The folder that a shared drive is.
fn top_of(shared: &SharedDrive, organizer: &str) -> File {
    File {
        id: shared.id.clone(),
        name: shared.name.clone(),
        mime_type: FOLDER.to_owned(),
        description: None,
        parents: Vec::new(),
        owner: None,
        drive_id: Some(shared.id.clone()),
        created: shared.created,
        modified: shared.created,
        trashed: false,
        starred: false,
        is_root: true,
        app_properties: [].into(),
        properties: [].into(),
        permissions: vec![Permission {
            id: permission_id(organizer),
            kind: "user".to_owned(),
            role: Role::Organizer,
            whom: Some(organizer.to_owned()),
        }],
        content: None,
        version: 1,
    }
}

/// `drives.list`.
pub(super) async fn drives(
    AxumState(world): AxumState<Arc<World>>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let (things, identity) = enter(&world, &headers, &[super::ALL, super::READ])?;
    parameters.only(&["pageSize", "pageToken", "q", "useDomainAdminAccess"])?;
    let size = parameters.number("pageSize", 1, 100)?.unwrap_or(10);
    let first = parameters.number("pageToken", 0, usize::MAX)?.unwrap_or(0);
    let mask = parameters.mask("kind,nextPageToken,drives(kind,id,name)")?;
    let drive = &things.google.drive;
    let mine = drive
        .drives
        .values()
        .filter(|shared| drive.see(&shared.id, &identity.account, true).is_ok());
    let mine: Vec<Value> = mine.map(SharedDrive::resource).collect();
    let page: Vec<&Value> = mine.iter().skip(first).take(size).collect();
    let mut answer = json!({ "kind": "drive#driveList", "drives": page });
    if first + size < mine.len() {
        answer["nextPageToken"] = (first + size).to_string().into();
    }
    Ok(Json(mask.apply(answer)))
}

/// `drives.get`.
pub(super) async fn drive(
    AxumState(world): AxumState<Arc<World>>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let (things, identity) = enter(&world, &headers, &[super::ALL, super::READ])?;
    parameters.only(&["useDomainAdminAccess"])?;
    let mask = parameters.mask("kind,id,name")?;
    let drive = &things.google.drive;
    let missing =
        || Refusal::not_found(format!("Shared drive not found: {id}")).at("parameter", "driveId");
    drive
        .see(&id, &identity.account, true)
        .map_err(|_| missing())?;
    let shared = drive.drives.get(&id).ok_or_else(missing)?;
    Ok(Json(mask.apply(shared.resource())))
}
