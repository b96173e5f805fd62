//! Sharing, trashing, moving: each says what shall be, so that saying it twice changes nothing.

use mcp_kit::{Call, ToolError};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use validator::Validate;

use crate::{
    drive::{Drive, files},
    files::{DriveFile, FIELDS, Made, drive_id},
};

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShareFile {
    /// The file's or folder's id.
    #[validate(custom(function = "drive_id"))]
    file_id: String,
    /// With whom.
    with: Whom,
    /// Mail address of the person or group, or the domain; nothing for `anyone_with_link`.
    #[validate(length(min = 3, max = 254))]
    address: Option<String>,
    /// What they may do.
    role: Role,
    /// Let Google send a mail to the person or group.
    #[serde(default)]
    notify: bool,
    /// Words for that mail.
    #[validate(length(min = 1, max = 1000))]
    message: Option<String>,
    /// Only check, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Whom {
    User,
    Group,
    /// Everybody of a Google Workspace domain.
    Domain,
    /// Everybody who has the link, without signing in.
    AnyoneWithLink,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Role {
    Reader,
    Commenter,
    Writer,
}

/// Who may do what now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Shared {
    file_id: String,
    /// Nothing in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_id: Option<String>,
    /// They had this role already; nothing was changed or sent.
    replayed: bool,
    /// Nothing was changed: this says what would be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    would: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrashFile {
    /// The file's or folder's id; a folder goes with all that is in it.
    #[validate(custom(function = "drive_id"))]
    file_id: String,
    /// Take it out of the trash instead.
    #[serde(default)]
    restore: bool,
    /// Only check, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveFile {
    /// The file's or folder's id.
    #[validate(custom(function = "drive_id"))]
    file_id: String,
    /// The folder or shared drive to move it into.
    #[validate(custom(function = "drive_id"))]
    folder_id: String,
    /// Only check, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Permission {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    role: String,
    email_address: Option<String>,
    domain: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Permissions {
    permissions: Vec<Permission>,
    next_page_token: Option<String>,
}

/// `share_file`.
pub(crate) async fn share_file(
    drive: Drive,
    call: Call,
    wanted: ShareFile,
) -> Result<Shared, ToolError> {
    wanted.check(&drive)?;
    let file = drive.file(&call, &wanted.file_id).await?;
    let held = drive.held(&call, &wanted).await?;
    let mut shared = Shared {
        file_id: file.id,
        replayed: held.is_some(),
        permission_id: held,
        would: None,
    };
    if wanted.dry_run {
        let whom = wanted
            .address
            .as_deref()
            .unwrap_or("everybody with the link");
        let what = format!("let {whom} be {} of {:?}", wanted.role.as_str(), file.name);
        shared.would = (!shared.replayed).then_some(what);
        return Ok(shared);
    }
    if shared.replayed {
        return Ok(shared);
    }
    let mut body = json!({ "type": wanted.with.as_str(), "role": wanted.role.as_str() });
    match wanted.with {
        Whom::User | Whom::Group => body["emailAddress"] = json!(wanted.address),
        Whom::Domain => body["domain"] = json!(wanted.address),
        Whom::AnyoneWithLink => {}
    }
    let mut request =
        files(Method::POST, &[&wanted.file_id, "permissions"]).query("fields", FIELDS_OF);
    if matches!(wanted.with, Whom::User | Whom::Group) {
        request = request.query("sendNotificationEmail", wanted.notify.to_string());
    }
    if let Some(message) = wanted.message {
        request = request.query("emailMessage", message);
    }
    let made: Permission = drive
        .google()
        .send(&call, request.json(&body)?)
        .await?
        .json()?;
    shared.permission_id = Some(made.id);
    Ok(shared)
}

const FIELDS_OF: &str = "id,type,role,emailAddress,domain";

impl ShareFile {
    fn check(&self, drive: &Drive) -> Result<(), ToolError> {
        let settings = drive.settings();
        let wrong = |detail: &str| Err(ToolError::field("/address", "address", detail));
        if self.message.is_some() && !self.notify {
            return Err(ToolError::field(
                "/message",
                "message",
                "goes with a mail: set notify",
            ));
        }
        let domain = match (self.with, self.address.as_deref()) {
            (Whom::AnyoneWithLink, None) if settings.allow_link_sharing => return Ok(()),
            (Whom::AnyoneWithLink, None) => {
                let words = "this server does not share with everybody who has the link (ALLOW_LINK_SHARING)";
                return Err(ToolError::refused(words));
            }
            (Whom::AnyoneWithLink, Some(_)) => return wrong("not with anyone_with_link"),
            (_, None) => return wrong("must say with whom"),
            (Whom::Domain, Some(domain)) => domain,
            (Whom::User | Whom::Group, Some(address)) => match address.rsplit_once('@') {
                Some((name, domain)) if !name.is_empty() => domain,
                _ => return wrong("must be a mail address"),
            },
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if !domain.contains('.') || !domain.bytes().all(is_plain) {
            return wrong("its domain must be like example.com");
        }
        let allowed = &settings.share_domains;
        if allowed.is_empty()
            || allowed
                .iter()
                .any(|known| known.eq_ignore_ascii_case(domain))
        {
            return Ok(());
        }
        Err(ToolError::refused(
            "this server does not share with that domain (SHARE_DOMAINS)",
        ))
    }
}

impl Drive {
    /// The id of the permission that already says what is wanted.
    async fn held(&self, call: &Call, wanted: &ShareFile) -> Result<Option<String>, ToolError> {
        let mut cursor = None;
        loop {
            let mut request = files(Method::GET, &[&wanted.file_id, "permissions"])
                .query("pageSize", "100")
                .query("fields", format!("nextPageToken,permissions({FIELDS_OF})"));
            if let Some(cursor) = cursor {
                request = request.query("pageToken", cursor);
            }
            let page: Permissions = self.google().send(call, request).await?.json()?;
            let held = page.permissions.into_iter().find(|held| {
                let whom = held.email_address.as_ref().or(held.domain.as_ref());
                let is_same = match (whom, &wanted.address) {
                    (Some(whom), Some(address)) => whom.eq_ignore_ascii_case(address),
                    (None, None) => true,
                    _ => false,
                };
                is_same && held.kind == wanted.with.as_str() && held.role == wanted.role.as_str()
            });
            cursor = page.next_page_token;
            if held.is_some() || cursor.is_none() {
                return Ok(held.map(|held| held.id));
            }
        }
    }

    async fn change(
        &self,
        call: &Call,
        request: mcp_kit::Outgoing,
        body: &serde_json::Value,
    ) -> Result<DriveFile, ToolError> {
        let request = request.query("fields", FIELDS).json(body)?.repeatable();
        self.google().send(call, request).await?.json()
    }
}

impl Whom {
    fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Domain => "domain",
            Self::AnyoneWithLink => "anyone",
        }
    }
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Commenter => "commenter",
            Self::Writer => "writer",
        }
    }
}

