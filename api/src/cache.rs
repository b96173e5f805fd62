//! A small cache in the process: one load at a time for each key, and a failed load is the
//! caller's failure, never a cached one.

use std::{hash::Hash, sync::Arc, time::Duration};

use moka::future::Cache as Moka;

use crate::problem::Problem;

/// Values of type `V` by `K`, each loaded once by whoever asks first (single flight).
#[derive(Clone)]
pub struct Cache<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static>(
    Moka<K, V>,
);

impl<K: Hash + Eq + Send + Sync + Clone + 'static, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// At most `capacity` values, each for at most `time_to_live`.
    pub fn new(capacity: u64, time_to_live: Duration) -> Self {
        Self(
            Moka::builder()
                .max_capacity(capacity)
                .time_to_live(time_to_live)
                .build(),
        )
    }

    /// The value of `key`; `load` runs once however many ask at the same time.
    pub async fn get_or_load(
        &self,
        key: K,
        load: impl Future<Output = Result<V, Problem>>,
    ) -> Result<V, Problem> {
        if let Some(value) = self.0.get(&key).await {
            return Ok(value);
        }
        self.0
            .try_get_with(key, load)
            .await
            .map_err(|error: Arc<Problem>| copy(&error))
    }
}

/// Everybody who waited for the one load gets its failure.
fn copy(problem: &Problem) -> Problem {
    match problem {
        Problem::Unauthenticated => Problem::Unauthenticated,
        Problem::NotFound => Problem::NotFound,
        Problem::Timeout => Problem::Timeout,
        Problem::Unavailable(detail) => Problem::Unavailable(detail.clone()),
        other => Problem::Internal(anyhow::anyhow!("a shared load failed: {other:?}")),
    }
}
