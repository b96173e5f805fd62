//! The processes that are up together.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::guard::Guard;
use crate::leftovers;
use crate::process::{PULSE, Program, Running};
use crate::signals;

/// Processes in the order of their start. Dropping it stops them, the youngest first.
pub(crate) struct Stack {
    state: PathBuf,
    quiet: bool,
    running: Vec<Running>,
    // Last, so that it outlives the processes when this is dropped.
    guard: Guard,
}

impl Stack {
    /// An empty stack after stopping what an earlier one left in `state`. A quiet one prints no
    /// log lines.
    pub(crate) fn new(state: &Path, quiet: bool) -> anyhow::Result<Self> {
        leftovers::stop(state)?;
        Ok(Self {
            state: state.to_owned(),
            quiet,
            running: Vec::new(),
            guard: Guard::start()?,
        })
    }

    /// Starts a process, without waiting for it.
    pub(crate) fn start(&mut self, program: Program) -> anyhow::Result<()> {
        let (name, stop, mark) = (program.name, program.stop, program.mark.clone());
        let shown = (!self.quiet).then_some(self.running.len());
        let process = Running::start(program, shown)?;
        let pid = process.pid;
        let watched = self.guard.watch(&process, stop.name());
        // On the list before anything can fail, so that it is stopped.
        self.running.push(process);
        watched?;
        leftovers::note(&self.state, name, pid, stop, &mark)
    }

    /// Waits until `is_ready` says so; fails when a process dies, time is up or a signal comes.
    pub(crate) fn wait_for(
        &mut self,
        name: &str,
        patience: Duration,
        mut is_ready: impl FnMut() -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            self.check()?;
            if is_ready() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let process = self.running.iter().find(|process| process.name == name);
                let words = process.map(Running::last_words).unwrap_or_default();
                bail!(
                    "{name} was not ready after {} s; its last lines:\n{words}",
                    patience.as_secs()
                );
            }
            std::thread::sleep(PULSE);
        }
    }

    /// Fails when a process has died or a signal has come.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        signals::check()?;
        for process in &mut self.running {
            if let Some(status) = process.exited() {
                bail!(
                    "{} ended unexpectedly ({status}); its last lines:\n{}",
                    process.name,
                    process.last_words()
                );
            }
        }
        Ok(())
    }

    /// Watches over everything until a signal comes, which is no error, or a process dies.
    pub(crate) fn watch(&mut self) -> anyhow::Result<()> {
        while !signals::requested() {
            self.check()?;
            std::thread::sleep(5 * PULSE);
        }
        Ok(())
    }

    /// How many processes are up.
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// Stops the processes from the `first` on, all at once.
    pub(crate) fn stop_from(&mut self, first: usize) {
        let mut stopping = self.running.split_off(first.min(self.running.len()));
        for process in stopping.iter_mut().rev() {
            process.ask_to_stop();
        }
        for process in stopping.iter_mut().rev() {
            process.wait_until_stopped();
            leftovers::forget(&self.state, process.name);
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        while !self.running.is_empty() {
            self.stop_from(self.running.len() - 1);
        }
    }
}
