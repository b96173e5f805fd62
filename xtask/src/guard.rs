//! What stops the processes when we cannot: after a crash of ours or `kill -9`.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use crate::process::Running;

/// Reads `SIGNAL PID` lines until the pipe closes, which the kernel does when we are gone, however
/// that came to be; then sends the signals, the youngest process first.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
list=
while read -r signal pid; do list="$signal:$pid $list"; done
for entry in $list; do kill -"${entry%%:*}" "${entry##*:}"; done
"#;

/// A shell that outlives us by a moment.
pub(crate) struct Guard {
    shell: Child,
}

impl Guard {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT])
            .current_dir("/")
            .process_group(0);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let shell = command.spawn().context("starting a shell")?;
        Ok(Self { shell })
    }

    /// From here on the process ends when we do.
    pub(crate) fn watch(&mut self, process: &Running, signal: &str) -> anyhow::Result<()> {
        let pipe = self.shell.stdin.as_mut().context("the guard has no pipe")?;
        writeln!(pipe, "{signal} {}", process.pid.as_raw_nonzero()).context("telling the guard")
    }
}

impl Drop for Guard {
    /// The processes have been stopped in good order: nothing is left to guard.
    fn drop(&mut self) {
        // Before the pipe closes, or it would signal processes that are no longer ours.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
