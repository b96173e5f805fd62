//! Where things are: the checkout, its state, the cache of fetched programs, and which of these
//! the account that runs Postgres can enter.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// An account of this machine, other than ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The top folder of the repository.
///
/// Cargo tells it at run time; the folder of the build is the answer when the program is started
/// without cargo.
pub(crate) fn checkout() -> anyhow::Result<PathBuf> {
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = own.parent().context("the xtask folder has no parent")?;
    fs::canonicalize(root).with_context(|| format!("{} is gone", root.display()))
}

/// State of `up` and `services`: data, ports, keys. Kept between starts. Deliberately not in
/// `CARGO_TARGET_DIR`, which several checkouts may share.
pub(crate) fn dev_state(checkout: &Path) -> PathBuf {
    checkout.join("target/dev")
}

/// Parent of the folders that `test` and `prepare` use and throw away.
pub(crate) fn throw_away_parent(checkout: &Path) -> PathBuf {
    checkout.join("target/test")
}

/// Where fetched programs are kept: per user, so that `cargo clean` does not lose them and every
/// checkout shares them; `/var/cache` for root, whose home other accounts cannot enter; the
/// checkout's `target/dev/cache` when neither can be written.
pub(crate) fn cache(checkout: &Path) -> anyhow::Result<PathBuf> {
    let fallback = dev_state(checkout).join("cache");
    let wanted = if rustix::process::geteuid().is_root() {
        Some(PathBuf::from("/var/cache"))
    } else {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(home)
    };
    if let Some(folder) = wanted.map(|parent| parent.join("event-planner"))
        && folder.is_absolute()
        && fs::create_dir_all(&folder).is_ok()
    {
        return Ok(folder);
    }
    create(&fallback)?;
    Ok(fallback)
}

/// The account for Postgres when we are root, as which it refuses to run; otherwise none, and it
/// runs as ourselves.
pub(crate) fn postgres_account() -> anyhow::Result<Option<Account>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    let account = ["postgres", "nobody"]
        .iter()
        .find_map(|name| account_in(&accounts, name));
    match account {
        Some(account) => Ok(Some(account)),
        None => bail!(
            "Postgres refuses to run as root, and there is neither an account `postgres` nor \
             `nobody`: run `useradd --system postgres`, or run this command as another user"
        ),
    }
}

fn account_in(passwd: &str, name: &str) -> Option<Account> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { uid, gid })
}

/// A folder under which `account` can keep data on behalf of `state`: `state` itself when the
/// account can enter it, otherwise a folder of its own under `/var/tmp`, to which the file
/// `data-is-in` in `state` points.
pub(crate) fn data_home(state: &Path, account: Option<Account>) -> anyhow::Result<PathBuf> {
    create(state)?;
    let Some(account) = account else {
        return Ok(state.to_owned());
    };
    if is_reachable(state, account) {
        return Ok(state.to_owned());
    }
    let name = format!("event-planner-{:016x}", fingerprint(state));
    let elsewhere = Path::new("/var/tmp").join(name);
    create(&elsewhere)?;
    let found = fs::symlink_metadata(&elsewhere)?;
    if !found.is_dir() || found.uid() != 0 {
        bail!(
            "{} belongs to somebody else: remove it",
            elsewhere.display()
        );
    }
    fs::set_permissions(&elsewhere, Permissions::from_mode(0o755))?;
    fs::write(
        state.join("data-is-in"),
        format!("{}\n", elsewhere.display()),
    )?;
    Ok(elsewhere)
}

/// Whether `account` may enter the folder and all its parents, judged by their permission bits.
pub(crate) fn is_reachable(folder: &Path, account: Account) -> bool {
    let Ok(folder) = fs::canonicalize(folder) else {
        return false;
    };
    folder.ancestors().all(|ancestor| {
        fs::metadata(ancestor)
            .is_ok_and(|found| may_enter(found.mode(), (found.uid(), found.gid()), account))
    })
}

fn may_enter(mode: u32, (owner, group): (u32, u32), account: Account) -> bool {
    if account.uid == owner {
        return mode & 0o100 != 0;
    }
    if account.gid == group {
        return mode & 0o010 != 0;
    }
    mode & 0o001 != 0
}

/// `create_dir_all` with a sentence that names the folder.
pub(crate) fn create(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))
}

/// `remove_dir_all` to which a missing folder is no error.
pub(crate) fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// FNV-1a: the standard library's hashes may change with the compiler, and then the data of
/// yesterday would be lost.
fn fingerprint(path: &Path) -> u64 {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Account = Account {
        uid: 65534,
        gid: 65534,
    };

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:7::/:/bin/sh\npostgres:x:101:104:,,,:/:/bin/sh\n";
        assert_eq!(
            account_in(passwd, "postgres"),
            Some(Account { uid: 101, gid: 104 })
        );
        assert_eq!(account_in(passwd, "nobody"), None);
    }

    #[test]
    fn the_most_specific_permission_decides() {
        assert!(may_enter(0o755, (0, 0), NOBODY));
        assert!(!may_enter(0o700, (0, 0), NOBODY));
        assert!(may_enter(0o700, (65534, 0), NOBODY));
        assert!(may_enter(0o710, (0, 65534), NOBODY));
        assert!(
            !may_enter(0o701, (0, 65534), NOBODY),
            "the group's bits hide the others' bits"
        );
    }

    #[test]
    fn a_fingerprint_never_changes() {
        assert_eq!(fingerprint(Path::new("")), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(Path::new("a")), 0xaf63_dc4c_8601_ec8c);
    }
}
