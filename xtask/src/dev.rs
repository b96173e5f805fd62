//! The Postgres and Redis of this checkout, whose data `up` and `services` keep between starts.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Args;

use crate::postgres::Keep;
use crate::stack::Stack;
use crate::terminal::done;
use crate::{leftovers, paths, ports, postgres, redis};

const DATABASE: &str = "event_planner";
const APP_ROLE: &str = "event_planner_app";
const REPORTING_ROLE: &str = "event_planner_reporting";
const LOCK: &str = "lock";

/// Servers of yours instead of our own.
#[derive(Args)]
pub(crate) struct Given {
    /// A Postgres of yours, as the owner of the database to use.
    #[arg(
        long = "database-owner-url",
        env = "DATABASE_OWNER_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) owner: Option<String>,

    /// The same database as the role `event_planner_app`. Only read with `DATABASE_OWNER_URL`, from
    /// which it is made when missing.
    #[arg(
        long = "database-url",
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) database: Option<String>,

    /// The same database as the role `event_planner_reporting`, in the same way.
    #[arg(
        long = "reporting-database-url",
        env = "REPORTING_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) reporting: Option<String>,

    /// A Redis of yours.
    #[arg(
        long = "redis-url",
        env = "REDIS_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) redis: Option<String>,
}

/// The URLs of the servers.
pub(crate) struct Servers {
    /// As the owner of the schema, or the superuser.
    pub(crate) owner: String,
    /// As the role of the API.
    pub(crate) database: String,
    /// As the role of the sidecar for SQL.
    pub(crate) reporting: String,
    pub(crate) redis: String,
}

/// The state folder of this checkout, ours until the end.
pub(crate) struct State {
    pub(crate) folder: PathBuf,
    _lock: File,
}

impl State {
    /// Fails with who holds it when another command does.
    pub(crate) fn lock(checkout: &Path, command: &str) -> anyhow::Result<Result<Self, String>> {
        let folder = paths::dev_state(checkout);
        paths::create(&folder)?;
        let path = folder.join(LOCK);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut lock = options
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                lock.read_to_string(&mut holder)?;
                return Ok(Err(holder.trim().to_owned()));
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", path.display()));
            }
        }
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(
            lock,
            "`cargo xtask {command}` (process {})",
            std::process::id()
        )?;
        Ok(Ok(Self {
            folder,
            _lock: lock,
        }))
    }

    /// Wipes the data, the ports and the secrets; fetched programs stay.
    pub(crate) fn wipe(&self) -> anyhow::Result<()> {
        leftovers::stop(&self.folder)?;
        paths::remove(&postgres::data_folder(&self.folder)?)?;
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let path = entry.path();
            if path.ends_with(LOCK) || path.ends_with("cache") {
                continue;
            }
            if path.is_dir() {
                paths::remove(&path)?;
            } else {
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// Starts what is not given, and waits until it is ready.
pub(crate) fn start(
    stack: &mut Stack,
    checkout: &Path,
    state: &State,
    given: &Given,
) -> anyhow::Result<Servers> {
    let owner = match &given.owner {
        Some(owner) => owner.clone(),
        None => own_postgres(stack, checkout, state)?,
    };
    let own = given.owner.is_none();
    let as_role = |url: &Option<String>, role| {
        let url = url.clone().filter(|_| !own);
        url.unwrap_or_else(|| with_role(&owner, role))
    };
    let (database, reporting) = (
        as_role(&given.database, APP_ROLE),
        as_role(&given.reporting, REPORTING_ROLE),
    );
    let redis = match &given.redis {
        Some(url) => url.clone(),
        None => own_redis(stack, checkout, state)?,
    };
    Ok(Servers {
        owner,
        database,
        reporting,
        redis,
    })
}

/// The addresses of our own servers as the last start noted them.
pub(crate) fn noted(checkout: &Path) -> Option<Servers> {
    let port = |name: &str| -> Option<u16> {
        let note = paths::dev_state(checkout).join(format!("{name}.port"));
        fs::read_to_string(note).ok()?.trim().parse().ok()
    };
    let owner = postgres::superuser_url(port(postgres::NAME)?, DATABASE);
    Some(Servers {
        database: with_role(&owner, APP_ROLE),
        reporting: with_role(&owner, REPORTING_ROLE),
        owner,
        redis: redis::url(port(redis::NAME)?),
    })
}

fn own_postgres(stack: &mut Stack, checkout: &Path, state: &State) -> anyhow::Result<String> {
    let begin = Instant::now();
    let port = ports::remembered(&state.folder, postgres::NAME)?;
    postgres::start(stack, checkout, &state.folder, port, Keep::Data)?;
    postgres::create_database(port, DATABASE)?;
    done(format_args!("Postgres is ready on port {port}"), begin);
    Ok(postgres::superuser_url(port, DATABASE))
}

fn own_redis(stack: &mut Stack, checkout: &Path, state: &State) -> anyhow::Result<String> {
    let begin = Instant::now();
    let port = ports::remembered(&state.folder, redis::NAME)?;
    redis::start(stack, checkout, &state.folder, port, Keep::Data)?;
    done(format_args!("Redis is ready on port {port}"), begin);
    Ok(redis::url(port))
}

/// The same address with another role and no password.
fn with_role(url: &str, role: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    let host = rest[..authority].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{role}@{}", &rest[host..])
}

#[cfg(test)]
mod tests {
    use super::with_role;

    #[test]
    fn the_role_of_an_address_is_replaced() {
        for (url, expected) in [
            (
                "postgres://postgres@127.0.0.1:5/x",
                "postgres://app@127.0.0.1:5/x",
            ),
            (
                "postgres://me:p@ss@db/x?sslmode=require",
                "postgres://app@db/x?sslmode=require",
            ),
            (
                "postgresql://db/x?user=a@b",
                "postgresql://app@db/x?user=a@b",
            ),
            ("postgres://db", "postgres://app@db"),
        ] {
            assert_eq!(with_role(url, "app"), expected);
        }
    }
}
