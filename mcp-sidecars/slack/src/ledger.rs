//! What was done under which idempotency key, as long as this process lives: a second call with a key waits for the first
//! and gets its result. What must hold beyond that is looked up at Slack; see `search.rs`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as Lock, PoisonError},
    time::Duration,
};

use mcp_kit::{Call, ToolError};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::{sync::Mutex, time::Instant};
use uuid::Uuid;

use crate::error::is_unknown;

const KEPT: Duration = Duration::from_hours(24);
const MOST: usize = 10_000;

/// The keys of the last day, at most 10,000.
#[derive(Default)]
pub(crate) struct Ledger(Lock<HashMap<Uuid, Arc<Entry>>>);

struct Entry {
    at: Instant,
    state: Mutex<State>,
    note: Lock<Option<String>>,
}

enum State {
    /// Never tried, or surely not done.
    Open,
    /// Tried with arguments of this digest, and the outcome is unknown until it is written here.
    Begun {
        digest: String,
    },
    Done {
        digest: String,
        value: Value,
    },
}

/// What identifies the work under a key.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    /// From account, organization, tool and key; tells nobody the key.
    pub id: Uuid,
    /// From the arguments: the same key with others is a mistake.
    pub digest: String,
}

/// One attempt at some work.
pub(crate) struct Turn {
    /// `None` for a call without a key.
    pub mark: Option<Mark>,
    /// An attempt before this one ended without a known outcome.
    pub may_be_done: bool,
    entry: Option<Arc<Entry>>,
}

impl Turn {
    /// What an earlier attempt left behind.
    pub fn note(&self) -> Option<String> {
        let entry = self.entry.as_ref()?;
        entry
            .note
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Leaves a note for the next attempt.
    pub fn leave(&self, note: &str) {
        if let Some(entry) = &self.entry {
            *entry.note.lock().unwrap_or_else(PoisonError::into_inner) = Some(note.to_owned());
        }
    }
}

impl Mark {
    fn new(
        call: &Call,
        tool: &str,
        key: &str,
        arguments: &impl Serialize,
    ) -> Result<Self, ToolError> {
        let account = call.account.as_ref().map_or("", |account| &account.id);
        let scope = serde_json::to_vec(&(account, call.organization(), tool, key))
            .map_err(ToolError::internal)?;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest(scope)[..16]);
        let arguments = serde_json::to_vec(arguments).map_err(ToolError::internal)?;
        Ok(Self {
            id: uuid::Builder::from_custom_bytes(bytes).into_uuid(),
            digest: hex::encode(&Sha256::digest(arguments)[..16]),
        })
    }

    /// # Errors
    /// INVALID if the key was used with other arguments.
    pub fn check(&self, digest: &str) -> Result<(), ToolError> {
        if self.digest == digest {
            return Ok(());
        }
        let detail = "was used with other arguments; take a new one for a new message";
        Err(ToolError::field("/idempotency_key", "reused", detail))
    }
}

impl Ledger {
    /// Does the work, or returns what came of it under this key, with `replayed` set.
    pub async fn once<A, O, F, W>(
        &self,
        call: &Call,
        tool: &str,
        key: Option<&str>,
        arguments: &A,
        work: F,
    ) -> Result<O, ToolError>
    where
        A: Serialize,
        O: Serialize + DeserializeOwned,
        F: FnOnce(Turn) -> W,
        W: Future<Output = Result<O, ToolError>>,
    {
        let Some(key) = key else {
            let turn = Turn {
                mark: None,
                may_be_done: false,
                entry: None,
            };
            return work(turn).await;
        };
        let mark = Mark::new(call, tool, key, arguments)?;
        let entry = self.entry(&mark);
        let mut state = entry.state.lock().await;
        let may_be_done = match &*state {
            State::Open => false,
            State::Begun { digest } => mark.check(digest).map(|()| true)?,
            State::Done { digest, value } => {
                mark.check(digest)?;
                let mut value = value.clone();
                value["replayed"] = true.into();
                return serde_json::from_value(value).map_err(ToolError::internal);
            }
        };
        let digest = mark.digest.clone();
        // Stays like this if nobody waits for the end of the work.
        *state = State::Begun {
            digest: digest.clone(),
        };
        let turn = Turn {
            mark: Some(mark),
            may_be_done,
            entry: Some(Arc::clone(&entry)),
        };
        let ended = work(turn).await;
        match &ended {
            Ok(done) => {
                let value = serde_json::to_value(done).map_err(ToolError::internal)?;
                *state = State::Done { digest, value };
            }
            Err(error) if is_unknown(error) || may_be_done => {}
            Err(_) => *state = State::Open,
        }
        ended
    }

    fn entry(&self, mark: &Mark) -> Arc<Entry> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.get(&mark.id);
        if let Some(entry) = known.filter(|entry| entry.at.elapsed() < KEPT) {
            return Arc::clone(entry);
        }
        if entries.len() >= MOST {
            entries.retain(|_, entry| entry.at.elapsed() < KEPT);
        }
        let oldest = entries.iter().min_by_key(|(_, entry)| entry.at);
        if let Some(oldest) = oldest.map(|(id, _)| *id).filter(|_| entries.len() >= MOST) {
            entries.remove(&oldest);
        }
        let entry = Arc::new(Entry {
            at: Instant::now(),
            state: Mutex::new(State::Open),
            note: Lock::default(),
        });
        entries.insert(mark.id, Arc::clone(&entry));
        entry
    }
}
