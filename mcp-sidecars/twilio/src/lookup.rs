//! What a number is.

use std::sync::Arc;

use mcp_kit::{Call, Outgoing, Tool, ToolError, Tools};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use validator::{Validate, ValidationError};

use crate::twilio::Twilio;

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct LookupNumber {
    /// A phone number in E.164 (+14155550100), or as it is written in `country`.
    #[validate(custom(function = check_number))]
    number: String,
    /// ISO 3166-1 code of the country, such as GB, for a number without its country code.
    #[validate(custom(function = check_country))]
    country: Option<String>,
    /// Also whether it is a mobile, a landline or else: Twilio charges for that.
    #[serde(default)]
    line_type: bool,
}

/// What is known of a number.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    /// Whether such a number can exist; not whether anybody answers.
    valid: bool,
    /// In E.164: what `send_sms` takes.
    number: Option<String>,
    national_format: Option<String>,
    /// ISO 3166-1.
    country: Option<String>,
    /// Why it is not valid, such as `TOO_SHORT`.
    validation_errors: Vec<String>,
    /// `mobile`, `landline`, `fixedVoip`, `nonFixedVoip`, `tollFree`, …; `null` if it was not asked for or is not known.
    line_type: Option<String>,
    carrier: Option<String>,
}

#[derive(Deserialize)]
struct Resource {
    valid: bool,
    phone_number: Option<String>,
    national_format: Option<String>,
    country_code: Option<String>,
    validation_errors: Option<Vec<String>>,
    line_type_intelligence: Option<Line>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: Option<String>,
    carrier_name: Option<String>,
}

pub(crate) fn add(tools: Tools, twilio: &Arc<Twilio>) -> anyhow::Result<Tools> {
    let twilio = Arc::clone(twilio);
    let tool = Tool::new(
        "lookup_number",
        "Whether a phone number is valid, its E.164 form and country, and if asked whether it is a mobile. Sends nothing.",
        move |call: Call, arguments: LookupNumber| {
            let twilio = Arc::clone(&twilio);
            async move { lookup(&twilio, &call, arguments).await }
        },
    );
    tools.with(tool.read_only())
}

async fn lookup(twilio: &Twilio, call: &Call, asked: LookupNumber) -> Result<Found, ToolError> {
    let access = twilio.access(call)?;
    let mut request = Outgoing::new(Method::GET, ["v2", "PhoneNumbers", &asked.number]);
    if let Some(country) = asked.country {
        request = request.query("CountryCode", country);
    }
    if asked.line_type {
        request = request.query("Fields", "line_type_intelligence");
    }
    let found: Resource = access.ask(call, &twilio.lookups, request).await?;
    let (line_type, carrier) = found
        .line_type_intelligence
        .map_or((None, None), |line| (line.kind, line.carrier_name));
    Ok(Found {
        valid: found.valid,
        number: found.phone_number.filter(|_| found.valid),
        national_format: found.national_format,
        country: found.country_code,
        validation_errors: found.validation_errors.unwrap_or_default(),
        line_type,
        carrier,
    })
}

fn check_number(text: &str) -> Result<(), ValidationError> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_plain = text
        .chars()
        .all(|char| char.is_ascii_digit() || "+ -.()".contains(char));
    if is_plain && (3..=20).contains(&digits) && text.len() <= 40 {
        return Ok(());
    }
    let mut error = ValidationError::new("number");
    error.message = Some("3 to 20 digits, with + ( ) . - and spaces at most".into());
    Err(error)
}

fn check_country(text: &str) -> Result<(), ValidationError> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(());
    }
    let mut error = ValidationError::new("country");
    error.message = Some("two capital letters (ISO 3166-1), such as GB".into());
    Err(error)
}
