//! Successful answers of changes: sent now, kept for a replay.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{extract::etag, problem::Problem};

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

    /// 202 with a versioned thing that goes on by itself, and where it is.
    pub fn accepted(
        location: String,
        version: i64,
        body: &impl Serialize,
    ) -> Result<Self, Problem> {
        Ok(Self {
            status: StatusCode::ACCEPTED,
            ..Self::created(location, version, body)?
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
