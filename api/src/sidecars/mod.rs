//! The sidecars as the rest of the API sees them: typed functions, for the member who asks, within the time that the
//! request has left. One file for each sidecar.

mod content;
mod error;
pub mod postgres;

use std::time::Duration;

use mcp_kit::{Account, Client, Policy, Request};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    access::Access,
    config,
    integrations::{Integrations, Provider},
    problem::kinds,
};

pub use content::Upload;
pub use error::{Refusal, SidecarError};
pub use postgres::Postgres;

/// What is kept of a request's time to write the answer, when a sidecar uses up the rest.
const MARGIN: Duration = Duration::from_millis(250);
/// The request's own time is shorter; an operator may make it longer.
const LONGEST_CALL: Duration = Duration::from_mins(5);
/// A read is answered sooner, or not at all: a sidecar that hangs must not keep a client for the whole request.
const LONGEST_READ: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 64;

/// All sidecars. To add one: its settings in `config/sidecars.rs`, a line in each place below.
#[derive(Debug)]
pub struct Sidecars {
    pub postgres: Postgres,
    pub gdrive: Sidecar,
    pub slack: Sidecar,
    pub calendar: Sidecar,
    pub stripe: Sidecar,
    pub twilio: Sidecar,
    pub linear: Sidecar,
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
        let sidecar = |name, place: config::Place<'_>| Sidecar::new(name, place, metrics);
        Ok(Self {
            postgres: Postgres(sidecar("postgres_sidecar", config.postgres()?)?),
            gdrive: sidecar("gdrive_sidecar", config.gdrive()?)?,
            slack: sidecar("slack_sidecar", config.slack()?)?,
            calendar: sidecar("calendar_sidecar", config.calendar()?)?,
            stripe: sidecar("stripe_sidecar", config.stripe()?)?,
            twilio: sidecar("twilio_sidecar", config.twilio()?)?,
            linear: sidecar("linear_sidecar", config.linear()?)?,
        })
    }

    /// From now on calls act with the accounts that organizations have connected.
    #[must_use]
    pub fn acting_for(mut self, integrations: &Integrations) -> Self {
        for (sidecar, provider) in [
            (&mut self.gdrive, Provider::Google),
            (&mut self.calendar, Provider::Google),
            (&mut self.slack, Provider::Slack),
            (&mut self.linear, Provider::Linear),
        ] {
            sidecar.accounts = Some((integrations.clone(), provider));
        }
        self
    }
}

impl Default for Sidecars {
    fn default() -> Self {
        let unset = |name| Sidecar {
            name,
            client: None,
            accounts: None,
        };
        Self {
            postgres: Postgres(unset("postgres_sidecar")),
            gdrive: unset("gdrive_sidecar"),
            slack: unset("slack_sidecar"),
            calendar: unset("calendar_sidecar"),
            stripe: unset("stripe_sidecar"),
            twilio: unset("twilio_sidecar"),
            linear: unset("linear_sidecar"),
        }
    }
}

/// One sidecar, whether it is set or not.
#[derive(Debug)]
pub struct Sidecar {
    /// As in metrics, and in the name of its settings.
    name: &'static str,
    client: Option<Client>,
    /// Where it finds the account of an organization, at which provider.
    accounts: Option<(Integrations, Provider)>,
}

/// A call on behalf of an organization that no request waits for: a job's. Its key is the same in every attempt.
#[derive(Debug, Clone)]
pub struct Errand {
    pub organization_id: Uuid,
    /// Who asked for it, for the sidecar's audit line.
    pub member_id: Option<Uuid>,
    /// Of the request that asked for it.
    pub request_id: Option<String>,
    /// Unique for this effect: the tool has it once, however often it is asked.
    pub idempotency_key: String,
    /// The account to act with; without one it is the one that the organization has connected, else that of the sidecar.
    pub account: Option<Account>,
    pub deadline: Instant,
}

impl Sidecar {
    fn new(
        name: &'static str,
        place: config::Place<'_>,
        metrics: &mcp_kit::Metrics,
    ) -> anyhow::Result<Self> {
        let policy = Policy {
            attempt_timeout: LONGEST_CALL,
            at_once: AT_ONCE,
            ..Policy::default()
        };
        let config::Place { url, token } = place;
        let client = url.map(|url| Client::http(name, url, token, policy, metrics));
        Ok(Self {
            name,
            client: client.transpose()?,
            accounts: None,
        })
    }

    /// Whether this installation has it.
    pub fn is_set(&self) -> bool {
        self.client.is_some()
    }

    /// # Errors
    /// 501, which names the setting, where this installation does not have it.
    pub fn check(&self) -> Result<(), SidecarError> {
        self.client().map(|_| ())
    }

    /// Whether an errand acts with an account that its organization has connected, not with one that others share.
    pub async fn has_own_account(&self, errand: &Errand) -> Result<bool, SidecarError> {
        Ok(self.account(errand).await?.is_some())
    }

