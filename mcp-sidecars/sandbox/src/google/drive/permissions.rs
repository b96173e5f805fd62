//! Sharing.

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
    LOOKERS, Notice, WRITERS,
    access::{Role, permission_id},
    enter,
    file::{File, Permission},
    parameters::{Parameters, bad_request, read_json},
};
use crate::{google::error::Refusal, world::World};

const PERMISSION: &[&str] = &[
    "allowFileDiscovery",
    "deleted",
    "displayName",
    "domain",
    "emailAddress",
    "expirationTime",
    "id",
    "inheritedPermissionsDisabled",
    "kind",
    "pendingOwner",
    "permissionDetails",
    "photoLink",
    "role",
    "teamDrivePermissionDetails",
    "type",
    "view",
];
const FIELDS: &str = "kind,id,type,role";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct New {
    #[serde(rename = "type")]
    kind: Option<String>,
    role: Option<Role>,
    email_address: Option<String>,
    domain: Option<String>,
    #[serde(default)]
    allow_file_discovery: bool,
}

/// `permissions.create`; who has one already keeps its id.
pub(super) async fn create(
    AxumState(world): AxumState<Arc<World>>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let (mut things, identity) = enter(&world, &headers, WRITERS)?;
    parameters.only(&[
        "emailMessage",
        "enforceExpansiveAccess",
        "enforceSingleParent",
        "moveToNewOwnersRoot",
        "sendNotificationEmail",
        "supportsAllDrives",
        "supportsTeamDrives",
        "transferOwnership",
        "useDomainAdminAccess",
    ])?;
    let mask = parameters.mask(FIELDS)?;
    mask.check(PERMISSION, &[])?;
    let known = [
        "type",
        "role",
        "emailAddress",
        "domain",
        "allowFileDiscovery",
        "expirationTime",
        "view",
    ];
    let new: New = read_json(&body, &known)?;
    let drive = &mut things.google.drive;
    let file = drive.may(
        &id,
        &identity.account,
        parameters.all_drives()?,
        Role::Writer,
    )?;
    let permission = new.check(file)?;
    let notifies = parameters.flag("sendNotificationEmail")?;
    let is_person = matches!(permission.kind.as_str(), "user" | "group");
    if parameters.get("emailMessage").is_some() && notifies == Some(false) {
        return Err(bad_request(
            "An emailMessage needs sendNotificationEmail.".to_owned(),
        ));
    }
    let (id, name) = (file.id.clone(), file.name.clone());
    if let Some(file) = drive.files.get_mut(&id) {
        file.permissions.retain(|held| held.id != permission.id);
        file.permissions.push(permission.clone());
        file.version += 1;
    }
    if let Some(to) = permission
        .whom
        .clone()
        .filter(|_| is_person && notifies != Some(false))
    {
        drive.notices.push(Notice {
            to,
            file: name,
            role: permission.role.as_str().to_owned(),
            message: parameters.get("emailMessage").map(str::to_owned),
        });
    }
    Ok(Json(mask.apply(permission.resource())))
}

/// `permissions.list`.
pub(super) async fn list(
    AxumState(world): AxumState<Arc<World>>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let (things, identity) = enter(&world, &headers, LOOKERS)?;
    parameters.only(&[
        "includePermissionsForView",
        "pageSize",
        "pageToken",
        "supportsAllDrives",
        "supportsTeamDrives",
        "useDomainAdminAccess",
    ])?;
    parameters.number("pageSize", 1, 100)?;
    let mask = parameters.mask("kind,permissions(kind,id,type,role)")?;
    mask.check(
        &["kind", "nextPageToken", "permissions"],
        &[("permissions", PERMISSION)],
    )?;
    let drive = &things.google.drive;
    let file = drive.may(
        &id,
        &identity.account,
        parameters.all_drives()?,
        Role::Writer,
    )?;
    let permissions: Vec<_> = file.permissions.iter().map(Permission::resource).collect();
    let answer = json!({ "kind": "drive#permissionList", "permissions": permissions });
    Ok(Json(mask.apply(answer)))
}

