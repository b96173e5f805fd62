//! Steps that a person does: with `approval` such a step waits until somebody says that it is done.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmInput {
    what: String,
}

#[derive(Debug, Serialize)]
pub struct ConfirmOutput {
    confirmed: String,
}

/// Writes down what was confirmed; nothing else happens.
pub fn confirm(input: ConfirmInput) -> ConfirmOutput {
    ConfirmOutput {
        confirmed: input.what,
    }
}

pub fn confirm_schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["what"],
        "properties": { "what": { "type": "string", "description": "What the person has done or looked at." } },
    })
}
