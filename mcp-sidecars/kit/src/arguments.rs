//! Arguments from JSON: serde reads them, `validator` checks them, and every error names its field.

use rmcp::model::JsonObject;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use validator::{Validate, ValidationErrors, ValidationErrorsKind};

use crate::error::ToolError;

/// Reads and checks arguments; the error has a JSON pointer (RFC 6901, as URI fragment) for each field.
pub(crate) fn read<A: DeserializeOwned + Validate>(arguments: JsonObject) -> Result<A, ToolError> {
    let arguments: A =
        serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
            let path = error.path().to_string();
            let pointer = if path == "." {
                String::new()
            } else {
                format!("/{}", path.replace(['.', '['], "/").replace(']', ""))
            };
            ToolError::field(&pointer, "type", &error.into_inner().to_string())
        })?;
    arguments.validate().map_err(|errors| {
        let mut fields = Vec::new();
        collect(&errors, "", &mut fields);
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

fn collect(errors: &ValidationErrors, path: &str, fields: &mut Vec<Field>) {
    for (name, kind) in errors.errors() {
        let pointer = format!("{path}/{name}");
        match kind {
            ValidationErrorsKind::Struct(inner) => collect(inner, &pointer, fields),
            ValidationErrorsKind::List(items) => {
                for (index, inner) in items {
                    collect(inner, &format!("{pointer}/{index}"), fields);
                }
            }
            ValidationErrorsKind::Field(errors) => fields.extend(errors.iter().map(|error| {
                Field {
                    pointer: format!("#{pointer}"),
                    code: error.code.to_string(),
                    detail: error
                        .message
                        .as_ref()
                        .map_or_else(|| rule(error), ToString::to_string),
                }
            })),
        }
    }
    fields.sort_by(|a, b| a.pointer.cmp(&b.pointer));
}

/// The broken rule with its limits, never the value.
fn rule(error: &validator::ValidationError) -> String {
    let mut limits: Vec<String> = error
        .params
        .iter()
        .filter(|(name, _)| *name != "value" && *name != "other")
        .map(|(name, limit)| format!("{name} {limit}"))
        .collect();
    limits.sort();
    if limits.is_empty() {
        format!("breaks the rule {}", error.code)
    } else {
        format!("breaks the rule {} ({})", error.code, limits.join(", "))
    }
}
