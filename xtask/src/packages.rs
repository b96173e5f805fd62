//! Package managers, by which Postgres and Redis come to a machine that has neither.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

use crate::terminal::{done, say};
use crate::{paths, signals};

/// Fills `cache/name` by `fill`, which gets an empty folder to write to. The folder appears under
/// its name only when it is complete, whatever interrupts us, and whoever else does the same.
pub(crate) fn fetch_into(
    cache: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let target = cache.join(name);
    if target.exists() {
        return Ok(target);
    }
    let draft = cache.join(format!(".{name}.{}", std::process::id()));
    paths::remove(&draft)?;
    paths::create(&draft)?;
    let begin = Instant::now();
    if let Err(error) = fill(&draft).and_then(|()| open_to_all(&draft)) {
        paths::remove(&draft)?;
        return Err(error);
    }
    if let Err(error) = fs::rename(&draft, &target) {
        paths::remove(&draft)?;
        if !target.exists() {
            return Err(error).with_context(|| format!("writing {}", target.display()));
        }
    }
    done(format_args!("fetched into {}", target.display()), begin);
    Ok(target)
}

/// Runs a package manager quietly; its own words are part of the error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    signals::check()?;
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("no {} here", command.get_program().display()))?;
    // Ctrl-C reaches the package manager too, and its complaint is not the story then.
    signals::check()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    bail!(
        "failed ({}):\n      {}",
        output.status,
        excerpt(&said).join("\n      ")
    )
}

/// Some tell the reason first, some last.
fn excerpt(said: &str) -> Vec<&str> {
    const ENDS: usize = 4;
    let mut lines: Vec<_> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if lines.len() > 2 * ENDS {
        lines.splice(ENDS..lines.len() - ENDS, ["…"]);
    }
    lines
}

/// Installs Debian packages for the whole machine, where that needs no password.
pub(crate) fn apt_get_install(package: &str) -> anyhow::Result<()> {
    let sudo: &[&str] = if rustix::process::geteuid().is_root() {
        &[]
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        &["sudo", "-n"]
    } else {
        bail!("not root, and sudo asks for a password")
    };
    if !succeeds(Command::new("apt-get").arg("--version")) {
        bail!("no apt-get here");
    }
    say(format_args!(
        "installing {package} for the whole machine: apt-get install {package}"
    ));
    let apt_get = |arguments: &[&str]| {
        let words = [
            sudo,
            &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
            arguments,
        ]
        .concat();
        run(Command::new(words[0]).args(&words[1..]))
    };
    apt_get(&["update", "--quiet"])?;
    apt_get(&["install", "--yes", "--no-install-recommends", package])
}

/// What was tried and why it did not help, a line for each.
pub(crate) fn tried(reasons: &[String]) -> String {
    reasons
        .iter()
        .fold(String::new(), |text, reason| text + "\n  tried " + reason)
}

/// Whether a command can be started and ends well.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The folders of `PATH`.
pub(crate) fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}

/// Lets every account read what was fetched, whatever our umask is: Postgres may run as another.
fn open_to_all(folder: &Path) -> anyhow::Result<()> {
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let found = fs::symlink_metadata(&path)?;
        if found.is_symlink() {
            continue;
        }
        let mode = found.permissions().mode();
        let execute = if mode & 0o100 == 0 { 0 } else { 0o111 };
        fs::set_permissions(&path, Permissions::from_mode(mode | 0o444 | execute))?;
        if found.is_dir() {
            waiting.extend(fs::read_dir(&path)?.flatten().map(|entry| entry.path()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn a_long_complaint_keeps_both_ends() {
        let said = (1..=20)
            .map(|line| format!("{line}\n\n"))
            .collect::<Vec<_>>()
            .concat();
        assert_eq!(
            excerpt(&said),
            ["1", "2", "3", "4", "…", "17", "18", "19", "20"]
        );
        assert_eq!(excerpt("a\n\nb\n"), ["a", "b"]);
    }
}
