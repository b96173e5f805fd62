//! Places that are kept for long, such as those of streams: each organization has a share, so that none takes them all.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

pub struct Shares {
    all: Arc<Semaphore>,
    each: mcp_kit::Shares<Uuid>,
}

/// Taken until it is dropped.
pub struct Place {
    _all: OwnedSemaphorePermit,
    _share: OwnedSemaphorePermit,
}

impl Shares {
    /// For clients that watch runs.
    pub fn watchers() -> Self {
        Self::new(512, 64)
    }

    /// For files on their way to or from Drive, whose sidecar has 64 places for all.
    pub fn transfers() -> Self {
        Self::new(32, 8)
    }

    /// `all` places, of which an organization may have `each`.
    fn new(all: usize, each: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            each: mcp_kit::Shares::new(each),
        }
    }

    /// None while all places, or those of the organization, are taken.
    pub fn enter(&self, organization_id: Uuid) -> Option<Place> {
        Some(Place {
            _share: self.each.of(organization_id).try_acquire_owned().ok()?,
            _all: Arc::clone(&self.all).try_acquire_owned().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_organization_takes_more_than_its_share() {
        let shares = Shares::new(5, 2);
        let [first, second, third] = [1, 2, 3].map(Uuid::from_u128);
        let taken: Vec<_> = (0..3).map(|_| shares.enter(first)).collect();
        assert_eq!(taken.iter().flatten().count(), 2);
        let others: Vec<_> = (0..2).filter_map(|_| shares.enter(second)).collect();
        assert_eq!(others.len(), 2);
        let last = shares.enter(third);
        assert!(
            last.is_some() && shares.enter(third).is_none(),
            "all are taken"
        );
        drop(taken);
        assert!(shares.enter(third).is_some() && shares.enter(first).is_some());
        drop((others, last));
        assert!(shares.enter(first).is_some());
    }
}
