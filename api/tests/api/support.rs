//! What every test starts from: two organizations, a client for each kind of caller, a fixed clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, Request, StatusCode},
    response::Response,
};
use event_planner_api::{
    access::{ApiKeyToken, Authenticator, Role},
    api_keys::{self, NewApiKey},
    config, http,
    integrations::Integrations,
    keyring::Keys,
    members::{self, NewMember},
    orchestrations::Orchestrations,
    organizations::{self, NewTenant},
    outbound::{Outbound, Rules},
    rate_limit::RateLimiter,
    shares::Shares,
    sidecars::Sidecars,
    state::{App, Clock, Delivery, Ids, PaymentSettings, Settings, State},
    telemetry::Metrics,
    work::Work,
};
use event_planner_mcp_postgres::PostgresSettings;
use event_planner_sandbox::Sandbox;
use http_body_util::BodyExt;
use serde_json::Value;
use sqlx::{PgPool, Postgres, pool::PoolConnection, postgres::PgPoolOptions};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;
use uuid::Uuid;

use crate::providers;

pub const SERVICE_TOKEN: &str = "4kPz7QvW1xYbN8sLr2TfHc6JmUaGd9Ei";
/// What the sandbox signs Stripe's events with.
pub const WEBHOOK_SECRET: &str = "whsec_sandbox-signs-with-this-no-real-secret";
/// Friday, 15 January 2027, noon UTC.
pub const NOW: &str = "2027-01-15T12:00:00Z";

/// The application with its callers. `organization_id` is theirs, but for `stranger`.
pub struct TestApp {
    pub app: App,
    pub router: Router,
    pub organization_id: Uuid,
    pub owner_id: Uuid,
    pub other_organization_id: Uuid,
    pub owner: Client,
    pub planner: Client,
    pub viewer: Client,
    /// The owner of another organization.
    pub stranger: Client,
    /// Nobody.
    pub anonymous: Client,
    /// Our own service, for itself.
    pub service: Client,
    clock: Arc<AtomicI64>,
    /// Ends the sidecar, so that the database of the test can be dropped.
    _sidecar: DropGuard,
}

impl TestApp {
    pub async fn new(pool: PgPool) -> Self {
        Self::with(pool, |_| {}).await
    }

    /// With other settings.
    pub async fn with(pool: PgPool, change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_quota(pool, 1_000_000, change).await
    }

    /// With the sandbox in place of Google, Slack, Stripe and Twilio, and their sidecars.
    pub async fn with_providers(pool: PgPool) -> (Self, Sandbox) {
        Self::with_providers_and(pool, |_| {}).await
    }

    /// The same, with other settings.
    pub async fn with_providers_and(
        pool: PgPool,
        change: impl FnOnce(&mut Settings),
    ) -> (Self, Sandbox) {
        Self::with_all(pool, &[], change).await
    }

    /// The same, with settings of the sandbox.
    pub async fn with_sandbox(pool: PgPool, arguments: &[&str]) -> (Self, Sandbox) {
        Self::with_all(pool, arguments, |_| {}).await
    }

    async fn with_all(
        pool: PgPool,
        arguments: &[&str],
        change: impl FnOnce(&mut Settings),
    ) -> (Self, Sandbox) {
        let (sandbox, sidecars) = providers::start(arguments).await;
        let integrations = providers::integrations(&sandbox.world.base_url);
        let app = Self::assemble(
            pool,
            1_000_000,
            sidecars,
            &integrations,
            Orchestrations::default(),
            change,
        )
        .await;
        (app, sandbox)
    }

    /// With other agents, or with a planner.
    pub async fn with_orchestrations(pool: PgPool, orchestrations: Orchestrations) -> Self {
        let sidecars = config::Sidecars::default();
        let integrations = providers::integrations("http://127.0.0.1:9");
        Self::assemble(
            pool,
            1_000_000,
            sidecars,
            &integrations,
            orchestrations,
            |_| {},
        )
        .await
    }

