//! Importing a CSV file: every row that holds is applied, every other one is told apart.

use std::collections::HashMap;

use axum::http::StatusCode;
use csv::StringRecord;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::{
    cells::{self, Column, Context, Kind},
    reader,
};
use crate::{
    changes,
    extract::field_errors,
    problem::{FieldError, Problem},
    work::{Answer, Work},
};

/// The largest body of an import, in bytes.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
/// How many rows one statement writes.
pub const CHUNK: usize = 1_000;

/// What became of an import: of each row, and how many of each kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportReport {
    pub created: usize,
    pub updated: usize,
    pub unchanged: usize,
    pub failed: usize,
    /// One for each row, in the order of the file.
    pub items: Vec<ImportItem>,
}

/// What became of a row.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportItem {
    /// The line on which the row begins; the header is on line 1.
    pub line: usize,
    pub external_id: Option<String>,
    pub outcome: ImportOutcome,
    /// None when it failed.
    pub id: Option<Uuid>,
    /// Why it failed; each `pointer` names the column, such as `#/hire_fee`.
    pub errors: Vec<FieldError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ImportOutcome {
    Created,
    Updated,
    /// It was the same before.
    Unchanged,
    /// Nothing was done for this row; the others are not affected.
    Failed,
}

impl ImportReport {
    /// 207 Multi-Status.
    pub fn answer(&self) -> Result<Answer, Problem> {
        Ok(Answer {
            status: StatusCode::MULTI_STATUS,
            ..Answer::plain(self)?
        })
    }

    /// The report of these rows, and the one audit row of the import.
    pub async fn record(
        work: &mut Work,
        organization_id: Uuid,
        action: &str,
        items: Vec<ImportItem>,
    ) -> Result<Self, Problem> {
        let count = |outcome| items.iter().filter(|item| item.outcome == outcome).count();
        let [created, updated, unchanged, failed] = [
            ImportOutcome::Created,
            ImportOutcome::Updated,
            ImportOutcome::Unchanged,
            ImportOutcome::Failed,
        ]
        .map(count);
        let counts = serde_json::json!({
            "created": created, "updated": updated, "unchanged": unchanged, "failed": failed
        });
        work.audit(
            action,
            ("organization", organization_id),
            None::<&()>,
            Some(&counts),
        )
        .await?;
        let thing = action.trim_end_matches(".imported");
        for (outcome, verb) in [
            (ImportOutcome::Created, "created"),
            (ImportOutcome::Updated, "updated"),
        ] {
            let of_outcome = items.iter().filter(|item| item.outcome == outcome);
            let ids: Vec<_> = of_outcome.filter_map(|item| item.id).collect();
            changes::record_many(work, &format!("{thing}.{verb}"), &ids).await?;
        }
        Ok(Self {
            created,
            updated,
            unchanged,
            failed,
            items,
        })
    }
}

/// What an import comes to: the things to write, with their ids, and what becomes of each row.
#[derive(Debug)]
pub struct Met<N> {
    pub writes: Vec<(Uuid, N)>,
    pub items: Vec<ImportItem>,
}

/// A file whose cells have been read.
#[derive(Debug)]
pub struct Import {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    line: usize,
    external_id: Option<String>,
    /// The field of each column of the file; none for an empty cell.
    fields: Vec<(&'static str, Option<Value>)>,
    errors: Vec<FieldError>,
}

impl Import {
    /// Reads a file. 400 when it is not UTF-8, 422 when the header is wrong or it has too many
    /// rows; what is wrong with single rows is kept for `meet`.
    pub fn read(csv: &[u8], known: &'static [Column]) -> Result<Self, Problem> {
        let file = reader::read(csv, known)?;
        let read = |raw: &reader::RawRow| match row_fault(raw, &file) {
            Some(fault) => Row {
                line: raw.line,
                external_id: None,
                fields: Vec::new(),
                errors: vec![fault],
            },
            None => row(raw.line, &raw.cells, &file),
        };
        let mut rows: Vec<_> = file.rows.iter().map(read).collect();
        refuse_repeated(&mut rows);
        Ok(Self { rows })
    }

    /// The external ids of the rows that may be applied.
    pub fn external_ids(&self) -> Vec<String> {
        let sound = self.rows.iter().filter(|row| row.errors.is_empty());
        sound.filter_map(|row| row.external_id.clone()).collect()
    }

