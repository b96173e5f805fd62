//! Query parameters, read strictly: an unknown name or a value that does not hold is an error.

use axum::extract::Query;
use jiff::{Timestamp, tz::TimeZone};

use super::error::Refusal;

/// What every one of Google's interfaces takes. Of these only `alt` has an effect here: it must be `json`.
const STANDARD: [&str; 7] = [
    "alt",
    "fields",
    "key",
    "oauth_token",
    "prettyPrint",
    "quotaUser",
    "userIp",
];

/// The parameters of one request, as they come: `Query` reads them.
pub(crate) type Raw = Query<Vec<(String, String)>>;

/// The parameters of one request, their names known.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// # Errors
    /// A name that is not among `known`, or stands there twice.
    pub(crate) fn new(Query(given): Raw, known: &[&str]) -> Result<Self, Refusal> {
        for (index, (name, _)) in given.iter().enumerate() {
            let is_known = known.contains(&name.as_str()) || STANDARD.contains(&name.as_str());
            let is_repeated = given[..index].iter().any(|(other, _)| other == name);
            if !is_known || is_repeated {
                let refusal = Refusal::invalid(format!("Unknown or repeated parameter: {name}"));
                return Err(refusal.at("parameter", name.clone()));
            }
        }
        let params = Self(given);
        params.one_of("alt", &["json"])?;
        Ok(params)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// False if it is not given.
    pub(crate) fn is_set(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.one_of(name, &["true", "false"])? == Some("true"))
    }

    pub(crate) fn one_of(&self, name: &str, values: &[&str]) -> Result<Option<&str>, Refusal> {
        let value = self.get(name);
        let wrong = value.filter(|value| !values.contains(value));
        wrong.map_or(Ok(value), |wrong| {
            Err(Refusal::invalid_parameter(name, wrong))
        })
    }

    /// A number from 1 on; a larger one than `most` is cut to it.
    pub(crate) fn count(&self, name: &str, default: usize, most: usize) -> Result<usize, Refusal> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        let count = text.parse().ok().filter(|count| *count > 0);
        let count: usize = count.ok_or_else(|| Refusal::invalid_parameter(name, text))?;
        Ok(count.min(most))
    }

    /// A point in time (RFC 3339, with an offset).
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        self.get(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| Refusal::invalid_parameter(name, text))
            })
            .transpose()
    }

    /// A zone by its IANA name.
    pub(crate) fn zone(&self, name: &str) -> Result<Option<TimeZone>, Refusal> {
        self.get(name)
            .map(|text| TimeZone::get(text).map_err(|_| Refusal::invalid_parameter(name, text)))
            .transpose()
    }
}