    /// With a rate limit of `quota` requests a minute.
    pub async fn with_quota(pool: PgPool, quota: u32, change: impl FnOnce(&mut Settings)) -> Self {
        let integrations = providers::integrations("http://127.0.0.1:9");
        Self::assemble(
            pool,
            quota,
            config::Sidecars::default(),
            &integrations,
            Orchestrations::default(),
            change,
        )
        .await
    }

    /// With other OAuth clients and keys.
    pub async fn with_integrations(pool: PgPool, integrations: &config::Integrations) -> Self {
        let sidecars = config::Sidecars::default();
        Self::assemble(
            pool,
            1_000_000,
            sidecars,
            integrations,
            Orchestrations::default(),
            |_| {},
        )
        .await
    }

    async fn assemble(
        pool: PgPool,
        quota: u32,
        sidecars: config::Sidecars,
        integrations: &config::Integrations,
        orchestrations: Orchestrations,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let now: jiff::Timestamp = NOW.parse().unwrap();
        let clock = Arc::new(AtomicI64::new(now.as_microsecond()));
        let mut settings = Settings {
            public_base_url: "https://events.example".into(),
            trust_forwarded_for: false,
            request_timeout: Duration::from_secs(30),
            body_limit: 1024 * 1024,
            max_in_flight: 1_000,
            plan_ttl: Duration::from_hours(1),
            hold_ttl: Duration::from_hours(48),
            payments: PaymentSettings {
                webhook_secrets: vec![WEBHOOK_SECRET.into()],
                ..PaymentSettings::default()
            },
            delivery: Delivery::default(),
            // Receivers of tests listen here.
            webhook_allowed_networks: vec!["127.0.0.1/32".parse().unwrap()],
        };
        change(&mut settings);
        let service_token = SERVICE_TOKEN.to_owned().into();
        let limiter = rate_limiter(quota);
        let metrics = Metrics::new().unwrap();
        let (sidecars, sidecar) = with_postgres(&pool, sidecars, &metrics).await;
        let db = application_pool(&pool).await;
        let keys = Keys::from(integrations.keys.ring(true).unwrap());
        let integrations = Integrations::from_config(
            integrations,
            keys.clone(),
            db.clone(),
            Clock::Fixed(clock.clone()),
            &metrics,
        )
        .unwrap();
        let app = App::new(State {
            db,
            clock: Clock::Fixed(clock.clone()),
            ids: Ids::default(),
            outbound: Outbound::new(Rules::within(&settings.webhook_allowed_networks)).unwrap(),
            agent_outbound: Outbound::new(orchestrations.agent_rules.clone()).unwrap(),
            settings,
            metrics,
            authenticator: Authenticator::new(Some(&service_token)),
            insights_limiter: limiter.beside("insights", 60).unwrap(),
            rate_limiter: limiter,
            catalogues: event_planner_api::plans::Catalogues::default(),
            sidecars: sidecars.acting_for(&integrations),
            keys,
            integrations,
            orchestrations,
            watchers: Shares::watchers(),
            transfers: Shares::transfers(),
            draining: AtomicBool::new(false),
        });
        Self::populate(app, clock, sidecar).await
    }

    async fn populate(app: App, clock: Arc<AtomicI64>, sidecar: DropGuard) -> Self {
        let router = http::app(app.clone());
        let client = |key: Option<&str>| Client {
            router: router.clone(),
            key: key.map(str::to_owned),
            on_behalf_of: None,
        };
        let (organization_id, owner_id, owner) =
            tenant(&app, "Acme Events", "ada@example.com").await;
        let (other_organization_id, _, stranger) =
            tenant(&app, "Other Events", "mallory@example.com").await;
        let planner = member(&app, organization_id, "grace@example.com", Role::Planner).await;
        let viewer = member(&app, organization_id, "linus@example.com", Role::Viewer).await;
        Self {
            owner: client(Some(&owner)),
            planner: client(Some(&planner)),
            viewer: client(Some(&viewer)),
            stranger: client(Some(&stranger)),
            anonymous: client(None),
            service: client(Some(SERVICE_TOKEN)),
            app,
            router,
            organization_id,
            owner_id,
            other_organization_id,
            clock,
            _sidecar: sidecar,
        }
    }

