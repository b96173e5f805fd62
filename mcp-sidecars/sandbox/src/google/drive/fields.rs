//! Partial responses: `fields=files(id,name),nextPageToken`.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::google::error::Refusal;

/// Fields of a file.
pub(super) const FILE: &[&str] = &[
    "appProperties",
    "capabilities",
    "clientEncryptionDetails",
    "contentHints",
    "contentRestrictions",
    "copyRequiresWriterPermission",
    "createdTime",
    "description",
    "downloadRestrictions",
    "driveId",
    "explicitlyTrashed",
    "exportLinks",
    "fileExtension",
    "folderColorRgb",
    "fullFileExtension",
    "hasAugmentedPermissions",
    "hasThumbnail",
    "headRevisionId",
    "iconLink",
    "id",
    "imageMediaMetadata",
    "inheritedPermissionsDisabled",
    "isAppAuthorized",
    "kind",
    "labelInfo",
    "lastModifyingUser",
    "linkShareMetadata",
    "md5Checksum",
    "mimeType",
    "modifiedByMe",
    "modifiedByMeTime",
    "modifiedTime",
    "name",
    "originalFilename",
    "ownedByMe",
    "owners",
    "parents",
    "permissionIds",
    "permissions",
    "properties",
    "quotaBytesUsed",
    "resourceKey",
    "sha1Checksum",
    "sha256Checksum",
    "shared",
    "sharedWithMeTime",
    "sharingUser",
    "shortcutDetails",
    "size",
    "spaces",
    "starred",
    "teamDriveId",
    "thumbnailLink",
    "thumbnailVersion",
    "trashed",
    "trashedTime",
    "trashingUser",
    "version",
    "videoMediaMetadata",
    "viewedByMe",
    "viewedByMeTime",
    "viewersCanCopyContent",
    "webContentLink",
    "webViewLink",
    "writersCanShare",
];

/// What of an answer is wished. A leaf means the whole value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mask(Vec<(String, Option<Mask>)>);

impl Mask {
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let mut rest = text;
        let mask = list(&mut rest, 0).filter(|_| rest.is_empty());
        mask.ok_or_else(|| invalid(text))
    }

    /// Refuses names that an object of these fields has not; `inner` are the fields of a nested object or list.
    pub(super) fn check(&self, known: &[&str], inner: &[(&str, &[&str])]) -> Result<(), Refusal> {
        for (name, below) in &self.0 {
            if name != "*" && !known.contains(&name.as_str()) {
                return Err(invalid(name));
            }
            let nested = inner.iter().find(|(outer, _)| outer == name);
            if let (Some(below), Some((_, known))) = (below, nested) {
                below.check(known, &[])?;
            }
        }
        Ok(())
    }

    pub(super) fn apply(&self, value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(|item| self.apply(item)).collect(),
            Value::Object(mut object) => {
                let mut shown = Map::new();
                for (name, below) in &self.0 {
                    if name == "*" {
                        shown.append(&mut object);
                        continue;
                    }
                    let Some(value) = object.remove(name) else {
                        continue;
                    };
                    let value = below
                        .as_ref()
                        .map_or(value.clone(), |below| below.apply(value));
                    shown.insert(name.clone(), value);
                }
                Value::Object(shown)
            }
            other => other,
        }
    }
}

/// Fields within fields.
const DEEPEST: usize = 8;

/// `a,b/c,d(e,f)`; stops at what does not belong to the list.
fn list(rest: &mut &str, depth: usize) -> Option<Mask> {
    let mut items = Vec::new();
    loop {
        items.push(item(rest, depth)?);
        match rest.strip_prefix(',') {
            Some(more) => *rest = more,
            None => return Some(Mask(items)),
        }
    }
}

fn item(rest: &mut &str, depth: usize) -> Option<(String, Option<Mask>)> {
    *rest = rest.trim_start();
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '*';
    let end = rest.find(|char| !is_name(char)).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    if name.is_empty() || depth > DEEPEST {
        return None;
    }
    *rest = after.trim_start();
    if let Some(more) = rest.strip_prefix('/') {
        *rest = more;
        let below = item(rest, depth + 1)?;
        return Some((name.to_owned(), Some(Mask(vec![below]))));
    }
    if let Some(more) = rest.strip_prefix('(') {
        *rest = more;
        let below = list(rest, depth + 1)?;
        *rest = rest.strip_prefix(')')?.trim_start();
        return Some((name.to_owned(), Some(below)));
    }
    Some((name.to_owned(), None))
}

fn invalid(what: &str) -> Refusal {
    let words = format!("Invalid field selection {what}");
    Refusal::new(StatusCode::BAD_REQUEST, "invalidParameter", words).at("parameter", "fields")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mask_shows_what_it_names_and_nothing_else() {
        let whole = json!({ "a": 1, "b": { "c": 2, "d": 3 }, "e": [{ "f": 4, "g": 5 }] });
        for (mask, shown) in [
            ("*", whole.clone()),
            ("a", json!({ "a": 1 })),
            ("b/c, e(f)", json!({ "b": { "c": 2 }, "e": [{ "f": 4 }] })),
            ("e/g,zz", json!({ "e": [{ "g": 5 }] })),
        ] {
            assert_eq!(
                Mask::read(mask).unwrap().apply(whole.clone()),
                shown,
                "{mask}"
            );
        }
        for broken in ["", "a,", "a(", "a(b", "a)", "a//b", "a b"] {
            assert!(Mask::read(broken).is_err(), "{broken}");
        }
        assert!(
            Mask::read("files(id,nope)")
                .unwrap()
                .check(&["files"], &[("files", FILE)])
                .is_err()
        );
    }
}
