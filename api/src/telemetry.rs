//! Logs and metrics. The request log line is documented in `docs/operations.md`.

use std::io::IsTerminal;

use anyhow::Context;
use axum::{Router, routing::get};
use prometheus::{
    Encoder, Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Sends log lines to standard error: JSON in containers, text for people.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.log_filter).context("LOG_FILTER")?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let is_terminal = std::io::stderr().is_terminal();
    match log.log_format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init(),
        LogFormat::Text => lines.with_ansi(is_terminal).with_target(false).init(),
    }
    Ok(())
}

/// What Prometheus reads of this process.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    pub requests: IntCounterVec,
    pub request_duration: HistogramVec,
    pub requests_in_flight: IntGauge,
    pub database_connections: IntGauge,
    pub database_connections_idle: IntGauge,
    pub plans: IntCounterVec,
    pub changes: IntCounterVec,
    pub rate_limit_fallbacks: prometheus::IntCounter,
    /// What the clients of the sidecars count.
    pub sidecars: mcp_kit::Metrics,
    pub jobs: JobMetrics,
    pub webhooks_received: IntCounterVec,
    pub oauth_refreshes: IntCounterVec,
}

/// What a worker counts.
#[derive(Clone)]
pub struct JobMetrics {
    pub ended: IntCounterVec,
    pub duration: HistogramVec,
    pub due: IntGauge,
    pub dead: IntGauge,
    pub oldest: Gauge,
    pub paused_lanes: IntGauge,
    pub frozen: IntGauge,
    /// Attempts at webhooks: `delivered`, `retry` or `failed`.
    pub webhooks: IntCounterVec,
    pub disabled_endpoints: IntGauge,
    /// By status.
    pub runs: IntGaugeVec,
    pub longest_waiting_run: Gauge,
}

impl JobMetrics {
    fn new() -> prometheus::Result<Self> {
        let ended = Opts::new("jobs_total", "Attempts at jobs that ended.");
        let duration = HistogramOpts::new("job_duration_seconds", "Time of an attempt.");
        let webhooks = Opts::new("webhook_attempts_total", "Attempts to deliver webhooks.");
        let runs = Opts::new(
            "orchestrations_open",
            "Runs that have not succeeded or been undone.",
        );
        Ok(Self {
            ended: IntCounterVec::new(ended, &["kind", "outcome"])?,
            duration: HistogramVec::new(duration, &["kind"])?,
            due: IntGauge::new("jobs_due", "Jobs that wait for a worker.")?,
            dead: IntGauge::new("jobs_dead", "Dead letters.")?,
            oldest: Gauge::new(
                "jobs_oldest_due_seconds",
                "How long the oldest due job has waited.",
            )?,
            paused_lanes: IntGauge::new(
                "job_lanes_paused",
                "Providers whose jobs wait because they are away.",
            )?,
            frozen: IntGauge::new(
                "deliveries_frozen",
                "1 on a restored copy until deliveries are released.",
            )?,
            webhooks: IntCounterVec::new(webhooks, &["outcome"])?,
            disabled_endpoints: IntGauge::new(
                "webhook_endpoints_disabled",
                "Webhook endpoints that we have disabled because they failed.",
            )?,
            runs: IntGaugeVec::new(runs, &["status"])?,
            longest_waiting_run: Gauge::new(
                "orchestrations_waiting_seconds",
                "How long the oldest run has waited for somebody's approval.",
            )?,
        })
    }
}

impl Metrics {
    pub fn new() -> anyhow::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        let counter = |name: &str, help: &str, labels: &[&str]| -> anyhow::Result<IntCounterVec> {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> anyhow::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let request_duration = HistogramVec::new(
            HistogramOpts::new(
                "http_request_duration_seconds",
                "Time to the response, by route.",
            )
            .buckets(vec![
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0,
            ]),
            &["method", "route"],
        )?;
        registry.register(Box::new(request_duration.clone()))?;
        let rate_limit_fallbacks = prometheus::IntCounter::new(
            "rate_limit_fallbacks_total",
            "Requests counted in the process because Redis was away.",
        )?;
        registry.register(Box::new(rate_limit_fallbacks.clone()))?;
        Ok(Self {
            requests: counter(
                "http_requests_total",
                "Requests answered.",
                &["method", "route", "status"],
            )?,
            request_duration,
            requests_in_flight: gauge("http_requests_in_flight", "Requests being worked on.")?,
            database_connections: gauge("database_connections", "Connections to Postgres.")?,
            database_connections_idle: gauge("database_connections_idle", "Of those, idle.")?,
            plans: counter("plans_total", "Plans made.", &["outcome"])?,
            changes: counter(
                "changes_total",
                "Changes committed, by what the audit trail calls them.",
                &["action"],
            )?,
            rate_limit_fallbacks,
            sidecars: mcp_kit::Metrics::for_client(&registry)?,
            jobs: JobMetrics::new()?,
            webhooks_received: counter(
                "webhooks_received_total",
                "Events that providers sent: accepted, duplicate, ignored or refused.",
                &["provider", "outcome"],
            )?,
            oauth_refreshes: counter(
                "oauth_refreshes_total",
                "Refreshes of connected accounts' tokens: success, expired or failure.",
                &["provider", "outcome"],
            )?,
            registry,
        })
    }

    /// Shows the jobs too: a worker measures them, and zeros of anybody else would be wrong.
    pub fn show_jobs(&self) -> prometheus::Result<()> {
        let jobs = &self.jobs;
        self.registry.register(Box::new(jobs.ended.clone()))?;
        self.registry.register(Box::new(jobs.duration.clone()))?;
        self.registry.register(Box::new(jobs.webhooks.clone()))?;
        self.registry.register(Box::new(jobs.runs.clone()))?;
        for gauge in [&jobs.oldest, &jobs.longest_waiting_run] {
            self.registry.register(Box::new(gauge.clone()))?;
        }
        for gauge in [
            &jobs.due,
            &jobs.dead,
            &jobs.paused_lanes,
            &jobs.frozen,
            &jobs.disabled_endpoints,
        ] {
            self.registry.register(Box::new(gauge.clone()))?;
        }
        Ok(())
    }

    /// The text exposition format of Prometheus.
    pub fn render(&self, db: &sqlx::PgPool) -> anyhow::Result<String> {
        self.database_connections.set(i64::from(db.size()));
        self.database_connections_idle
            .set(i64::try_from(db.num_idle())?);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8(text)?)
    }
}

/// The router of the metrics port.
pub fn metrics_router(app: crate::state::App) -> Router {
    Router::new().route(
        "/metrics",
        get(move || async move {
            app.metrics
                .render(&app.db)
                .map_err(crate::problem::Problem::from)
        }),
    )
}