    /// What another process would have before the same database.
    pub fn integrations_beside(&self, config: &config::Integrations) -> Integrations {
        let (db, clock) = (self.app.db.clone(), Clock::Fixed(self.clock.clone()));
        let keys = Keys::from(config.keys.ring(true).unwrap());
        Integrations::from_config(config, keys, db, clock, &Metrics::new().unwrap()).unwrap()
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        let microseconds = i64::try_from(duration.as_micros()).unwrap();
        self.clock.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// Goes with the sandbox, which has the time of the machine, from now on until the next call.
    #[expect(
        clippy::disallowed_methods,
        reason = "the sandbox asks the machine, too"
    )]
    pub fn follow_machine(&self) {
        let now = jiff::Timestamp::now().as_microsecond();
        self.clock.store(now, Ordering::Relaxed);
    }

    /// Takes all connections to the database but one, for as long as the answer is kept: a change that needs a second waits
    /// for ever.
    pub async fn leave_one_connection(&self) -> Vec<PoolConnection<Postgres>> {
        let mut taken = Vec::new();
        for _ in 1..self.app.db.options().get_max_connections() {
            taken.push(self.app.db.acquire().await.unwrap());
        }
        taken
    }

    pub fn client(&self, key: &str) -> Client {
        Client {
            router: self.router.clone(),
            key: Some(key.to_owned()),
            on_behalf_of: None,
        }
    }
}

/// A caller: whatever it sends carries its credential.
#[derive(Clone)]
pub struct Client {
    router: Router,
    pub key: Option<String>,
    on_behalf_of: Option<String>,
}

impl Client {
    /// The same credential, acting for a member.
    pub fn on_behalf_of(&self, organization_id: Uuid, member_id: Uuid) -> Self {
        Self {
            on_behalf_of: Some(format!("{organization_id}/{member_id}")),
            ..self.clone()
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path), Body::empty())
            .await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(
            with(self.request(Method::GET, path), headers),
            Body::empty(),
        )
        .await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, body, &[]).await
    }

    /// A POST under an idempotency key.
    pub async fn post_once(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.post_with(path, body, &[("idempotency-key", key)])
            .await
    }

    pub async fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let request = with(self.request(Method::POST, path), headers);
        if body.is_null() {
            return self.send(request, Body::empty()).await;
        }
        self.send(
            request.header("content-type", "application/json"),
            Body::from(body.to_string()),
        )
        .await
    }

    /// A merge patch of the version that was read.
    pub async fn patch(&self, path: &str, etag: &str, body: &Value) -> Answer {
        let request = self.request(Method::PATCH, path).header("if-match", etag);
        let request = request.header("content-type", "application/merge-patch+json");
        self.send(request, Body::from(body.to_string())).await
    }

    pub async fn delete(&self, path: &str, etag: &str) -> Answer {
        self.send(
            self.request(Method::DELETE, path).header("if-match", etag),
            Body::empty(),
        )
        .await
    }

    /// A request with the credential, for everything else.
    pub fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(member) = &self.on_behalf_of {
            request = request.header("on-behalf-of", member);
        }
        request
    }

    pub async fn send(&self, request: axum::http::request::Builder, body: Body) -> Answer {
        let (parts, body) = self.begin(request, body).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes,
        }
    }

    /// An answer whose body is still to come.
    pub async fn open(&self, path: &str) -> Response {
        self.begin(self.request(Method::GET, path), Body::empty())
            .await
    }

    async fn begin(&self, request: axum::http::request::Builder, body: Body) -> Response {
        let request = request.body(body).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }
}

