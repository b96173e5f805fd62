//! Steps that a person does: with `approval` such a step waits until somebody says that it is done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmInput {
    /// What the person has done or looked at.
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
