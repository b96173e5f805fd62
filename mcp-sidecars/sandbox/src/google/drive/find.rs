//! Looking: `files.list` and `files.get`.

use std::{cmp::Ordering, sync::Arc};

use axum::{
    Json,
    extract::{Path, State as AxumState},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    LOOKERS, State, access::permission_id, create, download, enter, fields::FILE, file::File,
    parameters::Parameters, query::Condition,
};
use crate::{
    google::{error::Refusal, token::Identity},
    world::World,
};

const LIST: &[&str] = &["kind", "nextPageToken", "incompleteSearch", "files"];
const LIST_FIELDS: &str = "kind,nextPageToken,incompleteSearch,files(kind,id,name,mimeType)";
const LIST_PARAMETERS: &[&str] = &[
    "corpora",
    "driveId",
    "includeItemsFromAllDrives",
    "includeLabels",
    "includePermissionsForView",
    "orderBy",
    "pageSize",
    "pageToken",
    "q",
    "spaces",
    "supportsAllDrives",
    "supportsTeamDrives",
];

/// `files.get`: what stands about a file, or with `alt=media` its content.
pub(super) async fn get(
    AxumState(world): AxumState<Arc<World>>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    parameters.only(&[
        "acknowledgeAbuse",
        "includeLabels",
        "includePermissionsForView",
        "supportsAllDrives",
        "supportsTeamDrives",
    ])?;
    let all_drives = parameters.all_drives()?;
    match parameters.get("alt") {
        Some("media") => return download::media(&world, &id, all_drives, &headers).await,
        None | Some("json") => {}
        Some(other) => return Err(Refusal::invalid_parameter("alt", other)),
    }
    let (things, identity) = enter(&world, &headers, LOOKERS)?;
    let mask = parameters.mask(create::FIELDS)?;
    mask.check(FILE, &[])?;
    let (file, role) = things
        .google
        .drive
        .see(&id, &identity.account, all_drives)?;
    Ok(Json(mask.apply(file.resource(&identity.account, role))).into_response())
}

/// `files.list`.
pub(super) async fn list(
    AxumState(world): AxumState<Arc<World>>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let (things, identity) = enter(&world, &headers, LOOKERS)?;
    parameters.only(LIST_PARAMETERS)?;
    let mask = parameters.mask(LIST_FIELDS)?;
    mask.check(LIST, &[("files", FILE)])?;
    if let Some(other) = parameters.get("spaces").filter(|space| *space != "drive") {
        return Err(Refusal::invalid_parameter("spaces", other));
    }
    let size = parameters.number("pageSize", 1, 1000)?.unwrap_or(100);
    let drive = &things.google.drive;
    let found = search(drive, &parameters, &identity)?;
    let print = fingerprint(&parameters);
    let first = parameters
        .get("pageToken")
        .map_or(Ok(0), |token| read_token(token, &print))?;
    let account = &identity.account;
    let page = found.iter().skip(first).take(size);
    let files: Vec<Value> = page
        .filter_map(|file| Some(file.resource(account, drive.role(file, account)?)))
        .collect();
    let mut answer = json!({ "kind": "drive#fileList", "incompleteSearch": false, "files": files });
    if first + size < found.len() {
        answer["nextPageToken"] = format!("~!!~{}.{print}", first + size).into();
    }
    Ok(Json(mask.apply(answer)))
}

fn search<'a>(
    drive: &'a State,
    parameters: &Parameters,
    identity: &Identity,
) -> Result<Vec<&'a File>, Refusal> {
    let account = &identity.account;
    let within = corpus(parameters)?;
    let q = parameters.get("q").filter(|q| !q.trim().is_empty());
    let condition = q.map(Condition::read).transpose()?;
    let order = parameters.get("orderBy").filter(|order| !order.is_empty());
    let order = order.map(order_by).transpose()?;
    if order.is_some() && condition.as_ref().is_some_and(Condition::has_full_text) {
        let words = "Sorting is not supported for queries with fullText terms. Results are always in descending relevance order.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden", words));
    }
    let is_top = |file: &File| file.is_root || file.drive_id.as_ref() == Some(&file.id);
    let mut found: Vec<&File> = drive
        .files
        .values()
        .filter(|file| !is_top(file) && drive.role(file, account).is_some())
        .filter(|file| match within {
            Corpus::Own => file.drive_id.is_none(),
            Corpus::All => true,
            Corpus::Drive(id) => file.drive_id.as_deref() == Some(id),
        })
        .filter(|file| {
            condition
                .as_ref()
                .is_none_or(|condition| condition.holds(drive, file, account))
        })
        .collect();
    let order = order.unwrap_or_else(|| vec![(Key::Modified, true)]);
    found.sort_by(|a, b| compare(a, b, &order).then_with(|| a.id.cmp(&b.id)));
    Ok(found)
}

