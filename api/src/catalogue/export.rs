//! Exporting as CSV, page by page, in the form that an import reads.

use std::io;

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::cells::{self, Column, Kind};
use crate::problem::Problem;

/// How many things are read and held at a time.
pub const PAGE: i64 = 500;

/// A download of everything that `page` gives: up to `PAGE` things with an `id` above the given
/// one, by id. Trouble with the first page is a problem; later it breaks the download off.
pub async fn download<T, F, P>(
    file_name: &str,
    columns: &'static [Column],
    bom: bool,
    page: P,
) -> Result<Response, Problem>
where
    T: Serialize,
    F: Future<Output = sqlx::Result<Vec<T>>> + Send,
    P: Fn(Option<Uuid>) -> F + Send + Sync + 'static,
{
    let mut head = if bom {
        "\u{feff}".as_bytes().to_vec()
    } else {
        Vec::new()
    };
    head.extend(write([columns
        .iter()
        .map(|column| column.name.to_owned())
        .collect()])?);
    let (first, last) = render(columns, &page(None).await?)?;
    let start = stream::iter([Ok(head), Ok(first)]);
    let rest = stream::try_unfold((page, last), move |(page, last)| async move {
        let Some(last) = last else { return Ok(None) };
        let next = page(Some(last))
            .await
            .map_err(Problem::from)
            .and_then(|things| render(columns, &things));
        match next {
            Ok((rows, last)) => Ok(Some((rows, (page, last)))),
            Err(problem) => {
                tracing::error!(?problem, "an export broke off");
                Err(io::Error::other("the export broke off"))
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{file_name}\""),
        ),
    ];
    Ok((headers, Body::from_stream(start.chain(rest))).into_response())
}

/// The rows of a page, and the id after which the next one starts; none after the last page.
fn render(
    columns: &[Column],
    things: &[impl Serialize],
) -> Result<(Vec<u8>, Option<Uuid>), Problem> {
    let mut records = Vec::with_capacity(things.len());
    let mut last = None;
    for thing in things {
        let Value::Object(mut fields) = serde_json::to_value(thing).map_err(anyhow::Error::from)?
        else {
            continue;
        };
        last = fields
            .get("id")
            .and_then(Value::as_str)
            .and_then(|id| id.parse().ok());
        fields.insert("currency".to_owned(), cells::currency_of(columns, &fields));
        records.push(
            columns
                .iter()
                .map(|column| cell(column, fields.get(column.name)))
                .collect::<Vec<_>>(),
        );
    }
    let full = i64::try_from(things.len()).is_ok_and(|count| count >= PAGE);
    Ok((write(records)?, last.filter(|_| full)))
}

fn cell(Column { kind, .. }: &Column, value: Option<&Value>) -> String {
    let text = cells::render(*kind, value.unwrap_or(&Value::Null));
    // Only what people wrote can be a formula, and what is calculated must stay a number.
    if matches!(kind, Kind::Decimal) {
        text
    } else {
        cells::neutralise(text)
    }
}

fn write(records: impl IntoIterator<Item = Vec<String>>) -> Result<Vec<u8>, Problem> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer.write_record(record).map_err(anyhow::Error::from)?;
    }
    Ok(writer
        .into_inner()
        .map_err(|error| anyhow::anyhow!("{error}"))?)
}
