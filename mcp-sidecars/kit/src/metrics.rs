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
    /// `mcp_upstream_breaker_open{provider}`: 1 while calls are refused without asking.
    pub breaker_open: IntGaugeVec,
}

impl Metrics {
    /// # Errors
    /// Only if two metrics share a name.
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
        let histogram = |name: &str, help: &str, labels: &[&str]| -> anyhow::Result<HistogramVec> {
            let histogram = HistogramVec::new(
                HistogramOpts::new(name, help).buckets(SECONDS.to_vec()),
                labels,
            )?;
            registry.register(Box::new(histogram.clone()))?;
            Ok(histogram)
        };
        let in_flight = IntGauge::new("mcp_tool_calls_in_flight", "Tool calls being worked on.")?;
        registry.register(Box::new(in_flight.clone()))?;
        let breaker = Opts::new(
            "mcp_upstream_breaker_open",
            "1 while the provider is not asked.",
        );
        let breaker_open = IntGaugeVec::new(breaker, &["provider"])?;
        registry.register(Box::new(breaker_open.clone()))?;
        Ok(Self {
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
            in_flight,
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
            breaker_open,
            registry,
        })
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