enum Corpus<'a> {
    Own,
    All,
    Drive(&'a str),
}

/// Where to look; shared drives need two flags, so that old clients are not surprised.
fn corpus(parameters: &Parameters) -> Result<Corpus<'_>, Refusal> {
    let includes = parameters
        .flag("includeItemsFromAllDrives")?
        .unwrap_or(false);
    let supports = parameters.all_drives()?;
    let drive = parameters.get("driveId");
    let corpora =
        parameters
            .get("corpora")
            .unwrap_or(if drive.is_some() { "drive" } else { "user" });
    let bad =
        |words: &'static str| Refusal::new(StatusCode::FORBIDDEN, "teamDriveNotSupported", words);
    if includes && !supports {
        return Err(bad(
            "The supportsAllDrives parameter must be true if includeItemsFromAllDrives is true.",
        ));
    }
    match (corpora, drive) {
        ("user" | "domain", None) => Ok(if includes { Corpus::All } else { Corpus::Own }),
        ("allDrives", None) if includes => Ok(Corpus::All),
        ("drive", Some(id)) if includes => Ok(Corpus::Drive(id)),
        ("allDrives" | "drive", _) if !includes => Err(bad(
            "The includeItemsFromAllDrives parameter must be true to look into shared drives.",
        )),
        ("user" | "domain" | "allDrives" | "drive", _) => {
            let words =
                "The driveId parameter must be specified if and only if corpora is set to drive.";
            Err(Refusal::invalid(words).at("parameter", "driveId"))
        }
        (other, _) => Err(Refusal::invalid_parameter("corpora", other)),
    }
}

#[derive(Clone, Copy)]
enum Key {
    Created,
    Folder,
    Modified,
    Name,
    Size,
    Starred,
}

/// `folder,modifiedTime desc,name`.
fn order_by(text: &str) -> Result<Vec<(Key, bool)>, Refusal> {
    let read = |part: &str| {
        let mut words = part.split_whitespace();
        let key = match words.next()? {
            "createdTime" => Key::Created,
            "folder" => Key::Folder,
            "modifiedTime" | "modifiedByMeTime" | "recency" => Key::Modified,
            "name" | "name_natural" => Key::Name,
            "quotaBytesUsed" => Key::Size,
            "starred" => Key::Starred,
            _ => return None,
        };
        let is_down = match words.next() {
            None => false,
            Some("desc") => true,
            Some(_) => return None,
        };
        words.next().is_none().then_some((key, is_down))
    };
    let keys = text.split(',').map(read).collect::<Option<Vec<_>>>();
    keys.ok_or_else(|| Refusal::invalid("Invalid Value").at("parameter", "orderBy"))
}

fn compare(a: &File, b: &File, order: &[(Key, bool)]) -> Ordering {
    let by = |key: &Key| match key {
        Key::Created => a.created.cmp(&b.created),
        Key::Folder => b.is_folder().cmp(&a.is_folder()),
        Key::Modified => a.modified.cmp(&b.modified),
        Key::Name => a.name.to_lowercase().cmp(&b.name.to_lowercase()),
        Key::Size => a.size().cmp(&b.size()),
        Key::Starred => b.starred.cmp(&a.starred),
    };
    let steps = order.iter().map(|(key, is_down)| {
        let step = by(key);
        if *is_down { step.reverse() } else { step }
    });
    steps.fold(Ordering::Equal, Ordering::then)
}

/// A page token goes with its own question only.
fn fingerprint(parameters: &Parameters) -> String {
    let parts = [
        "q",
        "orderBy",
        "corpora",
        "driveId",
        "includeItemsFromAllDrives",
    ];
    let parts = parts.map(|name| parameters.get(name).unwrap_or_default());
    permission_id(&parts.join("\n"))
}

fn read_token(token: &str, print: &str) -> Result<usize, Refusal> {
    let parts = token
        .strip_prefix("~!!~")
        .and_then(|rest| rest.split_once('.'));
    let first = parts
        .filter(|(_, of)| *of == print)
        .and_then(|(first, _)| first.parse().ok());
    first.ok_or_else(|| Refusal::invalid("Invalid Value").at("parameter", "pageToken"))
}
