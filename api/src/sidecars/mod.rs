//! The sidecars as the rest of the API sees them: typed functions, for the member who asks, within the time that the
//! request has left. One file for each sidecar.

mod error;
pub mod postgres;

use std::time::Duration;

use mcp_kit::{Client, Policy, Request};
use secrecy::SecretString;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::{access::Access, config, problem::kinds};

pub use error::{Refusal, SidecarError};
pub use postgres::Postgres;

/// What is kept of a request's time to write the answer, when a sidecar uses up the rest.
const MARGIN: Duration = Duration::from_millis(250);
/// The request's own time is shorter; an operator may make it longer.
const LONGEST_CALL: Duration = Duration::from_mins(5);
/// A read is answered sooner, or not at all: a sidecar that hangs must not keep a client for the whole request.
const LONGEST_READ: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 64;

/// All sidecars. To add one: its settings in `config.rs`, a file here, a line in each place below.
#[derive(Debug, Default)]
pub struct Sidecars {
    pub postgres: Postgres,
}

impl Sidecars {
    /// The sidecars that are set; no connection is made before the first call.
    ///
    /// # Errors
    /// An address that is none, a file that cannot be read.
    pub fn from_config(
        config: &config::Sidecars,
        metrics: &mcp_kit::Metrics,
    ) -> anyhow::Result<Self> {
        let sidecar = |name, url: &Option<String>, token| {
            let url = url.as_deref().filter(|url| !url.is_empty());
            Sidecar::new(name, url, token, metrics)
        };
        Ok(Self {
            postgres: Postgres(sidecar(
                "postgres_sidecar",
                &config.postgres_sidecar_url,
                config.postgres_token()?,
            )?),
        })
    }
}

/// One sidecar, whether it is set or not.
#[derive(Debug)]
struct Sidecar {
    /// As in metrics, and in the name of its settings.
    name: &'static str,
    client: Option<Client>,
}

impl Sidecar {
    fn new(
        name: &'static str,
        url: Option<&str>,
        token: Option<SecretString>,
        metrics: &mcp_kit::Metrics,
    ) -> anyhow::Result<Self> {
        let policy = Policy {
            attempt_timeout: LONGEST_CALL,
            at_once: AT_ONCE,
            ..Policy::default()
        };
        let client = url.map(|url| Client::http(name, url, token, policy, metrics));
        Ok(Self {
            name,
            client: client.transpose()?,
        })
    }

    fn unset(name: &'static str) -> Self {
        Self { name, client: None }
    }

    /// Calls a tool that changes nothing, for the member behind `access`.
    async fn read<T: DeserializeOwned, P>(
        &self,
        access: &Access<P>,
        tool: &'static str,
        arguments: &impl Serialize,
    ) -> Result<T, SidecarError> {
        let client = self.client.as_ref().ok_or_else(|| {
            let setting = format!("{}_url", self.name).to_uppercase();
            let detail = format!("set {setting} to the address of that sidecar");
            SidecarError::problem(&kinds::SIDECAR_NOT_CONFIGURED, detail, None)
        })?;
        let call = request(access, tool, arguments).map(|mut request| {
            request.deadline = request.deadline.min(Instant::now() + LONGEST_READ);
            request.read_only()
        });
        let answer = match call {
            Ok(request) => client.call_as(&request).await,
            Err(error) => Err(error),
        };
        answer.map_err(|error| SidecarError::of(error, self.name, &access.arrival.request_id))
    }
}

/// A call under this request's id and trace, for its member, due before its answer is.
fn request<P>(
    access: &Access<P>,
    tool: &'static str,
    arguments: &impl Serialize,
) -> Result<Request, mcp_kit::ToolError> {
    let arrival = &access.arrival;
    let deadline = arrival.deadline.checked_sub(MARGIN);
    let deadline = deadline.unwrap_or(arrival.deadline);
    let mut request = Request::new(tool, arguments, deadline.into())?;
    let person = &access.person;
    let member = format!("{}/{}", person.organization_id, person.member_id);
    request.on_behalf_of = Some(member.into());
    request.request_id = Some(arrival.request_id.as_str().into());
    request.traceparent.clone_from(&arrival.traceparent);
    Ok(request)
}
