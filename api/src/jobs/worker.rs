//! A worker: claims due jobs, runs them side by side, keeps its leases, and gives back what it could not do. Any number
//! of processes may work on one queue.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use sqlx::postgres::PgListener;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    Done, Failure, Handler, Job, measure,
    queries::{self, Claims, Lanes},
    settle,
};
use crate::state::App;

/// Without a word from Postgres the queue is looked at this often: jobs that become due by themselves wait no longer.
const POLL: Duration = Duration::from_secs(1);
/// After trouble with the database.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// One lane has this part of the places at the most.
const LANE_SHARE: usize = 8;

/// How a worker works.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Jobs at once.
    pub concurrency: usize,
    /// A job whose worker died is taken by another after this long.
    pub lease: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 64,
            lease: Duration::from_secs(30),
        }
    }
}

pub struct Worker {
    app: App,
    handlers: HashMap<&'static str, &'static Handler>,
    options: Options,
    places: Arc<Semaphore>,
    /// Jobs being worked on, and how to tell them that their lease is gone.
    running: Mutex<HashMap<(Uuid, i64), (Job, CancellationToken)>>,
    /// Lanes in which a job was done since one last found its provider away.
    well: Mutex<HashSet<String>>,
    woken: Notify,
    finished: mpsc::UnboundedSender<Job>,
}

impl Worker {
    /// Works on jobs of these kinds until `stop`; then waits for those that are running.
    pub async fn run(
        app: App,
        handlers: &'static [Handler],
        options: Options,
        stop: CancellationToken,
    ) {
        let (finished, receiver) = mpsc::unbounded_channel();
        let worker = Arc::new(Self {
            app,
            handlers: handlers
                .iter()
                .map(|handler| (handler.kind, handler))
                .collect(),
            options,
            places: Arc::new(Semaphore::new(options.concurrency)),
            running: Mutex::default(),
            well: Mutex::default(),
            woken: Notify::new(),
            finished,
        });
        let helpers = TaskTracker::new();
        let end = CancellationToken::new();
        let (listener, keeper, meter) =
            (Arc::clone(&worker), Arc::clone(&worker), worker.app.clone());
        helpers.spawn(
            end.clone()
                .run_until_cancelled_owned(async move { listener.listen().await }),
        );
        helpers.spawn(
            end.clone()
                .run_until_cancelled_owned(async move { keeper.keep_leases().await }),
        );
        let kinds = worker.kinds();
        helpers.spawn(
            end.clone()
                .run_until_cancelled_owned(measure::run(meter, kinds)),
        );
        let completion = tokio::spawn(settle::finish(worker.app.clone(), receiver));

        let jobs = TaskTracker::new();
        worker.claim_until(&stop, &jobs).await;
        jobs.close();
        jobs.wait().await;
        end.cancel();
        helpers.close();
        helpers.wait().await;
        // The last sender goes, and with it the finisher's reason to wait.
        drop(worker);
        let _ = completion.await;
    }

    async fn claim_until(self: &Arc<Self>, stop: &CancellationToken, jobs: &TaskTracker) {
        let kinds = self.kinds();
        let mut after = Uuid::nil();
        let mut is_ready = false;
        while !stop.is_cancelled() {
            let Some(Ok(place)) = stop
                .run_until_cancelled(Arc::clone(&self.places).acquire_owned())
                .await
            else {
                return;
            };
            if !is_ready {
                is_ready = self.make_ready().await;
            }
            let claimed = if is_ready {
                self.claim(&kinds, &mut after, place, jobs).await
            } else {
                None
            };
            let wait = match claimed {
                Some(true) => continue,
                Some(false) => POLL,
                None => PAUSE,
            };
            let woken = tokio::time::timeout(wait, self.woken.notified());
            let _ = stop.run_until_cancelled(woken).await;
        }
    }

