//! Query parameters and JSON bodies, read strictly.

use std::collections::BTreeMap;

use axum::{
    extract::{FromRequestParts, Query},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::fields::Mask;
use crate::google::error::Refusal;

/// Taken by every method.
const COMMON: &[&str] = &[
    "alt",
    "fields",
    "key",
    "prettyPrint",
    "quotaUser",
    "uploadType",
    "upload_protocol",
    "upload_id",
    "$.xgafv",
];

/// The query parameters of a request.
pub(super) struct Parameters(BTreeMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let Query(pairs) = Query::try_from_uri(&parts.uri)
            .map_err(|_| bad_request("Invalid query string".to_owned()))?;
        Ok(Self(pairs))
    }
}

impl Parameters {
    /// Refuses every parameter but these and the common ones.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let is_known =
            |name: &&String| COMMON.contains(&name.as_str()) || known.contains(&name.as_str());
        match self.0.keys().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => Err(bad_request(format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could not be found in request message."
            ))),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Refusal::invalid_parameter(name, other)),
        }
    }

    /// A number between the two.
    pub(super) fn number(
        &self,
        name: &str,
        least: usize,
        most: usize,
    ) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let number = text.parse().ok();
        let within = number.filter(|number| (least..=most).contains(number));
        within.map(Some).ok_or_else(|| {
            let words = format!(
                "Invalid value '{text}'. Values must be within the range: [{least}, {most}]"
            );
            Refusal::new(StatusCode::BAD_REQUEST, "invalidParameter", words)
                .at("parameter", name.to_owned())
        })
    }

    /// Whether the client says that it knows shared drives.
    pub(super) fn all_drives(&self) -> Result<bool, Refusal> {
        let new = self.flag("supportsAllDrives")?;
        let old = self.flag("supportsTeamDrives")?;
        Ok(new.or(old).unwrap_or(false))
    }

    /// The answer's part that is wished, the default without a wish.
    pub(super) fn mask(&self, default: &str) -> Result<Mask, Refusal> {
        Mask::read(self.get("fields").unwrap_or(default))
    }
}

/// A JSON object with these fields; nothing is an empty one.
pub(super) fn read_json<T: DeserializeOwned>(body: &[u8], known: &[&str]) -> Result<T, Refusal> {
    let object: Map<String, Value> = if body.iter().all(u8::is_ascii_whitespace) {
        Map::new()
    } else {
        serde_json::from_slice(body).map_err(|_| parse_error())?
    };
    if let Some(name) = object.keys().find(|name| !known.contains(&name.as_str())) {
        if super::fields::FILE.contains(&name.as_str()) {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "fieldNotWritable",
                "The resource body includes fields which are not directly writable.",
            ));
        }
        return Err(bad_request(format!(
            "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
        )));
    }
    serde_json::from_value(Value::Object(object))
        .map_err(|_| bad_request("Invalid value".to_owned()))
}

pub(super) fn parse_error() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "parseError", "Parse Error")
}

pub(super) fn bad_request(message: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "badRequest", message)
}
