//! Parameters as text, so that Postgres itself reads them as the type that it found for them.

use std::error::Error;

use bytes::BytesMut;
use mcp_kit::ToolError;
use serde_json::Value;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

use crate::literals::array_literal;

/// A value in Postgres' text form, or NULL.
#[derive(Debug)]
pub(crate) struct TextParam(Option<String>);

impl TextParam {
    /// The values with the types that they are for.
    ///
    /// # Errors
    /// Too many, too few, or a value of the wrong kind, with its JSON pointer.
    pub(crate) fn fit(values: &[Value], types: &[Type]) -> Result<Vec<(Self, Type)>, ToolError> {
        if values.len() != types.len() {
            let detail = format!(
                "the statement has {} parameters, {} were given",
                types.len(),
                values.len()
            );
            return Err(ToolError::field("/params", "length", &detail));
        }
        let pairs = values.iter().zip(types).enumerate();
        pairs
            .map(|(index, (value, ty))| {
                let text = text(value, ty).map_err(|detail| {
                    ToolError::field(&format!("/params/{index}"), "type", &detail)
                })?;
                Ok((Self(text), ty.clone()))
            })
            .collect()
    }
}

fn text(value: &Value, ty: &Type) -> Result<Option<String>, String> {
    let text = match value {
        Value::Null => return Ok(None),
        _ if [Type::JSON, Type::JSONB].contains(ty) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Array(items) if matches!(ty.kind(), Kind::Array(_)) => array_literal(items)?,
        Value::Array(_) | Value::Object(_) => {
            return Err(format!(
                "does not fit the type {}; cast it: $1::jsonb",
                ty.name()
            ));
        }
    };
    if text.contains('\0') {
        return Err("must not contain the character U+0000".to_owned());
    }
    Ok(Some(text))
}

impl ToSql for TextParam {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(text) = &self.0 else {
            return Ok(IsNull::Yes);
        };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}
