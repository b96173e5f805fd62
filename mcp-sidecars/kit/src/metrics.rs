//! What Prometheus reads of a sidecar.

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

const SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// The metrics of one process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// `mcp_tool_calls_total{sidecar,tool,outcome}`; outcome is `ok` or an error code in lower case.
    pub calls: IntCounterVec,
    /// `mcp_tool_call_duration_seconds{sidecar,tool}`.
    pub duration: HistogramVec,
    /// `mcp_tool_calls_in_flight`.
    pub in_flight: IntGauge,
    /// `mcp_upstream_requests_total{provider,outcome}`; one per attempt.
    pub upstream: IntCounterVec,
    /// `mcp_upstream_request_duration_seconds{provider}`; one per attempt.
    pub upstream_duration: HistogramVec,
    /// `mcp_upstream_breaker_open{provider}`: 1 from when calls are refused without asking until one gets through again.
    pub breaker_open: IntGaugeVec,
}

impl Metrics {
    /// All metrics, and those of the process, in a registry of their own.
    ///
    /// # Errors
    /// Only if two metrics share a name.
    pub fn new() -> anyhow::Result<Self> {
        let metrics = Self::for_client(&Registry::new())?;
        let registry = &metrics.registry;
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        registry.register(Box::new(metrics.calls.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        Ok(metrics)
    }

    /// For a process that only calls tools: what a [`Client`](crate::Client) counts (`mcp_upstream_…`), in the
    /// process's own registry.
    ///
    /// # Errors
    /// Only if two metrics share a name.
    pub fn for_client(registry: &Registry) -> anyhow::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        let histogram = |name: &str, help: &str, labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            HistogramVec::new(options, labels)
        };
        let breaker = Opts::new(
            "mcp_upstream_breaker_open",
            "1 while the provider is not asked.",
        );
        let metrics = Self {
            calls: counter(
                "mcp_tool_calls_total",
                "Tool calls ended.",
                &["sidecar", "tool", "outcome"],
            )?,
            duration: histogram(
                "mcp_tool_call_duration_seconds",
                "Time to the answer.",
                &["sidecar", "tool"],
            )?,
            in_flight: IntGauge::new("mcp_tool_calls_in_flight", "Tool calls being worked on.")?,
            upstream: counter(
                "mcp_upstream_requests_total",
                "Attempts at the provider.",
                &["provider", "outcome"],
            )?,
            upstream_duration: histogram(
                "mcp_upstream_request_duration_seconds",
                "Time of an attempt.",
                &["provider"],
            )?,
            breaker_open: IntGaugeVec::new(breaker, &["provider"])?,
            registry: registry.clone(),
        };
        registry.register(Box::new(metrics.upstream.clone()))?;
        registry.register(Box::new(metrics.upstream_duration.clone()))?;
        registry.register(Box::new(metrics.breaker_open.clone()))?;
        Ok(metrics)
    }

    /// Where a sidecar registers metrics of its own.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The text exposition format of Prometheus.
    pub fn render(&self) -> anyhow::Result<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8(text)?)
    }
}
