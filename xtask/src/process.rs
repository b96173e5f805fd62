//! A process that we started: its log lines, its last words, its end.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal};

use crate::{signals, terminal};

/// How often a waiting loop looks again.
pub(crate) const PULSE: Duration = Duration::from_millis(20);

/// The last words that are repeated when a process dies.
const LAST_LINES: usize = 20;

/// What to start and how to end it.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) command: Command,
    pub(crate) stop: StopSignal,
    /// The time between the signal and SIGKILL.
    pub(crate) patience: Duration,
    /// A word of its command line that no other process has, so that a leftover of an earlier
    /// start is never mistaken.
    pub(crate) mark: String,
}

/// The signals that make our processes stop in good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// Postgres: roll back, write a checkpoint, stop.
    Int,
    /// Everything else.
    Term,
}

impl StopSignal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Int => "INT",
            Self::Term => "TERM",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Int, Self::Term]
            .into_iter()
            .find(|signal| signal.name() == name)
    }

    pub(crate) fn number(self) -> Signal {
        match self {
            Self::Int => Signal::INT,
            Self::Term => Signal::TERM,
        }
    }
}

/// A started process.
pub(crate) struct Running {
    pub(crate) name: &'static str,
    pub(crate) pid: Pid,
    child: Child,
    stop: StopSignal,
    patience: Duration,
    tail: Arc<Mutex<VecDeque<String>>>,
}

impl Running {
    /// Starts it in a process group of its own, so that Ctrl-C reaches only us and we choose the
    /// order in which things stop. `shown` is its place among the processes whose log lines are
    /// printed, or none to keep it quiet.
    pub(crate) fn start(program: Program, shown: Option<usize>) -> anyhow::Result<Self> {
        let Program {
            name,
            mut command,
            stop,
            patience,
            mark: _,
        } = program;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let pid = Pid::from_child(&child);
        let tail = Arc::new(Mutex::new(VecDeque::with_capacity(LAST_LINES)));
        if let Some(stdout) = child.stdout.take() {
            follow(stdout, name, shown, Arc::clone(&tail));
        }
        if let Some(stderr) = child.stderr.take() {
            follow(stderr, name, shown, Arc::clone(&tail));
        }
        Ok(Self {
            name,
            pid,
            child,
            stop,
            patience,
            tail,
        })
    }

    /// How it ended, if it did.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Its last log lines, indented, for an error message.
    pub(crate) fn last_words(&self) -> String {
        // What it wrote just before its end may still be on its way through the pipe.
        std::thread::sleep(Duration::from_millis(100));
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.is_empty() {
            return "    (it said nothing)".to_owned();
        }
        tail.iter()
            .map(|line| format!("    {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Asks it to stop, without waiting.
    pub(crate) fn ask_to_stop(&mut self) {
        if self.exited().is_none() {
            // It may end between the two calls; that is what we want.
            let _ = rustix::process::kill_process(self.pid, self.stop.number());
        }
    }

    /// Waits for the end after [`Self::ask_to_stop`]; no longer than its patience, nor when
    /// somebody pressed Ctrl-C twice.
    pub(crate) fn wait_until_stopped(&mut self) {
        let deadline = Instant::now() + self.patience;
        while self.exited().is_none() {
            if Instant::now() > deadline || signals::insisted() {
                terminal::say(format_args!("{} does not stop: killing it", self.name));
                let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(PULSE);
        }
    }
}

fn follow(
    output: impl Read + Send + 'static,
    name: &'static str,
    shown: Option<usize>,
    tail: Arc<Mutex<VecDeque<String>>>,
) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut bytes = Vec::new();
        while reader
            .read_until(b'\n', &mut bytes)
            .is_ok_and(|read| read > 0)
        {
            let line = String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned();
            bytes.clear();
            if let Some(order) = shown {
                terminal::log_line(order, name, &line);
            }
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.len() == LAST_LINES {
                tail.pop_front();
            }
            tail.push_back(line);
        }
    });
}

/// Runs a command to its end in our process group, with our terminal.
///
/// Fails with [`signals::Interrupted`] after a signal, which is passed on to it.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<ExitStatus> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            signals::check()?;
            return Ok(status);
        }
        if signals::requested() && !told {
            told = true;
            if !signals::child_knows() {
                let _ = rustix::process::kill_process(Pid::from_child(&child), Signal::TERM);
            }
        }
        std::thread::sleep(PULSE);
    }
}
