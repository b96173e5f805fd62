//! One attempt: what came of it, how it is judged, and how it is counted.

use std::time::Duration;

use anyhow::anyhow;
use reqwest::{StatusCode, header, header::HeaderMap};
use serde_json::Value;

use super::{
    Inner,
    gate::{Attempt, Setback},
    outgoing::{Outgoing, Progress, Reply},
};
use crate::error::ToolError;

/// A `Retry-After` beyond a day is taken for a day.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// What a provider says of its failure is read up to here, and no longer than this.
const MOST_WORDS: usize = 16 * 1024;
const WORDS_WITHIN: Duration = Duration::from_millis(500);
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
                Ok(response) => self.read(response).await,
                Err(ended) => ended,
            }
        };
        let ended = progress
            .within(self.gate.policy.attempt_timeout, whole)
            .await;
        ended.unwrap_or_else(|| self.too_late())
    }

    /// Sends and reads the answer's headers.
    pub(super) async fn answer(&self, request: &Outgoing) -> Attempt<reqwest::Response> {
        let progress = Progress::begin();
        let headers = self.headers_of(request, &progress);
        let ended = progress
            .within(self.gate.policy.attempt_timeout, headers)
            .await;
        match ended {
            Some(Ok(response)) => {
                let outcome = outcome_of(response.status());
                Attempt::Done(response, outcome)
            }
            Some(Err(ended)) => ended,
            None => self.too_late(),
        }
    }

    /// An answer of which only the headers are read, or how the attempt ended without one.
    async fn headers_of<T>(
        &self,
        request: &Outgoing,
        progress: &Progress,
    ) -> Result<reqwest::Response, Attempt<T>> {
        let built = request.build(&self.http, &self.base_url, progress);
        let sent = built.send().await;
        if let Some(error) = progress.fault() {
            return Err(Attempt::Never(error, "abandoned"));
        }
        let response = sent.map_err(|error| self.lost(error))?;
        let wait = retry_after(response.headers());
        if !request.takes(response.headers())
            && let Some(mut setback) = self.failure(response.status(), wait)
        {
            setback.error.details = self.words(response).await;
            return Err(Attempt::Again(setback));
        }
        Ok(response)
    }

    /// What a status says by itself, if that is no answer.
    fn failure(&self, status: StatusCode, wait: Option<Duration>) -> Option<Setback> {
        let name = self.gate.name;
        let shown_wait = wait.unwrap_or(Duration::from_secs(1));
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Some(Setback {
                error: ToolError::rate_limited(shown_wait),
                is_safe: true,
                wait: Some(shown_wait),
                outcome: "rate_limited",
            });
        }
        if !status.is_server_error() && status != StatusCode::REQUEST_TIMEOUT {
            return None;
        }
        let message = format!("{name} answered {}", status.as_u16());
        Some(Setback {
            error: ToolError::unavailable(message, shown_wait)
                .with_cause(anyhow!("{name} {status}")),
            is_safe: false,
            wait,
            outcome: "failed",
        })
    }

    /// The provider's own account of its failure.
    async fn words(&self, mut response: reqwest::Response) -> Option<Value> {
        let explain = self.gate.policy.explain?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        let reading = async {
            while body.len() < MOST_WORDS
                && let Ok(Some(chunk)) = response.chunk().await
            {
                body.extend(chunk.into_iter().take(MOST_WORDS - body.len()));
            }
        };
        // What did not come by then is missing: the failure itself is known.
        let _ = tokio::time::timeout(WORDS_WITHIN, reading).await;
        explain(&Reply {
            provider: self.gate.name,
            status,
            headers,
            body,
        })
    }

    /// The body, as long as it is within the limit: reading stops there.
    async fn read(&self, mut response: reqwest::Response) -> Attempt<Reply> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= self.gate.policy.response_limit => {
                    body.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => return Attempt::Never(self.gate.too_large(), "too_large"),
                Ok(None) => break,
                Err(error) => return self.lost(error),
            }
        }
        let reply = Reply {
            provider: self.gate.name,
            status,
            headers,
            body,
        };
        Attempt::Done(reply, outcome_of(status))
    }

    pub(super) fn away(&self) -> ToolError {
        let message = format!("{} is not reachable right now", self.gate.name);
        ToolError::unavailable(message, Duration::from_secs(1))
    }

    fn too_late<T>(&self) -> Attempt<T> {
        let cause = anyhow!("{}: no progress in time", self.gate.name);
        Attempt::Again(Setback {
            error: self.away().with_cause(cause),
            is_safe: false,
            wait: None,
            outcome: "timeout",
        })
    }

    /// No answer, or only a part. The address may hold ids and keys, so it is left out of the cause.
    fn lost<T>(&self, error: reqwest::Error) -> Attempt<T> {
        let (is_safe, is_late) = (error.is_connect(), error.is_timeout());
        Attempt::Again(Setback {
            error: self.away().with_cause(self.cause(error)),
            is_safe,
            wait: None,
            outcome: if is_late { "timeout" } else { "lost" },
        })
    }

    pub(super) fn cause(&self, error: reqwest::Error) -> anyhow::Error {
        let cause = anyhow::Error::new(error.without_url());
        let text = self.redactor.text(&format!("{cause:#}"));
        anyhow!("{}: {text}", self.gate.name)
    }
}

/// `Retry-After` (RFC 9110): seconds, or a date, which is held against the answer's own `Date`, so that no clock but
/// the provider's counts.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
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
