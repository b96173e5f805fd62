//! A few sessions, lent to one call each.

use std::{
    ops::Deref,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::anyhow;
use mcp_kit::{Shares, ToolError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::{
    connect::{Session, Target},
    self_check,
    settings::PostgresSettings,
};

pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// At most `POOL_SIZE` sessions. One comes back only when its user says so; else it is closed.
pub(crate) struct Pool {
    target: Target,
    places: Semaphore,
    /// Half of the places for each organization that asks: one alone must not keep the others out.
    shares: Shares<Uuid>,
    timeout: Duration,
    idle: Mutex<Vec<Session>>,
    has_only_organization: bool,
    is_checked: AtomicBool,
}

/// A session and the place that it takes.
pub(crate) struct Lent<'a> {
    session: Session,
    pool: &'a Pool,
    _place: SemaphorePermit<'a>,
    _share: Option<OwnedSemaphorePermit>,
}

impl Pool {
    pub(crate) fn new(target: Target, settings: &PostgresSettings) -> Self {
        Self {
            target,
            places: Semaphore::new(settings.pool_size.into()),
            shares: Shares::new(settings.pool_size.div_ceil(2).into()),
            timeout: settings.pool_timeout,
            idle: Mutex::new(Vec::new()),
            has_only_organization: settings.only_organization_in_database,
            is_checked: AtomicBool::new(false),
        }
    }

    /// Without a look at the role, to test what the other layers hold without it.
    #[cfg(test)]
    pub(crate) fn trusting(self) -> Self {
        self.is_checked.store(true, Ordering::Relaxed);
        self
    }

    /// A session that nobody else has.
    ///
    /// # Errors
    /// Unavailable: none is free in time, the database is away, or our role could do harm there.
    pub(crate) async fn session(&self) -> Result<Lent<'_>, ToolError> {
        let place = tokio::time::timeout(self.timeout, self.places.acquire()).await;
        let Ok(Ok(place)) = place else {
            return Err(ToolError::unavailable(
                "all connections to the database are in use; try again",
                RETRY,
            ));
        };
        let session = match self.idle_session() {
            Some(session) => session,
            None => self.new_session().await.map_err(|cause| {
                ToolError::unavailable("the database cannot be asked now; try again", RETRY)
                    .with_cause(cause)
            })?,
        };
        Ok(Lent {
            session,
            pool: self,
            _place: place,
            _share: None,
        })
    }

    /// As [`session`](Self::session), within the share of an organization.
    pub(crate) async fn session_for(&self, organization: Uuid) -> Result<Lent<'_>, ToolError> {
        let share =
            tokio::time::timeout(self.timeout, self.shares.of(organization).acquire_owned());
        let Ok(Ok(share)) = share.await else {
            return Err(ToolError::unavailable(
                "this organization has as many queries running as it may; try again",
                RETRY,
            ));
        };
        let lent = self.session().await?;
        Ok(Lent {
            _share: Some(share),
            ..lent
        })
    }

    /// Whether the database answers and our role, looked at anew, can do no harm.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let lent = self.session().await.map_err(|error| {
            let ToolError { message, cause, .. } = error;
            cause.unwrap_or_else(|| anyhow!(message))
        })?;
        let checked = self_check::role_is_harmless(&lent.client, self.has_only_organization).await;
        self.is_checked.store(checked.is_ok(), Ordering::Relaxed);
        if checked.is_ok() {
            lent.give_back();
        } else {
            self.idle().clear();
        }
        checked
    }

    fn idle_session(&self) -> Option<Session> {
        let mut idle = self.idle();
        idle.retain(Session::is_usable);
        idle.pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn new_session(&self) -> anyhow::Result<Session> {
        let session = self.target.connect().await?;
        if !self.is_checked.load(Ordering::Relaxed) {
            self_check::role_is_harmless(&session.client, self.has_only_organization).await?;
            self.is_checked.store(true, Ordering::Relaxed);
        }
        Ok(session)
    }
}

impl Lent<'_> {
    /// For the next call; the session must be as new.
    pub(crate) fn give_back(self) {
        let Self {
            session,
            pool,
            _place,
            _share,
        } = self;
        if session.is_usable() {
            pool.idle().push(session);
        }
    }
}

impl Deref for Lent<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}
