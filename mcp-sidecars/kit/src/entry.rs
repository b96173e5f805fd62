//! What every HTTP request to a tool goes through before it is read: id, Host, Origin, token, body.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use reqwest::Url;

use crate::{
    auth::{Account, Caller, PROVIDER_ACCOUNT, PROVIDER_TOKEN, SCOPE_ALL, Tokens},
    call::{Call, MissingScope, Road},
    problem::Problem,
    settings::Settings,
};

const LONGEST_ID: usize = 128;
const REQUEST_ID: &str = "x-request-id";

/// The ids under which a request is found again.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) request_id: Arc<str>,
    /// `traceparent` of W3C Trace Context.
    pub(crate) parent: Option<Arc<str>>,
}

/// Who came in, and with what.
#[derive(Debug, Clone)]
pub(crate) struct Entrant {
    pub(crate) caller: Arc<Caller>,
    pub(crate) account: Option<Account>,
    pub(crate) trace: Trace,
    pub(crate) missing_scope: MissingScope,
}

impl Entrant {
    fn new(caller: Caller, trace: Trace) -> Self {
        Self {
            caller: Arc::new(caller),
            account: None,
            trace,
            missing_scope: MissingScope::default(),
        }
    }

    /// A call of theirs.
    pub(crate) fn call(self, road: Road) -> Call {
        let mut call = Call::new(self.caller, road, self.trace.request_id);
        call.account = self.account;
        call.traceparent = self.trace.parent;
        call.missing_scope = self.missing_scope;
        call
    }
}

/// The rules of entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) tokens: Tokens,
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) body_limit: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) metadata_url: Option<Url>,
}

impl Entry {
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            tokens: settings.tokens()?,
            hosts: settings.allowed_hosts.clone(),
            origins: settings.allowed_origins.clone(),
            body_limit: settings.body_limit,
            body_timeout: settings.body_timeout,
            metadata_url: settings.resource_metadata_url.clone(),
        })
    }

    /// Who calls, if they may come in.
    fn admit(&self, request: &Request, request_id: &str) -> Result<Caller, Problem> {
        let headers = request.headers();
        let named = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let host = named.or_else(|| {
            request
                .uri()
                .authority()
                .map(axum::http::uri::Authority::as_str)
        });
        if !host.is_some_and(|host| self.hosts.iter().any(|allowed| is_host(allowed, host))) {
            let detail = "this name is not among the allowed hosts";
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "HOST_NOT_ALLOWED",
                detail,
                request_id,
            ));
        }
        if let Some(origin) = headers.get(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            if !self
                .origins
                .iter()
                .any(|allowed| is_origin(allowed, origin))
            {
                let detail = "this page is not among the allowed origins";
                return Err(Problem::new(
                    StatusCode::FORBIDDEN,
                    "ORIGIN_NOT_ALLOWED",
                    detail,
                    request_id,
                ));
            }
        }
        let caller = self
            .authenticate(headers)
            .ok_or_else(|| Problem::unauthenticated(request_id))?;
        let Some(on_behalf_of) = headers.get("on-behalf-of") else {
            return Ok(caller);
        };
        let acting = on_behalf_of
            .to_str()
            .ok()
            .and_then(|text| caller.acting_for(text));
        acting.ok_or_else(|| {
            let detail = "On-Behalf-Of: <organization id>/<member id>";
            Problem::new(
                StatusCode::BAD_REQUEST,
                "MALFORMED_REQUEST",
                detail,
                request_id,
            )
        })
    }

    /// The provider account that the caller brings along.
    fn account(caller: &Caller, headers: &HeaderMap) -> Result<Option<Account>, &'static str> {
        let text = |name: &str| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap_or_default())
        };
        let (id, token) = match (text(PROVIDER_ACCOUNT), text(PROVIDER_TOKEN)) {
            (None, None) => return Ok(None),
            (Some(id), Some(token)) => (id, token),
            _ => return Err("Provider-Account and Provider-Token: give both or none"),
        };
        if !caller.may(SCOPE_ALL) {
            return Err("Provider-Account: not with this token");
        }
        let account = Account::new(id, token);
        account
            .map(Some)
            .ok_or("Provider-Account, Provider-Token: printable ASCII without spaces")
    }

    fn authenticate(&self, headers: &HeaderMap) -> Option<Caller> {
        if self.tokens.is_empty() {
            return Some(Caller::local());
        }
        let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = text.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            self.tokens.caller(token.trim())
        } else {
            None
        }
    }
}

/// Lets a request in with its caller and ids in the extensions, and its body read whole.
pub(crate) async fn enter(
    State(entry): State<Arc<Entry>>,
    request: Request,
    next: Next,
) -> Response {
    let_in(&entry, request, next, true).await
}

/// The same, but the body is still to be read: its limits are the tool's.
pub(crate) async fn enter_streaming(
    State(entry): State<Arc<Entry>>,
    request: Request,
    next: Next,
) -> Response {
    let_in(&entry, request, next, false).await
}

