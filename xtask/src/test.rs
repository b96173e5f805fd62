//! `cargo xtask test`: every test, against throw-away servers.

use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use clap::Args;

use crate::throw_away::ThrowAway;
use crate::{cargo, postgres, process, redis, signals};

/// Runs the tests against a throw-away Postgres and Redis.
///
/// Arguments go to `cargo nextest run` if that is installed, else to `cargo test`: a filter, or for
/// example `--package event-planner-api --no-fail-fast`. Without any, the documentation's examples
/// are tested too.
#[derive(Args)]
pub(crate) struct Test {
    /// A server of yours instead; each test makes its own database in it.
    #[arg(
        long,
        env = "TEST_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    database_url: Option<String>,

    /// A server of yours instead.
    #[arg(
        long,
        env = "TEST_REDIS_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    redis_url: Option<String>,

    /// Filters and options of the test runner.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    arguments: Vec<String>,
}

struct Urls {
    database: String,
    redis: String,
}

impl Test {
    /// Answers the exit code of the first runner that fails.
    pub(crate) fn run(&self, checkout: &Path) -> anyhow::Result<ExitCode> {
        let mut servers = ThrowAway::new(checkout)?;
        let database = match &self.database_url {
            Some(url) => url.clone(),
            None => postgres::superuser_url(servers.start_postgres(checkout)?, "postgres"),
        };
        let redis = match &self.redis_url {
            Some(url) => url.clone(),
            None => redis::url(servers.start_redis(checkout)?),
        };
        let urls = Urls { database, redis };
        let status = process::run(&mut runner(checkout, &urls, &self.arguments))?;
        if !status.success() || !self.arguments.is_empty() {
            return Ok(exit_code(status));
        }
        let mut examples = test_command(checkout, &urls, &["test", "--doc"], &[]);
        Ok(exit_code(process::run(&mut examples)?))
    }
}

fn runner(checkout: &Path, urls: &Urls, arguments: &[String]) -> Command {
    let mut nextest = cargo::command(checkout);
    if crate::packages::succeeds(nextest.args(["nextest", "--version"])) {
        return test_command(checkout, urls, &["nextest", "run"], arguments);
    }
    // All but the benches, which would run as if they were tests.
    test_command(checkout, urls, &["test", "--tests"], arguments)
}

fn test_command(checkout: &Path, urls: &Urls, verb: &[&str], arguments: &[String]) -> Command {
    let mut command = cargo::command(checkout);
    command.args(verb);
    if !names_packages(arguments) {
        command.arg("--workspace");
    }
    command.args(arguments);
    command
        .env("DATABASE_URL", &urls.database)
        .env("REDIS_URL", &urls.redis);
    command.env("SQLX_OFFLINE", "true");
    command
}

/// Cargo would silently prefer `--workspace`.
fn names_packages(arguments: &[String]) -> bool {
    let own = arguments.iter().take_while(|argument| *argument != "--");
    let mut own = own.map(String::as_str);
    own.any(|argument| {
        argument == "--package" || argument.starts_with("--package=") || argument.starts_with("-p")
    })
}

fn exit_code(status: ExitStatus) -> ExitCode {
    if signals::requested() {
        return ExitCode::from(130);
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::names_packages;

    fn names(arguments: &[&str]) -> bool {
        names_packages(
            &arguments
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn a_named_package_narrows_the_run() {
        assert!(names(&["-p", "xtask"]));
        assert!(names(&["-pxtask"]));
        assert!(names(&["--package=xtask"]));
        assert!(!names(&["plans"]));
        assert!(
            !names(&["plans", "--", "-p"]),
            "what follows is for the tests themselves"
        );
    }
}
