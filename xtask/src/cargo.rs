//! What we ask of cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::process;

/// What `cargo metadata` tells about the workspace.
pub(crate) struct Workspace {
    description: Value,
}

/// A cargo to run in the checkout: the one that started us.
pub(crate) fn command(checkout: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(checkout);
    command
}

/// Builds packages; what the compiler says goes to the terminal.
pub(crate) fn build(checkout: &Path, packages: &[&str], release: bool) -> anyhow::Result<()> {
    let mut cargo = command(checkout);
    cargo.args(["build", "--bins"]).env("SQLX_OFFLINE", "true");
    for package in packages {
        cargo.args(["--package", package]);
    }
    if release {
        cargo.arg("--release");
    }
    if !process::run(&mut cargo)?.success() {
        bail!("the build failed, see above");
    }
    Ok(())
}

impl Workspace {
    pub(crate) fn read(checkout: &Path) -> anyhow::Result<Self> {
        let mut cargo = command(checkout);
        let output = cargo
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output();
        let output = output.context("starting cargo metadata")?;
        if !output.status.success() {
            bail!(
                "cargo metadata failed:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(Self {
            description: serde_json::from_slice(&output.stdout)?,
        })
    }

    /// Where the build puts its results.
    pub(crate) fn target(&self) -> anyhow::Result<PathBuf> {
        let target = self.description["target_directory"].as_str();
        Ok(target
            .context("cargo metadata tells no target_directory")?
            .into())
    }

    /// The first files of every library, binary, test and bench of the packages that use `sqlx`.
    pub(crate) fn roots_with_queries(&self) -> Vec<PathBuf> {
        let packages = array(&self.description["packages"]);
        let users = packages.filter(|package| {
            array(&package["dependencies"]).any(|dependency| dependency["name"] == "sqlx")
        });
        users
            .flat_map(|package| array(&package["targets"]))
            .filter(|target| array(&target["kind"]).all(|kind| kind != "custom-build"))
            .filter_map(|target| target["src_path"].as_str().map(PathBuf::from))
            .collect()
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_code_that_may_contain_queries_is_listed() {
        let description = json!({ "packages": [
            { "dependencies": [{ "name": "sqlx" }], "targets": [
                { "kind": ["lib"], "src_path": "/w/api/src/lib.rs" },
                { "kind": ["custom-build"], "src_path": "/w/api/build.rs" },
                { "kind": ["test"], "src_path": "/w/api/tests/api/main.rs" },
            ] },
            { "dependencies": [{ "name": "clap" }], "targets": [
                { "kind": ["bin"], "src_path": "/w/xtask/src/main.rs" },
            ] },
        ] });
        let roots = Workspace { description }.roots_with_queries();
        assert_eq!(
            roots,
            ["/w/api/src/lib.rs", "/w/api/tests/api/main.rs"].map(PathBuf::from)
        );
    }
}