async fn let_in(entry: &Entry, request: Request, next: Next, reads_body: bool) -> Response {
    let trace = Trace::of(request.headers());
    let id = Arc::clone(&trace.request_id);
    let has_token = request.headers().contains_key(header::AUTHORIZATION);
    let mut missing_scope = None;
    let mut response = match entry.admit(&request, &id) {
        Ok(caller) => {
            let entrant = Entrant::new(caller, trace);
            let missing = Arc::clone(&entrant.missing_scope);
            let response = match prepare(entry, entrant, request, reads_body).await {
                Ok(request) => next.run(request).await,
                Err(problem) => problem.into_response(),
            };
            missing_scope = missing.get().copied();
            response
        }
        Err(problem) => {
            // A refused call is audited, too; what it would have called is not read any more.
            tracing::info!(target: "audit", request_id = &*id, outcome = "refused", ?problem, "not let in");
            problem.into_response()
        }
    };
    entry.challenge(&mut response, has_token, missing_scope);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn prepare(
    entry: &Entry,
    mut entrant: Entrant,
    request: Request,
    reads_body: bool,
) -> Result<Request, Problem> {
    let id = Arc::clone(&entrant.trace.request_id);
    let (mut parts, body) = request.into_parts();
    entrant.account = Entry::account(&entrant.caller, &parts.headers).map_err(|detail| {
        Problem::new(StatusCode::BAD_REQUEST, "MALFORMED_REQUEST", detail, &id)
    })?;
    // From here on nobody needs it but the tool that asks for it.
    parts.headers.remove(PROVIDER_TOKEN);
    parts.extensions.insert(entrant);
    let body = if reads_body {
        entry.read_whole(body, &id).await?
    } else {
        body
    };
    Ok(Request::from_parts(parts, body))
}

impl Entry {
    /// Says how to get in (RFC 6750, with `resource_metadata` of RFC 9728): with a token at all, or with one that has the
    /// scope. MCP's own answer to a missing scope is 200 before.
    fn challenge(&self, response: &mut Response, has_token: bool, scope: Option<&str>) {
        let mut parameters = vec!["realm=\"mcp\"".to_owned()];
        if let Some(scope) = scope {
            *response.status_mut() = StatusCode::FORBIDDEN;
            parameters.push("error=\"insufficient_scope\"".to_owned());
            parameters.push(format!("scope=\"{scope}\""));
        } else if response.status() != StatusCode::UNAUTHORIZED {
            return;
        } else if has_token {
            parameters.push("error=\"invalid_token\"".to_owned());
        }
        if let Some(url) = &self.metadata_url {
            parameters.push(format!("resource_metadata=\"{url}\""));
        }
        let challenge = format!("Bearer {}", parameters.join(", "));
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
    }

    async fn read_whole(&self, body: Body, id: &str) -> Result<Body, Problem> {
        let whole = axum::body::to_bytes(body, self.body_limit);
        let body = tokio::time::timeout(self.body_timeout, whole)
            .await
            .map_err(|_| {
                Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "BODY_TOO_SLOW",
                    "the body did not come in time",
                    id,
                )
            })?;
        let body = body.map_err(|error| {
            tracing::debug!(%error, "body not read");
            let detail = format!(
                "the body cannot be read, or has more than {} bytes",
                self.body_limit
            );
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "PAYLOAD_TOO_LARGE",
                detail,
                id,
            )
        })?;
        Ok(Body::from(body))
    }
}

impl Trace {
    /// The caller's ids as far as they are well-formed, else new ones.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let is_plain = |id: &&str| {
            (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let given = text(REQUEST_ID).filter(is_plain);
        let parent = text("traceparent").filter(|parent| is_traceparent(parent));
        Self {
            request_id: given.map_or_else(new_request_id, Into::into),
            parent: parent.map(Into::into),
        }
    }
}

/// 128 random bits in hex.
fn new_request_id() -> Arc<str> {
    let mut bytes = [0; 16];
    // Without randomness all ids are zero: worse to trace, but no reason to refuse a call.
    let _ = getrandom::fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes)).into()
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, ids not zero.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str, length| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let [version, trace, parent, flags] = parts.as_slice() else {
        return false;
    };
    let lengths = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    lengths
        && *version != "ff"
        && trace.bytes().any(|byte| byte != b'0')
        && parent.bytes().any(|byte| byte != b'0')
}

/// `allowed` with a port takes that port only, without one it takes any.
fn is_host(allowed: &str, host: &str) -> bool {
    allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(without_port(host))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() =>
        {
            name
        }
        _ => host,
    }
}

/// `scheme://host:*` takes any port; anything else is compared whole.
fn is_origin(allowed: &str, origin: &str) -> bool {
    let Some(base) = allowed.strip_suffix(":*") else {
        return allowed.eq_ignore_ascii_case(origin);
    };
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    base.split_once("://")
        .is_some_and(|(wanted_scheme, wanted_host)| {
            scheme.eq_ignore_ascii_case(wanted_scheme)
                && without_port(authority).eq_ignore_ascii_case(wanted_host)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_origins_are_compared_whole() {
        assert!(
            is_host("localhost", "LOCALHOST:8100")
                && is_host("[::1]", "[::1]:1")
                && is_host("a:1", "a:1")
        );
        assert!(
            !is_host("localhost", "localhost.evil.example")
                && !is_host("a:1", "a:2")
                && !is_host("a", "")
        );
        assert!(
            is_origin("http://localhost:*", "http://localhost:3000")
                && is_origin("http://localhost:*", "http://localhost")
        );
        assert!(!is_origin(
            "http://localhost:*",
            "http://localhost.evil.example:80"
        ));
        assert!(
            !is_origin("http://localhost:*", "https://localhost:1")
                && !is_origin("https://a.example", "null")
        );
    }

    #[test]
    fn only_a_well_formed_traceparent_is_taken() {
        assert!(is_traceparent(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        ));
        assert!(!is_traceparent(
            "00-00000000000000000000000000000000-b7ad6b7169203331-01"
        ));
        assert!(!is_traceparent(
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"
        ));
    }
}
