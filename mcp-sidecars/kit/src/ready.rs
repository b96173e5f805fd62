//! Whether the provider is there and takes our credentials, asked rarely.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::anyhow;
use futures_util::future::BoxFuture;
use tokio::{sync::Mutex, time::Instant};

const KEPT: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(2);

type Check = dyn Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync;

/// Readiness, kept for 5 s; one check at a time, cut off after 2 s.
#[derive(Default)]
pub(crate) struct Readiness {
    check: Option<Box<Check>>,
    last: Mutex<Option<(Instant, bool)>>,
    is_draining: AtomicBool,
}

impl Readiness {
    pub(crate) fn new(
        check: impl Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            check: Some(Box::new(check)),
            ..Self::default()
        }
    }

    /// From now on the answer is no.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// `ready`, `draining` or `provider_unavailable`; why not is in the log.
    pub(crate) async fn state(&self) -> &'static str {
        if self.is_draining.load(Ordering::Relaxed) {
            return "draining";
        }
        let Some(check) = &self.check else {
            return "ready";
        };
        let mut last = self.last.lock().await;
        let is_ready = match *last {
            Some((at, is_ready)) if at.elapsed() < KEPT => is_ready,
            _ => {
                let answer = tokio::time::timeout(LONGEST, check()).await;
                let answer = answer.unwrap_or_else(|_| Err(anyhow!("no answer in {LONGEST:?}")));
                if let Err(error) = &answer {
                    tracing::warn!(error = format!("{error:#}"), "the provider is not ready");
                }
                let is_ready = answer.is_ok();
                *last = Some((Instant::now(), is_ready));
                is_ready
            }
        };
        if is_ready {
            "ready"
        } else {
            "provider_unavailable"
        }
    }
}
