//! Everything the sandbox knows, in memory or in a file.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Context;
use jiff::Timestamp;
use reqwest::redirect;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    faults::Faults, google, journal::Journal, linear, settings::Settings, slack, stripe, twilio,
};

/// Who is stood for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    Google,
    Slack,
    Stripe,
    Twilio,
    Linear,
}

impl Provider {
    pub const ALL: [Self; 5] = [
        Self::Google,
        Self::Slack,
        Self::Stripe,
        Self::Twilio,
        Self::Linear,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Slack => "slack",
            Self::Stripe => "stripe",
            Self::Twilio => "twilio",
            Self::Linear => "linear",
        }
    }
}

/// The state behind every route.
pub struct World {
    pub settings: Settings,
    /// Where others reach us, without a slash at the end.
    pub base_url: String,
    pub faults: Faults,
    pub journal: Journal,
    /// For webhooks and callbacks.
    pub(crate) http: reqwest::Client,
    stop: watch::Sender<bool>,
    things: Mutex<Things>,
}

/// What the providers keep; this is what the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Things {
    pub google: google::State,
    pub slack: slack::State,
    pub stripe: stripe::State,
    pub twilio: twilio::State,
    pub linear: linear::State,
}

impl World {
    /// # Errors
    /// The state file cannot be read, or there is no TLS.
    pub fn new(settings: Settings, address: &str) -> anyhow::Result<Self> {
        let things = settings
            .state_file
            .as_deref()
            .map_or_else(|| Ok(Things::default()), load)?;
        let base_url = settings.public_base_url.as_deref().unwrap_or(address);
        Ok(Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            settings,
            faults: Faults::default(),
            journal: Journal::default(),
            http: http_client()?,
            stop: watch::Sender::new(false),
            things: Mutex::new(things),
        })
    }

    /// Everything, for as long as the guard lives: one request at a time, as a provider's own transactions would have it.
    pub fn things(&self) -> MutexGuard<'_, Things> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of this sandbox.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Ends what would go on for ever: streams, and what is still to be delivered.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until [`stop`](Self::stop) is called.
    pub async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // It fails only when the sender is gone, and that is part of us.
        let _ = stop.wait_for(|&is_stopped| is_stopped).await;
    }

    /// Forgets everything but the settings.
    pub fn reset(&self) {
        *self.things() = Things::default();
        self.faults.clear();
        self.journal.clear();
    }

    /// Writes the state file, if there is one: whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self) -> anyhow::Result<()> {
        let Some(file) = &self.settings.state_file else {
            return Ok(());
        };
        let text = serde_json::to_vec(&*self.things())?;
        let beside = file.with_extension("new");
        std::fs::write(&beside, text).with_context(|| format!("write {}", beside.display()))?;
        std::fs::rename(&beside, file).with_context(|| format!("write {}", file.display()))
    }
}

/// Who listens is not followed elsewhere, and no proxy stands between.
fn http_client() -> reqwest::Result<reqwest::Client> {
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(redirect::Policy::none());
    builder.no_proxy().build()
}

fn load(file: &Path) -> anyhow::Result<Things> {
    if !file.exists() {
        return Ok(Things::default());
    }
    let text = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} is not a state file of this version; delete it",
            file.display()
        )
    })
}
