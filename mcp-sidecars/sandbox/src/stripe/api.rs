//! The way of a request: key → version → form → endpoint → permission → idempotency → parameters → work → events.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    API_VERSION,
    endpoints::{Endpoint, Run, find},
    error::ApiError,
    form,
    idempotency::{self, Record},
    keys::{Key, authenticate},
    ledger::{Answer, Params, Work},
    list, params, sessions, webhooks,
};
use crate::world::World;

/// Everything that a request says, checked as far as that goes without the ledger.
struct Request<'a> {
    id: String,
    key: Key,
    idempotency_key: Option<String>,
    path: &'a str,
    params: Params,
    endpoint: Endpoint<'a>,
}

/// `/v1/…`.
pub(super) async fn answer(
    State(world): State<Arc<World>>,
    method: Method,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let id = {
        let mut things = world.things();
        things.stripe.count += 1;
        format!(
            "req_{:014x}{:04x}",
            world.now().as_microsecond(),
            things.stripe.count % 0x1_0000
        )
    };
    let given = if method == Method::POST {
        &body[..]
    } else {
        query.as_deref().unwrap_or_default().as_bytes()
    };
    let mut response = match read(&id, &method, &path, &headers, given) {
        Ok(request) => execute(&world, &request).await,
        Err(error) => refusal(&error),
    };
    let set = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        set.insert("request-id", id);
    }
    set.insert("stripe-version", HeaderValue::from_static(API_VERSION));
    response
}

fn read<'a>(
    id: &str,
    method: &Method,
    path: &'a str,
    headers: &HeaderMap,
    given: &[u8],
) -> Result<Request<'a>, ApiError> {
    let key = authenticate(headers)?;
    let version = headers
        .get("stripe-version")
        .map_or(Ok(API_VERSION), HeaderValue::to_str);
    if version.ok() != Some(API_VERSION) {
        let message = format!("Invalid Stripe API version; the sandbox speaks {API_VERSION} only.");
        return Err(ApiError::invalid(message));
    }
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if *method == Method::POST
        && !given.is_empty()
        && !content_type.starts_with("application/x-www-form-urlencoded")
    {
        let message = "Invalid request (check that your POST content type is application/x-www-form-urlencoded).";
        return Err(ApiError::invalid(message));
    }
    let segments: Vec<&str> = path.split('/').collect();
    let endpoint = find(method, &segments).ok_or_else(|| {
        let mut error =
            ApiError::invalid(format!("Unrecognized request URL ({method}: /v1/{path})."));
        error.status = StatusCode::NOT_FOUND;
        error
    })?;
    key.may(endpoint.resource, *method != Method::GET)?;
    let idempotency_key = idempotency::key(headers)?.filter(|_| *method == Method::POST);
    let params = form::tree(given)?;
    Ok(Request {
        id: id.to_owned(),
        key,
        idempotency_key,
        path,
        params,
        endpoint,
    })
}

/// Answers from the record of the key, or does the work and keeps the answer.
async fn execute(world: &Arc<World>, request: &Request<'_>) -> Response {
    let Some(key) = &request.idempotency_key else {
        pause(world).await;
        let (status, body) =
            work(world, request).unwrap_or_else(|error| (error.status, error.body()));
        return (status, Json(body)).into_response();
    };
    let now = world.now().as_second();
    let mut record = Record::new(
        &format!("/v1/{}", request.path),
        &request.params,
        now,
        &request.id,
    );
    let ledger = request.key.ledger();
    let in_use = format!("{ledger} {key}");
    let seen = {
        let mut things = world.things();
        let taken = idempotency::take(&mut things.stripe.keys_in_use, &in_use);
        if let Err(error) = taken {
            return refusal(&error);
        }
        idempotency::seen(things.stripe.ledger(request.key), key, &record)
    };
    let in_use = InUse { world, key: in_use };
    let mut response = match seen {
        Err(error) => return refusal(&error),
        Ok(Some(record)) => {
            let status = StatusCode::from_u16(record.status).unwrap_or(StatusCode::OK);
            let mut response = (status, Json(record.body)).into_response();
            let set = response.headers_mut();
            set.insert("idempotent-replayed", HeaderValue::from_static("true"));
            if let Ok(id) = HeaderValue::from_str(&record.request_id) {
                set.insert("original-request", id);
            }
            response
        }
        Ok(None) => {
            pause(world).await;
            // What was refused before any work began is not kept: it may be tried again, put right.
            let (status, body) = match work(world, request) {
                Ok(done) => done,
                Err(error) => return refusal(&error),
            };
            (record.status, record.body) = (status.as_u16(), body.clone());
            world
                .things()
                .stripe
                .ledger(request.key)
                .answered
                .insert(key.clone(), record);
            (status, Json(body)).into_response()
        }
    };
    drop(in_use);
    if let Ok(key) = HeaderValue::from_str(key) {
        response.headers_mut().insert("idempotency-key", key);
    }
    response
}

