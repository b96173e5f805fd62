//! The rows of an answer, as JSON or as CSV.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    catalogue::cells::neutralise,
    extract::prefers_csv,
    problem::Problem,
};

/// What a query found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct QueryResult {
    pub columns: Vec<Column>,
    /// A value for each column; what JSON cannot hold exactly (numeric, large integers) is text.
    #[schema(value_type = Vec<Vec<Value>>)]
    pub rows: Vec<Vec<Value>>,
    pub row_count: u64,
    /// There was more than is shown.
    pub truncated: bool,
    /// What cut it off: `rows`, `bytes` or `cells`; null when nothing did.
    #[serde(default)]
    pub truncated_by: Option<String>,
}

/// A column of an answer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Column {
    pub name: String,
    /// As Postgres calls it, e.g. `numeric`.
    #[serde(rename = "type")]
    pub data_type: String,
}

impl QueryResult {
    /// CSV (RFC 4180) where `Accept` prefers it, else JSON. A CSV that was cut off says so in the header `Truncated-By`.
    pub fn respond(self, headers: &HeaderMap) -> Result<Response, Problem> {
        if !prefers_csv(headers) {
            return Ok(Json(self).into_response());
        }
        let mut response = (
            [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"insights.csv\""),
            ],
            self.csv()?,
        )
            .into_response();
        if self.truncated {
            let by = self.truncated_by.as_deref().unwrap_or("rows");
            let by = HeaderValue::from_str(by).map_err(anyhow::Error::from)?;
            response.headers_mut().insert("truncated-by", by);
        }
        Ok(response)
    }

    fn csv(&self) -> Result<Vec<u8>, Problem> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let names = self.columns.iter().map(|column| neutralise(column.name.clone()));
        writer.write_record(names).map_err(anyhow::Error::from)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(cell)).map_err(anyhow::Error::from)?;
        }
        let written = writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(written)
    }
}

/// Null is empty; text that a spreadsheet would take for a formula is neutralised.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => neutralise(text.clone()),
        other => other.to_string(),
    }
}
