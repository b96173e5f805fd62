//! One attempt: what came of it, how it is judged, and how it is counted.

use std::time::Duration;

use anyhow::anyhow;
use reqwest::{StatusCode, header, header::HeaderMap};
use tokio::time::Instant;

use super::{
    Inner,
    outgoing::{Outgoing, Progress, Reply},
};
use crate::error::ToolError;

/// A `Retry-After` beyond a day is taken for a day.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// The attempt ended because the call did.
const CUT_OFF: &str = "cut_off";

/// What one attempt came to.
pub(super) enum Attempt<T> {
    /// An answer for the sidecar to judge.
    Done(T),
    /// Not done; `is_safe`: surely nothing happened there, so any request may be repeated.
    Again {
        error: ToolError,
        is_safe: bool,
        outcome: &'static str,
    },
    /// Repeating is of no use.
    Never {
        error: ToolError,
        outcome: &'static str,
    },
}

impl<T> Attempt<T> {
    pub(super) fn cut_off() -> Self {
        Self::Again {
            error: ToolError::timeout(),
            is_safe: false,
            outcome: CUT_OFF,
        }
    }
}

/// An attempt under way, to be counted and told to the breaker once.
pub(super) struct Tally(Instant);

impl Tally {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    pub(super) fn end(self, inner: &Inner, outcome: &str) {
        let elapsed = self.0.elapsed();
        let is_healthy = !matches!(outcome, "failed" | "lost" | "timeout" | CUT_OFF);
        let says_something = is_healthy || outcome != CUT_OFF || elapsed >= inner.policy.patience;
        if says_something && outcome != "abandoned" {
            inner.breaker.begun().end(is_healthy);
        }
        inner.count(outcome);
        inner
            .metrics
            .upstream_duration
            .with_label_values(&[inner.name])
            .observe(elapsed.as_secs_f64());
        inner
            .metrics
            .breaker_open
            .with_label_values(&[inner.name])
            .set(i64::from(inner.breaker.is_open()));
    }
}

/// How an answer that arrived whole is counted.
pub(super) fn outcome_of(status: StatusCode) -> &'static str {
    if status.is_success() { "ok" } else { "refused" }
}

impl Inner {
    /// Sends and reads the answer whole.
    pub(super) async fn exchange(&self, request: &Outgoing) -> Attempt<Reply> {
        let progress = Progress::begin();
        let whole = async {
            match self.headers_of(request, &progress).await {
                Attempt::Done(response) => self.read(response).await,
                Attempt::Again {
                    error,
                    is_safe,
                    outcome,
                } => Attempt::Again {
                    error,
                    is_safe,
                    outcome,
                },
                Attempt::Never { error, outcome } => Attempt::Never { error, outcome },
            }
        };
        let ended = progress.within(self.policy.attempt_timeout, whole).await;
        ended.unwrap_or_else(|| self.too_late())
    }

    /// Sends and reads the answer's headers.
    pub(super) async fn answer(&self, request: &Outgoing) -> Attempt<reqwest::Response> {
        let progress = Progress::begin();
        let headers = self.headers_of(request, &progress);
        let ended = progress.within(self.policy.attempt_timeout, headers).await;
        ended.unwrap_or_else(|| self.too_late())
    }

    async fn headers_of(
        &self,
        request: &Outgoing,
        progress: &Progress,
    ) -> Attempt<reqwest::Response> {
        let built = request.build(&self.http, &self.base_url, progress);
        let sent = built.send().await;
        if let Some(error) = progress.fault() {
            return Attempt::Never {
                error,
                outcome: "abandoned",
            };
        }
        let response = match sent {
            Ok(response) => response,
            Err(error) => return self.lost(error),
        };
        let status = response.status();
        let wait = retry_after(response.headers()).unwrap_or(Duration::from_secs(1));
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Attempt::Again {
                error: ToolError::rate_limited(wait),
                is_safe: true,
                outcome: "rate_limited",
            };
        }
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            let message = format!("{} answered {}", self.name, status.as_u16());
            let cause = anyhow!("{} {status}", self.name);
            return Attempt::Again {
                error: ToolError::unavailable(message, wait).with_cause(cause),
                is_safe: false,
                outcome: "failed",
            };
        }
        Attempt::Done(response)
    }

    /// The body, as long as it is within the limit: reading stops there.
    async fn read(&self, mut response: reqwest::Response) -> Attempt<Reply> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= self.policy.response_limit => {
                    body.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => {
                    return Attempt::Never {
                        error: self.too_large(self.policy.response_limit),
                        outcome: "too_large",
                    };
                }
                Ok(None) => break,
                Err(error) => return self.lost(error),
            }
        }
        Attempt::Done(Reply {
            status,
            headers,
            body,
        })
    }

    pub(super) fn too_large(&self, limit: impl std::fmt::Display) -> ToolError {
        ToolError::refused(format!(
            "{} answered with more than {limit} bytes",
            self.name
        ))
    }

    pub(super) fn away(&self) -> ToolError {
        let message = format!("{} is not reachable right now", self.name);
        ToolError::unavailable(message, Duration::from_secs(1))
    }

    fn too_late<T>(&self) -> Attempt<T> {
        Attempt::Again {
            error: self
                .away()
                .with_cause(anyhow!("{}: no progress in time", self.name)),
            is_safe: false,
            outcome: "timeout",
        }
    }

    /// No answer, or only a part. The address may hold ids and keys, so it is left out of the cause.
    fn lost<T>(&self, error: reqwest::Error) -> Attempt<T> {
        let (is_safe, is_late) = (error.is_connect(), error.is_timeout());
        Attempt::Again {
            error: self.away().with_cause(self.cause(error)),
            is_safe,
            outcome: if is_late { "timeout" } else { "lost" },
        }
    }

    pub(super) fn cause(&self, error: reqwest::Error) -> anyhow::Error {
        let cause = anyhow::Error::new(error.without_url());
        let text = self.redactor.text(&format!("{cause:#}"));
        anyhow!("{}: {text}", self.name)
    }

    pub(super) fn count(&self, outcome: &str) {
        self.metrics
            .upstream
            .with_label_values(&[self.name, outcome])
            .inc();
    }
}

/// `Retry-After` (RFC 9110): seconds, or a date, which is held against the answer's own `Date`, so that no clock but
/// the provider's counts.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let wish: &str = text(header::RETRY_AFTER)?;
    let wait = if let Ok(seconds) = wish.parse() {
        Duration::from_secs(seconds)
    } else {
        let until = httpdate::parse_http_date(wish).ok()?;
        let now = httpdate::parse_http_date(text(header::DATE)?).ok()?;
        until.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let wait = |wish: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, wish.parse().unwrap());
            if let Some(date) = date {
                headers.insert(header::DATE, date.parse().unwrap());
            }
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        let date = Some("Sun, 06 Nov 2044 08:49:37 GMT");
        assert_eq!(wait("7", None), Some(7));
        assert_eq!(wait("Sun, 06 Nov 2044 08:50:07 GMT", date), Some(30));
        assert_eq!(wait("Sun, 06 Nov 2044 08:00:00 GMT", date), Some(0));
        assert_eq!(wait("Sun, 06 Nov 2044 08:50:07 GMT", None), None);
        assert_eq!(wait("99999999", None), Some(24 * 3600));
        assert_eq!(wait("soon", date), None);
    }
}
