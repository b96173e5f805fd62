//! The unit of change: one transaction holds the work, its audit rows and its idempotency record.

use std::ops::{Deref, DerefMut};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::{
    access::{Access, Permission, Person, ServiceAccess},
    audit,
    problem::{Problem, kinds},
    state::App,
    transaction,
    webhooks::Audience,
};

mod answer;
mod idempotency;
mod queries;
pub use answer::Answer;
pub use idempotency::{Idempotency, digest_request};

/// A change under way. Dropped without `commit`, it never happened.
pub struct Work {
    app: App,
    tx: Transaction<'static, Postgres>,
    pub now: Timestamp,
    actor: Option<Person>,
    organization_id: Uuid,
    request_id: String,
    idempotency: Option<Idempotency>,
    rehearsal: bool,
    /// What has been done, for the metrics.
    actions: Vec<String>,
}

impl<P: Permission> Access<P> {
    /// Begins a change on behalf of this caller. Where the request's idempotency key has been seen
    /// before, this ends the handler with the stored answer.
    pub async fn begin(self, app: &App) -> Result<Work, Problem> {
        let organization_id = self.organization_id();
        Work::begin(
            app,
            Some(self.person),
            organization_id,
            self.arrival.request_id,
            self.idempotency,
        )
        .await
    }

    /// Writes into the audit trail what this caller looked at: nothing is changed.
    pub async fn audit(
        &self,
        app: &App,
        action: &str,
        subject: (&str, Uuid),
        what: &impl Serialize,
    ) -> Result<(), Problem> {
        let (person, request_id) = (self.person.clone(), self.arrival.request_id.clone());
        let organization_id = self.organization_id();
        let mut work = Work::begin(app, Some(person), organization_id, request_id, None).await?;
        work.audit(action, subject, None::<&()>, Some(what)).await?;
        work.commit_silently().await
    }

    /// As `begin`, where the `Idempotency-Key` is required: money or a message is involved.
    pub async fn begin_once(self, app: &App) -> Result<Work, Problem> {
        if self.idempotency.is_none() {
            let kind = &kinds::IDEMPOTENCY_KEY_MISSING;
            return Err(Problem::Malformed(kind, kind.detail(), Vec::new()));
        }
        self.begin(app).await
    }
}

impl ServiceAccess {
    /// Begins an operator's change; it belongs to no organization yet.
    pub async fn begin(self, app: &App) -> Result<Work, Problem> {
        Work::begin(app, None, Uuid::nil(), self.request_id, self.idempotency).await
    }
}

impl Work {
    async fn begin(
        app: &App,
        actor: Option<Person>,
        organization_id: Uuid,
        request_id: String,
        idempotency: Option<Idempotency>,
    ) -> Result<Self, Problem> {
        let now = app.now();
        let mut tx = transaction::begin(&app.db, "BEGIN").await?;
        if let Some(idempotency) = &idempotency {
            let seen = queries::claim(&mut tx, organization_id, &idempotency.key, now).await?;
            match (seen.answer, seen.claimed) {
                (Some((fingerprint, answer)), _) => {
                    let same = fingerprint == idempotency.fingerprint(actor.as_ref());
                    let problem = if same {
                        Problem::Replay(answer)
                    } else {
                        Problem::IdempotencyKeyReused
                    };
                    return Err(problem);
                }
                (None, false) => return Err(in_flight()),
                (None, true) => {}
            }
        }
        Ok(Self {
            app: app.clone(),
            tx,
            now,
            actor,
            organization_id,
            request_id,
            idempotency,
            rehearsal: false,
            actions: Vec::new(),
        })
    }

    /// A change on behalf of somebody who began it in an earlier request.
    pub async fn of_person(app: &App, person: Person, request_id: String) -> Result<Self, Problem> {
        let organization_id = person.organization_id;
        Self::begin(app, Some(person), organization_id, request_id, None).await
    }

    /// A change by ourselves, not by a request: the sweeper, the seed, an operator's command.
    pub async fn system(app: &App, organization_id: Uuid) -> Result<Self, Problem> {
        Self::begin(app, None, organization_id, String::new(), None).await
    }

