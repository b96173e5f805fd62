//! What a command says: progress on stderr, results and the processes' log lines on stdout.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Instant;

/// One colour per process, in the order of their start.
const COLOURS: [u8; 6] = [36, 35, 33, 32, 34, 31];

/// Tells what is being done; results for a shell to read go through [`print()`].
pub(crate) fn say(message: impl Display) {
    // A closed terminal must not keep the processes from being stopped.
    let _ = writeln!(
        std::io::stderr(),
        "{} {message}",
        paint(stderr_in_colour(), 1, "xtask:")
    );
}

/// Tells that a step ended and how long it took.
pub(crate) fn done(message: impl Display, since: Instant) {
    say(format_args!(
        "{message} ({:.1} s)",
        since.elapsed().as_secs_f32()
    ));
}

/// A line of result on stdout.
pub(crate) fn print(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A log line of a process, with its name in front. `order` picks the colour.
pub(crate) fn log_line(order: usize, name: &str, line: &str) {
    let colour = COLOURS[order % COLOURS.len()];
    let prefix = paint(stdout_in_colour(), colour, &format!("{name:>8} |"));
    let _ = writeln!(std::io::stdout(), "{prefix} {line}");
}

fn paint(in_colour: bool, code: u8, text: &str) -> String {
    if in_colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

fn stdout_in_colour() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| std::io::stdout().is_terminal() && colour_is_wanted())
}

fn stderr_in_colour() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| std::io::stderr().is_terminal() && colour_is_wanted())
}

/// The convention of <https://no-color.org>: set and not empty means no colour.
fn colour_is_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
