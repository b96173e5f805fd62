//! What the metrics say of the queue, and of what it delivers: counted now and then by each worker.

use std::time::Duration;

use super::queries;
use crate::{orchestrations, state::App, webhooks};

const EVERY: Duration = Duration::from_secs(10);

/// Counts for ever. `kinds` are those that this worker can do.
pub async fn run(app: App, kinds: Vec<String>) {
    loop {
        if let Err(error) = count(&app).await {
            tracing::debug!(%error, "the queue is not measured");
        }
        match queries::unknown_kinds(&app.db, &kinds).await {
            Ok(unknown) if unknown.is_empty() => {}
            Ok(unknown) => tracing::warn!(
                ?unknown,
                "jobs wait that this version cannot do; a newer worker must"
            ),
            Err(error) => tracing::debug!(%error, "unknown kinds are not looked for"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn count(app: &App) -> sqlx::Result<()> {
    let queue = queries::measure(&app.db).await?;
    let metrics = &app.metrics.jobs;
    metrics.due.set(queue.due);
    metrics.dead.set(queue.dead);
    metrics.oldest.set(queue.oldest);
    metrics.paused_lanes.set(queue.paused_lanes);
    let disabled = webhooks::count_disabled(&app.db).await?;
    metrics.disabled_endpoints.set(disabled);
    for open in orchestrations::count_open(&app.db).await? {
        let status = open.status.to_lowercase();
        metrics.runs.with_label_values(&[&status]).set(open.count);
        if status == "waiting" {
            metrics.longest_waiting_run.set(open.oldest);
        }
    }
    Ok(())
}
