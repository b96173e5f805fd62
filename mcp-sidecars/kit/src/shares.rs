//! Places for each of many, such as organizations, so that none of them takes those of all.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;

/// A semaphore for each key, as long as somebody holds it.
pub struct Shares<K> {
    places: usize,
    of: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Eq + Hash> Shares<K> {
    /// Each has this many places.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self {
            places,
            of: Mutex::default(),
        }
    }

    /// The places of this one.
    pub fn of(&self, key: K) -> Arc<Semaphore> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody uses are full, and as good as new.
        of.retain(|_, share| Arc::strong_count(share) > 1);
        let share = of
            .entry(key)
            .or_insert_with(|| Arc::new(Semaphore::new(self.places)));
        Arc::clone(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_places_and_who_left_is_forgotten() {
        let shares = Shares::new(1);
        let taken = shares.of("first").try_acquire_owned();
        assert!(taken.is_ok() && shares.of("first").try_acquire_owned().is_err());
        assert!(shares.of("second").try_acquire_owned().is_ok());
        assert_eq!(shares.of.lock().unwrap().len(), 2);
        drop(taken);
        assert!(shares.of("first").try_acquire_owned().is_ok());
        assert_eq!(shares.of.lock().unwrap().len(), 1);
    }
}