/// `permissions.get`.
pub(super) async fn get(
    AxumState(world): AxumState<Arc<World>>,
    Path((id, permission)): Path<(String, String)>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let (things, identity) = enter(&world, &headers, LOOKERS)?;
    parameters.only(&[
        "supportsAllDrives",
        "supportsTeamDrives",
        "useDomainAdminAccess",
    ])?;
    let mask = parameters.mask(FIELDS)?;
    mask.check(PERMISSION, &[])?;
    let drive = &things.google.drive;
    let file = drive.may(
        &id,
        &identity.account,
        parameters.all_drives()?,
        Role::Writer,
    )?;
    let held = file.permissions.iter().find(|held| held.id == permission);
    let held = held.ok_or_else(|| missing(&permission))?;
    Ok(Json(mask.apply(held.resource())))
}

/// `permissions.delete`.
pub(super) async fn delete(
    AxumState(world): AxumState<Arc<World>>,
    Path((id, permission)): Path<(String, String)>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let (mut things, identity) = enter(&world, &headers, WRITERS)?;
    parameters.only(&[
        "enforceExpansiveAccess",
        "supportsAllDrives",
        "supportsTeamDrives",
        "useDomainAdminAccess",
    ])?;
    let drive = &mut things.google.drive;
    let file = drive.may(
        &id,
        &identity.account,
        parameters.all_drives()?,
        Role::Writer,
    )?;
    let held = file.permissions.iter().find(|held| held.id == permission);
    if held.ok_or_else(|| missing(&permission))?.role == Role::Owner {
        let words = "The owner of a file cannot be removed.";
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "cannotRemoveOwner",
            words,
        ));
    }
    let id = file.id.clone();
    if let Some(file) = drive.files.get_mut(&id) {
        file.permissions.retain(|held| held.id != permission);
        file.version += 1;
    }
    Ok(StatusCode::NO_CONTENT)
}

impl New {
    fn check(self, file: &File) -> Result<Permission, Refusal> {
        let required = |name: &'static str, words: &'static str| {
            Refusal::required(words).at("parameter", name)
        };
        let kind = self
            .kind
            .ok_or_else(|| required("permission.type", "The permission type field is required."))?;
        let role = self
            .role
            .ok_or_else(|| required("permission.role", "The permission role field is required."))?;
        let forbidden =
            |words: &'static str| Refusal::new(StatusCode::FORBIDDEN, "forbidden", words);
        if role == Role::Owner {
            return Err(forbidden(
                "The transferOwnership parameter must be enabled when the permission role is 'owner'.",
            ));
        }
        if matches!(role, Role::Organizer | Role::FileOrganizer) && file.drive_id.is_none() {
            return Err(forbidden("This role is for shared drives only."));
        }
        let (id, whom) = match kind.as_str() {
            "user" | "group" => {
                let address = self.email_address.filter(|address| address.contains('@'));
                let address = address.ok_or_else(|| bad_request("The specified emailAddress is invalid or not applicable for the given permission type.".to_owned()))?;
                (permission_id(&address), Some(address))
            }
            "domain" => {
                let domain = self.domain.filter(|domain| domain.contains('.'));
                let domain = domain.ok_or_else(|| bad_request("The specified domain is invalid or not applicable for the given permission type.".to_owned()))?;
                (format!("{}k", permission_id(&domain)), Some(domain))
            }
            "anyone" if role > Role::Writer => {
                return Err(bad_request("This role is not for everybody.".to_owned()));
            }
            "anyone" if self.allow_file_discovery => ("anyone".to_owned(), None),
            "anyone" => ("anyoneWithLink".to_owned(), None),
            _ => {
                return Err(
                    Refusal::invalid("The specified permission type is invalid.")
                        .at("parameter", "permission.type"),
                );
            }
        };
        Ok(Permission {
            id,
            kind,
            role,
            whom,
        })
    }
}

fn missing(id: &str) -> Refusal {
    Refusal::not_found(format!("Permission not found: {id}.")).at("parameter", "permissionId")
}
