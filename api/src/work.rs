//! The unit of change: one transaction holds the work, its audit rows and its idempotency record.

use std::ops::{Deref, DerefMut};

use axum::{
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::{
    access::{Access, Permission, Person, ServiceAccess},
    audit,
    catalogue::import::MAX_BYTES as MAX_IMPORT_BYTES,
    extract::{bytes_of, etag, media_type},
    problem::{Problem, kinds},
    state::{App, sha256},
};

mod queries;

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
            self.request_id,
            self.idempotency,
        )
        .await
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
        let mut tx = app.db.begin().await?;
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

    pub fn new_id(&self) -> Uuid {
        self.app.new_id()
    }

    /// Writes the audit row of one change.
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

/// A successful answer, as it is sent and as it is kept for a replay.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub location: Option<String>,
    pub etag: Option<String>,
    pub body: Bytes,
}

impl Answer {
    /// 200 with a versioned thing.
    pub fn ok(version: i64, body: &impl Serialize) -> Result<Self, Problem> {
        let body = bytes(body)?;
        Ok(Self {
            status: StatusCode::OK,
            location: None,
            etag: Some(etag(version)),
            body,
        })
    }

    /// 200 with something that has no version.
    pub fn plain(body: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self {
            status: StatusCode::OK,
            location: None,
            etag: None,
            body: bytes(body)?,
        })
    }

    /// 201 with a versioned thing and where it is.
    pub fn created(location: String, version: i64, body: &impl Serialize) -> Result<Self, Problem> {
        let answer = Self::ok(version, body)?;
        Ok(Self {
            status: StatusCode::CREATED,
            location: Some(location),
            ..answer
        })
    }

    /// 201 with something that cannot be read by itself, only in its list.
    pub fn added(body: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self {
            status: StatusCode::CREATED,
            ..Self::plain(body)?
        })
    }

    /// 204.
    pub fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            location: None,
            etag: None,
            body: Bytes::new(),
        }
    }

    /// The same bytes once more, marked as a replay.
    pub fn replayed(self) -> Response {
        let mut response = self.into_response();
        response
            .headers_mut()
            .insert("idempotent-replayed", HeaderValue::from_static("true"));
        response
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, Body::from(self.body.clone())).into_response();
        let headers = response.headers_mut();
        if !self.body.is_empty() {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
        }
        headers.extend(
            self.location
                .and_then(|text| Some((header::LOCATION, text.parse().ok()?))),
        );
        headers.extend(
            self.etag
                .and_then(|text| Some((header::ETAG, text.parse().ok()?))),
        );
        response
    }
}

fn bytes(body: &impl Serialize) -> Result<Bytes, Problem> {
    Ok(serde_json::to_vec(body)
        .map_err(anyhow::Error::from)?
        .into())
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

/// The key of a request that may be repeated (draft-ietf-httpapi-idempotency-key-header-07).
#[derive(Debug, Clone)]
pub struct Idempotency {
    key: String,
    request: RequestDigest,
}

impl Idempotency {
    /// The header of a POST, if it has one; other methods are idempotent by themselves.
    pub fn from_parts(parts: &Parts) -> Result<Option<Self>, Problem> {
        let digest = parts.extensions.get::<RequestDigest>().copied();
        let Some(request) = digest else {
            return Ok(None);
        };
        let key = key_of(&parts.headers)?;
        Ok(key.map(|key| Self { key, request }))
    }

    /// SHA-256 of what was asked, and by whom.
    fn fingerprint(&self, actor: Option<&Person>) -> [u8; 32] {
        let who = actor.map(Person::label).unwrap_or_default();
        sha256(&[&self.request.0, who.as_bytes()])
    }
}

/// SHA-256 of method, path, query and body.
#[derive(Debug, Clone, Copy)]
struct RequestDigest([u8; 32]);

/// Reads the body of a POST that has an idempotency key, to know it again.
pub async fn digest_request(State(app): State<App>, request: Request, next: Next) -> Response {
    let keyed =
        request.method() == Method::POST && request.headers().contains_key("idempotency-key");
    if !keyed {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let mut request = Request::from_parts(parts.clone(), body);
    if media_type(request.headers()) == "text/csv" {
        DefaultBodyLimit::max(MAX_IMPORT_BYTES).apply(&mut request);
    }
    let bytes = match bytes_of(request, &app).await {
        Ok(bytes) => bytes,
        Err(problem) => return problem.into_response(),
    };
    let mut parts = parts;
    let uri = parts.uri.path_and_query().map_or("", |uri| uri.as_str());
    let digest = sha256(&[parts.method.as_str().as_bytes(), uri.as_bytes(), &bytes]);
    parts.extensions.insert(RequestDigest(digest));
    next.run(Request::from_parts(parts, Body::from(bytes)))
        .await
}

/// A quoted string, or bare; 1 to 255 visible characters.
fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let wrong = |detail| Problem::parameter("Idempotency-Key", "invalid", detail);
    if values.next().is_some() {
        return Err(wrong("is given more than once"));
    }
    let text = value
        .to_str()
        .map_err(|_| wrong("must be visible ASCII"))?
        .trim();
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    if text.is_empty() || text.len() > 255 {
        return Err(wrong("must be 1 to 255 characters"));
    }
    Ok(Some(text.to_owned()))
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
