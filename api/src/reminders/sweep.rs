//! `reminders.send_due`: finds the reminders whose moment has come, by the present start of their event.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{
    Reminder,
    queries::{self, Candidate},
};
use crate::{
    events::{self, Event},
    jobs::{Done, Failure, Job},
    messages::{self, Notice, Recipients, text_of, words_of},
    problem::Problem,
    state::App,
    work::Work,
};

const AT_ONCE: i64 = 500;
/// Later than this a reminder says something that is no longer so: it is skipped.
const LATEST: SignedDuration = SignedDuration::from_hours(1);
const MISSED: &str = "its time had passed by more than an hour";

/// Each due reminder is written into the ledger in a transaction of its own. One that cannot be written stays due, and keeps
/// nobody else's waiting; the next look is in a moment.
pub async fn send_due(app: App, _: Job) -> Result<Done, Failure> {
    let now = app.now();
    let mut outcome = Ok(Done::Finished);
    let mut exhausted = HashSet::new();
    let mut last: Option<Candidate> = None;
    loop {
        let page = queries::candidates(&app.db, now, last.as_ref(), AT_ONCE).await?;
        let is_whole = page.len() < usize::try_from(AT_ONCE).unwrap_or_default();
        let due = page.iter().filter(|candidate| candidate.is_due(now));
        for candidate in due {
            let (organization_id, id) = (candidate.organization_id, candidate.id);
            if exhausted.contains(&organization_id) {
                continue;
            }
            match remind(&app, candidate).await {
                // Its event may be deleted meanwhile.
                Ok(()) | Err(Problem::NotFound) => {}
                Err(Problem::TooManyRequests(..)) => {
                    tracing::warn!(reminder.id = %id, "reminders wait: their organization has used up its messages");
                    exhausted.insert(organization_id);
                }
                Err(problem) => outcome = Err(failed(id, problem)),
            }
        }
        last = page.into_iter().next_back();
        if is_whole {
            return outcome;
        }
    }
}

fn failed(id: Uuid, problem: Problem) -> Failure {
    let failure = Failure::from(problem);
    tracing::warn!(reminder.id = %id, ?failure, "a reminder waits");
    failure
}

async fn remind(app: &App, candidate: &Candidate) -> Result<(), Problem> {
    let (organization_id, event_id) = (candidate.organization_id, candidate.event_id);
    let mut work = Work::system(app, organization_id).await?;
    let now = work.now;
    // As everywhere: the event first, then what belongs to it.
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    let row = queries::lock(&mut work, organization_id, event_id, candidate.id).await;
    let reminder = match row {
        Err(sqlx::Error::RowNotFound) => return Ok(()),
        row => row?.of(&event),
    };
    let is_handled =
        reminder.handled_for.map(jiff_sqlx::Timestamp::to_jiff) == Some(event.starts_at.to_jiff());
    let due = reminder.due_at.map(jiff_sqlx::Timestamp::to_jiff);
    let is_due = |due: &Timestamp| *due <= now && !event.status.is_over() && !is_handled;
    let Some(due) = due.filter(is_due) else {
        return Ok(());
    };
    let failure = match tell(&mut work, &reminder, &event, due).await {
        Ok(()) => None,
        // Somebody has to change the reminder or the event; until then there is nothing to try again.
        Err(Problem::Invalid(errors)) => errors.into_iter().next().map(|error| error.detail),
        Err(problem) => return Err(problem),
    };
    let after = queries::handled(
        &mut work,
        organization_id,
        reminder.id,
        event.starts_at,
        failure.as_deref(),
        now,
    )
    .await?
    .of(&event);
    let action = if failure.is_some() {
        "reminder.failed"
    } else {
        "reminder.handled"
    };
    work.audit(
        action,
        ("reminder", reminder.id),
        Some(&reminder),
        Some(&after),
    )
    .await?;
    work.commit_silently().await
}

async fn tell(
    work: &mut Work,
    reminder: &Reminder,
    event: &Event,
    due: Timestamp,
) -> Result<(), Problem> {
    let organization_id = work.organization_id();
    let channel = reminder.channel;
    let own = reminder.text.as_deref().unwrap_or_default();
    let (text, template) =
        text_of(work, organization_id, channel, reminder.template_id, own).await?;
    let usual = work.settings().delivery.slack_channel.clone();
    let recipients = Recipients::of(channel, &reminder.recipients, event, &usual)?;
    let notice = Notice {
        channel,
        of: format!("reminder:{}:{}", reminder.id, event.starts_at.to_jiff()),
        template,
        reminder_id: Some(reminder.id),
        text: words_of(work, organization_id, event, channel, &text).await?,
        expires_at: Some(due + LATEST),
        skipped: (work.now > due + LATEST).then_some(MISSED),
    };
    messages::queue(work, organization_id, event.id, &notice, &recipients).await?;
    Ok(())
}
