//! What every handler can reach: pools, settings, the clock and the source of ids.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use ipnet::IpNet;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::{ContextV7, Uuid};

use crate::{
    access::Authenticator,
    config::{AppEnv, Serve},
    integrations::Integrations,
    keyring::Keys,
    orchestrations::Orchestrations,
    outbound::{Outbound, Rules},
    plans::Catalogues,
    rate_limit::RateLimiter,
    shares::Shares,
    sidecars::Sidecars,
    telemetry::Metrics,
};

/// The shared state; cloning it is cheap.
#[derive(Clone)]
pub struct App(Arc<State>);

pub struct State {
    pub db: PgPool,
    pub clock: Clock,
    pub ids: Ids,
    pub settings: Settings,
    pub metrics: Metrics,
    pub authenticator: Authenticator,
    pub rate_limiter: RateLimiter,
    /// Queries of an organization.
    pub insights_limiter: RateLimiter,
    /// What planning keeps in memory.
    pub catalogues: Catalogues,
    pub sidecars: Sidecars,
    /// They seal what we have to send as it was given to us.
    pub keys: Keys,
    /// Accounts of organizations at providers.
    pub integrations: Integrations,
    pub orchestrations: Orchestrations,
    pub watchers: Shares,
    pub transfers: Shares,
    /// Calls of webhooks.
    pub outbound: Outbound,
    /// Calls of organizations' agents.
    pub agent_outbound: Outbound,
    /// Set when we are about to stop: `/ready` says no.
    pub draining: AtomicBool,
}

/// The settings that requests read.
#[derive(Debug, Clone)]
pub struct Settings {
    pub public_base_url: String,
    pub trust_forwarded_for: bool,
    pub request_timeout: Duration,
    pub body_limit: usize,
    pub max_in_flight: usize,
    pub plan_ttl: Duration,
    pub hold_ttl: Duration,
    /// May be called though they are not public.
    pub webhook_allowed_networks: Vec<IpNet>,
    pub payments: PaymentSettings,
    pub delivery: Delivery,
}

/// The settings of payments through Stripe.
#[derive(Debug, Clone)]
pub struct PaymentSettings {
    /// What Stripe signs its events with; several while one takes the place of another.
    pub webhook_secrets: Vec<SecretString>,
    /// How long a checkout page can be paid, and holds are kept for it.
    pub checkout_ttl: Duration,
    /// The most that one payment may ask for, in minor units.
    pub max_amount: i64,
}

/// The defaults of `serve`.
impl Default for PaymentSettings {
    fn default() -> Self {
        Self {
            webhook_secrets: Vec::new(),
            checkout_ttl: Duration::from_hours(23),
            max_amount: 99_999_999,
        }
    }
}

/// What messages and documents keep to.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub messages_per_hour: u32,
    pub slack_channel: String,
    /// What Twilio's callbacks are signed with, by any of them.
    pub twilio_callback_tokens: Vec<SecretString>,
    /// Where they are sent to, if that is not the public address.
    pub twilio_callback_base_url: Option<String>,
    /// In bytes.
    pub upload_limit: u64,
    pub upload_timeout: Duration,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            messages_per_hour: 500,
            slack_channel: "#events".into(),
            twilio_callback_tokens: Vec::new(),
            twilio_callback_base_url: None,
            upload_limit: 1024 * 1024 * 1024,
            upload_timeout: Duration::from_mins(15),
        }
    }
}

/// The defaults of `serve`.
impl Default for Settings {
    fn default() -> Self {
        Self {
            public_base_url: "http://127.0.0.1:8000".into(),
            trust_forwarded_for: false,
            request_timeout: Duration::from_secs(15),
            body_limit: 1024 * 1024,
            max_in_flight: 512,
            plan_ttl: Duration::from_hours(1),
            hold_ttl: Duration::from_hours(48),
            payments: PaymentSettings::default(),
            delivery: Delivery::default(),
            webhook_allowed_networks: Vec::new(),
        }
    }
}

impl App {
    pub fn new(state: State) -> Self {
        Self(Arc::new(state))
    }

