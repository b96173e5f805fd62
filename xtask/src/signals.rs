//! Ctrl-C and its kin: noted by a thread, asked for by every loop that waits.

use std::fmt;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static LAST: AtomicI32 = AtomicI32::new(0);

/// The error of a command that a signal ended; nothing went wrong.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// From here on SIGINT, SIGTERM and SIGHUP no longer end the program by themselves.
pub(crate) fn listen() -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("listening for signals")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            LAST.store(signal, Ordering::SeqCst);
            COUNT.fetch_add(1, Ordering::SeqCst);
        }
    });
    Ok(())
}

/// Whether to stop.
pub(crate) fn requested() -> bool {
    COUNT.load(Ordering::SeqCst) > 0
}

/// Whether somebody asked twice and does not want to wait for a clean stop.
pub(crate) fn insisted() -> bool {
    COUNT.load(Ordering::SeqCst) > 1
}

/// Fails with [`Interrupted`] when it is time to stop.
pub(crate) fn check() -> anyhow::Result<()> {
    if requested() {
        Err(Interrupted.into())
    } else {
        Ok(())
    }
}

/// Whether a child in our process group has had the signal already: a terminal gives Ctrl-C to
/// the whole group, `kill` only to us.
pub(crate) fn child_knows() -> bool {
    LAST.load(Ordering::SeqCst) == SIGINT && std::io::stdin().is_terminal()
}