    /// Holds the rows against what is there, `current`. A row changes the fields whose columns the
    /// file has; an empty cell sets the default. `normalize` is what the JSON route does to a new
    /// thing before it is written.
    pub fn meet<N: Serialize + DeserializeOwned + Validate>(
        self,
        current: &[impl Serialize],
        read_only: &[&str],
        normalize: impl Fn(N) -> N,
        new_id: impl Fn() -> Uuid,
    ) -> Result<Met<N>, Problem> {
        let current = by_external_id(current)?;
        let mut writes = Vec::new();
        let mut items = Vec::new();
        for mut row in self.rows {
            let before = row.external_id.as_ref().and_then(|id| current.get(id));
            let wanted = row.wanted::<N>(before, read_only);
            let (outcome, id) = match (wanted, before) {
                (None, _) => (ImportOutcome::Failed, None),
                (Some(new), before) => {
                    let new = normalize(new);
                    let outcome = outcome(before, read_only, &new)?;
                    let id = before.and_then(id_of).unwrap_or_else(&new_id);
                    if outcome != ImportOutcome::Unchanged {
                        writes.push((id, new));
                    }
                    (outcome, Some(id))
                }
            };
            items.push(ImportItem {
                line: row.line,
                external_id: row.external_id,
                outcome,
                id,
                errors: row.errors,
            });
        }
        Ok(Met { writes, items })
    }
}

impl Row {
    /// The thing as it would be, or none and the reasons in `errors`.
    fn wanted<N: DeserializeOwned + Validate>(
        &mut self,
        before: Option<&Map<String, Value>>,
        read_only: &[&str],
    ) -> Option<N> {
        if !self.errors.is_empty() {
            return None;
        }
        let mut wanted = before
            .map(|before| writable(before, read_only))
            .unwrap_or_default();
        for (name, value) in self.fields.drain(..) {
            match value {
                Some(value) => wanted.insert(name.to_owned(), value),
                None => wanted.remove(name),
            };
        }
        let new: N = match serde_path_to_error::deserialize(Value::Object(wanted)) {
            Ok(new) => new,
            Err(error) => {
                let column = error.path().to_string();
                let column = column.split(['.', '[']).next().unwrap_or_default();
                self.errors
                    .push(at(column, "invalid", error.inner().to_string()));
                return None;
            }
        };
        if let Err(errors) = new.validate() {
            self.errors = field_errors(&errors).into_iter().map(of_column).collect();
            return None;
        }
        Some(new)
    }
}

fn row_fault(raw: &reader::RawRow, file: &reader::File) -> Option<FieldError> {
    if raw.open_quote {
        return Some(FieldError::new(
            "",
            "quotes",
            "a quotation mark is left open or not doubled",
        ));
    }
    let (cells, columns) = (raw.cells.len(), file.columns.len());
    let detail = format!("has {cells} cells where the header has {columns}");
    (cells != columns).then(|| FieldError::new("", "cells", detail))
}

fn row(line: usize, record: &StringRecord, file: &reader::File) -> Row {
    let cells = || {
        file.columns
            .iter()
            .copied()
            .zip(record.iter().map(cells::restore))
    };
    let code = cells()
        .find(|(column, _)| column.kind == Kind::Currency)
        .map(|(_, cell)| cell.trim());
    let context = Context {
        currency: code.and_then(|code| code.parse().ok()),
        decimal_comma: file.decimal_comma,
    };
    let mut row = Row {
        line,
        external_id: None,
        fields: Vec::new(),
        errors: Vec::new(),
    };
    for (column, cell) in cells() {
        let empty = if column.kind == Kind::Text {
            cell.is_empty()
        } else {
            cell.trim().is_empty()
        };
        if empty && column.required {
            row.errors
                .push(at(column.name, "required", "must not be empty".into()));
        } else if column.kind == Kind::Currency && context.currency.is_none() {
            row.errors.push(at(
                column.name,
                "currency",
                "must be an ISO 4217 code such as USD".into(),
            ));
        } else if empty {
            row.fields.push((column.name, None));
        } else {
            match cells::parse(column.kind, cell, context) {
                Ok(value) => row.fields.push((column.name, Some(value))),
                Err((code, detail)) => row.errors.push(at(column.name, code, detail)),
            }
        }
    }
    // The fields have their currency with each amount.
    row.fields.retain(|(name, _)| *name != "currency");
    let external_id = row.fields.iter().find(|(name, _)| *name == "external_id");
    row.external_id =
        external_id.and_then(|(_, value)| value.as_ref()?.as_str().map(str::to_owned));
    row
}

/// The first row with an external id is taken; later ones fail and name its line.
fn refuse_repeated(rows: &mut [Row]) {
    let mut first = HashMap::new();
    for row in rows {
        let Some(external_id) = &row.external_id else {
            continue;
        };
        let line = *first.entry(external_id.clone()).or_insert(row.line);
        if line != row.line {
            row.errors.push(at(
                "external_id",
                "repeated",
                format!("is on line {line} already"),
            ));
        }
    }
}

fn by_external_id(
    things: &[impl Serialize],
) -> Result<HashMap<String, Map<String, Value>>, Problem> {
    let mut found = HashMap::new();
    for thing in things {
        if let Value::Object(fields) = serde_json::to_value(thing).map_err(anyhow::Error::from)? {
            found.extend(
                fields["external_id"]
                    .as_str()
                    .map(str::to_owned)
                    .map(|id| (id, fields)),
            );
        }
    }
    Ok(found)
}

fn outcome(
    before: Option<&Map<String, Value>>,
    read_only: &[&str],
    new: &impl Serialize,
) -> Result<ImportOutcome, Problem> {
    let Some(before) = before else {
        return Ok(ImportOutcome::Created);
    };
    let new = serde_json::to_value(new).map_err(anyhow::Error::from)?;
    let same = new == Value::Object(writable(before, read_only));
    Ok(if same {
        ImportOutcome::Unchanged
    } else {
        ImportOutcome::Updated
    })
}

fn writable(fields: &Map<String, Value>, read_only: &[&str]) -> Map<String, Value> {
    let fields = fields
        .iter()
        .filter(|(name, _)| !read_only.contains(&name.as_str()));
    fields
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn id_of(fields: &Map<String, Value>) -> Option<Uuid> {
    fields["id"].as_str()?.parse().ok()
}

fn at(column: &str, code: &'static str, detail: String) -> FieldError {
    FieldError::new(
        &if column.is_empty() {
            String::new()
        } else {
            format!("/{column}")
        },
        code,
        detail,
    )
}

/// `#/hire_fee/amount` is in the column `#/hire_fee`.
fn of_column(error: FieldError) -> FieldError {
    let pointer = error.pointer.unwrap_or_default();
    let column = pointer.split('/').take(2).collect::<Vec<_>>().join("/");
    FieldError {
        pointer: Some(column),
        ..error
    }
}
