//! What arrived, in order: for tests that count, and for the page.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    extract::{OriginalUri, Request, State},
    middleware::Next,
    response::Response,
};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::world::{Provider, World};

const KEPT: usize = 10_000;

/// One request to a provider. No header and no query is kept, so no credential is.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    pub at: Timestamp,
    pub provider: Provider,
    pub method: String,
    /// Below the provider's prefix, such as `/v1/refunds`.
    pub path: String,
    /// `None` while it is worked on, and for ever if the connection was cut.
    pub status: Option<u16>,
}

/// The latest requests.
#[derive(Debug)]
pub struct Journal {
    entries: Mutex<(u64, VecDeque<Entry>)>,
    changed: watch::Sender<u64>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }
}

impl Journal {
    /// Oldest first.
    pub fn all(&self) -> Vec<Entry> {
        self.lock().1.iter().cloned().collect()
    }

    pub fn of(&self, provider: Provider) -> Vec<Entry> {
        self.lock()
            .1
            .iter()
            .filter(|entry| entry.provider == provider)
            .cloned()
            .collect()
    }

    pub fn clear(&self) {
        self.lock().1.clear();
        self.tell();
    }

    /// Wakes whoever shows the page; also for what happens without a request, such as a webhook.
    pub fn tell(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Ticks with every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn begin(&self, entry: Entry) -> u64 {
        let mut entries = self.lock();
        let number = entries.0;
        entries.0 += 1;
        entries.1.push_back(entry);
        if entries.1.len() > KEPT {
            entries.1.pop_front();
        }
        number
    }

    fn end(&self, number: u64, status: u16) {
        let mut entries = self.lock();
        let first = entries.0 - u64::try_from(entries.1.len()).unwrap_or_default();
        let index = number
            .checked_sub(first)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| entries.1.get_mut(index)) {
            entry.status = Some(status);
        }
    }

    fn lock(&self) -> MutexGuard<'_, (u64, VecDeque<Entry>)> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down what arrives and how it was answered.
pub(crate) async fn keep(
    State((world, provider)): State<(Arc<World>, Provider)>,
    OriginalUri(uri): OriginalUri,
    request: Request,
    next: Next,
) -> Response {
    let prefix = format!("/{}", provider.as_str());
    let path = uri
        .path()
        .strip_prefix(&prefix)
        .unwrap_or(uri.path())
        .to_owned();
    let method = request.method().to_string();
    let entry = Entry {
        at: world.now(),
        provider,
        method,
        path,
        status: None,
    };
    let number = world.journal.begin(entry);
    let _told = Told(&world.journal);
    let response = next.run(request).await;
    world.journal.end(number, response.status().as_u16());
    response
}

/// Tells of a request when it ends, also when its connection was cut: its effect is there.
struct Told<'a>(&'a Journal);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.tell();
    }
}
