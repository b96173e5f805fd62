//! What is kept of a call: metrics and one audit line, without any argument's value.

use std::borrow::Cow;

use rmcp::model::JsonObject;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    call::Call,
    error::{Failure, ToolError},
    guard::Success,
    metrics::Metrics,
    redact::Redactor,
};

/// Counts a call while it runs and writes it down when it ends, also when the caller went away.
pub(crate) struct Record {
    sidecar: &'static str,
    tool: Cow<'static, str>,
    call: Call,
    arguments: String,
    metrics: Metrics,
    begun: Instant,
    is_ended: bool,
}

impl Record {
    pub(crate) fn begin(
        sidecar: &'static str,
        tool: Cow<'static, str>,
        call: &Call,
        arguments: &JsonObject,
        metrics: &Metrics,
    ) -> Self {
        metrics.in_flight.inc();
        let arguments = digest(arguments);
        Self {
            sidecar,
            tool,
            call: call.clone(),
            arguments,
            metrics: metrics.clone(),
            begun: Instant::now(),
            is_ended: false,
        }
    }

    /// Writes the outcome down and hands it on; a defect's cause goes to the log here, redacted.
    pub(crate) fn end(
        &mut self,
        ended: Result<Success, Failure>,
        redactor: &Redactor,
    ) -> Result<Success, Failure> {
        let outcome = ended.as_ref().map_or_else(Failure::outcome, |_| "ok");
        if let Err(Failure::Tool(error)) = &ended
            && let Some(cause) = &error.cause
        {
            let cause = redactor.text(&format!("{cause:#}"));
            let (tool, request_id) = (&*self.tool, &*self.call.request_id);
            tracing::error!(
                tool,
                request_id,
                code = error.code.as_str(),
                cause,
                "tool failed"
            );
        }
        self.write(outcome);
        ended
    }

    /// The last piece of a download is gone.
    pub(crate) fn sent(&mut self) {
        self.write("ok");
    }

    /// A download broke off.
    pub(crate) fn broken(&mut self, error: &ToolError) {
        self.write(error.outcome());
    }

    fn write(&mut self, outcome: &'static str) {
        self.is_ended = true;
        self.metrics.in_flight.dec();
        let elapsed = self.begun.elapsed();
        self.metrics
            .calls
            .with_label_values(&[self.sidecar, &*self.tool, outcome])
            .inc();
        self.metrics
            .duration
            .with_label_values(&[self.sidecar, &*self.tool])
            .observe(elapsed.as_secs_f64());
        let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "audit",
            sidecar = self.sidecar,
            tool = &*self.tool,
            road = self.call.road.as_str(),
            caller = &*self.call.caller.name,
            account = self.call.account.as_ref().map(|account| &*account.id),
            on_behalf_of = self.call.caller.on_behalf_of.as_deref(),
            request_id = &*self.call.request_id,
            trace_id = self.call.traceparent.as_deref().and_then(|parent| parent.get(3..35)),
            arguments = self.arguments,
            outcome,
            duration_ms,
            "tool called"
        );
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.is_ended {
            self.write("abandoned");
        }
    }
}

/// The first 128 bits of the arguments' SHA-256, in hex: equal arguments are seen to be equal, and nothing else.
fn digest(arguments: &JsonObject) -> String {
    let text = serde_json::to_string(arguments).unwrap_or_default();
    hex::encode(&Sha256::digest(text.as_bytes())[..16])
}
