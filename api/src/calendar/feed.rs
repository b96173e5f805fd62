//! What happens in the calendars of organizations, followed by sync tokens. This only finds entries to look at: the job of the
//! entry decides whether somebody else has changed it, so that our own writes can never be taken for somebody else's.

use std::{collections::HashMap, time::Duration};

use super::{enqueue, provider, queries};
use crate::{
    jobs::{Done, Failure, Job, NewJob},
    sidecars::{Errand, SidecarError},
    state::App,
    work::Work,
};

const TIMEOUT: Duration = Duration::from_mins(2);
/// Of 100 events each.
const MOST_PAGES: usize = 500;

/// What has changed, by id with the etag; and whether it is all that there is.
struct News {
    listed: HashMap<String, String>,
    is_all: bool,
    sync_token: Option<String>,
}

/// Has the calendar of every organization read that has entries.
pub async fn look_everywhere(app: &App) -> Result<(), Failure> {
    if !app.sidecars.calendar.is_set() {
        return Ok(());
    }
    for organization_id in queries::organizations_with_entries(&app.db).await? {
        let mut work = Work::system(app, organization_id).await?;
        let job = NewJob::new("calendar.read", &())?.lane("calendar");
        work.enqueue(job.once("feed")).await?;
        work.commit_silently().await?;
    }
    Ok(())
}

/// The job `calendar.read`: reads what has changed in an organization's calendar.
pub async fn read(app: App, job: Job) -> Result<Done, Failure> {
    let organization_id = job.organization_id;
    let errand = job.errand(TIMEOUT);
    let token = queries::sync_token(&app.db, organization_id).await?;
    let news = match news(&app, &errand, token.as_deref()).await {
        // Whatever is wrong with the token, such as its age: begin anew.
        Err(SidecarError::Refused(_)) if token.is_some() => news(&app, &errand, None).await,
        news => news,
    };
    let news = match news {
        // The organization's own trouble, such as an account to be connected anew. The next look is in a moment: a dead letter
        // for each of them tells nobody more.
        Err(error @ (SidecarError::Refused(_) | SidecarError::Own(_))) => {
            let failure = Failure::from(error);
            tracing::warn!(%organization_id, ?failure, "a calendar is not read");
            return Ok(Done::Finished);
        }
        news => news?,
    };
    let mut work = Work::system(&app, organization_id).await?;
    let (ids, etags): (Vec<_>, Vec<_>) = news.listed.into_iter().unzip();
    let suspects = queries::suspect(&mut work, organization_id, &ids, &etags, news.is_all).await?;
    for event_id in suspects {
        enqueue(&mut work, event_id).await?;
    }
    if let Some(token) = &news.sync_token {
        let now = work.now;
        queries::keep_sync_token(&mut work, organization_id, token, now).await?;
    }
    let done = job.settle(&mut work).await?;
    work.commit_silently().await?;
    Ok(done)
}

async fn news(app: &App, errand: &Errand, token: Option<&str>) -> Result<News, SidecarError> {
    let mut news = News {
        listed: HashMap::new(),
        is_all: token.is_none(),
        sync_token: None,
    };
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let sidecar = &app.sidecars.calendar;
        let page = provider::changes(sidecar, errand, token, cursor.as_deref()).await?;
        let items = page.items.into_iter().map(|item| (item.id, item.etag));
        news.listed.extend(items);
        news.sync_token = page.sync_token;
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(news);
        }
    }
    // What was not read is not known to be missing.
    news.is_all = false;
    Ok(news)
}
