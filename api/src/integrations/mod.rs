//! An organization's own accounts at providers: connected at the provider's page, used by the sidecars' calls, disconnected
//! by taking the tokens back.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use prometheus::IntCounterVec;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::Mutex;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    access::{Access, ReadIntegrations, WriteIntegrations},
    config,
    extract::{IfMatch, Path},
    keyring::{KeyRing, Keys},
    page::{List, NoFilter, Page},
    problem::{Problem, kinds},
    state::{App, Clock, Ids},
    telemetry::Metrics,
    work::Answer,
};

mod accounts;
mod connect;
mod disconnect;
mod oauth;
mod provider;
mod queries;
mod rotate;

pub use connect::callback_routes;
pub use disconnect::revoke;
pub use provider::Provider;
pub use rotate::seal_anew;

/// Refreshes at once in a process: each waits for a provider with a connection to the database in its hand.
const TURNS: usize = 4;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_integrations))
        .routes(routes!(get_integration, disconnect_integration))
        .routes(routes!(connect::start_connecting))
        .routes(routes!(integration_status))
}

/// A connected account. Its tokens are never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct Integration {
    pub id: Uuid,
    pub provider: Provider,
    pub status: Status,
    /// As the provider names it, e.g. a workspace's id.
    pub account_id: String,
    /// For people: an address or a workspace's name.
    pub account_name: String,
    /// What the person who connected it allowed; may be less than was asked for.
    pub scopes: Vec<String>,
    /// When the access token ends. It is refreshed before, as long as the status is `CONNECTED`.
    pub expires_at: Option<Timestamp>,
    /// The member; null once they have left.
    pub connected_by: Option<Uuid>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Whether calls can act with the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum Status {
    Connected,
    /// The provider no longer lets us in: somebody has to connect it anew. Until then calls fail; nobody else's account is
    /// used in its place.
    Expired,
}

/// Whose account calls of a provider's sidecars act with.
#[derive(Debug, Serialize, ToSchema)]
pub struct IntegrationStatus {
    /// Always true: the status could be told.
    success: bool,
    status: StoredStatus,
}

#[derive(Debug, Serialize, ToSchema)]
struct StoredStatus {
    /// Whether the organization has connected an account of its own.
    stored: bool,
    /// Whether calls act with the credentials of this installation's sidecar instead.
    #[serde(rename = "developerFallback")]
    developer_fallback: bool,
    /// `CONNECTED` or `EXPIRED`; null without an account, as are the next three.
    status: Option<Status>,
    account: Option<String>,
    scopes: Option<Vec<String>>,
    expires_at: Option<Timestamp>,
}

/// List the connected accounts, oldest first.
#[utoipa::path(get, path = "/v1/integrations", tag = "integrations",
    responses((status = 200, description = "One page.", body = Page<Integration>)))]
async fn list_integrations(
    State(app): State<App>,
    access: Access<ReadIntegrations>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let found = queries::list(&app.db, organization_id, list.after()?, list.fetch()).await?;
    Ok(list.page(found, |integration| integration.id))
}

/// Get the account that is connected at a provider.
#[utoipa::path(get, path = "/v1/integrations/{provider}", tag = "integrations",
    params(("provider" = Provider, Path, description = "The provider.")),
    responses((status = 200, description = "The account.", body = Integration)))]
async fn get_integration(
    State(app): State<App>,
    access: Access<ReadIntegrations>,
    Path(provider): Path<Provider>,
) -> Result<Answer, Problem> {
    let found = queries::get(&app.db, access.organization_id(), provider).await?;
    let integration = found.ok_or(Problem::NotFound)?;
    Answer::ok(integration.version, &integration)
}

/// Disconnect an account. Its tokens are gone at once, and the provider is told to take them back.
#[utoipa::path(delete, path = "/v1/integrations/{provider}", tag = "integrations",
    params(("provider" = Provider, Path, description = "The provider.")),
    responses((status = 204, description = "Gone.")))]
async fn disconnect_integration(
    State(app): State<App>,
    access: Access<WriteIntegrations>,
    Path(provider): Path<Provider>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, provider).await?;
    let current = current.ok_or(Problem::NotFound)?;
    if_match.check(current.version)?;
    disconnect::retire(&mut work, &current).await?;
    work.commit(Answer::no_content()).await
}