    /// With `validate_only`, `commit` answers as usual and keeps nothing.
    #[must_use]
    pub fn rehearse(mut self, validate_only: bool) -> Self {
        self.rehearsal = validate_only;
        self
    }

    /// The settings of the application that this change is part of.
    pub fn settings(&self) -> &crate::state::Settings {
        &self.app.settings
    }

    /// The application that this change is part of.
    pub fn app(&self) -> &App {
        &self.app
    }

    pub fn organization_id(&self) -> Uuid {
        self.organization_id
    }

    /// Who makes this change; none when it is ourselves.
    pub fn member_id(&self) -> Option<Uuid> {
        self.actor.as_ref().map(|person| person.member_id)
    }

    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    pub fn new_id(&self) -> Uuid {
        self.app.new_id()
    }

    /// Writes the audit row of one change. Where members may know of it, so do the change feed and the webhooks.
    pub async fn audit(
        &mut self,
        action: &str,
        (subject_type, subject_id): (&str, Uuid),
        before: Option<&impl Serialize>,
        after: Option<&impl Serialize>,
    ) -> Result<(), Problem> {
        let entry = audit::NewEntry {
            id: self.app.new_id(),
            organization_id: self.organization_id,
            actor: self.actor.as_ref(),
            action,
            subject_type,
            subject_id,
            before: audit::json(before)?,
            after: audit::json(after)?,
            request_id: &self.request_id,
            audience: Audience::of(action, subject_id),
        };
        audit::record(&mut self.tx, entry, self.now).await?;
        self.actions.push(action.to_owned());
        Ok(())
    }

    /// From here on the change belongs to this organization, which it has just created.
    pub fn adopt(&mut self, organization_id: Uuid) {
        self.organization_id = organization_id;
    }

    /// Keeps the change together with its answer.
    pub async fn commit(self, answer: Answer) -> Result<Response, Problem> {
        let replay = answer.clone();
        self.commit_with_replay(answer, &replay).await
    }

    /// As `commit`, where a replay must not show again what the first answer showed: a secret.
    pub async fn commit_with_replay(
        mut self,
        answer: Answer,
        replay: &Answer,
    ) -> Result<Response, Problem> {
        if self.rehearsal {
            self.tx.rollback().await?;
            // What was not kept has no address and no version.
            let status = StatusCode::OK;
            return Ok(Answer {
                status,
                location: None,
                etag: None,
                ..answer
            }
            .into_response());
        }
        if let Some(idempotency) = &self.idempotency {
            let organization_id = if self.actor.is_some() {
                self.organization_id
            } else {
                Uuid::nil()
            };
            let fingerprint = idempotency.fingerprint(self.actor.as_ref());
            let kept = queries::keep(
                &mut self.tx,
                organization_id,
                &idempotency.key,
                &fingerprint,
                replay,
                self.now,
            );
            if !kept.await? {
                return Err(in_flight());
            }
        }
        self.tx.commit().await?;
        count(&self.app, &self.actions);
        let has_secret = answer.body != replay.body;
        let mut response = answer.into_response();
        if has_secret {
            let no_store = HeaderValue::from_static("no-store");
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, no_store);
        }
        Ok(response)
    }

    /// Keeps a change that nobody waits for.
    pub async fn commit_silently(self) -> Result<(), Problem> {
        self.tx.commit().await?;
        count(&self.app, &self.actions);
        Ok(())
    }
}

impl Deref for Work {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Work {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

fn count(app: &App, actions: &[String]) {
    for action in actions {
        app.metrics.changes.with_label_values(&[action]).inc();
    }
}

fn in_flight() -> Problem {
    Problem::conflict(
        &kinds::IDEMPOTENCY_IN_FLIGHT,
        kinds::IDEMPOTENCY_IN_FLIGHT.detail(),
    )
}

/// What is known of a key: whether it is ours to use, and the stored answer.
struct Seen {
    claimed: bool,
    answer: Option<([u8; 32], Box<Answer>)>,
}

/// Removes answers that are too old to be replayed.
pub async fn forget_old_answers(app: &App) -> sqlx::Result<u64> {
    queries::forget(&app.db, app.now()).await
}
