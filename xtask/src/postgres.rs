//! A Postgres of our own: made, started, ready.

mod find;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::paths::{self, Account};
use crate::process::{Program, StopSignal};
use crate::sql::Session;
use crate::stack::Stack;
use crate::terminal::say;

/// The name in log lines and notes.
pub(crate) const NAME: &str = "postgres";

/// Enough for every replica, worker and test that a developer's machine runs at once.
const SETTINGS: [&str; 8] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "shared_buffers=128MB",
    "log_checkpoints=off",
    "log_line_prefix=",
    "log_timezone=UTC",
    "timezone=UTC",
];

/// Speed for data that nobody will miss.
const THROW_AWAY_SETTINGS: [&str; 5] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_wal_size=4GB",
    "autovacuum=off",
];

/// What the data is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It survives a power cut.
    Data,
    /// It is wiped before the next use.
    Nothing,
}

/// The address of the superuser, who needs no password on the loopback address.
pub(crate) fn superuser_url(port: u16, database: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/{database}")
}

/// Finds or fetches the programs, makes the data folder if there is none, starts the server and
/// waits until it is ready.
pub(crate) fn start(
    stack: &mut Stack,
    checkout: &Path,
    state: &Path,
    port: u16,
    keep: Keep,
) -> anyhow::Result<()> {
    let account = paths::postgres_account()?;
    let data = data_folder(state)?;
    let bin = find::binaries(&paths::cache(checkout)?, account, made_by(&data))?;
    if made_by(&data).is_none() {
        make(&bin, &data, account, keep)?;
    }
    // Left by a crash, it would be mistaken for the new server's. What wrote it has been stopped.
    let pid_file = data.join("postmaster.pid");
    let _ = fs::remove_file(&pid_file);

    let mut command = as_account(&bin.join("postgres"), account);
    command.arg("-D").arg(&data).arg("-p").arg(port.to_string());
    let extra: &[&str] = if keep == Keep::Data {
        &[]
    } else {
        &THROW_AWAY_SETTINGS
    };
    for setting in SETTINGS.iter().chain(extra) {
        command.args(["-c", setting]);
    }
    stack.start(Program {
        name: NAME,
        command,
        stop: StopSignal::Int,
        patience: Duration::from_secs(10),
        mark: data.display().to_string(),
    })?;
    stack.wait_for(NAME, Duration::from_mins(1), || {
        fs::read_to_string(&pid_file).is_ok_and(|text| says_ready(&text))
    })
}

/// Where the data of a state folder is; see [`paths::data_home`].
pub(crate) fn data_folder(state: &Path) -> anyhow::Result<PathBuf> {
    Ok(paths::data_home(state, paths::postgres_account()?)?.join("postgres"))
}

/// Creates a database unless it is there. The name is not quoted.
pub(crate) fn create_database(port: u16, name: &str) -> anyhow::Result<()> {
    let mut session = Session::open(port, "postgres")?;
    let mut run = |script: String| {
        let answer = session.run(&script)?;
        answer.map_err(|error| anyhow::anyhow!("creating the database {name}: {error}"))
    };
    if run(format!("SELECT FROM pg_database WHERE datname = '{name}'"))? == 0 {
        run(format!("CREATE DATABASE {name}"))?;
    }
    Ok(())
}

/// The major version that made the data, none when there is no data yet.
fn made_by(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn make(bin: &Path, data: &Path, account: Option<Account>, keep: Keep) -> anyhow::Result<()> {
    say(format_args!(
        "making a database cluster in {}",
        data.display()
    ));
    // The next attempt must not stumble over half a cluster.
    let draft = data.with_extension("draft");
    // C.UTF-8 knows the case of every letter; systems without it have to do with plain C.
    let mut said = String::new();
    for locale in ["C.UTF-8", "C"] {
        paths::remove(&draft)?;
        paths::create(&draft)?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o700))?;
        if let Some(account) = account {
            chown(&draft, Some(account.uid), Some(account.gid))?;
        }
        let mut command = as_account(&bin.join("initdb"), account);
        command
            .arg("-D")
            .arg(&draft)
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8"]);
        command.args(["--locale", locale]);
        if keep == Keep::Nothing {
            command.arg("--no-sync");
        }
        let output = command.output().context("starting initdb")?;
        if output.status.success() {
            return fs::rename(&draft, data).context("naming the data folder");
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !said.contains("locale") {
            break;
        }
    }
    bail!("initdb failed:\n{}", said.trim_end())
}

/// Postgres refuses to run as root, and its helpers complain about a working folder that they
/// cannot enter.
fn as_account(program: &Path, account: Option<Account>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env("LC_ALL", "C");
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// The eighth line of `postmaster.pid` tells the state of the server.
fn says_ready(pid_file: &str) -> bool {
    pid_file
        .lines()
        .nth(7)
        .is_some_and(|status| status.trim() == "ready")
}

#[cfg(test)]
mod tests {
    use super::says_ready;

    #[test]
    fn only_the_status_line_says_ready() {
        let file = "42\n/data\n1763700000\n5433\n\n127.0.0.1\n   123 0\nready   \n";
        assert!(says_ready(file));
        assert!(!says_ready(&file.replace("ready   ", "starting")));
        assert!(!says_ready("42\n/ready\n"));
    }
}
