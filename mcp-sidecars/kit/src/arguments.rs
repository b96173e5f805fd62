//! Arguments from JSON: serde reads them, `validator` checks them, and every error names its field.

use rmcp::model::JsonObject;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use crate::error::ToolError;

/// Where `validator` puts what is wrong with the whole.
const WHOLE: &str = "__all__";

/// Reads and checks arguments; the error has a JSON pointer (RFC 6901, as URI fragment) for each field.
pub(crate) fn read<A: DeserializeOwned + Validate>(arguments: JsonObject) -> Result<A, ToolError> {
    let arguments: A =
        serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
            let path = pointer(error.path());
            unread(&path, &error.into_inner().to_string())
        })?;
    arguments.validate().map_err(|errors| {
        let mut fields = Vec::new();
        collect(&errors, "", &mut fields);
        fields.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        invalid(&fields)
    })?;
    Ok(arguments)
}

#[derive(Serialize)]
struct Field {
    pointer: String,
    code: String,
    detail: String,
}

fn invalid(fields: &[Field]) -> ToolError {
    let message = match fields {
        [one] => format!("{}: {}", one.pointer, one.detail),
        many => format!("{} arguments do not hold; see errors", many.len()),
    };
    ToolError::invalid(message).with_details(json!({ "errors": fields }))
}

/// What serde could not read. Which field is missing it tells in its words only.
fn unread(path: &str, words: &str) -> ToolError {
    let missing = words
        .strip_prefix("missing field `")
        .and_then(|words| words.strip_suffix('`'));
    match missing {
        Some(name) => ToolError::field(
            &format!("{path}/{}", escaped(name)),
            "required",
            "is required",
        ),
        None => ToolError::field(path, "type", words),
    }
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escaped(key),
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    pointer
}

/// `~` and `/` inside a name (RFC 6901).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn collect(errors: &ValidationErrors, path: &str, fields: &mut Vec<Field>) {
    for (name, kind) in errors.errors() {
        let pointer = if name == WHOLE {
            path.to_owned()
        } else {
            format!("{path}/{}", escaped(name))
        };
        match kind {
            ValidationErrorsKind::Struct(inner) => collect(inner, &pointer, fields),
            ValidationErrorsKind::List(items) => {
                for (index, inner) in items {
                    collect(inner, &format!("{pointer}/{index}"), fields);
                }
            }
            ValidationErrorsKind::Field(errors) => fields.extend(errors.iter().map(|error| {
                let own = error.message.as_ref();
                Field {
                    pointer: format!("#{pointer}"),
                    code: error.code.to_string(),
                    detail: own.map_or_else(|| rule(error), ToString::to_string),
                }
            })),
        }
    }
}

/// The broken rule with its limits, never the value.
fn rule(error: &ValidationError) -> String {
    let limit = |name| error.params.get(name).map(ToString::to_string);
    match &*error.code {
        "length" => {
            let unit = match error.params.get("value") {
                Some(Value::Array(_)) => "items",
                Some(Value::Object(_)) => "members",
                _ => "characters",
            };
            let exactly = limit("equal");
            let (least, most) = (exactly.clone().or_else(|| limit("min")), limit("max"));
            format!("must have {} {unit}", between(least, exactly.or(most)))
        }
        "range" => format!("must be {}", between(limit("min"), limit("max"))),
        "email" => "must be an e-mail address".to_owned(),
        "url" => "must be a URL".to_owned(),
        "required" => "is required".to_owned(),
        other => format!("does not hold ({other})"),
    }
}

fn between(least: Option<String>, most: Option<String>) -> String {
    match (least, most) {
        (Some(least), Some(most)) if least == most => format!("exactly {least}"),
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => "another number".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[validate(schema(function = "agree"))]
    struct Order {
        #[validate(length(min = 1, max = 5))]
        body: String,
        #[validate(nested)]
        #[serde(default)]
        items: Vec<Item>,
        #[validate(length(max = 1))]
        #[serde(default)]
        tags: Vec<String>,
        #[validate(range(min = 1, max = 3))]
        #[serde(default = "one")]
        times: u8,
        #[validate(email)]
        to: Option<String>,
    }

    #[derive(Debug, Deserialize, Validate)]
    struct Item {
        #[validate(length(min = 1))]
        name: String,
    }

    fn one() -> u8 {
        1
    }

    fn agree(order: &Order) -> Result<(), ValidationError> {
        if order.body == "never" {
            return Err(ValidationError::new("never").with_message("must not be".into()));
        }
        Ok(())
    }

    #[test]
    fn every_fault_is_told_with_its_place_in_plain_words() {
        let cases = [
            (json!({}), "#/body", "required", "is required"),
            (
                json!({ "body": "a", "items": [{}] }),
                "#/items/0/name",
                "required",
                "is required",
            ),
            (
                json!({ "body": "" }),
                "#/body",
                "length",
                "must have 1 to 5 characters",
            ),
            (
                json!({ "body": "a", "items": [{ "name": "" }] }),
                "#/items/0/name",
                "length",
                "must have at least 1 characters",
            ),
            (
                json!({ "body": "a", "tags": ["a", "b"] }),
                "#/tags",
                "length",
                "must have at most 1 items",
            ),
            (
                json!({ "body": "a", "times": 4 }),
                "#/times",
                "range",
                "must be 1 to 3",
            ),
            (
                json!({ "body": "a", "to": "x" }),
                "#/to",
                "email",
                "must be an e-mail address",
            ),
            (json!({ "body": "never" }), "#", "never", "must not be"),
        ];
        for (arguments, pointer, code, detail) in cases {
            let Value::Object(object) = arguments.clone() else {
                unreachable!("all are objects");
            };
            let details = read::<Order>(object).unwrap_err().details.unwrap();
            assert_eq!(
                details["errors"],
                json!([{ "pointer": pointer, "code": code, "detail": detail }]),
                "{arguments}"
            );
        }
    }
}
