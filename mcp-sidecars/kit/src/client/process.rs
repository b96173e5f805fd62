//! A server that we start ourselves and speak with on its standard streams.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, anyhow};
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::AsyncRead,
    process::{Child, ChildStdin, ChildStdout, Command},
    time::Instant,
};
use tokio_util::{
    codec::{FramedRead, LinesCodec},
    sync::CancellationToken,
};

use crate::{provider::jittered, redact::Redactor};

/// How long a process may take to end after its standard input was closed.
const GRACE: Duration = Duration::from_millis(500);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_LOG_LINE: usize = 8 * 1024;

/// What is started: from the settings, never from a request. Nothing of our environment is passed on.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, SecretString)>,
}

impl Program {
    /// The program at `path` with these arguments.
    pub fn new(
        path: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            path: path.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
        }
    }

    /// A variable of its environment; the value is kept out of our log.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }
}

/// Starts a program, the sooner the better it did before.
pub(super) struct Starter {
    program: Program,
    redactor: Redactor,
    pace: Mutex<Pace>,
}

/// Starts in a row that came to nothing, and when the next may be.
#[derive(Debug, Default)]
struct Pace {
    failures: u32,
    not_before: Option<Instant>,
}

/// The ends of a running process. Its group is killed when `stop` is cancelled, and it cancels `stop` when it dies.
pub(super) struct Started {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
}

impl From<Program> for Starter {
    fn from(program: Program) -> Self {
        let secrets = program.environment.iter().map(|(_, value)| value.clone());
        Self {
            redactor: Redactor::new(secrets),
            program,
            pace: Mutex::default(),
        }
    }
}

impl Starter {
    /// Starts it, or says how long to wait.
    pub(super) fn start(
        &self,
        name: &'static str,
        stop: &CancellationToken,
    ) -> Result<anyhow::Result<Started>, Duration> {
        let now = Instant::now();
        {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(wait) = pace.not_before.map(|at| at.saturating_duration_since(now))
                && !wait.is_zero()
            {
                return Err(wait);
            }
            pace.begin(now);
        }
        Ok(self.spawn(name, stop))
    }

    /// It has answered a call: when it dies, it may be started again at once.
    pub(super) fn has_worked(&self) {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = Pace::default();
    }

    fn spawn(&self, name: &'static str, stop: &CancellationToken) -> anyhow::Result<Started> {
        let program = &self.program;
        let environment = program.environment.iter();
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .env_clear()
            .envs(environment.map(|(name, value)| (name, value.expose_secret())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.path.display()))?;
        let group = Group::of(&child)?;
        let missing = || anyhow!("a standard stream is missing");
        let input = child.stdin.take().with_context(missing)?;
        let output = child.stdout.take().with_context(missing)?;
        let errors = child.stderr.take().with_context(missing)?;
        tokio::spawn(log(name, errors, self.redactor.clone()));
        tokio::spawn(supervise(name, child, group, stop.clone()));
        Ok(Started { input, output })
    }
}

impl Pace {
    /// Counts a start as a failure until the program has worked: the pause doubles, half of it by chance.
    fn begin(&mut self, now: Instant) {
        let longest = FIRST_PAUSE
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST_PAUSE);
        self.not_before = Some(now + longest / 2 + jittered(longest / 2));
        self.failures = self.failures.saturating_add(1);
    }
}

/// A process group, killed when this is dropped: also when the runtime ends and nobody else would.
struct Group(Pid);

impl Group {
    fn of(child: &Child) -> anyhow::Result<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        id.and_then(Pid::from_raw)
            .map(Self)
            .context("the process has no id")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // An error means that nobody of the group is left. The number is not in use anew: while one of the group
        // lives it is kept, and of a group without anybody it was given back a moment ago.
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

/// Waits for the process or for `stop`; then ends both, and whatever the process has started.
async fn supervise(name: &'static str, mut child: Child, group: Group, stop: CancellationToken) {
    tokio::select! {
        ended = child.wait() => {
            tracing::warn!(server = name, status = ?ended.ok(), "the server's process ended");
        }
        () = stop.cancelled() => {
            let _ = tokio::time::timeout(GRACE, child.wait()).await;
        }
    }
    stop.cancel();
    drop(group);
    // Reaps it, so that no zombie is left.
    let _ = child.wait().await;
}

/// What the process says on standard error, for those who look: at debug, without secrets, long lines left out.
async fn log(name: &'static str, errors: impl AsyncRead + Unpin, redactor: Redactor) {
    let codec = LinesCodec::new_with_max_length(LONGEST_LOG_LINE);
    let mut lines = FramedRead::new(errors, codec);
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => tracing::debug!(server = name, line = redactor.text(&line), "stderr"),
            Err(error) => tracing::debug!(server = name, %error, "a line on stderr was left out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for failures in 0..40_u32 {
            pace.begin(now);
            let pause = pace.not_before.unwrap() - now;
            let longest = FIRST_PAUSE
                .saturating_mul(1 << failures.min(16))
                .min(LONGEST_PAUSE);
            assert!(
                pause >= longest / 2 && pause <= longest,
                "{failures}: {pause:?}"
            );
        }
    }
}
