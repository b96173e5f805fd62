//! `cargo xtask prepare`: has every query in the code checked by a real Postgres, and keeps what
//! it answered in `.sqlx`, so that builds need no database.
//!
//! The macros of sqlx do the work: with `SQLX_OFFLINE_DIR` they write a file per query while they
//! are expanded. `cargo sqlx prepare` does the same, but needs a tool that takes minutes to build.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use anyhow::{Context, bail};
use clap::Args;

use crate::sql::Session;
use crate::terminal::{done, say};
use crate::throw_away::ThrowAway;
use crate::{cargo, paths, postgres, process};

const DATABASE: &str = "prepare";

/// Checks every query against the migrations and refreshes `.sqlx`.
///
/// Run it after changing a query or a migration, and commit `.sqlx`.
#[derive(Args)]
pub(crate) struct Prepare {
    /// Changes nothing; fails when `.sqlx` is not what it would be.
    #[arg(long)]
    check: bool,
}

/// File name and content.
type Queries = BTreeMap<String, String>;

impl Prepare {
    pub(crate) fn run(&self, checkout: &Path) -> anyhow::Result<ExitCode> {
        let mut servers = ThrowAway::new(checkout)?;
        let port = servers.start_postgres(checkout)?;
        postgres::create_database(port, DATABASE)?;
        migrate(port, &checkout.join("database/migrations"))?;

        let fresh = servers.folder().join("queries");
        paths::create(&fresh)?;
        expand_macros(checkout, &postgres::superuser_url(port, DATABASE), &fresh)?;

        let folder = checkout.join(".sqlx");
        let (old, new) = (read(&folder)?, read(&fresh)?);
        let changes = changes(&old, &new);
        if changes.is_empty() {
            say(format_args!(".sqlx is up to date (queries: {})", new.len()));
            return Ok(ExitCode::SUCCESS);
        }
        for change in &changes {
            say(change);
        }
        if self.check {
            bail!(".sqlx is not up to date: run `cargo xtask prepare` and commit .sqlx");
        }
        write(&folder, &old, &new)?;
        say(format_args!(
            ".sqlx is refreshed (queries: {}): commit it",
            new.len()
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs the files in the order of their names, each all or nothing.
fn migrate(port: u16, folder: &Path) -> anyhow::Result<()> {
    let begin = Instant::now();
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    let mut session = Session::open(port, DATABASE)?;
    for file in &files {
        let script = fs::read_to_string(file)?;
        if let Err(error) = session.run(&script)? {
            bail!("{}: {}", file.display(), error.in_script(&script));
        }
    }
    done(
        format_args!("the migrations are applied ({} files)", files.len()),
        begin,
    );
    Ok(())
}

fn expand_macros(checkout: &Path, database: &str, folder: &Path) -> anyhow::Result<()> {
    // Cargo expands macros again only in code that is newer than its last build.
    for root in cargo::Workspace::read(checkout)?.roots_with_queries() {
        touch(&root).with_context(|| format!("touching {}", root.display()))?;
    }
    let mut check = cargo::command(checkout);
    check.args(["check", "--workspace", "--all-targets"]);
    check
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", folder)
        .env("DATABASE_URL", database);
    if !process::run(&mut check)?.success() {
        bail!("the check failed, see above; .sqlx is as it was");
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time of a file is the system's"
)]
fn touch(file: &Path) -> std::io::Result<()> {
    File::options()
        .append(true)
        .open(file)?
        .set_modified(SystemTime::now())
}

fn read(folder: &Path) -> anyhow::Result<Queries> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Queries::new());
    };
    let mut queries = Queries::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") {
            queries.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(queries)
}

/// One line for each query that is new, gone or answered in another way.
fn changes(old: &Queries, new: &Queries) -> Vec<String> {
    let gone = old.iter().filter(|(name, _)| !new.contains_key(*name));
    let gone = gone.map(|(_, query)| format!("gone:    {}", summary(query)));
    let fresh = new.iter().filter_map(|(name, query)| match old.get(name) {
        None => Some(format!("new:     {}", summary(query))),
        Some(before) if before != query => Some(format!("changed: {}", summary(query))),
        Some(_) => None,
    });
    gone.chain(fresh).collect()
}

/// The beginning of the query on one line.
fn summary(content: &str) -> String {
    let content: Option<serde_json::Value> = serde_json::from_str(content).ok();
    let query = content
        .as_ref()
        .and_then(|content| content["query"].as_str())
        .unwrap_or("(unreadable)");
    let words = query.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(80).collect()
}

fn write(folder: &Path, old: &Queries, new: &Queries) -> anyhow::Result<()> {
    paths::create(folder)?;
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        fs::remove_file(folder.join(name))?;
    }
    for (name, query) in new
        .iter()
        .filter(|(name, query)| old.get(*name) != Some(query))
    {
        fs::write(folder.join(name), query)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries(pairs: &[(&str, &str)]) -> Queries {
        let content = |sql: &str| serde_json::json!({ "query": sql }).to_string();
        pairs
            .iter()
            .map(|(name, sql)| ((*name).to_owned(), content(sql)))
            .collect()
    }

    #[test]
    fn every_difference_is_told_once() {
        let old = queries(&[("a", "SELECT 1"), ("b", "SELECT 2"), ("c", "SELECT\n   3")]);
        let new = queries(&[("a", "SELECT 1"), ("b", "SELECT 22"), ("d", "SELECT 4")]);
        assert_eq!(
            changes(&old, &new),
            [
                "gone:    SELECT 3",
                "changed: SELECT 22",
                "new:     SELECT 4"
            ]
        );
        assert!(changes(&new, &new).is_empty());
    }
}
