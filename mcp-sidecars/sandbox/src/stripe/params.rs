//! What an endpoint takes: names, kinds and limits, checked before anything is done.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{error::ApiError, ledger::Params, money};

/// One parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    name: &'static str,
    kind: Kind,
    is_required: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// A text that may be empty, which unsets it.
    Unsettable,
    Email,
    Url,
    Currency,
    /// A whole number, not below the first nor above the second.
    Int(i64, i64),
    /// A decimal number as text, such as `1250` or `0.5`.
    Decimal,
    Bool,
    OneOf(&'static [&'static str]),
    /// Up to 50 texts of the caller; empty unsets.
    Metadata,
    /// Seconds since 1970, or limits of them.
    Created,
    Texts,
    Map(&'static [Field]),
    List(&'static [Field]),
}

pub(super) const fn optional(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        is_required: false,
    }
}

pub(super) const fn required(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        is_required: true,
    }
}

pub(super) const ANY_INT: Kind = Kind::Int(i64::MIN, i64::MAX);
pub(super) const TIME: Kind = Kind::Int(0, 253_402_300_799);
pub(super) const QUANTITY: Kind = Kind::Int(1, 999_999);
const LONGEST_TEXT: usize = 5000;
const RANGE: &[Field] = &[
    optional("gt", TIME),
    optional("gte", TIME),
    optional("lt", TIME),
    optional("lte", TIME),
];

/// The parameters with their kinds: numbers as numbers, lists as lists.
pub(super) fn check(fields: &[Field], given: &Params) -> Result<Params, ApiError> {
    object(fields, given, "")
}

fn object(fields: &[Field], given: &Params, path: &str) -> Result<Params, ApiError> {
    if let Some(name) = given
        .keys()
        .find(|name| fields.iter().all(|field| field.name != *name))
    {
        let param = join(path, name);
        let message = format!("Received unknown parameter: {param}");
        return Err(ApiError::invalid(message)
            .code("parameter_unknown")
            .param(&param));
    }
    let mut checked = Map::new();
    for field in fields {
        let param = join(path, field.name);
        match given.get(field.name) {
            Some(value) => {
                let value = check_kind(field.kind, value, &param)?;
                checked.insert(field.name.to_owned(), value);
            }
            None if field.is_required => {
                let message = format!("Missing required param: {param}.");
                return Err(ApiError::invalid(message)
                    .code("parameter_missing")
                    .param(&param));
            }
            None => {}
        }
    }
    Ok(checked)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}[{name}]")
    }
}

fn check_kind(kind: Kind, value: &Value, param: &str) -> Result<Value, ApiError> {
    match (kind, value) {
        (Kind::Map(fields), Value::Object(given)) => {
            object(fields, given, param).map(Value::Object)
        }
        (Kind::List(fields), Value::Object(given)) => {
            list(given, param, |value, param| match value {
                Value::Object(given) => object(fields, given, param).map(Value::Object),
                _ => Err(wrong("object", param)),
            })
        }
        (Kind::Texts, Value::Object(given)) => list(given, param, |value, param| {
            check_kind(Kind::Text, value, param)
        }),
        (Kind::Metadata, Value::Object(given)) => metadata(given, param),
        (Kind::Created, Value::Object(given)) => object(RANGE, given, param).map(Value::Object),
        (Kind::Map(_) | Kind::Metadata, Value::String(text)) if text.is_empty() => Ok(Value::Null),
        (Kind::Map(_) | Kind::Metadata, _) => Err(wrong("object", param)),
        (Kind::List(_) | Kind::Texts, _) => Err(wrong("array", param)),
        (_, Value::String(text)) => scalar(kind, text, param),
        _ => Err(wrong("string", param)),
    }
}

fn wrong(kind: &str, param: &str) -> ApiError {
    ApiError::invalid(format!("Invalid {kind}")).param(param)
}

/// An object with the keys `0`, `1`… as a list, in the order of the numbers.
fn list(
    given: &Params,
    param: &str,
    check: impl Fn(&Value, &str) -> Result<Value, ApiError>,
) -> Result<Value, ApiError> {
    let mut items = BTreeMap::new();
    for (index, value) in given {
        let param = join(param, index);
        let number: u32 = index.parse().map_err(|_| wrong("array", &param))?;
        items.insert(number, check(value, &param)?);
    }
    Ok(items.into_values().collect())
}

fn metadata(given: &Params, param: &str) -> Result<Value, ApiError> {
    if given.len() > 50 {
        return Err(ApiError::invalid("Metadata can have up to 50 keys.").param(param));
    }
    for (name, value) in given {
        let param = join(param, name);
        let Value::String(text) = value else {
            return Err(wrong("string", &param));
        };
        if name.chars().count() > 40 || text.chars().count() > 500 {
            let message = "Metadata keys have up to 40 characters, values up to 500.";
            return Err(ApiError::invalid(message).param(&param));
        }
    }
    Ok(Value::Object(given.clone()))
}

fn scalar(kind: Kind, text: &str, param: &str) -> Result<Value, ApiError> {
    if text.is_empty() {
        if matches!(kind, Kind::Unsettable) {
            return Ok(Value::Null);
        }
        let message = format!("You passed an empty string for '{param}'. Leave it out instead.");
        return Err(ApiError::invalid(message)
            .code("parameter_invalid_empty")
            .param(param));
    }
    if text.len() > LONGEST_TEXT {
        return Err(ApiError::invalid(format!("Invalid string: {param} is too long")).param(param));
    }
    let refused = |message: String, code| Err(ApiError::invalid(message).code(code).param(param));
    match kind {
        Kind::Int(least, most) => match text.parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(number.into()),
            Ok(number) if number < least => refused(
                format!("This value must be greater than or equal to {least}."),
                "parameter_invalid_integer",
            ),
            _ => refused(
                format!("Invalid integer: {text}"),
                "parameter_invalid_integer",
            ),
        },
        Kind::Bool => match text {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => Err(ApiError::invalid(format!("Invalid boolean: {text}")).param(param)),
        },
        Kind::Created => scalar(TIME, text, param),
        Kind::Decimal
            if text
                .parse::<f64>()
                .is_ok_and(|number| number >= 0.0 && number.is_finite()) =>
        {
            Ok(text.into())
        }
        Kind::Decimal => Err(ApiError::invalid(format!("Invalid decimal: {text}")).param(param)),
        Kind::OneOf(words) if words.contains(&text) => Ok(text.into()),
        Kind::OneOf(words) => {
            let message = format!("Invalid {param}: must be one of {}", words.join(", "));
            Err(ApiError::invalid(message).param(param))
        }
        Kind::Email if !is_email(text) => {
            refused(format!("Invalid email address: {text}"), "email_invalid")
        }
        Kind::Url if !is_url(text) => refused("Not a valid URL".to_owned(), "url_invalid"),
        Kind::Currency => match money::currency(text) {
            Some(code) => Ok(code.into()),
            None => Err(ApiError::invalid(format!("Invalid currency: {text}.")).param(param)),
        },
        _ => Ok(text.into()),
    }
}

fn is_email(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(name, host)| {
        !name.is_empty()
            && host.contains('.')
            && !host.contains('@')
            && !text.contains(char::is_whitespace)
    })
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            && !text.contains(|char: char| char.is_whitespace() || char.is_control())
    })
}