    /// The state for `serve`.
    pub fn from_config(config: &Serve, db: PgPool) -> anyhow::Result<Self> {
        let settings = Settings {
            public_base_url: config.public_base_url.trim_end_matches('/').to_owned(),
            trust_forwarded_for: config.trust_forwarded_for,
            request_timeout: config.request_timeout,
            body_limit: config.body_limit,
            max_in_flight: config.max_in_flight,
            plan_ttl: config.plan_ttl,
            hold_ttl: config.hold_ttl,
            payments: config.payments.settings()?,
            delivery: Delivery {
                messages_per_hour: config.delivery.messages_per_hour,
                slack_channel: config.delivery.slack_channel.clone(),
                twilio_callback_tokens: config.delivery.twilio_callback_tokens()?,
                twilio_callback_base_url: config.delivery.twilio_callback_base_url.clone(),
                upload_limit: config.delivery.upload_limit,
                upload_timeout: config.delivery.upload_timeout,
            },
            webhook_allowed_networks: config.webhook_allowed_networks.clone(),
        };
        let metrics = Metrics::new()?;
        let sidecars = Sidecars::from_config(&config.sidecars, &metrics.sidecars)?;
        let is_production = config.app_env == AppEnv::Production;
        let keys = Keys::from(config.integrations.keys.ring(is_production)?);
        let integrations = Integrations::from_config(
            &config.integrations,
            keys.clone(),
            db.clone(),
            Clock::System,
            &metrics,
        )?;
        let limiter = RateLimiter::new(config.redis_url()?.as_ref(), "", config.rate_limit)?;
        Self::assemble(
            db,
            settings,
            Authenticator::new(config.service_auth_token()?.as_ref()),
            limiter,
            config.insights_rate_limit,
            metrics,
            keys,
            (sidecars.acting_for(&integrations), integrations),
            Orchestrations::from_config(&config.orchestrations)?,
        )
    }

    /// The state for a command that changes the database and serves nobody.
    pub fn for_command(db: PgPool) -> anyhow::Result<Self> {
        let integrations = Integrations::unset(db.clone());
        Self::assemble(
            db,
            Settings::default(),
            Authenticator::new(None),
            RateLimiter::new(None, "", 600)?,
            60,
            Metrics::new()?,
            Keys::default(),
            (Sidecars::default(), integrations),
            Orchestrations::default(),
        )
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each is made in a way of its own by the two that call this"
    )]
    fn assemble(
        db: PgPool,
        settings: Settings,
        authenticator: Authenticator,
        rate_limiter: RateLimiter,
        insights_rate_limit: u32,
        metrics: Metrics,
        keys: Keys,
        (sidecars, integrations): (Sidecars, Integrations),
        orchestrations: Orchestrations,
    ) -> anyhow::Result<Self> {
        Ok(Self::new(State {
            db,
            clock: Clock::System,
            ids: Ids::default(),
            outbound: Outbound::new(Rules::within(&settings.webhook_allowed_networks))?,
            agent_outbound: Outbound::new(orchestrations.agent_rules.clone())?,
            settings,
            metrics,
            authenticator,
            insights_limiter: rate_limiter.beside("insights", insights_rate_limit)?,
            rate_limiter,
            catalogues: Catalogues::default(),
            sidecars,
            keys,
            integrations,
            orchestrations,
            watchers: Shares::watchers(),
            transfers: Shares::transfers(),
            draining: AtomicBool::new(false),
        }))
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn new_id(&self) -> Uuid {
        self.ids.next(self.now())
    }
}

impl Deref for App {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

/// The time, in the microseconds that Postgres keeps; fixed in tests.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    /// Microseconds since 1970, moved by hand.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else asks"
    )]
    pub fn now(&self) -> Timestamp {
        let microseconds = match self {
            Self::System => Timestamp::now().as_microsecond(),
            Self::Fixed(time) => time.load(Ordering::Relaxed),
        };
        Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// `UUIDv7`: sorts by creation, within a millisecond too.
#[derive(Default)]
pub struct Ids(std::sync::Mutex<ContextV7>);

impl Ids {
    pub fn next(&self, now: Timestamp) -> Uuid {
        let context = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
        Uuid::new_v7(uuid::Timestamp::from_unix(&*context, seconds, nanoseconds))
    }
}

/// The pool for the application's role, with a first connection, so that a wrong address is told.
pub async fn connect(url: &SecretString, connections: u32) -> anyhow::Result<PgPool> {
    let pool = pool_options(connections).connect_with(address(url)?);
    pool.await.context("connect to Postgres (DATABASE_URL)")
}

/// As `connect`, without a first connection: the database may come later.
pub fn connect_lazily(url: &SecretString, connections: u32) -> anyhow::Result<PgPool> {
    Ok(pool_options(connections).connect_lazy_with(address(url)?))
}

fn address(url: &SecretString) -> anyhow::Result<PgConnectOptions> {
    let options: PgConnectOptions = url
        .expose_secret()
        .parse()
        .context("DATABASE_URL is not an address of Postgres")?;
    Ok(options.application_name("event-planner-api"))
}

fn pool_options(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(3))
        // A dead connection is found by the statement that meets it; testing each is a round trip.
        .test_before_acquire(false)
        .max_lifetime(Duration::from_mins(30))
}

/// SHA-256, for tokens and fingerprints.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}
