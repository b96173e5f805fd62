//! What planning holds in memory for each organization: its catalogue, and when everything is
//! taken. Postgres tells in one small row whether both are current (`planning_versions`).

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::RwLock;
use uuid::Uuid;

use super::{
    availability::BusyIndex,
    brief::Brief,
    option::Outcome,
    queries::{self, ChangedBooking},
    search::search,
    snapshot::Snapshot,
};
use crate::{cache::Cache, problem::Problem, state::App};

/// The catalogues in memory, by organization and version.
pub struct Catalogues(Cache<(Uuid, i64), Arc<Catalogue>>);

/// One organization's catalogue at one version, and its calendar as it moves on.
pub struct Catalogue {
    snapshot: Snapshot,
    calendar: RwLock<Calendar>,
}

struct Calendar {
    /// The `planning_versions.availability` that it has.
    version: i64,
    busy: BusyIndex,
}

impl Default for Catalogues {
    fn default() -> Self {
        Self(Cache::new(200, Duration::from_mins(15)))
    }
}

impl Catalogues {
    /// The catalogue and calendar as Postgres has them now.
    pub async fn current(
        &self,
        app: &App,
        organization_id: Uuid,
    ) -> Result<Arc<Catalogue>, Problem> {
        let versions = queries::versions(&app.db, organization_id).await?;
        let key = (organization_id, versions.catalogue);
        let catalogue = self.0.get_or_load(key, load(app, organization_id)).await?;
        catalogue
            .catch_up(app, organization_id, versions.availability)
            .await?;
        Ok(catalogue)
    }
}

impl Catalogue {
    /// The best options for a brief; keeps a core busy for some milliseconds.
    pub fn search(&self, brief: &Brief, now: Timestamp) -> Outcome {
        let calendar = self.calendar.blocking_read();
        search(brief, &self.snapshot, &calendar.busy, now)
    }

    /// Brings the calendar to `wanted` at least, by what has changed since.
    async fn catch_up(&self, app: &App, organization_id: Uuid, wanted: i64) -> Result<(), Problem> {
        let known = self.calendar.read().await.version;
        if known >= wanted {
            return Ok(());
        }
        let changed = queries::changed_bookings(&app.db, organization_id, known).await?;
        let mut calendar = self.calendar.write().await;
        // Somebody else may have brought it further meanwhile; what they know is newer.
        let known = calendar.version;
        for booking in changed
            .into_iter()
            .filter(|booking| booking.availability_version > known)
        {
            calendar.version = calendar.version.max(booking.availability_version);
            calendar.apply(&booking);
        }
        calendar.version = calendar.version.max(wanted);
        Ok(())
    }
}

impl Calendar {
    fn apply(&mut self, booking: &ChangedBooking) {
        self.busy.apply(booking.id, booking.busy());
    }
}

async fn load(app: &App, organization_id: Uuid) -> Result<Arc<Catalogue>, Problem> {
    let loaded = queries::load(&app.db, organization_id, app.now()).await?;
    let busy = loaded.bookings.iter().filter_map(ChangedBooking::busy);
    let calendar = Calendar {
        version: loaded.availability,
        busy: BusyIndex::new(busy),
    };
    let snapshot = Snapshot::new(loaded.venues, loaded.caterers);
    Ok(Arc::new(Catalogue {
        snapshot,
        calendar: RwLock::new(calendar),
    }))
}
