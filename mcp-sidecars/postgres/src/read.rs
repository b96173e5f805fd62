//! Running SQL of others: a cursor of one statement in a transaction that is rolled back, sent as one batch.
//!
//! The caller's text goes into `prepare` and `query_typed` only: the extended protocol, which takes one statement. What
//! goes through `batch_execute` and `simple_query_raw`, the simple protocol, is made of constants, a UUID and a number.

use futures_util::{StreamExt, future, pin_mut};
use mcp_kit::ToolError;
use serde_json::Value;
use tokio_postgres::{
    Error, SimpleQueryMessage, SimpleQueryRow, Statement,
    types::{ToSql, Type},
};
use uuid::Uuid;

use crate::{
    connect::Session,
    errors::explain,
    params::TextParam,
    pool::Lent,
    values::{Cell, cell},
};

/// Accepts SELECT, VALUES, TABLE and WITH, and in WITH nothing that changes data.
const CURSOR: &str = "DECLARE c NO SCROLL CURSOR FOR\n";
/// No costs: estimates tell about rows of other organizations.
const PLAN: &str = "EXPLAIN (COSTS OFF) DECLARE c NO SCROLL CURSOR FOR\n";
/// Room for the rows in JSON; what goes round them has the rest of the kit's 1 MiB.
const ROWS_LIMIT: usize = 768 * 1024;
const MOST_COLUMNS: usize = 256;

/// Rows as they go out.
pub(crate) struct Fetched {
    pub(crate) columns: Vec<(String, Type)>,
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) cut_cells: usize,
    pub(crate) truncated_by: Option<&'static str>,
}

/// SQL of a caller.
pub(crate) struct Query<'a> {
    pub(crate) organization: Uuid,
    pub(crate) sql: &'a str,
    pub(crate) params: &'a [Value],
}

/// The first rows of a query, at most `limit`.
pub(crate) async fn rows(
    lent: Lent<'_>,
    query: &Query<'_>,
    limit: usize,
) -> Result<Fetched, ToolError> {
    let (statement, params) = match begin(&lent, query).await {
        Ok(begun) => begun,
        Err(error) => return abandon(lent, error).await,
    };
    let sql = format!("{CURSOR}{}", query.sql);
    let fetch = format!("FETCH FORWARD {} FROM c", limit + 1);
    let params = borrow(&params);
    let opening = lent.client.execute_typed(&sql, &params);
    let fetching = collect(&lent, &fetch, &statement, limit);
    let (opened, rows, ended) = future::join3(opening, fetching, end(&lent)).await;
    // A cursor that was not opened is why the rest failed, too.
    let answer = match (opened, rows) {
        (_, Ok(rows)) => Ok(rows),
        (Err(error), _) | (Ok(_), Err(error)) => Err(explain(&error, CURSOR, &lent)),
    };
    if ended.is_ok() {
        lent.give_back();
    }
    answer
}

/// How the database would run a query; nothing is run.
pub(crate) async fn plan(lent: Lent<'_>, query: &Query<'_>) -> Result<String, ToolError> {
    let (_, params) = match begin(&lent, query).await {
        Ok(begun) => begun,
        Err(error) => return abandon(lent, error).await,
    };
    let sql = format!("{PLAN}{}", query.sql);
    let params = borrow(&params);
    let asking = lent.client.query_typed(&sql, &params);
    let (rows, ended) = future::join(asking, end(&lent)).await;
    let answer = rows.map_err(|error| explain(&error, PLAN, &lent));
    if ended.is_ok() {
        lent.give_back();
    }
    let lines: Result<Vec<String>, Error> = answer?.iter().map(|row| row.try_get(0)).collect();
    Ok(lines.map_err(ToolError::internal)?.join("\n"))
}

/// Ends a transaction that has got no further than its beginning.
async fn abandon<T>(lent: Lent<'_>, error: ToolError) -> Result<T, ToolError> {
    if end(&lent).await.is_ok() {
        lent.give_back();
    }
    Err(error)
}

/// Opens the transaction and learns the types of columns and parameters.
async fn begin(
    lent: &Lent<'_>,
    query: &Query<'_>,
) -> Result<(Statement, Vec<(TextParam, Type)>), ToolError> {
    let prologue = format!(
        "BEGIN READ ONLY; SET LOCAL app.organization_id = '{}'",
        query.organization
    );
    let (begun, statement) = future::join(
        lent.client.batch_execute(&prologue),
        lent.client.prepare(query.sql),
    )
    .await;
    begun.map_err(|error| explain(&error, "", lent))?;
    let statement = statement.map_err(|error| explain(&error, "", lent))?;
    if statement.columns().len() > MOST_COLUMNS {
        return Err(ToolError::invalid(format!(
            "more than {MOST_COLUMNS} columns; select fewer"
        )));
    }
    let params = TextParam::fit(query.params, statement.params())?;
    Ok((statement, params))
}

/// Back to a session as new.
async fn end(session: &Session) -> Result<(), Error> {
    let (rolled_back, discarded) = future::join(
        session.client.batch_execute("ROLLBACK"),
        session.client.batch_execute("DISCARD ALL"),
    )
    .await;
    rolled_back.and(discarded)
}

async fn collect(
    session: &Session,
    fetch: &str,
    statement: &Statement,
    limit: usize,
) -> Result<Fetched, Error> {
    let columns = statement
        .columns()
        .iter()
        .map(|column| (column.name().to_owned(), column.type_().clone()));
    let mut rows = Fetched {
        columns: columns.collect(),
        rows: Vec::new(),
        cut_cells: 0,
        truncated_by: None,
    };
    let mut size = 0;
    let messages = session.client.simple_query_raw(fetch).await?;
    pin_mut!(messages);
    while let Some(message) = messages.next().await.transpose()? {
        let SimpleQueryMessage::Row(row) = message else {
            continue;
        };
        if rows.rows.len() == limit {
            rows.truncated_by = Some("rows");
            continue;
        }
        let (values, cut, length) = read(&row, &rows.columns)?;
        size += length;
        if size > ROWS_LIMIT {
            rows.truncated_by = Some("bytes");
            // The rest is not wanted: without this the server would send it all.
            session.close();
            return Ok(rows);
        }
        rows.cut_cells += cut;
        rows.rows.push(values);
    }
    Ok(rows)
}

/// The row's values, how many were cut, and its length as JSON.
fn read(
    row: &SimpleQueryRow,
    columns: &[(String, Type)],
) -> Result<(Vec<Value>, usize, usize), Error> {
    let (mut values, mut cut, mut length) = (Vec::with_capacity(columns.len()), 0, 2);
    for (index, (_, ty)) in columns.iter().enumerate() {
        let Cell {
            value,
            is_cut,
            json_len,
        } = cell(row.try_get(index)?, ty);
        cut += usize::from(is_cut);
        length += json_len + 1;
        values.push(value);
    }
    Ok((values, cut, length))
}

fn borrow(params: &[(TextParam, Type)]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    params
        .iter()
        .map(|(param, ty)| (param as &(dyn ToSql + Sync), ty.clone()))
        .collect()
}
