//! The rows of an answer, as JSON or as CSV.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::{
    catalogue::cells::neutralise, extract::prefers_csv, problem::Problem,
    sidecars::postgres::QueryResult,
};

/// CSV (RFC 4180) where `Accept` prefers it, else JSON. A CSV that was cut off says so in the header `Truncated-By`.
pub(super) fn respond(result: QueryResult, headers: &HeaderMap) -> Result<Response, Problem> {
    if !prefers_csv(headers) {
        return Ok(Json(result).into_response());
    }
    let mut response = (
        [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
            (
                header::CONTENT_DISPOSITION,
                "attachment; filename=\"insights.csv\"",
            ),
        ],
        csv(&result)?,
    )
        .into_response();
    if let Some(by) = &result.truncated_by {
        let by = HeaderValue::from_str(by).map_err(anyhow::Error::from)?;
        response.headers_mut().insert("truncated-by", by);
    }
    Ok(response)
}

fn csv(result: &QueryResult) -> Result<Vec<u8>, Problem> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = result
        .columns
        .iter()
        .map(|column| neutralise(column.name.clone()));
    writer.write_record(names).map_err(anyhow::Error::from)?;
    for row in &result.rows {
        writer
            .write_record(row.iter().map(cell))
            .map_err(anyhow::Error::from)?;
    }
    let written = writer
        .into_inner()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(written)
}

/// Null is empty; text that a spreadsheet would take for a formula is neutralised.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => neutralise(text.clone()),
        other => other.to_string(),
    }
}