/// `trash_file`.
pub(crate) async fn trash_file(
    drive: Drive,
    call: Call,
    wanted: TrashFile,
) -> Result<Made, ToolError> {
    let file = drive.file(&call, &wanted.file_id).await?;
    if drive.settings().allowed_folders.contains(&file.id) {
        return Err(ToolError::refused(
            "this is one of the server's own folders (ALLOWED_FOLDERS)",
        ));
    }
    let trashed = !wanted.restore;
    if file.trashed == trashed {
        return Ok(Made::new(file, true));
    }
    if wanted.dry_run {
        let where_to = if trashed { "into" } else { "out of" };
        return Ok(Made::would(format!(
            "put {:?} {where_to} the trash",
            file.name
        )));
    }
    let request = files(Method::PATCH, &[&file.id]);
    let changed = drive
        .change(&call, request, &json!({ "trashed": trashed }))
        .await?;
    Ok(Made::new(changed, false))
}

/// `move_file`.
pub(crate) async fn move_file(
    drive: Drive,
    call: Call,
    wanted: MoveFile,
) -> Result<Made, ToolError> {
    let file = drive.file(&call, &wanted.file_id).await?;
    let folder = drive
        .folder(&call, Some(&wanted.folder_id), "/folder_id")
        .await?;
    if drive.settings().allowed_folders.contains(&file.id) {
        return Err(ToolError::refused(
            "this is one of the server's own folders (ALLOWED_FOLDERS)",
        ));
    }
    if file.parents == [folder.id.clone()] {
        return Ok(Made::new(file, true));
    }
    if wanted.dry_run {
        return Ok(Made::would(format!(
            "move {:?} into {:?}",
            file.name, folder.name
        )));
    }
    let request = files(Method::PATCH, &[&file.id])
        .query("addParents", folder.id)
        .query("removeParents", file.parents.join(","));
    let changed = drive.change(&call, request, &json!({})).await?;
    Ok(Made::new(changed, false))
}
