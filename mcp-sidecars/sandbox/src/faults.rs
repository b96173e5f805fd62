//! Bad days, on demand: per provider and route, now or after the effect, for ever or a number of times.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::{
    google, linear, slack, stripe, twilio,
    world::{Provider, World},
};

/// One switch.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Fault {
    pub provider: Provider,
    /// Only requests with this method, such as `POST`; all without it.
    pub method: Option<String>,
    /// Only requests whose path contains this; all without it.
    pub path: Option<String>,
    #[serde(flatten)]
    pub misbehaviour: Misbehaviour,
    /// Do what was asked first, and only then misbehave: the effect is there, its answer is late or lost.
    pub after: bool,
    /// How often; for ever without it.
    pub times: Option<u32>,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Misbehaviour {
    /// Does what was asked, late: it waits first, or with `after` before it answers.
    Latency { milliseconds: u64 },
    /// The provider's own 429, with `Retry-After`.
    RateLimited { retry_after: u64 },
    /// The provider's own 500 or another status.
    Error { status: u16 },
    /// The provider's own answer to a token that is no longer valid.
    ExpiredToken,
    /// The connection ends without an answer.
    Cut,
    /// 200 and a page that is not what anybody asked for.
    Garbage,
}

/// A switch as it comes in. Flat, because serde cannot refuse unknown fields of a struct with a flattened part.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    provider: Provider,
    method: Option<String>,
    path: Option<String>,
    kind: Kind,
    milliseconds: Option<u64>,
    retry_after: Option<u64>,
    status: Option<u16>,
    #[serde(default)]
    after: bool,
    times: Option<u32>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Latency,
    RateLimited,
    Error,
    ExpiredToken,
    Cut,
    Garbage,
}

impl TryFrom<Written> for Fault {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let given = (written.milliseconds, written.retry_after, written.status);
        let misbehaviour = match (written.kind, given) {
            (Kind::Latency, (Some(milliseconds), None, None)) => {
                Misbehaviour::Latency { milliseconds }
            }
            (Kind::Latency, _) => return Err("latency takes `milliseconds`, and nothing else"),
            (Kind::RateLimited, (None, Some(retry_after), None)) => {
                Misbehaviour::RateLimited { retry_after }
            }
            (Kind::RateLimited, _) => {
                return Err("rate_limited takes `retry_after` in seconds, and nothing else");
            }
            (Kind::Error, (None, None, Some(status @ 400..=599))) => Misbehaviour::Error { status },
            (Kind::Error, _) => {
                return Err("error takes a `status` from 400 to 599, and nothing else");
            }
            (Kind::ExpiredToken, (None, None, None)) => Misbehaviour::ExpiredToken,
            (Kind::Cut, (None, None, None)) => Misbehaviour::Cut,
            (Kind::Garbage, (None, None, None)) => Misbehaviour::Garbage,
            (Kind::ExpiredToken | Kind::Cut | Kind::Garbage, _) => {
                return Err("this kind takes neither milliseconds nor retry_after nor status");
            }
        };
        if written.times == Some(0) {
            return Err("`times` is at least 1; leave it out for ever");
        }
        Ok(Self {
            provider: written.provider,
            method: written.method,
            path: written.path,
            misbehaviour,
            after: written.after,
            times: written.times,
        })
    }
}

impl Fault {
    /// This misbehaviour on every request to the provider, for ever.
    pub fn new(provider: Provider, misbehaviour: Misbehaviour) -> Self {
        Self {
            provider,
            method: None,
            path: None,
            misbehaviour,
            after: false,
            times: None,
        }
    }

    /// Only where the path contains this.
    #[must_use]
    pub fn on(mut self, method: &str, path: &str) -> Self {
        self.method = Some(method.to_owned());
        self.path = Some(path.to_owned());
        self
    }

    /// Only this many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only after what was asked is done.
    #[must_use]
    pub fn after(mut self) -> Self {
        self.after = true;
        self
    }

    fn hits(&self, provider: Provider, request: &Request) -> bool {
        let method = self.method.as_deref();
        let path = self.path.as_deref();
        self.provider == provider
            && method.is_none_or(|method| method.eq_ignore_ascii_case(request.method().as_str()))
            && path.is_none_or(|path| request.uri().path().contains(path))
    }
}

/// The switches that are on.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub fn add(&self, fault: Fault) {
        self.list().push(fault);
    }

    pub fn all(&self) -> Vec<Fault> {
        self.list().clone()
    }

    pub fn clear(&self) {
        self.list().clear();
    }

    /// The first switch for this request; a counted one is used up.
    fn take(&self, provider: Provider, request: &Request) -> Option<Fault> {
        let mut list = self.list();
        let index = list
            .iter()
            .position(|fault| fault.hits(provider, request))?;
        let taken = list[index].clone();
        if let Some(left) = &mut list[index].times {
            *left = left.saturating_sub(1);
            if *left == 0 {
                list.remove(index);
            }
        }
        Some(taken)
    }

    fn list(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Misbehaves where a switch says so.
pub(crate) async fn apply(
    State((world, provider)): State<(Arc<World>, Provider)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(fault) = world.faults.take(provider, &request) else {
        return next.run(request).await;
    };
    if let Misbehaviour::Latency { milliseconds } = fault.misbehaviour {
        let wait = tokio::time::sleep(Duration::from_millis(milliseconds));
        if !fault.after {
            wait.await;
            return next.run(request).await;
        }
        let response = next.run(request).await;
        wait.await;
        return response;
    }
    if fault.after {
        next.run(request).await;
    } else {
        // A real provider reads what it refuses; an unread body would reset the connection.
        let mut body = request.into_body().into_data_stream();
        while let Some(Ok(_)) = body.next().await {}
    }
    misbehave(provider, &fault.misbehaviour)
}

fn misbehave(provider: Provider, misbehaviour: &Misbehaviour) -> Response {
    let refusal = match misbehaviour {
        Misbehaviour::RateLimited { retry_after } => {
            let refusal = own(provider, StatusCode::TOO_MANY_REQUESTS);
            return ([(header::RETRY_AFTER, retry_after.to_string())], refusal).into_response();
        }
        Misbehaviour::Error { status } => {
            StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Misbehaviour::ExpiredToken => StatusCode::UNAUTHORIZED,
        Misbehaviour::Latency { .. } | Misbehaviour::Garbage => {
            return axum::response::Html("<!doctype html><title>Welcome</title><p>{")
                .into_response();
        }
        // Ends the task of this connection without a word to anybody; the client sees it closed.
        Misbehaviour::Cut => std::panic::resume_unwind(Box::new("cut")),
    };
    own(provider, refusal)
}

/// The provider's own body for that status.
pub(crate) fn own(provider: Provider, status: StatusCode) -> Response<Body> {
    match provider {
        Provider::Google => google::trouble(status),
        Provider::Slack => slack::trouble(status),
        Provider::Stripe => stripe::trouble(status),
        Provider::Twilio => twilio::trouble(status),
        Provider::Linear => linear::trouble(status),
    }
}
