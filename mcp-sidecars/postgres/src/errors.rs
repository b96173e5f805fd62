//! Errors of the database in words that a caller can act on, without its internals.

use mcp_kit::ToolError;
use serde_json::{Value, json};
use tokio_postgres::{
    Error,
    error::{DbError, ErrorPosition, SqlState},
};

use crate::{capped::LARGEST_MESSAGE, connect::Session, pool::RETRY};

/// The error for the caller, in front of whose SQL we had put `prefix`.
pub(crate) fn explain(error: &Error, prefix: &'static str, session: &Session) -> ToolError {
    if session.is_too_large() {
        let limit = LARGEST_MESSAGE / 1024;
        return ToolError::refused(format!(
            "one row or error of the result has more than {limit} KiB; select less of it, e.g. left(column, 1000)"
        ));
    }
    let Some(error) = error.as_db_error() else {
        return ToolError::unavailable("the connection to the database broke; try again", RETRY)
            .with_cause(anyhow::anyhow!("{error}"));
    };
    let position = position(error, prefix);
    let mut details = json!({ "sqlstate": error.code().code() });
    if let Some(position) = position {
        details["position"] = position.into();
    }
    told(error, &mut details).with_details(details)
}

fn told(error: &DbError, details: &mut Value) -> ToolError {
    let code = error.code();
    match code.code().get(..2).unwrap_or_default() {
        // Not a time-out, which could be tried again: the same statement takes as long the next time.
        _ if *code == SqlState::QUERY_CANCELED => ToolError::refused(
            "the statement took too long and was stopped; filter or aggregate earlier, or ask for a shorter period",
        ),
        _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => ToolError::refused(
            "this function, table or column may not be used here; list_tables and describe_table show what may",
        ),
        _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
            ToolError::refused("nothing can be changed here")
        }
        _ if *code == SqlState::LOCK_NOT_AVAILABLE => {
            ToolError::unavailable("the tables are being changed; try again", RETRY)
        }
        "08" | "57" => ToolError::unavailable("the database is restarting; try again", RETRY),
        _ if *code == SqlState::TOO_MANY_CONNECTIONS => {
            ToolError::unavailable("the database has too many connections; try again", RETRY)
        }
        "53" => ToolError::refused(
            "the statement needs too much memory or disk; filter or aggregate earlier",
        ),
        "XX" | "58" | "F0" => {
            ToolError::internal(anyhow::anyhow!("{}: {}", code.code(), error.message()))
        }
        // Both are DECLARE's words for what the caller wrote.
        _ if error
            .message()
            .starts_with("cannot insert multiple commands") =>
        {
            ToolError::invalid("one statement at a time; take the semicolon out")
        }
        _ if error.message().starts_with("DECLARE CURSOR") => {
            ToolError::refused("nothing can be changed here, in a WITH neither")
        }
        _ => invalid(error, details),
    }
}

/// The caller's own mistake: Postgres' words, which name what the caller wrote.
fn invalid(error: &DbError, details: &mut Value) -> ToolError {
    if let Some(hint) = hint(error) {
        details["hint"] = hint.into();
    }
    if let Some(number) = parameter(error) {
        let pointer = format!("/params/{}", number - 1);
        details["errors"] = json!([{ "pointer": format!("#{pointer}"), "code": "type", "detail": error.message() }]);
        return ToolError::invalid(format!("{pointer}: {}", error.message()));
    }
    ToolError::invalid(error.message().to_owned())
}

fn hint(error: &DbError) -> Option<&str> {
    match *error.code() {
        SqlState::UNDEFINED_TABLE => Some("list_tables shows the tables that there are"),
        SqlState::UNDEFINED_COLUMN => error
            .hint()
            .or(Some("describe_table shows the columns that there are")),
        // DECLARE takes no other statement, and says it like this.
        SqlState::SYNTAX_ERROR => Some(
            "one SELECT, VALUES, TABLE or WITH statement is taken, and nothing that changes data",
        ),
        _ => error.hint(),
    }
}

/// Which parameter was not understood: `unnamed portal parameter $1`.
fn parameter(error: &DbError) -> Option<usize> {
    let (_, rest) = error.where_()?.split_once("portal parameter $")?;
    let digits = rest
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok().filter(|number| *number > 0)
}

/// The character of the caller's SQL, from 1.
fn position(error: &DbError, prefix: &str) -> Option<usize> {
    let ErrorPosition::Original(position) = error.position()? else {
        return None;
    };
    let position = usize::try_from(*position).ok()?;
    position
        .checked_sub(prefix.len())
        .filter(|position| *position > 0)
}