    /// Nothing is delivered from a restored copy; housekeeping is put on the queue where it is missing.
    async fn make_ready(&self) -> bool {
        match self.look_round().await {
            Ok(true) => true,
            Ok(false) => {
                tracing::warn!(
                    "this database is a copy: no job is run until `admin release-deliveries`"
                );
                false
            }
            Err(error) => {
                tracing::warn!(%error, "the queue cannot be read; trying again");
                false
            }
        }
    }

    async fn look_round(&self) -> sqlx::Result<bool> {
        let is_at_home = queries::is_at_home(&self.app.db).await?;
        self.app.metrics.jobs.frozen.set(i64::from(!is_at_home));
        if is_at_home {
            for handler in self
                .handlers
                .values()
                .filter(|handler| handler.every.is_some())
            {
                queries::ensure(&self.app.db, self.app.new_id(), handler.kind).await?;
            }
        }
        Ok(is_at_home)
    }

    /// Claims as many jobs as there are places; whether there may be more. None after trouble.
    async fn claim(
        self: &Arc<Self>,
        kinds: &[String],
        after: &mut Uuid,
        place: OwnedSemaphorePermit,
        jobs: &TaskTracker,
    ) -> Option<bool> {
        let mut places = vec![place];
        while let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            places.push(place);
        }
        let limit = places.len();
        let share = limit.div_ceil(4);
        let (rows, share) = (i64::try_from(limit).ok()?, i64::try_from(share).ok()?);
        let (lease, lanes) = (self.options.lease, self.lanes());
        let claimed = queries::claim(&self.app.db, kinds, *after, rows, share, lease, &lanes).await;
        let claimed = claimed
            .inspect_err(|error| tracing::warn!(%error, "no job can be claimed; trying again"))
            .ok()?;
        // The next look begins behind the last organization, so that the first ones do not take every place.
        let was_from_start = after.is_nil();
        *after = match claimed.iter().map(|job| job.organization_id).max() {
            Some(last) if claimed.len() == limit => next(last),
            _ => Uuid::nil(),
        };
        let found = claimed.len();
        for (job, place) in claimed.into_iter().zip(places) {
            let worker = Arc::clone(self);
            // It counts before the next look at the lanes.
            let lost = worker.begin(&job);
            jobs.spawn(async move { worker.work(job, lost, place).await });
        }
        Some(found > 0 || !was_from_start)
    }

    fn begin(&self, job: &Job) -> CancellationToken {
        let lost = CancellationToken::new();
        let key = (job.id, job.fence);
        self.running().insert(key, (job.clone(), lost.clone()));
        lost
    }

    async fn work(&self, job: Job, lost: CancellationToken, _place: OwnedSemaphorePermit) {
        let (key, lane) = ((job.id, job.fence), job.lane.clone());
        if let Some(handler) = self.handlers.get(job.kind.as_str()) {
            self.carry_out(handler, job, &lost).await;
        }
        let was_full = self.is_full(&lane);
        self.running().remove(&key);
        if was_full {
            self.woken.notify_one();
        }
    }

    async fn carry_out(&self, handler: &Handler, job: Job, lost: &CancellationToken) {
        let begun = Instant::now();
        let ended = if handler.is_hopeless(&job) {
            let error = "it was begun again and again, and never came to an end";
            Err(Failure::Fatal(error.to_owned()))
        } else {
            attempt(&self.app, handler, &job, lost).await
        };
        let metrics = &self.app.metrics.jobs;
        metrics
            .ended
            .with_label_values(&[handler.kind, settle::outcome(&ended)])
            .inc();
        metrics
            .duration
            .with_label_values(&[handler.kind])
            .observe(begun.elapsed().as_secs_f64());
        if ended.is_ok() {
            self.note_well(&job.lane);
        }
        let given_back = match (ended, handler.every) {
            (Ok(Done::Settled), _) => Ok(()),
            (Ok(Done::Finished), Some(every)) => settle::come_again(&self.app, &job, every).await,
            (Ok(Done::Finished), None) => {
                let _ = self.finished.send(job);
                Ok(())
            }
            (Err(failure), _) => {
                // Several that find their provider away at once all have the same answer, whichever of them pauses it.
                let went_well = self.well().contains(&job.lane);
                let given_back = settle::give_back(&self.app, handler, &job, failure, went_well);
                given_back.await.map(|paused| {
                    if paused {
                        self.well().remove(&job.lane);
                    }
                })
            }
        };
        if let Err(error) = given_back {
            tracing::warn!(%error, "a job stays leased until its lease ends");
        }
    }

    /// A job of the lane was done.
    fn note_well(&self, lane: &str) {
        let mut well = self.well();
        if !lane.is_empty() && !well.contains(lane) {
            well.insert(lane.to_owned());
        }
    }

    fn well(&self) -> MutexGuard<'_, HashSet<String>> {
        self.well.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Jobs of a lane wait for one that ends.
    fn is_full(&self, lane: &str) -> bool {
        let running = self.running();
        let count = running.values().filter(|(job, _)| job.lane == lane).count();
        !lane.is_empty() && count >= self.lane_share()
    }

    fn lane_share(&self) -> usize {
        self.options.concurrency.div_ceil(LANE_SHARE)
    }

    /// What runs in the lanes: a provider or an endpoint that hangs must leave some places to the others.
    fn lanes(&self) -> Lanes {
        let mut counts: HashMap<String, i64> = HashMap::new();
        for (job, _) in self.running().values() {
            if !job.lane.is_empty() {
                *counts.entry(job.lane.clone()).or_default() += 1;
            }
        }
        let (names, counts) = counts.into_iter().unzip();
        Lanes {
            names,
            counts,
            most: i64::try_from(self.lane_share()).unwrap_or(i64::MAX),
        }
    }

    /// Leases are extended three times before they would end; who has lost one is told to stop.
    async fn keep_leases(&self) {
        loop {
            tokio::time::sleep(self.options.lease / 3).await;
            let mut claims = Claims::default();
            for (job, _) in self.running().values() {
                claims.push(job);
            }
            if claims.ids.is_empty() {
                continue;
            }
            match queries::extend(&self.app.db, &claims, self.options.lease).await {
                Ok(kept) => {
                    let asked: HashSet<_> = claims.ids.into_iter().zip(claims.fences).collect();
                    for (claim, (_, lost)) in self.running().iter() {
                        if asked.contains(claim) && !kept.contains(claim) {
                            lost.cancel();
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "leases are not extended; trying again"),
            }
        }
    }

    /// Wakes up when a job is enqueued.
    async fn listen(&self) {
        loop {
            match PgListener::connect_with(&self.app.db).await {
                Ok(mut listener) => {
                    let mut heard = listener.listen("jobs").await;
                    while heard.is_ok() {
                        self.woken.notify_one();
                        heard = listener.recv().await.map(|_| ());
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "nobody wakes us; the queue is looked at every second");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn kinds(&self) -> Vec<String> {
        let kinds = self.handlers.keys();
        kinds.map(|kind| (*kind).to_owned()).collect()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<(Uuid, i64), (Job, CancellationToken)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One attempt, which ends at its time-out, by a panic, or when its lease is gone.
async fn attempt(
    app: &App,
    handler: &Handler,
    job: &Job,
    lost: &CancellationToken,
) -> Result<Done, Failure> {
    let run = AssertUnwindSafe((handler.run)(app.clone(), job.clone())).catch_unwind();
    let timed = tokio::time::timeout(handler.timeout, run);
    let retry = |error: &str| Failure::Retry {
        error: error.to_owned(),
        after: None,
    };
    match lost.run_until_cancelled(timed).await {
        Some(Ok(Ok(ended))) => ended,
        Some(Ok(Err(_))) => Err(retry("it panicked")),
        Some(Err(_)) => Err(retry("it took too long")),
        None => Err(Failure::Lost),
    }
}

fn next(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().wrapping_add(1))
}
