//! What venues and caterers share: rules for their fields, blocked dates, and their CSV form.

use jiff::tz::TimeZone;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use crate::{extract, money::Currency, problem::Problem, text::fold};

pub mod area;
pub mod blocked_dates;
mod cancellation;
pub mod cells;
pub mod export;
pub mod import;
mod queries;
mod reader;
pub use cancellation::{CancellationTerm, cancellation_terms, fee_bps};
pub use cells::{Column, Kind};

/// A lower-case word such as `gluten_free`. Capitals, spaces and hyphens are understood:
/// `Gluten free` is kept as `gluten_free`.
#[derive(ToSchema)]
#[schema(
    min_length = 1,
    max_length = 50,
    pattern = r"^[^|]*[^|\s][^|]*$",
    example = "gluten_free"
)]
pub struct Word(#[expect(dead_code, reason = "only its schema is used")] String);

/// How an export is written.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportOptions {
    /// Begin with a byte order mark, by which spreadsheet programs know UTF-8.
    #[serde(default)]
    #[param(required = false)]
    pub bom: bool,
}

/// The CSV body of an import. 415 when it does not say that it is CSV, 413 over the route's limit.
pub struct Csv(pub axum::body::Bytes);

impl<S: Send + Sync> axum::extract::FromRequest<S> for Csv {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(extract::body_of(request, state, "text/csv").await?))
    }
}

/// The key by which a city is found. Folding can make text longer; an index entry has its limit.
pub fn city_key(city: &str) -> String {
    fold(city).chars().take(200).collect()
}

/// The most that something may cost, in minor units: without a currency it says nothing.
pub fn price_cap(amount: Option<i64>, currency: Option<Currency>) -> Result<Option<i64>, Problem> {
    if amount.is_some() && currency.is_none() {
        return Err(Problem::parameter(
            "currency",
            "required",
            "a price needs its currency",
        ));
    }
    Ok(amount)
}

/// Text as the full-text search reads it, and as `search` folds what is searched for.
pub fn search_text<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    fold(&parts.into_iter().collect::<Vec<_>>().join(" "))
}

/// The zone's name in its usual spelling; unknown ones unchanged, validation refuses them.
pub fn time_zone_name(name: &str) -> String {
    let zone = TimeZone::get(name).ok();
    zone.as_ref()
        .and_then(TimeZone::iana_name)
        .unwrap_or(name)
        .to_owned()
}

/// Validates an IANA time zone name.
pub fn time_zone(name: &str) -> Result<(), ValidationError> {
    if TimeZone::get(name).is_ok_and(|zone| !zone.is_unknown()) {
        return Ok(());
    }
    Err(error(
        "time_zone",
        "must be an IANA time zone such as America/Los_Angeles",
    ))
}

/// Validates the form of an ISO 3166-1 code.
pub fn country(code: &str) -> Result<(), ValidationError> {
    if code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(error(
        "country",
        "must be two capital letters (ISO 3166-1) such as US",
    ))
}

/// Validates words as in [`Word`]. A `|` would part them in a CSV cell.
pub fn words(words: &[String]) -> Result<(), ValidationError> {
    let fits = |word: &String| {
        !word.trim().is_empty() && word.chars().count() <= 50 && !word.contains('|')
    };
    if words.iter().all(fits) {
        return Ok(());
    }
    Err(error("words", "each must have 1 to 50 characters and no |"))
}

fn error(code: &'static str, message: &'static str) -> ValidationError {
    ValidationError::new(code).with_message(message.into())
}
