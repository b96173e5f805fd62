//! Doing a thing at most once at a provider that takes no idempotency key.
//!
//! A key that is done answers with what was done. After an attempt whose outcome is unknown, the provider is asked
//! whether it is there; only when it is not, and time enough has passed for the attempt to have come through, it is
//! tried again. All of this is memory of one process.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use mcp_kit::{Call, ToolError};
use serde_json::json;
use tokio::time::Instant;

use crate::now;

const REMEMBERED: usize = 10_000;
const FOR: Duration = Duration::from_hours(24);
const UNDER_WAY_RETRY: Duration = Duration::from_secs(1);

/// What became of keys.
pub(crate) struct Memory<T> {
    settle: Duration,
    entries: Mutex<Entries<T>>,
}

struct Entries<T> {
    by_key: HashMap<String, Entry<T>>,
    /// Oldest first.
    order: VecDeque<(Instant, String)>,
}

struct Entry<T> {
    /// What was asked for under the key.
    wish: u64,
    state: State<T>,
}

enum State<T> {
    UnderWay,
    Unknown(Attempt),
    Done(T),
}

/// An attempt, or several, whose outcome is unknown.
#[derive(Clone, Copy)]
struct Attempt {
    /// When the first began.
    first: Timestamp,
    /// When the last ended.
    last: Timestamp,
}

/// The right to try one key, and the duty to say what came of it. Dropped without a word, the outcome is unknown.
struct Ticket<'a, T> {
    memory: &'a Memory<T>,
    key: &'a str,
    earlier: Option<Attempt>,
    began: Option<Timestamp>,
}

enum Begun<'a, T> {
    Replay(T),
    Try(Ticket<'a, T>),
}

/// One wish under one key.
pub(crate) struct Wish<'a> {
    pub(crate) key: &'a str,
    /// Of everything that makes two wishes different.
    pub(crate) fingerprint: u64,
    /// When it was first tried, if that was before this process knew of it.
    pub(crate) first_attempt_at: Option<Timestamp>,
}

