//! What all tools share: the client, the limits, and what has been done.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{anyhow, ensure};
use jiff::Timestamp;
use mcp_kit::{Call, Caller, Metrics, Road, ToolError};
use serde_json::Value;
use tokio::time::Instant;

use crate::{channels::Directory, client::Client, ledger::Ledger, settings::Settings};

const MINUTE: Duration = Duration::from_mins(1);
const READY_WITHIN: Duration = Duration::from_secs(2);

/// One per process.
pub(crate) struct Workspace {
    pub slack: Client,
    pub settings: Settings,
    pub directory: Directory,
    pub ledger: Ledger,
    sent: Mutex<VecDeque<Instant>>,
}

impl Workspace {
    pub fn new(settings: &Settings, metrics: &Metrics) -> anyhow::Result<Self> {
        ensure!(
            settings.max_text_length <= 40_000,
            "MAX_TEXT_LENGTH: Slack cuts messages off after 40,000 characters"
        );
        Ok(Self {
            slack: Client::new(settings, metrics)?,
            settings: settings.clone(),
            directory: Directory::new(&settings.allowed_channels),
            ledger: Ledger::default(),
            sent: Mutex::default(),
        })
    }

    /// Whether Slack is there and takes our token.
    pub async fn check(&self) -> anyhow::Result<()> {
        let mut call = Call::new(Arc::new(Caller::local()), Road::Http, "ready");
        call.deadline = Instant::now() + READY_WITHIN;
        let asked = self.slack.read::<Value>(&call, "auth.test", Vec::new());
        asked
            .await
            .map(drop)
            .map_err(|error| anyhow!("{}", error.message))
    }

    /// Counts one message more in the last minute, or says how long to wait.
    pub fn count_message(&self) -> Result<(), ToolError> {
        let most =
            usize::try_from(self.settings.max_messages_per_minute.get()).unwrap_or(usize::MAX);
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        while sent.front().is_some_and(|first| now - *first >= MINUTE) {
            sent.pop_front();
        }
        if let Some(first) = sent.front().filter(|_| sent.len() >= most) {
            let mut error = ToolError::rate_limited(MINUTE.saturating_sub(now - *first));
            error.message =
                format!("no more than {most} messages a minute (MAX_MESSAGES_PER_MINUTE)").into();
            return Err(error);
        }
        sent.push_back(now);
        Ok(())
    }

    /// The time, in seconds since 1970.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now() -> i64 {
        Timestamp::now().as_second()
    }
}
