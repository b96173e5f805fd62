//! Who calls, and what they may do. Authorization is a type in a handler's signature:
//! `Access<WriteEvents>` is a caller who may change events, and the only way to an organization's id.

use std::{
    marker::PhantomData,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::Response,
};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{
    cache::Cache,
    problem::Problem,
    state::{App, sha256},
    work::Idempotency,
};

mod permission;
mod queries;
mod token;
pub use permission::*;
pub use token::ApiKeyToken;

/// A changed or revoked key counts at most this long: the promise is one second.
const CALLER_TIME_TO_LIVE: Duration = Duration::from_millis(800);

/// Who presented the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A member of an organization, by an API key or by a service on their behalf.
    Person(Person),
    /// One of our own services, for itself: no organization's data.
    Service,
}

/// A member, and the credential that speaks for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub organization_id: Uuid,
    pub member_id: Uuid,
    pub role: Role,
    pub scopes: Vec<Scope>,
    /// The API key; none when a service acts on the member's behalf.
    pub api_key_id: Option<Uuid>,
}

impl Person {
    /// `API_KEY` or `SERVICE`: what the audit calls the actor.
    pub fn actor_kind(&self) -> &'static str {
        if self.api_key_id.is_some() {
            "API_KEY"
        } else {
            "SERVICE"
        }
    }

    /// What the rate limit, the log and the fingerprint know the caller by.
    pub fn label(&self) -> String {
        match self.api_key_id {
            Some(id) => format!("key:{id}"),
            None => format!("service:{}", self.member_id),
        }
    }
}

/// The caller as `authenticate` found it, for every later layer and extractor.
#[derive(Debug, Clone)]
pub struct Identity(pub Result<Arc<Caller>, Unauthenticated>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    /// No credential, or none that is valid.
    Credential,
    /// It could not be checked: the database is away.
    Unavailable,
}

impl Identity {
    /// The caller for the log: an id, never a name.
    pub fn label(&self) -> String {
        match self.0.as_deref() {
            Ok(Caller::Person(person)) => person.label(),
            Ok(Caller::Service) => "service".to_owned(),
            Err(_) => "anonymous".to_owned(),
        }
    }
}

/// A caller who has permission `P`, with what a handler needs to act for them.
pub struct Access<P> {
    pub person: Person,
    pub idempotency: Option<Idempotency>,
    pub arrival: Arrival,
    permission: PhantomData<P>,
}

impl<P> Access<P> {
    /// The tenant: the first argument of every query.
    pub fn organization_id(&self) -> Uuid {
        self.person.organization_id
    }
}

impl<P: Permission> FromRequestParts<App> for Access<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let Caller::Person(person) = caller(parts)? else {
            return Err(Problem::Forbidden(
                "a service must say for whom it acts: On-Behalf-Of: <organization id>/<member id>"
                    .into(),
            ));
        };
        if person.role < P::ROLE {
            return Err(Problem::Forbidden(format!(
                "this needs the role {}",
                P::ROLE
            )));
        }
        if let Some(scope) = P::SCOPE.filter(|scope| !person.scopes.contains(scope)) {
            return Err(Problem::Forbidden(format!(
                "the key lacks the scope {scope}"
            )));
        }
        Ok(Self {
            person,
            idempotency: Idempotency::from_parts(parts)?,
            arrival: arrival(&parts.extensions),
            permission: PhantomData,
        })
    }
}

/// One of our own services, for itself: operators' routes.
pub struct ServiceAccess {
    pub idempotency: Option<Idempotency>,
    pub request_id: String,
}

impl FromRequestParts<App> for ServiceAccess {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        match caller(parts)? {
            Caller::Service => Ok(Self {
                idempotency: Idempotency::from_parts(parts)?,
                request_id: arrival(&parts.extensions).request_id,
            }),
            Caller::Person(_) => Err(Problem::Forbidden(
                "only an operator's service token may do this".into(),
            )),
        }
    }
}

fn caller(parts: &Parts) -> Result<Caller, Problem> {
    match parts
        .extensions
        .get::<Identity>()
        .map(|identity| &identity.0)
    {
        Some(Ok(caller)) => Ok(Caller::clone(caller)),
        Some(Err(Unauthenticated::Unavailable)) => Err(Problem::Unavailable(
            "the credential cannot be checked right now".into(),
        )),
        Some(Err(Unauthenticated::Credential)) | None => Err(Problem::Unauthenticated),
    }
}

