//! Who asks, and with which parameters.

use std::convert::Infallible;

use axum::{
    Form,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{ACCOUNT, API_KEY, API_KEY_SECRET, AUTH_TOKEN, refusal::Refusal};

/// Basic authentication by account SID and auth token, or by API key SID and secret; for this account only.
pub(super) async fn authenticate(request: Request, next: Next) -> Response {
    let account = request
        .uri()
        .path()
        .strip_prefix("/2010-04-01/Accounts/")
        .and_then(|rest| rest.split('/').next());
    let is_ours = account.is_none_or(|account| account.trim_end_matches(".json") == ACCOUNT);
    if !is_ours || !is_known(request.headers()) {
        return Refusal::unauthenticated().into_response();
    }
    next.run(request).await
}

fn is_known(headers: &HeaderMap) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok());
    let known = [(ACCOUNT, AUTH_TOKEN), (API_KEY, API_KEY_SECRET)];
    given.is_some_and(|given| {
        known
            .iter()
            .any(|(user, password)| given == format!("{user}:{password}"))
    })
}

/// The parameters of a form. As at Twilio, a body of another type is not looked at.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// As [`get`](Self::get), but an empty value counts as none.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let found = self.0.iter().filter(|(given, _)| given == name);
        found.map(|(_, value)| value.clone()).collect()
    }

    /// Twilio overlooks what it does not know; here a slip of the pen is an error.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let unknown = self
            .0
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()));
        unknown.map_or(Ok(()), |(name, _)| {
            Err(Refusal::bad(
                20001,
                format!("The sandbox does not take the parameter {name} here"),
            ))
        })
    }
}

impl From<Vec<(String, String)>> for Parameters {
    fn from(given: Vec<(String, String)>) -> Self {
        Self(given)
    }
}

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        let form = Form::<Vec<(String, String)>>::from_request(request, state).await;
        Ok(Self(form.map_or_else(|_| Vec::new(), |Form(given)| given)))
    }
}
