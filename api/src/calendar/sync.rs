//! Bringing a calendar entry up to date: what should stand there, what does, and whose doing the difference is.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CalendarEntry, CalendarStatus, Drift, Showing, get_in, provider, queries};
use crate::{
    events::EventStatus,
    jobs::{Done, Failure, Job},
    sidecars::Errand,
    state::App,
    work::Work,
};

/// Before an entry is given up.
pub const ATTEMPTS: u32 = 10;
/// For all calls of one round.
const TIMEOUT: Duration = Duration::from_secs(25);
/// Changes that come while it is written are followed at once, up to so many times.
const ROUNDS: usize = 4;

#[derive(Debug, Serialize, Deserialize)]
pub struct Payload {
    pub event_id: Uuid,
}

/// What a round leaves in the entry.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub status: CalendarStatus,
    pub provider_event_id: Option<String>,
    pub etag: Option<String>,
    pub link: Option<String>,
    pub shows: Option<Showing>,
    pub drift: Option<Drift>,
    pub generation: i32,
    pub error: Option<String>,
    /// Whether anything that a client sees is new.
    pub is_change: bool,
}

/// The job `calendar.sync`.
pub async fn sync(app: App, job: Job) -> Result<Done, Failure> {
    let Payload { event_id } = job.read()?;
    let errand = job.errand(TIMEOUT);
    let entry = bring_up_to_date(&app, &errand, event_id, Some(&job)).await?;
    // Without an entry there was nothing to do, and nothing that it was settled with.
    Ok(entry.map_or(Done::Finished, |_| Done::Settled))
}

/// Rounds until nothing else is wanted. Ends the job, if it is one, together with the last round.
pub async fn bring_up_to_date(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    job: Option<&Job>,
) -> Result<Option<CalendarEntry>, Failure> {
    let organization_id = errand.organization_id;
    for _ in 0..ROUNDS {
        let Some(seen) = queries::get(&app.db, organization_id, event_id).await? else {
            return Ok(None);
        };
        let recorded = match round(app, errand, &seen).await {
            Ok(recorded) => recorded,
            Err(failure) => Recorded {
                status: CalendarStatus::Failed,
                error: Some(last_word(failure, job)?),
                ..Recorded::of(&seen)
            },
        };
        let mut work = Work::system(app, organization_id).await?;
        let before = queries::lock(&mut work, organization_id, event_id).await?;
        let Some(before) = before.filter(|before| before.generation == seen.generation) else {
            continue;
        };
        let recorded = recorded.against(&before);
        let now = work.now;
        queries::record(
            &mut work,
            organization_id,
            seen.id,
            seen.asked,
            &recorded,
            now,
        )
        .await?;
        let after = get_in(&mut work, organization_id, event_id).await?;
        if recorded.is_change && after.asked == seen.asked {
            super::record(&mut work, action(after.status), Some(&before), &after).await?;
        }
        let is_last = after.asked == seen.asked;
        if let (true, Some(job)) = (is_last, job) {
            // Also what was given up ends here, in the entry: a job that died later would swallow a change in between.
            job.settle(&mut work).await?;
        }
        work.commit_silently().await?;
        match (is_last, recorded.error) {
            (true, Some(error)) if job.is_none() => return Err(Failure::Fatal(error)),
            (true, _) => return Ok(Some(after)),
            (false, _) => {}
        }
    }
    let Some(job) = job else {
        return Err(Failure::Retry {
            error: "the event keeps changing".to_owned(),
            after: None,
        });
    };
    go_on(app, job, event_id).await
}

/// What an entry that keeps changing is left to: a job with all its attempts.
async fn go_on(app: &App, job: &Job, event_id: Uuid) -> Result<Option<CalendarEntry>, Failure> {
    let mut work = Work::system(app, job.organization_id).await?;
    let Some(entry) = queries::lock(&mut work, job.organization_id, event_id).await? else {
        return Ok(None);
    };
    job.settle(&mut work).await?;
    super::enqueue(&mut work, event_id).await?;
    work.commit_silently().await?;
    Ok(Some(entry))
}

/// Why an entry is given up, if it is.
fn last_word(failure: Failure, job: Option<&Job>) -> Result<String, Failure> {
    let is_last = |job: &Job| u32::try_from(job.attempts).is_ok_and(|made| made >= ATTEMPTS);
    match failure {
        Failure::Fatal(error) => Ok(error),
        Failure::Retry { error, .. } if job.is_some_and(is_last) => Ok(error),
        failure => Err(failure),
    }
}

