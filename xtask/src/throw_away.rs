//! Postgres and Redis for one run of the tests: fast, empty, gone afterwards. Several runs in one
//! checkout do not see each other.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;

use crate::postgres::Keep;
use crate::stack::Stack;
use crate::terminal::done;
use crate::{leftovers, paths, ports, postgres, redis};

const LOCK: &str = "lock";

/// The running servers of one run.
pub(crate) struct ThrowAway {
    // Stopped before the folder with their data goes.
    stack: Stack,
    folder: Folder,
}

impl ThrowAway {
    /// No servers yet; see [`Self::start_postgres`] and [`Self::start_redis`].
    pub(crate) fn new(checkout: &Path) -> anyhow::Result<Self> {
        let folder = Folder::new(&paths::throw_away_parent(checkout))?;
        Ok(Self {
            stack: Stack::new(&folder.path, true)?,
            folder,
        })
    }

    /// Starts Postgres and answers its port.
    pub(crate) fn start_postgres(&mut self, checkout: &Path) -> anyhow::Result<u16> {
        let begin = Instant::now();
        let port = ports::free()?;
        postgres::start(
            &mut self.stack,
            checkout,
            &self.folder.path,
            port,
            Keep::Nothing,
        )?;
        done(
            format_args!("a throw-away Postgres is ready on port {port}"),
            begin,
        );
        Ok(port)
    }

    /// Starts Redis and answers its port.
    pub(crate) fn start_redis(&mut self, checkout: &Path) -> anyhow::Result<u16> {
        let begin = Instant::now();
        let port = ports::free()?;
        redis::start(
            &mut self.stack,
            checkout,
            &self.folder.path,
            port,
            Keep::Nothing,
        )?;
        done(
            format_args!("a throw-away Redis is ready on port {port}"),
            begin,
        );
        Ok(port)
    }

    /// For other processes of this run.
    pub(crate) fn stack(&mut self) -> &mut Stack {
        &mut self.stack
    }

    /// For other files of this run.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder.path
    }
}

/// A folder that nobody else uses while its lock is held, and that is removed at the end.
struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    fn new(parent: &Path) -> anyhow::Result<Self> {
        paths::create(parent)?;
        // Held until our own lock is, or another run might sweep our new folder away.
        let sweep = File::create(parent.join(LOCK))?;
        sweep.lock().context("waiting for another run to begin")?;
        for entry in fs::read_dir(parent)?
            .flatten()
            .filter(|entry| entry.path().is_dir())
        {
            sweep_away(&entry.path())?;
        }
        let path = parent.join(std::process::id().to_string());
        paths::create(&path)?;
        let lock = File::create(path.join(LOCK))?;
        lock.lock()?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is swept away by the next run.
        let _ = remove(&self.path);
    }
}

/// Removes what a run left behind that could not clean up, unless it is still going on.
fn sweep_away(folder: &Path) -> anyhow::Result<()> {
    if let Ok(lock) = File::open(folder.join(LOCK))
        && let Err(TryLockError::WouldBlock) = lock.try_lock()
    {
        return Ok(());
    }
    leftovers::stop(folder)?;
    remove(folder)
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    let home = paths::data_home(folder, paths::postgres_account()?)?;
    paths::remove(&home)?;
    paths::remove(folder)
}
