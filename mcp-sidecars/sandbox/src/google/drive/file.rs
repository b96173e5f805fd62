//! A file and its metadata, as stored and as answered.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::Role;

pub(super) const FOLDER: &str = "application/vnd.google-apps.folder";
pub(super) const DOCUMENT: &str = "application/vnd.google-apps.document";
pub(super) const SPREADSHEET: &str = "application/vnd.google-apps.spreadsheet";
const GOOGLE: &str = "application/vnd.google-apps.";

/// A file, a folder, or the root of somebody's Drive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct File {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) mime_type: String,
    pub(super) description: Option<String>,
    pub(super) parents: Vec<String>,
    pub(super) owner: Option<String>,
    pub(super) drive_id: Option<String>,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) trashed: bool,
    pub(super) starred: bool,
    pub(super) is_root: bool,
    pub(super) app_properties: BTreeMap<String, String>,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) permissions: Vec<Permission>,
    pub(super) content: Option<FileContent>,
    pub(super) version: u64,
}

/// What is on disk for a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FileContent {
    pub(super) blob: String,
    pub(super) size: u64,
    pub(super) md5: String,
    /// The beginning of a text, for `fullText`.
    pub(super) text: Option<String>,
}

/// Who may do what with a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Permission {
    pub(super) id: String,
    /// `user`, `group`, `domain` or `anyone`.
    pub(super) kind: String,
    pub(super) role: Role,
    /// An address or a domain.
    pub(super) whom: Option<String>,
}

/// A shared drive; its id is that of its top folder, too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SharedDrive {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) request_id: String,
    pub(super) created: Timestamp,
}

/// What a client may say about a file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) mime_type: Option<String>,
    pub(super) description: Option<String>,
    pub(super) parents: Option<Vec<String>>,
    pub(super) starred: Option<bool>,
    pub(super) trashed: Option<bool>,
    /// `null` takes a property away.
    pub(super) app_properties: Option<BTreeMap<String, Option<String>>>,
    pub(super) properties: Option<BTreeMap<String, Option<String>>>,
    pub(super) created_time: Option<Timestamp>,
    pub(super) modified_time: Option<Timestamp>,
}

impl Metadata {
    /// Fields that a client may write.
    pub(super) const WRITABLE: &[&str] = &[
        "id",
        "name",
        "mimeType",
        "description",
        "parents",
        "starred",
        "trashed",
        "appProperties",
        "properties",
        "createdTime",
        "modifiedTime",
    ];

    /// Takes what is said over to the file, but its place.
    pub(super) fn apply(&self, file: &mut File) {
        if let Some(name) = &self.name {
            file.name.clone_from(name);
        }
        if let Some(description) = &self.description {
            file.description = Some(description.clone()).filter(|text| !text.is_empty());
        }
        file.starred = self.starred.unwrap_or(file.starred);
        file.trashed = self.trashed.unwrap_or(file.trashed);
        let pairs = [
            (&self.app_properties, &mut file.app_properties),
            (&self.properties, &mut file.properties),
        ];
        for (said, kept) in pairs {
            for (key, value) in said.iter().flatten() {
                match value {
                    Some(value) => kept.insert(key.clone(), value.clone()),
                    None => kept.remove(key),
                };
            }
        }
    }
}

impl File {
    pub(super) fn is_folder(&self) -> bool {
        self.mime_type == FOLDER
    }

    /// A Doc, a Sheet and so on: without bytes of its own.
    pub(super) fn is_google(&self) -> bool {
        self.mime_type.starts_with(GOOGLE)
    }

    pub(super) fn size(&self) -> u64 {
        self.content.as_ref().map_or(0, |content| content.size)
    }

    /// For the page.
    pub(super) fn shared_with(&self) -> Vec<String> {
        let others = self
            .permissions
            .iter()
            .filter(|held| held.role < Role::Owner);
        others
            .map(|held| {
                let whom = held.whom.as_deref().unwrap_or(&held.kind);
                format!("{whom} ({})", held.role.as_str())
            })
            .collect()
    }