/// Compares, and writes what is missing.
async fn round(app: &App, errand: &Errand, entry: &CalendarEntry) -> Result<Recorded, Failure> {
    let organization_id = errand.organization_id;
    let sidecar = &app.sidecars.calendar;
    let wanted = queries::wanted(&app.db, organization_id, entry.event_id).await?;
    if !entry.is_wanted || wanted.status == EventStatus::Cancelled {
        if let Some(id) = &entry.provider_event_id {
            provider::cancel(sidecar, &keyed(errand, entry, "cancel"), id).await?;
        }
        return Ok(Recorded {
            status: CalendarStatus::Cancelled,
            drift: None,
            ..Recorded::of(entry)
        });
    }
    let showing = Showing {
        title: wanted.title,
        starts_at: wanted.starts_at.to_jiff(),
        ends_at: wanted.ends_at.to_jiff(),
        location: wanted.location,
    };
    let zone = &wanted.time_zone;
    let Some(id) = &entry.provider_event_id else {
        return create(app, errand, entry, &showing, zone, entry.generation).await;
    };
    let outside = provider::get(sidecar, errand, id).await?;
    let Some(outside) = outside.filter(|outside| !outside.is_gone()) else {
        if entry.overwrites {
            return create(app, errand, entry, &showing, zone, entry.generation + 1).await;
        }
        return Ok(Recorded {
            status: CalendarStatus::Drifted,
            drift: Some(Drift::deleted()),
            ..Recorded::of(entry)
        });
    };
    let stands = outside.showing();
    // Whole days and the like show nothing that we could have written.
    let is_ours = entry.etag.as_ref() == Some(&outside.etag)
        || stands.as_ref().is_some_and(|stands| {
            let ours = [entry.shows.as_deref(), entry.intended.as_deref()];
            ours.contains(&Some(stands)) || *stands == showing
        });
    if !is_ours && !entry.overwrites {
        return Ok(Recorded {
            status: CalendarStatus::Drifted,
            drift: Some(Drift::between(&showing, &outside)),
            ..Recorded::of(entry)
        });
    }
    write(app, errand, entry, (outside, stands), &showing, zone).await
}

async fn create(
    app: &App,
    errand: &Errand,
    entry: &CalendarEntry,
    showing: &Showing,
    zone: &str,
    generation: i32,
) -> Result<Recorded, Failure> {
    let sidecar = &app.sidecars.calendar;
    let keyed = keyed(errand, entry, &generation.to_string());
    let created = provider::create(sidecar, &keyed, showing, zone).await?;
    let stands = created.showing();
    let entry = CalendarEntry {
        generation,
        provider_event_id: Some(created.id.clone()),
        ..entry.clone()
    };
    if created.is_gone() {
        // Somebody deleted it before anybody here knew of it.
        return Ok(Recorded {
            status: CalendarStatus::Drifted,
            drift: Some(Drift::deleted()),
            ..Recorded::of(&entry)
        });
    }
    let recorded = write(app, errand, &entry, (created, stands), showing, zone).await?;
    Ok(Recorded {
        status: CalendarStatus::Held,
        ..recorded
    })
}

/// Changes what stands there, where it is not what should.
async fn write(
    app: &App,
    errand: &Errand,
    entry: &CalendarEntry,
    (outside, stands): (provider::Outside, Option<Showing>),
    showing: &Showing,
    zone: &str,
) -> Result<Recorded, Failure> {
    let mut now = outside;
    let mut status = match entry.status {
        CalendarStatus::Held => CalendarStatus::Held,
        _ => CalendarStatus::Updated,
    };
    if stands.as_ref() != Some(showing) {
        queries::intend(&app.db, errand.organization_id, entry.id, showing).await?;
        let keyed = keyed(errand, entry, &format!("update-{}", entry.asked));
        let written = provider::update(&app.sidecars.calendar, &keyed, &now, showing, zone).await?;
        now = written.ok_or_else(|| Failure::Retry {
            error: "somebody changed it at the same moment".to_owned(),
            after: None,
        })?;
        status = CalendarStatus::Updated;
    }
    Ok(Recorded {
        status,
        shows: now.showing(),
        provider_event_id: Some(now.id),
        etag: Some(now.etag),
        link: now.link,
        drift: None,
        generation: entry.generation,
        error: None,
        is_change: false,
    })
}

/// The same effect has the same key, whoever asks for it: two runs that hold one event make one entry.
fn keyed(errand: &Errand, entry: &CalendarEntry, effect: &str) -> Errand {
    Errand {
        idempotency_key: format!("calendar/{}/{effect}", entry.id),
        ..errand.clone()
    }
}

fn action(status: CalendarStatus) -> &'static str {
    match status {
        CalendarStatus::Pending => "calendar.requested",
        CalendarStatus::Held => "calendar.held",
        CalendarStatus::Updated => "calendar.updated",
        CalendarStatus::Cancelled => "calendar.cancelled",
        CalendarStatus::Failed => "calendar.failed",
        CalendarStatus::Drifted => "calendar.drifted",
    }
}

impl Recorded {
    /// As it is.
    fn of(entry: &CalendarEntry) -> Self {
        Self {
            status: entry.status,
            provider_event_id: entry.provider_event_id.clone(),
            etag: entry.etag.clone(),
            link: entry.link.clone(),
            shows: entry.shows.as_deref().cloned(),
            drift: entry.drift.as_deref().cloned(),
            generation: entry.generation,
            error: None,
            is_change: false,
        }
    }

    /// The same, with whether it changes what is known.
    fn against(self, before: &CalendarEntry) -> Self {
        let is_change = self.status != before.status
            || self.provider_event_id != before.provider_event_id
            || self.link != before.link
            || self.shows.as_ref() != before.shows.as_deref()
            || self.drift.as_ref() != before.drift.as_deref()
            || self.error != before.error;
        Self { is_change, ..self }
    }
}