/// What `http::observe` knows of a request from its first moment.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub request_id: String,
    /// When the answer is due.
    pub deadline: Instant,
    /// W3C Trace Context.
    pub traceparent: Option<Arc<str>>,
}

/// A request that did not come through `observe` (there is none) would be due now.
fn arrival(extensions: &axum::http::Extensions) -> Arrival {
    extensions.get().cloned().unwrap_or_else(|| Arrival {
        request_id: String::new(),
        deadline: Instant::now(),
        traceparent: None,
    })
}

/// Finds out who calls, once for each request. It refuses nobody: extractors do.
pub async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let identity = app.authenticator.identify(&app, request.headers()).await;
    let identity = Identity(identity.map_err(|problem| match problem {
        Problem::Unauthenticated | Problem::NotFound => Unauthenticated::Credential,
        other => {
            tracing::warn!(?other, "a credential cannot be checked");
            Unauthenticated::Unavailable
        }
    }));
    request.extensions_mut().insert(identity.clone());
    let mut response = next.run(request).await;
    response.extensions_mut().insert(identity);
    response
}

/// Checks credentials, at most once in `CALLER_TIME_TO_LIVE` for each of them.
pub struct Authenticator {
    /// SHA-256 of the service token, if there is one.
    service_token: Option<[u8; 32]>,
    callers: Cache<[u8; 32], Arc<Caller>>,
}

impl Authenticator {
    pub fn new(service_token: Option<&SecretString>) -> Self {
        Self {
            service_token: service_token.map(|token| sha256(&[token.expose_secret().as_bytes()])),
            callers: Cache::new(10_000, CALLER_TIME_TO_LIVE),
        }
    }

    async fn identify(&self, app: &App, headers: &HeaderMap) -> Result<Arc<Caller>, Problem> {
        let token = bearer(headers).ok_or(Problem::Unauthenticated)?;
        let hash = sha256(&[token.as_bytes()]);
        let is_service = self
            .service_token
            .is_some_and(|service| service.ct_eq(&hash).into());
        let on_behalf_of = headers.get("on-behalf-of");
        if !is_service {
            return self
                .callers
                .get_or_load(hash, load_api_key(app, hash))
                .await;
        }
        let Some(on_behalf_of) = on_behalf_of else {
            return Ok(Arc::new(Caller::Service));
        };
        let acting = parse_on_behalf_of(on_behalf_of.to_str().unwrap_or_default());
        let (organization_id, member_id) = acting.ok_or(Problem::Unauthenticated)?;
        let key = sha256(&[&hash, organization_id.as_bytes(), member_id.as_bytes()]);
        self.callers
            .get_or_load(key, load_member(app, organization_id, member_id))
            .await
    }
}

/// `<organization id>/<member id>`.
fn parse_on_behalf_of(text: &str) -> Option<(Uuid, Uuid)> {
    let (organization_id, member_id) = text.split_once('/')?;
    Some((organization_id.parse().ok()?, member_id.parse().ok()?))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn load_api_key(app: &App, hash: [u8; 32]) -> Result<Arc<Caller>, Problem> {
    let now = app.now();
    let key = queries::api_key(&app.db, &hash, now)
        .await?
        .ok_or(Problem::Unauthenticated)?;
    if key.seen_long_ago {
        queries::touch(&app.db, key.organization_id, key.id, now).await?;
    }
    Ok(Arc::new(Caller::Person(Person {
        organization_id: key.organization_id,
        member_id: key.member_id,
        role: key.role,
        scopes: key
            .scopes
            .iter()
            .filter_map(|scope| scope.parse().ok())
            .collect(),
        api_key_id: Some(key.id),
    })))
}

async fn load_member(
    app: &App,
    organization_id: Uuid,
    member_id: Uuid,
) -> Result<Arc<Caller>, Problem> {
    let role = queries::member_role(&app.db, organization_id, member_id).await?;
    Ok(Arc::new(Caller::Person(Person {
        organization_id,
        member_id,
        role: role.ok_or(Problem::Unauthenticated)?,
        scopes: Scope::ALL.to_vec(),
        api_key_id: None,
    })))
}
