//! What there is to read: the views of the schema `reporting`, with the comments of the migrations.

use mcp_kit::ToolError;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::{Error, Row, types::Type};

use crate::{errors::explain, pool::Pool};

const TABLES: &str = "
    SELECT c.relname::text, COALESCE(obj_description(c.oid, 'pg_class'), '') FROM pg_class c
    WHERE c.relnamespace = 'reporting'::regnamespace AND c.relkind = 'v' AND has_table_privilege(c.oid, 'SELECT')
    ORDER BY 1";
const COLUMNS: &str = "
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), COALESCE(col_description(c.oid, a.attnum), '')
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'reporting'::regnamespace AND c.relkind = 'v' AND has_table_privilege(c.oid, 'SELECT')
      AND c.relname = $1
    ORDER BY a.attnum";

/// A table that can be queried; a view, to be exact.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) description: String,
}

/// A table with its columns.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Described {
    #[serde(flatten)]
    pub(crate) table: Table,
    pub(crate) columns: Vec<Column>,
}

/// A column of a table.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// As Postgres calls it, e.g. `timestamp with time zone`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Empty where the name says it all.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(default)]
    pub(crate) description: String,
}

/// All tables, by name.
pub(crate) async fn tables(pool: &Pool) -> Result<Vec<Table>, ToolError> {
    ask(pool, TABLES, None, |row| {
        Ok(Table {
            name: row.try_get(0)?,
            description: row.try_get(1)?,
        })
    })
    .await
}

/// One table.
///
/// # Errors
/// There is none of that name.
pub(crate) async fn table(pool: &Pool, name: &str) -> Result<Described, ToolError> {
    let columns = ask(pool, COLUMNS, Some(name), |row| {
        Ok(Column {
            name: row.try_get(0)?,
            kind: row.try_get(1)?,
            description: row.try_get(2)?,
        })
    });
    let columns = columns.await?;
    let table = tables(pool)
        .await?
        .into_iter()
        .find(|table| table.name == name);
    let table = table.ok_or_else(|| {
        ToolError::not_found("there is no table of that name; list_tables shows all")
    })?;
    Ok(Described { table, columns })
}

async fn ask<T>(
    pool: &Pool,
    sql: &str,
    name: Option<&str>,
    read: impl Fn(&Row) -> Result<T, Error>,
) -> Result<Vec<T>, ToolError> {
    let lent = pool.session().await?;
    let params = name.as_ref().map(|name| (name as _, Type::TEXT));
    let rows = lent.client.query_typed(sql, params.as_slice()).await;
    let rows = rows.map_err(|error| explain(&error, "", &lent))?;
    lent.give_back();
    rows.iter()
        .map(read)
        .collect::<Result<_, _>>()
        .map_err(ToolError::internal)
}
