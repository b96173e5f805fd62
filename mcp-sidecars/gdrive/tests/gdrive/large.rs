//! A file through the real binary and back, and what memory that took.

use std::{
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use event_planner_sandbox::{
    Sandbox,
    google::token::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN},
};
use futures_util::stream;
use md5::{Digest, Md5};
use reqwest::{Body, Client};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

const MIB: usize = 1024 * 1024;

/// What a run came to.
pub struct Figures {
    pub upload: Duration,
    pub download: Duration,
    /// Largest resident memory of the sidecar's process, in KiB (`VmHWM`).
    pub sidecar: u64,
    /// The same of this process, which holds the sandbox and the client.
    pub sandbox: u64,
}

/// Sends files of `mib` MiB to Drive through the sidecar, `at_once` of them, and fetches one back.
///
/// # Errors
/// It did not come back as it went, or the binary cannot be run.
pub async fn transfer(binary: &str, mib: usize, at_once: usize) -> anyhow::Result<Figures> {
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox = Sandbox::start().await?;
    let (sidecar, url) = start(binary, &sandbox).await?;
    let begun = Instant::now();
    let uploads = (0..at_once).map(|number| upload(&url, number, mib));
    let uploaded = futures_util::future::try_join_all(uploads).await?;
    let upload = begun.elapsed();
    let begun = Instant::now();
    let wanted = &uploaded[0];
    ensure!(
        download(&url, &wanted["id"]).await? == wanted["md5"],
        "other bytes came back"
    );
    let download = begun.elapsed();
    let process = sidecar.id().context("the sidecar ended")?.to_string();
    Ok(Figures {
        upload,
        download,
        sidecar: peak(&process)?,
        sandbox: peak("self")?,
    })
}

async fn start(binary: &str, sandbox: &Sandbox) -> anyhow::Result<(Child, String)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let google = sandbox.url("google");
    let sidecar = Command::new(binary)
        .arg("--allow-loopback-without-token")
        .arg(format!("--listen-addr=127.0.0.1:{port}"))
        .arg("--metrics-addr=127.0.0.1:0")
        .arg(format!("--google-base-url={google}"))
        .arg(format!("--google-token-url={google}/token"))
        .arg(format!("--google-client-id={CLIENT_ID}"))
        .arg(format!("--google-client-secret={CLIENT_SECRET}"))
        .arg(format!("--google-refresh-token={REFRESH_TOKEN}"))
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("run {binary}"))?;
    let url = format!("http://127.0.0.1:{port}");
    for _ in 0..200 {
        let ready = Client::new().get(format!("{url}/ready")).send().await;
        if ready.is_ok_and(|answer| answer.status().is_success()) {
            return Ok((sidecar, url));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    anyhow::bail!("the sidecar was not ready within five seconds")
}

async fn upload(url: &str, number: usize, mib: usize) -> anyhow::Result<Value> {
    let pieces = (0..mib * 16).map(move |at| {
        let byte = at.wrapping_mul(31).wrapping_add(number).to_le_bytes()[0];
        Ok::<_, std::io::Error>(vec![byte; MIB / 16])
    });
    let answer = Client::new()
        .post(format!("{url}/mcp/tools/upload_file/content"))
        .header(
            "tool-arguments",
            json!({ "name": format!("{number}.bin") }).to_string(),
        )
        .header("content-type", "application/octet-stream")
        .header("content-length", mib * MIB)
        .body(Body::wrap_stream(stream::iter(pieces)))
        .send()
        .await?;
    let answer: Value = answer.json().await?;
    let file = answer["result"]["file"].clone();
    ensure!(file["size"] == json!(mib * MIB), "not stored: {answer}");
    Ok(file)
}

/// The MD5 of what came.
async fn download(url: &str, id: &Value) -> anyhow::Result<Value> {
    let mut answer = Client::new()
        .get(format!("{url}/mcp/tools/download_file/content"))
        .header("tool-arguments", json!({ "file_id": id }).to_string())
        .send()
        .await?
        .error_for_status()?;
    let mut hash = Md5::new();
    while let Some(piece) = answer.chunk().await? {
        hash.update(&piece);
    }
    Ok(hex::encode(hash.finalize()).into())
}

fn peak(process: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let text = line.context("no VmHWM: this is measured on Linux")?.trim();
    Ok(text.trim_end_matches(" kB").parse()?)
}
