//! Progress as server-sent events (WHATWG HTML, "Server-sent events"). What is told comes from the run's rows and versions,
//! so that a client that comes back with `Last-Event-ID` misses nothing that still matters.

use std::{convert::Infallible, sync::atomic::Ordering, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt, stream};
use uuid::Uuid;

use super::{Orchestration, engine::is_settled, load, queries};
use crate::{
    access::{Access, Person, ReadEvents},
    extract::Path,
    problem::Problem,
    shares::Place,
    state::App,
};

/// How soon news is told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How soon a key that was revoked ends its streams.
const CHECK_EVERY: u32 = 2;
/// Proxies close what stays silent for long.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Watch a run. An event `subtask` for each subtask that changed, then an event `orchestration` with the run; its id is the
/// run's version. The stream ends when nothing goes on by itself any more; with `Last-Event-ID` it goes on from there.
#[utoipa::path(get, path = "/v1/orchestrations/{orchestration_id}/events", tag = "orchestrations",
    params(("orchestration_id" = Uuid, Path, description = "The run."),
        ("Last-Event-ID" = Option<i64>, Header, description = "The id of the last event that was received.")),
    responses((status = 200, description = "The events.", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The run has ended and `Last-Event-ID` was its last: nothing more will come, and a browser stops asking.")))]
pub async fn watch_orchestration(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = last_event_id(&headers)?;
    let (version, status) = queries::progress(&app.db, access.organization_id(), id).await?;
    if version == seen && is_settled(status) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = app.watchers.enter(access.organization_id());
    let place = place.ok_or_else(|| {
        Problem::Unavailable("too many clients watch already; ask for the run instead".into())
    })?;
    let watch = Watch {
        app,
        person: access.person,
        id,
        seen,
        looks: 0,
        _place: place,
    };
    let events = Sse::new(watch.events()).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    let mut response = events.into_response();
    // nginx is not to collect them.
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

struct Watch {
    app: App,
    person: Person,
    id: Uuid,
    /// The version that the client knows.
    seen: i64,
    looks: u32,
    _place: Place,
}

impl Watch {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        let batches = stream::unfold(Some(self), |watch| async move {
            let mut watch = watch?;
            let (batch, is_over) = watch.next().await;
            Some((stream::iter(batch), (!is_over).then_some(watch)))
        });
        batches.flatten().map(Ok)
    }

    /// The next news, and whether they are the last. On any trouble the stream just ends: the client comes back.
    async fn next(&mut self) -> (Vec<Event>, bool) {
        let organization_id = self.person.organization_id;
        loop {
            let is_stopping = self.app.draining.load(Ordering::Relaxed);
            if is_stopping || !self.may_watch().await {
                return (Vec::new(), true);
            }
            match queries::progress(&self.app.db, organization_id, self.id).await {
                Ok((version, _)) if version != self.seen => return self.news().await,
                Ok(_) => {}
                Err(_) => return (Vec::new(), true),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn news(&mut self) -> (Vec<Event>, bool) {
        let Some(orchestration) = self.current().await else {
            return (Vec::new(), true);
        };
        // A version that never was: tell everything.
        let seen = if self.seen > orchestration.run.version {
            0
        } else {
            self.seen
        };
        let subtasks = orchestration.subtasks.iter();
        let changed = subtasks.filter(|subtask| subtask.changed_in > seen);
        let mut batch: Vec<Event> = changed
            .filter_map(|subtask| Event::default().event("subtask").json_data(subtask).ok())
            .collect();
        let run = &orchestration.run;
        let last = Event::default()
            .event("orchestration")
            .id(run.version.to_string());
        batch.extend(last.json_data(run));
        self.seen = run.version;
        (batch, is_settled(run.status))
    }

    async fn current(&self) -> Option<Orchestration> {
        let mut db = self.app.db.acquire().await.ok()?;
        load(&mut db, self.person.organization_id, self.id)
            .await
            .ok()
    }

    async fn may_watch(&mut self) -> bool {
        self.looks = self.looks.wrapping_add(1);
        if !self.looks.is_multiple_of(CHECK_EVERY) {
            return true;
        }
        let Person {
            organization_id,
            member_id,
            api_key_id,
            ..
        } = self.person;
        let now = self.app.now();
        let may = queries::may_watch(&self.app.db, organization_id, member_id, api_key_id, now);
        may.await.unwrap_or(false)
    }
}

/// 0 for a client that knows nothing yet.
fn last_event_id(headers: &HeaderMap) -> Result<i64, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(0);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.filter(|id| *id >= 0).ok_or_else(|| {
        let detail = "must be the id of an event of this stream";
        Problem::parameter("Last-Event-ID", "invalid", detail)
    })
}