fn with(
    mut request: axum::http::request::Builder,
    headers: &[(&str, &str)],
) -> axum::http::request::Builder {
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Answer {
    /// The JSON body, after a check of the status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        if self.bytes.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// The problem body, after a check of status and code.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["instance"], self.header("x-request-id"));
        problem
    }

    /// 422 on exactly these fields.
    #[track_caller]
    pub fn expect_invalid(&self, pointers: &[&str]) {
        let problem = self.expect_problem(422, "invalid_fields");
        let found: Vec<_> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(found, pointers, "{problem}");
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn etag(&self) -> &str {
        self.header("etag")
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.bytes.to_vec()).unwrap()
    }
}

/// The test's database as the application's own role, held to the same rights as in production.
async fn application_pool(pool: &PgPool) -> PgPool {
    let options = (*pool.connect_options())
        .clone()
        .username("event_planner_app");
    PgPoolOptions::new()
        .max_connections(8)
        .connect_with(options)
        .await
        .unwrap()
}

/// The real Postgres sidecar over a socket, in this process; it connects when it is first asked.
async fn with_postgres(
    pool: &PgPool,
    others: config::Sidecars,
    metrics: &Metrics,
) -> (Sidecars, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let options = pool.connect_options();
    let (host, port, database) = (
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap(),
    );
    let own = PostgresSettings {
        database_url: Some(
            format!("postgres://event_planner_reporting@{host}:{port}/{database}").into(),
        ),
        database_url_file: None,
        organization_id: None,
        only_organization_in_database: false,
        pool_size: 1,
        pool_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(2),
    };
    let settings = mcp_kit::testing::settings(&[&format!("--mcp-tokens={SERVICE_TOKEN}")]).unwrap();
    let service = event_planner_mcp_postgres::sidecar(&own)
        .unwrap()
        .build(&settings)
        .unwrap();
    let router = service.router(&settings).unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let server = axum::serve(listener, router).with_graceful_shutdown(stopped);
    tokio::spawn(server.into_future());
    let config = config::Sidecars {
        postgres_sidecar_url: Some(url),
        postgres_sidecar_token: Some(SERVICE_TOKEN.into()),
        ..others
    };
    let sidecars = Sidecars::from_config(&config, &metrics.sidecars).unwrap();
    (sidecars, stop.drop_guard())
}

/// Where the tests' Redis is.
#[expect(
    clippy::disallowed_methods,
    reason = "the test runner tells where its Redis is"
)]
pub fn redis_url() -> String {
    std::env::var("REDIS_URL").expect("REDIS_URL: run the tests with `cargo xtask test`")
}

/// Counts in Redis under a prefix of its own.
fn rate_limiter(quota: u32) -> RateLimiter {
    #[expect(clippy::disallowed_methods, reason = "any prefix of its own will do")]
    let prefix = format!("test:{}:", Uuid::now_v7());
    RateLimiter::new(Some(&redis_url().into()), &prefix, quota).unwrap()
}

async fn tenant(app: &App, name: &str, email: &str) -> (Uuid, Uuid, String) {
    let mut work = Work::system(app, Uuid::nil()).await.unwrap();
    let new = NewTenant {
        name: name.into(),
        owner_name: "Owner".into(),
        owner_email: email.into(),
    };
    let token = ApiKeyToken::generate().unwrap();
    let tenant = organizations::found(&mut work, &new, &token).await.unwrap();
    work.commit_silently().await.unwrap();
    (
        tenant.organization.id,
        tenant.owner.id,
        token.expose().to_owned(),
    )
}

async fn member(app: &App, organization_id: Uuid, email: &str, role: Role) -> String {
    let mut work = Work::system(app, organization_id).await.unwrap();
    let new = NewMember {
        name: "Member".into(),
        email: email.into(),
        role,
    };
    let member = members::create(&mut work, organization_id, &new)
        .await
        .unwrap();
    let token = ApiKeyToken::generate().unwrap();
    let key = NewApiKey {
        name: "key".into(),
        member_id: None,
        scopes: None,
        expires_at: None,
    };
    api_keys::create(&mut work, organization_id, member.id, &key, &token)
        .await
        .unwrap();
    work.commit_silently().await.unwrap();
    token.expose().to_owned()
}
