//! Ports on the loopback address.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, bail};

use crate::terminal::say;

/// Below the range from which systems take the ports of outgoing connections, so that a port that
/// is free now is still free a second later and tomorrow.
const RANGE: std::ops::Range<u16> = 20_000..30_000;

/// A free port. Processes that ask at the same time begin their search at different places.
pub(crate) fn free() -> anyhow::Result<u16> {
    let length = u32::from(RANGE.end - RANGE.start);
    let begin = std::process::id().wrapping_mul(7) % length;
    let found = (0..length)
        .filter_map(|step| u16::try_from((begin + step) % length).ok())
        .map(|offset| RANGE.start + offset)
        .find(|port| is_free(*port));
    found.context("no free port on 127.0.0.1")
}

/// The port that `name` had at its last start, or a free one, which is remembered in `state`.
pub(crate) fn remembered(state: &Path, name: &str) -> anyhow::Result<u16> {
    let note = state.join(format!("{name}.port"));
    let last = fs::read_to_string(&note)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    if let Some(port) = last {
        if is_free(port) {
            return Ok(port);
        }
        say(format_args!(
            "port {port}, which {name} had last time, is taken: choosing another"
        ));
    }
    // Several names ask before the first of them listens.
    let mut port = free()?;
    while is_noted(state, port) || !is_free(port) {
        port += 1;
    }
    fs::write(&note, format!("{port}\n")).with_context(|| format!("writing {}", note.display()))?;
    Ok(port)
}

fn is_noted(state: &Path, port: u16) -> bool {
    let Ok(entries) = fs::read_dir(state) else {
        return false;
    };
    entries
        .flatten()
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "port")
        })
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .any(|text| text.trim().parse() == Ok(port))
}

/// The port to listen on: `explicit` or an error, else `usual` or the next one that is free and not `promised` to
/// another process, with a notice.
pub(crate) fn wanted(
    name: &str,
    usual: u16,
    explicit: Option<u16>,
    promised: &[u16],
) -> anyhow::Result<u16> {
    let is_ours = |port: u16| !promised.contains(&port) && is_free(port);
    if let Some(port) = explicit {
        if is_free(port) {
            return Ok(port);
        }
        bail!("port {port} is taken: stop what listens there or give {name} another port");
    }
    if is_ours(usual) {
        return Ok(usual);
    }
    let next = (usual..usual.saturating_add(100)).find(|port| is_ours(*port));
    let next = next.with_context(|| format!("no free port from {usual} on for {name}"))?;
    say(format_args!(
        "port {usual} is taken: {name} listens on {next}"
    ));
    Ok(next)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free().unwrap())).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[test]
    fn a_taken_port_that_was_asked_for_is_an_error() {
        let (_listener, port) = taken();
        let error = wanted("api", 8000, Some(port), &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("port {port} is taken")), "{error}");
    }

    #[test]
    fn a_taken_usual_port_gives_way_to_the_next() {
        let (_listener, port) = taken();
        let other = wanted("api", port, None, &[]).unwrap();
        assert!(other > port && other < port + 100);
    }
}
