//! How often a caller may ask: GCRA in Redis, one round trip; in the process when Redis is away.
//! Answers carry `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers-11).

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use anyhow::Context;
use axum::{
    extract::{Request, State},
    http::HeaderValue,
    middleware::Next,
    response::{IntoResponse, Response},
};
use deadpool_redis::{Connection, Pool, Runtime, Timeouts, redis::Script};
use governor::{Quota, clock::Clock, middleware::StateInformationMiddleware};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    access::{Caller, Identity},
    http::client_address,
    problem::Problem,
    state::App,
};

/// The window over which the quota is stated, in seconds.
const WINDOW: u32 = 60;
/// Redis answers within this, or the process counts.
const DEADLINE: Duration = Duration::from_millis(40);
/// Connecting to it ends at this.
const PATIENCE: Duration = Duration::from_secs(1);
/// After a failure Redis is left alone this long, in microseconds.
const PAUSE: i64 = 1_000_000;

type Local = governor::RateLimiter<
    String,
    governor::state::keyed::DefaultKeyedStateStore<String>,
    governor::clock::DefaultClock,
    StateInformationMiddleware,
>;

/// One policy and who used how much of it.
pub struct RateLimiter {
    /// As the answer names it.
    policy: &'static str,
    redis: Option<Pool>,
    script: Script,
    local: Local,
    prefix: String,
    quota: u32,
    /// Until when Redis is left alone, in microseconds since 1970.
    paused_until: AtomicI64,
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decision {
    allowed: bool,
    remaining: u32,
    /// Until the next one is taken.
    wait: Duration,
    /// Until the whole quota is free again.
    reset: Duration,
}

impl RateLimiter {
    /// `quota` requests a minute; `prefix` keeps the keys of several deployments apart.
    pub fn new(redis: Option<&SecretString>, prefix: &str, quota: u32) -> anyhow::Result<Self> {
        let redis = redis.map(|url| pool(url.expose_secret())).transpose()?;
        Self::with_policy("default", redis, prefix, quota).context("RATE_LIMIT")
    }

    /// Another policy beside this one, over the same Redis.
    pub fn beside(&self, policy: &'static str, quota: u32) -> anyhow::Result<Self> {
        Self::with_policy(policy, self.redis.clone(), &self.prefix, quota).context(policy)
    }

    fn with_policy(
        policy: &'static str,
        redis: Option<Pool>,
        prefix: &str,
        quota: u32,
    ) -> anyhow::Result<Self> {
        let per_minute = NonZeroU32::new(quota).context("a rate limit must be at least 1")?;
        Ok(Self {
            policy,
            redis,
            script: Script::new(include_str!("rate_limit.lua")),
            local: governor::RateLimiter::keyed(Quota::per_minute(per_minute)).with_middleware(),
            prefix: prefix.to_owned(),
            quota,
            paused_until: AtomicI64::new(0),
        })
    }

    /// Counts one more for `key`, or says when the next is taken.
    pub async fn admit(&self, app: &App, key: &str) -> Result<(), Problem> {
        let decision = self.decide(app, key).await;
        if decision.allowed {
            Ok(())
        } else {
            Err(self.refusal(decision))
        }
    }

    /// As `RateLimit-Policy` says it.
    fn stated(&self) -> String {
        format!("\"{}\";q={};w={WINDOW}", self.policy, self.quota)
    }

    fn refusal(&self, decision: Decision) -> Problem {
        let seconds = round_up(decision.wait).max(1);
        Problem::TooManyRequests(self.policy, seconds)
    }

