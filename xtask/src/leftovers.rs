//! Processes that an earlier start left behind: each start notes what it starts, the next one
//! stops what is still there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};

use crate::paths;
use crate::process::{PULSE, StopSignal};
use crate::terminal::say;

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, PartialEq, Eq)]
struct Note {
    pid: i32,
    signal: StopSignal,
    mark: String,
}

/// Notes a process that was just started.
pub(crate) fn note(
    state: &Path,
    name: &str,
    pid: Pid,
    signal: StopSignal,
    mark: &str,
) -> anyhow::Result<()> {
    let folder = folder(state);
    paths::create(&folder)?;
    let text = format!("{}\n{}\n{mark}\n", pid.as_raw_nonzero(), signal.name());
    fs::write(folder.join(name), text).with_context(|| format!("noting the process of {name}"))
}

/// Forgets a process that has stopped.
pub(crate) fn forget(state: &Path, name: &str) {
    // Were it still there, the mark would tell that the process is not ours.
    let _ = fs::remove_file(folder(state).join(name));
}

/// Stops whatever an earlier start in this state folder left running.
pub(crate) fn stop(state: &Path) -> anyhow::Result<()> {
    let Ok(entries) = fs::read_dir(folder(state)) else {
        return Ok(());
    };
    let mut alive = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let note = fs::read_to_string(entry.path())
            .ok()
            .and_then(|text| parse(&text));
        if let Some(note) = note
            && let Some(pid) = Pid::from_raw(note.pid)
            && is_ours(&note)
        {
            say(format_args!(
                "stopping {name} (process {}), left over from an earlier start",
                note.pid
            ));
            let _ = rustix::process::kill_process(pid, note.signal.number());
            alive.push((name, pid, note));
        } else {
            forget(state, &name);
        }
    }
    for (name, pid, note) in alive {
        wait(&name, pid, &note)?;
        forget(state, &name);
    }
    Ok(())
}

fn wait(name: &str, pid: Pid, note: &Note) -> anyhow::Result<()> {
    let begin = Instant::now();
    let mut killed = false;
    while is_ours(note) {
        if !killed && begin.elapsed() > PATIENCE {
            killed = true;
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        if begin.elapsed() > 2 * PATIENCE {
            bail!(
                "{name} (process {}) cannot be stopped: stop it yourself",
                note.pid
            );
        }
        std::thread::sleep(PULSE);
    }
    Ok(())
}

fn folder(state: &Path) -> PathBuf {
    state.join("processes")
}

fn parse(text: &str) -> Option<Note> {
    let mut lines = text.lines();
    let pid = lines.next()?.parse().ok().filter(|pid| *pid > 1)?;
    let signal = StopSignal::from_name(lines.next()?)?;
    let mark = lines.next().filter(|mark| !mark.is_empty())?.to_owned();
    Some(Note { pid, signal, mark })
}

/// Whether the process lives and still is what was started: numbers are used again.
fn is_ours(note: &Note) -> bool {
    command_line(note.pid).is_some_and(|line| line.contains(&note.mark))
}

fn command_line(pid: i32) -> Option<String> {
    if Path::new("/proc/self/cmdline").exists() {
        // Empty for one that has ended but was not waited for.
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&bytes).replace('\0', " "));
    }
    let output = Command::new("ps")
        .args(["-o", "command=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back() {
        let note = parse("123\nINT\n/checkout/target/dev/postgres\n").unwrap();
        assert_eq!(note.pid, 123);
        assert_eq!(note.signal, StopSignal::Int);
        assert_eq!(note.mark, "/checkout/target/dev/postgres");
    }

    #[test]
    fn a_torn_note_is_nobody() {
        for text in [
            "",
            "12",
            "0\nINT\nx\n",
            "1\nINT\nx\n",
            "-5\nTERM\nx\n",
            "12\nKILL\nx\n",
            "12\nINT\n\n",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn another_process_with_the_same_number_is_left_alone() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let note = Note {
            pid,
            signal: StopSignal::Term,
            mark: "no command line has this".to_owned(),
        };
        assert!(!is_ours(&note));
    }
}