/// Whose account is used at a provider: the organization's own, or that of this installation.
#[utoipa::path(get, path = "/oauth/{provider}/status", tag = "integrations",
    params(("provider" = Provider, Path, description = "The provider.")),
    responses((status = 200, description = "What is stored.", body = IntegrationStatus)))]
async fn integration_status(
    State(app): State<App>,
    access: Access<ReadIntegrations>,
    Path(provider): Path<Provider>,
) -> Result<Answer, Problem> {
    let found = queries::get(&app.db, access.organization_id(), provider).await?;
    let has_sidecar = match provider {
        Provider::Google => app.sidecars.gdrive.is_set() || app.sidecars.calendar.is_set(),
        Provider::Slack => app.sidecars.slack.is_set(),
        Provider::Linear => app.sidecars.linear.is_set(),
    };
    let status = StoredStatus {
        stored: found.is_some(),
        developer_fallback: found.is_none() && has_sidecar,
        status: found.as_ref().map(|found| found.status),
        expires_at: found.as_ref().and_then(|found| found.expires_at),
        account: found.as_ref().map(|found| found.account_name.clone()),
        scopes: found.map(|found| found.scopes),
    };
    Answer::plain(&IntegrationStatus {
        success: true,
        status,
    })
}

/// The providers' OAuth clients, the keys and the accounts. Cheap to clone.
#[derive(Clone)]
pub struct Integrations(Arc<Inner>);

struct Inner {
    db: PgPool,
    clock: Clock,
    ids: Ids,
    keys: Keys,
    clients: Vec<oauth::OAuth>,
    return_url: Option<String>,
    /// By provider and outcome.
    refreshes: Option<IntCounterVec>,
    turns: [Mutex<()>; TURNS],
}

impl Integrations {
    /// # Errors
    /// Settings that do not hold: half a client, an address that is none.
    pub fn from_config(
        config: &config::Integrations,
        keys: Keys,
        db: PgPool,
        clock: Clock,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let mut clients = Vec::new();
        for provider in Provider::ALL {
            let client = config.client(provider)?;
            clients.extend(oauth::OAuth::new(provider, client, &metrics.sidecars)?);
        }
        let return_url = config.integrations_return_url.clone();
        let refreshes = metrics.oauth_refreshes.clone();
        Ok(Self::assemble(
            db,
            clock,
            keys,
            clients,
            return_url,
            Some(refreshes),
        ))
    }

    /// None can be connected: for commands that serve nobody.
    pub fn unset(db: PgPool) -> Self {
        Self::assemble(db, Clock::System, Keys::default(), Vec::new(), None, None)
    }

    fn assemble(
        db: PgPool,
        clock: Clock,
        keys: Keys,
        clients: Vec<oauth::OAuth>,
        return_url: Option<String>,
        refreshes: Option<IntCounterVec>,
    ) -> Self {
        Self(Arc::new(Inner {
            db,
            clock,
            ids: Ids::default(),
            keys,
            clients,
            return_url,
            refreshes,
            turns: std::array::from_fn(|_| Mutex::default()),
        }))
    }

    fn db(&self) -> &PgPool {
        &self.0.db
    }

    fn now(&self) -> jiff::Timestamp {
        self.0.clock.now()
    }

    fn new_id(&self) -> Uuid {
        self.0.ids.next(self.now())
    }

    fn ring(&self) -> Result<&KeyRing, Problem> {
        self.0.keys.ring()
    }

    fn oauth(&self, provider: Provider) -> Result<&oauth::OAuth, Problem> {
        let mut clients = self.0.clients.iter();
        let client = clients.find(|client| client.provider() == provider);
        client.ok_or_else(|| {
            let name = provider.as_str().to_uppercase();
            not_configured(format!(
                "set {name}_OAUTH_CLIENT_ID and {name}_OAUTH_CLIENT_SECRET"
            ))
        })
    }
}

fn not_configured(detail: String) -> Problem {
    Problem::Sidecar(&kinds::INTEGRATION_NOT_CONFIGURED, detail, None)
}

/// Nothing of what it holds.
impl std::fmt::Debug for Integrations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Integrations").finish_non_exhaustive()
    }
}