    async fn decide(&self, app: &App, key: &str) -> Decision {
        let now = app.now().as_microsecond();
        if let Some(redis) = &self.redis
            && self.paused_until.load(Ordering::Relaxed) <= now
        {
            match tokio::time::timeout(DEADLINE, self.ask_redis(redis, key)).await {
                Ok(Ok(decision)) => return decision,
                Ok(Err(error)) => tracing::warn!(%error, "Redis is away; counting in the process"),
                Err(_) => tracing::warn!("Redis is slow; counting in the process"),
            }
            self.paused_until.store(now + PAUSE, Ordering::Relaxed);
        }
        app.metrics.rate_limit_fallbacks.inc();
        self.decide_here(key)
    }

    async fn ask_redis(&self, redis: &Pool, key: &str) -> anyhow::Result<Decision> {
        let mut connection = connection(redis).await?;
        let interval = u64::from(WINDOW) * 1_000_000 / u64::from(self.quota);
        let mut call = self
            .script
            .key(format!("{}rate:{}:{key}", self.prefix, self.policy));
        let answer: (u8, u32, u64, u64) = call
            .arg(interval)
            .arg(self.quota)
            .invoke_async(&mut connection)
            .await?;
        let (allowed, remaining, wait, reset) = answer;
        Ok(Decision {
            allowed: allowed == 1,
            remaining,
            wait: Duration::from_micros(wait),
            reset: Duration::from_micros(reset),
        })
    }

    fn decide_here(&self, key: &str) -> Decision {
        let interval = Duration::from_secs(u64::from(WINDOW)) / self.quota;
        match self.local.check_key(&key.to_owned()) {
            Ok(snapshot) => {
                let remaining = snapshot.remaining_burst_capacity();
                let used = self.quota.saturating_sub(remaining);
                Decision {
                    allowed: true,
                    remaining,
                    wait: Duration::ZERO,
                    reset: interval * used,
                }
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.local.clock().now());
                Decision {
                    allowed: false,
                    remaining: 0,
                    wait,
                    reset: interval * self.quota,
                }
            }
        }
    }

    /// Forgets local callers who have not come for a while.
    pub fn tidy(&self) {
        self.local.retain_recent();
    }
}

/// Counts the request against its caller, and says in the answer how much is left.
pub async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let identity = request.extensions().get::<Identity>();
    let key = match identity.and_then(|identity| identity.0.as_deref().ok()) {
        Some(Caller::Service) => return next.run(request).await,
        Some(Caller::Person(person)) => person.label(),
        None => format!("address:{}", client_address(&app, &request)),
    };
    let asks = request.uri().path().starts_with("/v1/insights/");
    let decision = app.rate_limiter.decide(&app, &key).await;
    let mut response = if decision.allowed {
        next.run(request).await
    } else {
        app.rate_limiter.refusal(decision).into_response()
    };
    let mut policy = app.rate_limiter.stated();
    if asks {
        policy = format!("{policy}, {}", app.insights_limiter.stated());
    }
    let left = format!(
        "\"default\";r={};t={}",
        decision.remaining,
        round_up(decision.reset)
    );
    let headers = response.headers_mut();
    if let (Ok(policy), Ok(left)) = (HeaderValue::try_from(policy), HeaderValue::try_from(left)) {
        headers.insert("ratelimit-policy", policy);
        headers.insert("ratelimit", left);
    }
    response
}

fn round_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Connecting goes on when nobody waits for it any more: a later request finds it done. With TLS it can take longer than a
/// request may wait.
async fn connection(redis: &Pool) -> anyhow::Result<Connection> {
    let redis = redis.clone();
    let connecting = tokio::spawn(async move { redis.get().await });
    Ok(connecting.await??)
}

fn pool(url: &str) -> anyhow::Result<Pool> {
    let manager =
        deadpool_redis::Manager::new(url).context("REDIS_URL is not an address of Redis")?;
    let timeouts = Timeouts {
        wait: Some(DEADLINE),
        create: Some(PATIENCE),
        recycle: Some(DEADLINE),
    };
    Pool::builder(manager)
        .max_size(16)
        .timeouts(timeouts)
        .runtime(Runtime::Tokio1)
        .build()
        .context("the pool of Redis connections")
}