/// Equal for equal wishes, and hardly ever for others.
pub(crate) fn fingerprint(content: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// The name of a key in the memory: the same word of another caller or account is another key.
pub(crate) fn scoped(call: &Call, account: &str, key: &str) -> String {
    let behalf = call.caller.on_behalf_of.as_deref().unwrap_or_default();
    format!("{account} {} {behalf} {key}", call.caller.name)
}

impl<T: Clone> Memory<T> {
    pub(crate) fn new(settle: Duration) -> Self {
        let entries = Entries {
            by_key: HashMap::new(),
            order: VecDeque::new(),
        };
        Self {
            settle,
            entries: Mutex::new(entries),
        }
    }

    /// Does it, or finds that it is done; and whether it was done before.
    ///
    /// `act` does it and says in its error whether surely nothing happened. `look` searches for it since a time.
    pub(crate) async fn once<A, L>(
        &self,
        wish: Wish<'_>,
        act: impl FnOnce() -> A,
        look: impl Fn(Timestamp) -> L,
    ) -> Result<(T, bool), ToolError>
    where
        A: Future<Output = Result<T, ToolError>>,
        L: Future<Output = Result<Option<T>, ToolError>>,
    {
        let mut ticket = match self.begin(wish.key, wish.fingerprint)? {
            Begun::Replay(done) => return Ok((done, true)),
            Begun::Try(ticket) => ticket,
        };
        let told = wish
            .first_attempt_at
            .map(|first| Attempt { first, last: first });
        if let Some(earlier) = ticket.earlier.or(told) {
            if let Some(found) = look(earlier.first).await.map_err(unresolved)? {
                ticket.done(found.clone());
                return Ok((found, true));
            }
            let wait = self.unsettled(earlier);
            if !wait.is_zero() {
                let error = ToolError::unavailable("the provider does not list it", wait);
                return Err(unresolved(error));
            }
        }
        let began = now();
        ticket.began = Some(began);
        match act().await {
            Ok(done) => {
                ticket.done(done.clone());
                Ok((done, false))
            }
            Err(error) if error.is_undone => {
                ticket.undone();
                Err(error)
            }
            Err(error) => match look(began).await {
                Ok(Some(found)) => {
                    ticket.done(found.clone());
                    Ok((found, false))
                }
                Ok(None) | Err(_) => Err(unresolved(error)),
            },
        }
    }

    /// Whether another key has led to such a thing.
    pub(crate) fn any(&self, other_than: &str, is_it: impl Fn(&T) -> bool) -> bool {
        let entries = self.lock();
        let mut others = entries.by_key.iter().filter(|(key, _)| *key != other_than);
        others.any(|(_, entry)| matches!(&entry.state, State::Done(done) if is_it(done)))
    }

    fn begin<'a>(&'a self, key: &'a str, wish: u64) -> Result<Begun<'a, T>, ToolError> {
        let mut entries = self.lock();
        entries.forget();
        let Some(entry) = entries.by_key.get_mut(key) else {
            let state = State::UnderWay;
            entries.by_key.insert(key.to_owned(), Entry { wish, state });
            entries.order.push_back((Instant::now(), key.to_owned()));
            return Ok(Begun::Try(Ticket::new(self, key, None)));
        };
        if entry.wish != wish {
            let words = "this key was used for something else; take a new one";
            return Err(ToolError::field("/idempotency_key", "reused", words));
        }
        match &entry.state {
            State::Done(done) => Ok(Begun::Replay(done.clone())),
            State::UnderWay => {
                let words = "a call with this key is under way; ask again for what came of it";
                Err(ToolError::unavailable(words, UNDER_WAY_RETRY))
            }
            State::Unknown(attempt) => {
                let earlier = Some(*attempt);
                entry.state = State::UnderWay;
                Ok(Begun::Try(Ticket::new(self, key, earlier)))
            }
        }
    }

    fn unsettled(&self, attempt: Attempt) -> Duration {
        let passed = now().duration_since(attempt.last).max(SignedDuration::ZERO);
        let passed = Duration::try_from(passed).unwrap_or_default();
        self.settle.saturating_sub(passed)
    }
}

impl<T> Memory<T> {
    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Entries<T> {
    /// Drops what is too old, and the oldest when there is too much.
    fn forget(&mut self) {
        while let Some((at, _)) = self.order.front() {
            if at.elapsed() < FOR && self.order.len() < REMEMBERED {
                return;
            }
            if let Some((_, key)) = self.order.pop_front() {
                self.by_key.remove(&key);
            }
        }
    }
}

impl<'a, T> Ticket<'a, T> {
    fn new(memory: &'a Memory<T>, key: &'a str, earlier: Option<Attempt>) -> Self {
        let began = None;
        Self {
            memory,
            key,
            earlier,
            began,
        }
    }

    fn done(self, done: T) {
        self.settle(Some(State::Done(done)));
    }

    /// Surely nothing happened; what was unknown before was looked for and is not there.
    fn undone(self) {
        self.settle(None);
    }

    fn settle(mut self, state: Option<State<T>>) {
        self.put(state);
        // Nothing is left to be said on drop.
        self.key = "";
    }

    fn put(&self, state: Option<State<T>>) {
        let mut entries = self.memory.lock();
        if let Some(state) = state {
            if let Some(entry) = entries.by_key.get_mut(self.key) {
                entry.state = state;
            }
        } else {
            entries.by_key.remove(self.key);
            entries.order.retain(|(_, key)| key != self.key);
        }
    }
}

impl<T> Drop for Ticket<'_, T> {
    fn drop(&mut self) {
        if self.key.is_empty() {
            return;
        }
        let attempt = match (self.began, self.earlier) {
            (Some(began), earlier) => Some(Attempt {
                first: earlier.map_or(began, |it| it.first),
                last: now(),
            }),
            (None, earlier) => earlier,
        };
        self.put(attempt.map(State::Unknown));
    }
}

/// The outcome is unknown: it must not be tried blindly.
fn unresolved(error: ToolError) -> ToolError {
    let mut details = error.details.unwrap_or_else(|| json!({}));
    details["outcome"] = "unknown".into();
    let mut unresolved = ToolError::unavailable(
        format!(
            "whether it went out is unknown ({}); call again with the same idempotency_key: it is looked for first, and never sent blindly",
            error.message
        ),
        error.retry_after.unwrap_or(UNDER_WAY_RETRY),
    )
    .with_details(details);
    unresolved.cause = error.cause;
    unresolved
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn wish(content: &str) -> Wish<'static> {
        Wish {
            key: "key",
            fingerprint: fingerprint(content),
            first_attempt_at: None,
        }
    }

    fn lost() -> ToolError {
        ToolError::unavailable("lost", Duration::from_secs(1))
    }

    /// Acts with this outcome and finds that; says how often it acted.
    async fn run(
        memory: &Memory<u32>,
        act: Result<u32, ToolError>,
        found: Result<Option<u32>, ()>,
    ) -> (Result<(u32, bool), ToolError>, u32) {
        let acted = AtomicU32::new(0);
        let ended = memory
            .once(
                wish("a"),
                || {
                    acted.fetch_add(1, Ordering::Relaxed);
                    async { act }
                },
                |_| async { found.map_err(|()| lost()) },
            )
            .await;
        (ended, acted.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_key_that_is_done_is_not_done_again() {
        let memory = Memory::new(Duration::ZERO);
        let (first, _) = run(&memory, Ok(1), Ok(None)).await;
        assert_eq!(first.unwrap(), (1, false));
        let (second, acted) = run(&memory, Ok(2), Ok(None)).await;
        assert_eq!((second.unwrap(), acted), ((1, true), 0));
        let other = memory
            .once(wish("b"), || async { Ok(3) }, |_| async { Ok(None) })
            .await;
        assert_eq!(other.unwrap_err().code, mcp_kit::Code::Invalid);
    }

    #[tokio::test]
    async fn what_surely_did_not_happen_is_tried_again_at_once() {
        let memory = Memory::new(Duration::from_hours(1));
        let (first, _) = run(&memory, Err(lost().undone(true)), Ok(None)).await;
        assert!(first.is_err());
        let (second, acted) = run(&memory, Ok(1), Err(())).await;
        assert_eq!((second.unwrap(), acted), ((1, false), 1));
    }

    #[tokio::test]
    async fn what_is_unknown_is_looked_for_and_not_tried_before_it_settled() {
        let memory = Memory::new(Duration::from_hours(1));
        let (first, _) = run(&memory, Err(lost()), Ok(None)).await;
        assert_eq!(
            first.unwrap_err().details.unwrap(),
            json!({ "outcome": "unknown" })
        );
        for found in [Ok(None), Err(())] {
            let (again, acted) = run(&memory, Ok(1), found).await;
            assert!(again.is_err() && acted == 0);
        }
        let (found, acted) = run(&memory, Ok(1), Ok(Some(7))).await;
        assert_eq!((found.unwrap(), acted), ((7, true), 0));
    }

    #[tokio::test]
    async fn what_is_unknown_and_not_there_is_tried_again_when_it_settled() {
        let memory = Memory::new(Duration::ZERO);
        run(&memory, Err(lost()), Ok(None)).await.0.unwrap_err();
        let (unseen, acted) = run(&memory, Ok(1), Err(())).await;
        assert!(unseen.is_err() && acted == 0, "not without looking");
        let (second, acted) = run(&memory, Ok(1), Ok(None)).await;
        assert_eq!((second.unwrap(), acted), ((1, false), 1));
    }

    #[tokio::test]
    async fn what_got_through_is_found_right_away() {
        let memory = Memory::new(Duration::from_hours(1));
        let (first, acted) = run(&memory, Err(lost()), Ok(Some(4))).await;
        assert_eq!((first.unwrap(), acted), ((4, false), 1));
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_leaves_the_outcome_unknown() {
        let memory = Memory::<u32>::new(Duration::from_hours(1));
        {
            let never = memory.once(wish("a"), std::future::pending, |_| async { Ok(None) });
            let cut = tokio::time::timeout(Duration::from_millis(5), never).await;
            assert!(cut.is_err());
        }
        let (again, acted) = run(&memory, Ok(1), Ok(None)).await;
        assert!(again.is_err() && acted == 0);
    }

    #[tokio::test]
    async fn only_so_much_is_remembered() {
        let memory = Memory::new(Duration::ZERO);
        for index in 0..REMEMBERED + 5 {
            let key = index.to_string();
            let wish = Wish {
                key: &key,
                fingerprint: 0,
                first_attempt_at: None,
            };
            memory
                .once(wish, || async { Ok(index) }, |_| async { Ok(None) })
                .await
                .unwrap();
        }
        let entries = memory.lock();
        assert_eq!(
            (entries.by_key.len(), entries.order.len()),
            (REMEMBERED, REMEMBERED)
        );
        assert!(!entries.by_key.contains_key("0"));
    }
}