/// Gives the key free again, also when the client went away.
struct InUse<'a> {
    world: &'a World,
    key: String,
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.world.things().stripe.keys_in_use.remove(&self.key);
    }
}

async fn pause(world: &World) {
    tokio::time::sleep(Duration::from_millis(world.settings.stripe_latency_ms)).await;
}

/// The error of what was refused before it began; everything later is an answer, good or bad.
fn work(world: &Arc<World>, request: &Request) -> Result<(StatusCode, Value), ApiError> {
    let mut given = request.params.clone();
    let expand = given.remove("expand");
    let params = params::check(request.endpoint.fields, &given)?;
    let answer = change(world, request.key, |work| {
        work.request = json!({ "id": request.id, "idempotency_key": request.idempotency_key });
        let mut value = run(work, request, &params)?;
        for path in expand
            .iter()
            .filter_map(Value::as_object)
            .flat_map(|paths| paths.values())
        {
            list::expand(work, &mut value, path.as_str().unwrap_or_default())?;
        }
        Ok(value)
    });
    Ok(match answer {
        Ok(value) => (StatusCode::OK, value),
        Err(error) => (error.status, error.body()),
    })
}

fn run(work: &mut Work, request: &Request, params: &Params) -> Answer {
    let url = format!("/v1/{}", request.path);
    let id = request.endpoint.id;
    match request.endpoint.run {
        Run::Do(act) => act(work, id, params),
        Run::List(object) => list::objects(work, object, &url, params),
        Run::Lines(object) => {
            work.find(object, id)?;
            list::page(&work.lines(id), "item", &url, params)
        }
        Run::Get(object) => {
            let found = work.find(object, id)?;
            if found["deleted"] == true && object != "customer" {
                return Err(ApiError::missing(object, id, "id", StatusCode::NOT_FOUND));
            }
            Ok(found)
        }
    }
}

/// Works on the ledger of a key: everything or nothing, but for the traces of a declined card. Tells the webhooks.
pub(super) fn change<T>(
    world: &Arc<World>,
    key: impl Into<LedgerName>,
    act: impl FnOnce(&mut Work) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let LedgerName { name, livemode } = key.into();
    let mut things = world.things();
    let state = &mut things.stripe;
    let ledger = state.ledgers.entry(name.clone()).or_default();
    ledger.livemode = livemode;
    let micros = world.now().as_microsecond();
    let mut due = Work::new(ledger, &mut state.count, micros, &world.base_url);
    sessions::expire_due(&mut due);
    let mut events = due.commit();
    let mut work = Work::new(ledger, &mut state.count, micros, &world.base_url);
    let done = act(&mut work);
    if done.as_ref().err().is_none_or(|error| error.keeps_changes) {
        events.extend(work.commit());
    }
    drop(things);
    webhooks::send(world, &name, &events, 1);
    done
}

/// Whose things, live or test.
pub(super) struct LedgerName {
    pub(super) name: String,
    pub(super) livemode: bool,
}

impl From<Key> for LedgerName {
    fn from(key: Key) -> Self {
        Self {
            name: key.ledger(),
            livemode: key.livemode,
        }
    }
}

fn refusal(error: &ApiError) -> Response {
    (error.status, Json(error.body())).into_response()
}
