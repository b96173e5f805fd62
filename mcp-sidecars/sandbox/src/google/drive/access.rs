//! Who may see and change what.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    State,
    file::{FOLDER, File, Permission},
};
use crate::google::error::Refusal;

/// What somebody may do with a file; more at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Role {
    Reader,
    Commenter,
    Writer,
    FileOrganizer,
    Organizer,
    Owner,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Commenter => "commenter",
            Self::Writer => "writer",
            Self::FileOrganizer => "fileOrganizer",
            Self::Organizer => "organizer",
            Self::Owner => "owner",
        }
    }
}

impl State {
    /// The top of `account`'s own files.
    pub(super) fn ensure_root(&mut self, account: &str, now: Timestamp) {
        let id = root_id(account);
        if self.files.contains_key(&id) {
            return;
        }
        let root = File {
            id: id.clone(),
            name: "My Drive".to_owned(),
            mime_type: FOLDER.to_owned(),
            description: None,
            parents: Vec::new(),
            owner: Some(account.to_owned()),
            drive_id: None,
            created: now,
            modified: now,
            trashed: false,
            starred: false,
            is_root: true,
            app_properties: [].into(),
            properties: [].into(),
            permissions: vec![Permission {
                id: permission_id(account),
                kind: "user".to_owned(),
                role: Role::Owner,
                whom: Some(account.to_owned()),
            }],
            content: None,
            version: 1,
        };
        self.files.insert(id, root);
    }

    /// What `account` may do with the file: its own permissions and those of the folders above.
    pub(super) fn role(&self, file: &File, account: &str) -> Option<Role> {
        let domain = account.split_once('@').map(|(_, domain)| domain);
        let own = file
            .permissions
            .iter()
            .filter(|held| match held.kind.as_str() {
                "anyone" => true,
                "domain" => held.whom.as_deref() == domain,
                _ => held.whom.as_deref() == Some(account),
            });
        let own = own.map(|held| held.role).max();
        let above = file.parents.iter().filter_map(|id| self.files.get(id));
        let above = above.filter_map(|parent| self.role(parent, account)).max();
        own.max(above)
    }

    /// The file that a client names, as far as `account` may see it. Items of shared drives exist only for clients
    /// that say they know them.
    pub(super) fn see(
        &self,
        id: &str,
        account: &str,
        all_drives: bool,
    ) -> Result<(&File, Role), Refusal> {
        let missing =
            || Refusal::not_found(format!("File not found: {id}.")).at("parameter", "fileId");
        let file = self.files.get(&resolved(id, account)).ok_or_else(missing)?;
        if file.drive_id.is_some() && !all_drives {
            return Err(missing());
        }
        let role = self.role(file, account).ok_or_else(missing)?;
        Ok((file, role))
    }

    /// The same, if the role is enough.
    pub(super) fn may(
        &self,
        id: &str,
        account: &str,
        all_drives: bool,
        least: Role,
    ) -> Result<&File, Refusal> {
        let (file, role) = self.see(id, account, all_drives)?;
        if role >= least {
            return Ok(file);
        }
        Err(Refusal::new(
            axum::http::StatusCode::FORBIDDEN,
            "insufficientFilePermissions",
            "The user does not have sufficient permissions for this file.",
        ))
    }

    /// Whether the file or a folder above it is in the trash.
    pub(super) fn is_trashed(&self, file: &File) -> bool {
        let mut above = file.parents.iter().filter_map(|id| self.files.get(id));
        file.trashed || above.any(|parent| self.is_trashed(parent))
    }

    /// Whether `below` is `above` or somewhere in it.
    pub(super) fn is_within(&self, below: &str, above: &str) -> bool {
        below == above
            || self
                .files
                .get(below)
                .is_some_and(|file| file.parents.iter().any(|id| self.is_within(id, above)))
    }
}

/// `root` is the top of one's own files.
pub(super) fn resolved(id: &str, account: &str) -> String {
    if id == "root" {
        root_id(account)
    } else {
        id.to_owned()
    }
}

fn root_id(account: &str) -> String {
    format!("0A{}PVA", permission_id(account))
}

/// The same for the same address, and 20 digits, as Google's are.
pub(super) fn permission_id(address: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in address.to_ascii_lowercase().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:020}")
}