    /// The whole resource, as `account` with this role sees it.
    pub(super) fn resource(&self, account: &str, role: Role) -> Value {
        let owns = self.owner.as_deref() == Some(account);
        let mut resource = json!({
            "kind": "drive#file", "id": self.id, "name": self.name, "mimeType": self.mime_type,
            "starred": self.starred, "trashed": self.trashed, "explicitlyTrashed": self.trashed,
            "spaces": ["drive"], "version": self.version.to_string(),
            "createdTime": time(self.created), "modifiedTime": time(self.modified),
            "ownedByMe": owns, "quotaBytesUsed": "0",
            "shared": self.permissions.len() > 1 || self.drive_id.is_some(),
            "webViewLink": self.link(),
            "permissionIds": self.permissions.iter().map(|held| &held.id).collect::<Vec<_>>(),
            "capabilities": {
                "canEdit": role >= Role::Writer, "canShare": role >= Role::Writer, "canTrash": role >= Role::FileOrganizer,
                "canDownload": true, "canAddChildren": self.is_folder() && role >= Role::Writer,
                "canDelete": role >= Role::Organizer, "canRename": role >= Role::Writer,
            },
        });
        let mut put = |name: &str, value: Value| resource[name] = value;
        if !self.parents.is_empty() {
            put("parents", json!(self.parents));
        }
        if let Some(description) = &self.description {
            put("description", json!(description));
        }
        if !self.app_properties.is_empty() {
            put("appProperties", json!(self.app_properties));
        }
        if !self.properties.is_empty() {
            put("properties", json!(self.properties));
        }
        if let Some(drive) = &self.drive_id {
            put("driveId", json!(drive));
            put("teamDriveId", json!(drive));
        }
        if let Some(owner) = &self.owner {
            put("owners", json!([user(owner, account)]));
        }
        if role >= Role::Writer {
            let permissions = self.permissions.iter().map(Permission::resource);
            put("permissions", permissions.collect());
        }
        if let Some(content) = self.content.as_ref().filter(|_| !self.is_google()) {
            let size = content.size.to_string();
            put("size", json!(size));
            put("quotaBytesUsed", json!(size));
            put("md5Checksum", json!(content.md5));
            put("originalFilename", json!(self.name));
            put("headRevisionId", json!(content.blob));
            if let Some((_, extension)) = self.name.rsplit_once('.') {
                put("fileExtension", json!(extension));
                put("fullFileExtension", json!(extension));
            }
        }
        resource
    }

    fn link(&self) -> String {
        match self.mime_type.as_str() {
            FOLDER => format!("https://drive.google.com/drive/folders/{}", self.id),
            DOCUMENT => format!("https://docs.google.com/document/d/{}/edit", self.id),
            SPREADSHEET => format!("https://docs.google.com/spreadsheets/d/{}/edit", self.id),
            _ => format!("https://drive.google.com/file/d/{}/view", self.id),
        }
    }
}

impl Permission {
    pub(super) fn resource(&self) -> Value {
        let mut resource = json!({
            "kind": "drive#permission", "id": self.id, "type": self.kind, "role": self.role.as_str(),
        });
        match (self.kind.as_str(), &self.whom) {
            ("user" | "group", Some(address)) => {
                resource["emailAddress"] = json!(address);
                resource["displayName"] = json!(address.split('@').next());
                resource["deleted"] = json!(false);
                resource["pendingOwner"] = json!(false);
            }
            ("domain", Some(domain)) => {
                resource["domain"] = json!(domain);
                resource["displayName"] = json!(domain);
                resource["allowFileDiscovery"] = json!(false);
            }
            _ => resource["allowFileDiscovery"] = json!(false),
        }
        resource
    }
}

impl SharedDrive {
    pub(super) fn resource(&self) -> Value {
        json!({
            "kind": "drive#drive", "id": self.id, "name": self.name, "createdTime": time(self.created),
            "capabilities": { "canAddChildren": true, "canEdit": true, "canShare": true },
        })
    }
}

pub(super) fn user(address: &str, account: &str) -> Value {
    json!({
        "kind": "drive#user", "displayName": address.split('@').next(), "emailAddress": address,
        "me": address == account, "permissionId": super::access::permission_id(address),
    })
}

/// RFC 3339 with milliseconds, as Drive writes it.
pub(super) fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}
