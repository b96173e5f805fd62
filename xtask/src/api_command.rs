//! Commands of the API's binary that run to their end: `migrate`, `seed`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::signals;

/// Runs a command to its end; its words matter only when it fails.
pub(crate) fn run(program: &Path, verb: &str, environment: &[(&str, &str)]) -> anyhow::Result<()> {
    signals::check()?;
    let mut command = Command::new(program);
    command
        .arg(verb)
        .envs(environment.iter().copied())
        .env("LOG_FORMAT", "text");
    let output = command
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    signals::check()?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!(
            "`{verb}` of the API failed ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&said).trim_end()
        );
    }
    Ok(())
}