    /// Calls a tool that changes something, once for the errand's key.
    pub async fn run<T: DeserializeOwned>(
        &self,
        errand: &Errand,
        tool: &str,
        arguments: &impl Serialize,
    ) -> Result<T, SidecarError> {
        let request = self.request(errand, tool, arguments).await?;
        self.send(
            request.map(|request| request.with_idempotency_key(&errand.idempotency_key)),
            errand.request_id(),
        )
        .await
    }

    /// Calls a tool that takes no key because asking again does no harm: it reads, or it does the same thing each time, as
    /// `trash_file` does.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        errand: &Errand,
        tool: &str,
        arguments: &impl Serialize,
    ) -> Result<T, SidecarError> {
        let request = self.request(errand, tool, arguments).await?;
        self.send(request.map(Request::read_only), errand.request_id())
            .await
    }

    /// Calls a tool that changes nothing, for the member behind `access`.
    async fn read<T: DeserializeOwned, P>(
        &self,
        access: &Access<P>,
        tool: &'static str,
        arguments: &impl Serialize,
    ) -> Result<T, SidecarError> {
        let call = request(access, tool, arguments).map(|mut request| {
            request.deadline = request.deadline.min(Instant::now() + LONGEST_READ);
            request.read_only()
        });
        self.send(call, &access.arrival.request_id).await
    }

    /// An errand's call with the account that it acts with.
    async fn request(
        &self,
        errand: &Errand,
        tool: &str,
        arguments: &impl Serialize,
    ) -> Result<Result<Request, mcp_kit::ToolError>, SidecarError> {
        let mut request = errand.request(tool, arguments);
        if let Ok(request) = &mut request {
            request.account = self.account(errand).await?;
        }
        Ok(request)
    }

    async fn account(&self, errand: &Errand) -> Result<Option<Account>, SidecarError> {
        if errand.account.is_some() {
            return Ok(errand.account.clone());
        }
        let Some((accounts, provider)) = self.accounts.as_ref().filter(|_| self.is_set()) else {
            return Ok(None);
        };
        let request_id = errand.request_id();
        let (organization_id, deadline) = (errand.organization_id, errand.deadline);
        accounts
            .account(organization_id, *provider, request_id, deadline)
            .await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: Result<Request, mcp_kit::ToolError>,
        request_id: &str,
    ) -> Result<T, SidecarError> {
        let client = self.client()?;
        let is_own = is_own(&request);
        let answer = match request {
            Ok(request) => client.call_as(&request).await,
            Err(error) => Err(error),
        };
        answer.map_err(|error| self.error(error, is_own, request_id))
    }

    fn error(&self, error: mcp_kit::ToolError, is_own: bool, request_id: &str) -> SidecarError {
        // Others are not asked less because this account was asked too often.
        let is_own = is_own && error.code == mcp_kit::Code::RateLimited;
        match SidecarError::of(error, self.name, request_id) {
            SidecarError::Problem(problem) if is_own => SidecarError::Own(problem),
            error => error,
        }
    }

    fn client(&self) -> Result<&Client, SidecarError> {
        self.client.as_ref().ok_or_else(|| {
            let setting = format!("{}_url", self.name).to_uppercase();
            let detail = format!("set {setting} to the address of that sidecar");
            SidecarError::problem(&kinds::SIDECAR_NOT_CONFIGURED, detail, None)
        })
    }
}

impl<P> Access<P> {
    /// An errand for this caller, in the time that the request has left; its key is still to be given.
    pub fn errand(&self) -> Errand {
        let deadline = self.arrival.deadline.checked_sub(MARGIN);
        Errand {
            organization_id: self.person.organization_id,
            member_id: Some(self.person.member_id),
            request_id: Some(self.arrival.request_id.clone()),
            idempotency_key: String::new(),
            account: None,
            deadline: deadline.unwrap_or(self.arrival.deadline).into(),
        }
    }
}

impl Errand {
    fn request_id(&self) -> &str {
        self.request_id.as_deref().unwrap_or_default()
    }

    fn request(
        &self,
        tool: &str,
        arguments: &impl Serialize,
    ) -> Result<Request, mcp_kit::ToolError> {
        let mut request = Request::new(tool, arguments, self.deadline)?;
        let member = self.member_id.unwrap_or_default();
        request.on_behalf_of = Some(format!("{}/{member}", self.organization_id).into());
        request.request_id = self.request_id.as_deref().map(Into::into);
        request.account.clone_from(&self.account);
        Ok(request)
    }
}

/// Whether a call acts with an account that the organization connected.
fn is_own(request: &Result<Request, mcp_kit::ToolError>) -> bool {
    request
        .as_ref()
        .is_ok_and(|request| request.account.is_some())
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
