//! To the provider's page and back. What comes back is trusted for its `state` alone: 256 random bits that are good once.

use axum::{
    Extension, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use jiff_sqlx::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

use super::{
    Integration, Provider, disconnect,
    oauth::{Denial, Owner, Tokens},
    queries::{self, Attempt, NewAttempt, NewOwner},
};
use crate::{
    access::{Access, Arrival, Permission, Person, WriteIntegrations},
    extract::{self, Path, Query},
    keyring::Place,
    problem::{OnConstraint, Problem, kinds},
    state::{App, sha256},
    work::{Answer, Work},
};

/// How long a person may take at the provider.
const ATTEMPT: SignedDuration = SignedDuration::from_mins(10);
const SECRET_BYTES: usize = 32;

/// Where people come back to. It is no part of the interface for programs: a provider sends browsers there.
pub fn callback_routes() -> Router<App> {
    Router::new().route("/oauth/{provider}/callback", get(finish_connecting))
}

#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StartOptions {
    /// Answer with a redirect to the provider's page, as to browsers that ask for HTML, and take this browser alone back.
    #[serde(default)]
    #[param(required = false)]
    redirect: bool,
}

/// Where to go.
#[derive(Debug, Serialize, ToSchema)]
pub struct Start {
    /// The provider's page, to be opened in a browser.
    authorize_url: String,
    /// Until then somebody has to come back from there.
    expires_at: Timestamp,
}

/// Begin to connect an account: the answer leads to the provider's page, on which a person allows us in.
#[utoipa::path(get, path = "/oauth/{provider}/start", tag = "integrations",
    params(("provider" = Provider, Path, description = "The provider."), StartOptions),
    responses((status = 200, description = "Where to send the person.", body = Start),
        (status = 302, description = "To the provider's page, for browsers.")))]
pub(super) async fn start_connecting(
    State(app): State<App>,
    access: Access<WriteIntegrations>,
    Path(provider): Path<Provider>,
    Query(options): Query<StartOptions>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (oauth, ring) = (app.integrations.oauth(provider)?, app.integrations.ring()?);
    let organization_id = access.organization_id();
    let person = access.person.clone();
    let redirect = options.redirect || extract::prefers_html(&headers);
    let same_origin = HeaderValue::from_static("same-origin");
    let is_browser = redirect || headers.get("sec-fetch-site") == Some(&same_origin);
    let cookie = is_browser.then(random).transpose()?;
    let (state, code_verifier) = (random()?, random()?);
    let state = format!("{}.{}", organization_id.simple(), state.expose_secret());
    let redirect_uri = redirect_uri(&app, provider);

    let mut work = access.begin(&app).await?;
    let (id, expires_at) = (work.new_id(), work.now + ATTEMPT);
    let attempt = NewAttempt {
        state_hash: sha256(&[state.as_bytes()]),
        id,
        provider,
        member_id: person.member_id,
        api_key_id: person.api_key_id,
        browser_hash: cookie.as_ref().map(hash),
        redirect_uri: &redirect_uri,
        key_id: ring.newest(),
        code_verifier: ring.seal(place(organization_id, id), &code_verifier)?,
        expires_at,
    };
    let now = work.now;
    queries::begin(&mut work, organization_id, &attempt, now).await?;
    let authorize_url = oauth.authorize_url(&redirect_uri, &state, &code_verifier);
    let start = Start {
        authorize_url: authorize_url.clone(),
        expires_at: expires_at.into(),
    };
    let answer = Answer::plain(&start)?;
    // A replay would be a link that was used already, so none is kept.
    let mut response = answer.clone().into_response();
    work.commit_silently().await?;
    if redirect {
        response = redirect_to(&authorize_url)?;
    }
    if let Some(cookie) = cookie {
        set_cookie(&mut response, provider, cookie.expose_secret(), ATTEMPT)?;
    }
    no_store(&mut response);
    Ok(response)
}

/// What a provider sends a browser back with. It may say more, which is nothing to us.
#[derive(Default)]
struct Returned {
    state: String,
    code: Option<String>,
    error: Option<String>,
}

/// Comes back from the provider's page: the code becomes tokens, which are kept sealed.
async fn finish_connecting(
    State(app): State<App>,
    Path(provider): Path<Provider>,
    Extension(arrival): Extension<Arrival>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let returned = Returned::parse(query.as_deref().unwrap_or_default())?;
    let (organization_id, attempt) = take(&app, provider, &returned.state, &headers).await?;
    if let Some(error) = returned.error {
        return Err(failed(format!(
            "{provider} says {error}; nothing was connected"
        )));
    }
    let code = returned
        .code
        .ok_or_else(|| failed(format!("{provider} sent no code; start again")))?;
    let (oauth, ring) = (app.integrations.oauth(provider)?, app.integrations.ring()?);
    let code_verifier = ring.open(
        place(organization_id, attempt.id),
        &attempt.key_id,
        &attempt.code_verifier,
    )?;
    let granted = oauth.exchange(
        &code,
        &code_verifier,
        &attempt.redirect_uri,
        arrival.deadline.into(),
    );
    let granted = granted.await.map_err(|denial| denied(provider, denial))?;
    let person = Person {
        organization_id,
        member_id: attempt.member_id,
        role: attempt.role,
        scopes: Vec::new(),
        api_key_id: attempt.api_key_id,
    };
    let mut work = Work::of_person(&app, person, arrival.request_id).await?;
    keep(&app, &mut work, &attempt, granted).await?;
    work.commit_silently().await?;
    finished(&app, provider)
}

/// Uses the attempt up, whatever comes of it, and checks that it is this one.
async fn take(
    app: &App,
    provider: Provider,
    state: &str,
    headers: &HeaderMap,
) -> Result<(Uuid, Attempt), Problem> {
    let start_again = || {
        failed("this link was used already, is too old or was not made here; start again".into())
    };
    let (organization_id, _) = state.split_once('.').ok_or_else(start_again)?;
    let organization_id = Uuid::try_parse(organization_id).map_err(|_| start_again())?;
    let hash_of_state = sha256(&[state.as_bytes()]);
    let attempt = queries::take(&app.db, organization_id, hash_of_state, app.now()).await?;
    let attempt = attempt.ok_or_else(start_again)?;
    let is_current = attempt.expires_at.to_jiff() > app.now();
    if !is_current || attempt.provider != provider {
        return Err(start_again());
    }
    if !attempt.is_key_good || attempt.role < WriteIntegrations::ROLE {
        return Err(failed(
            "whoever began this may no longer connect accounts".into(),
        ));
    }
    if let Some(expected) = &attempt.browser_hash {
        let cookie = cookie(headers, provider).map(|cookie| hash(&cookie));
        let is_same = cookie.is_some_and(|cookie| cookie.ct_eq(&expected[..]).into());
        if !is_same {
            let words = "this was begun in another browser; start again in this one";
            return Err(failed(words.into()));
        }
    }
    Ok((organization_id, attempt))
}

/// Keeps the account. Another one of the same provider makes room for it.
async fn keep(
    app: &App,
    work: &mut Work,
    attempt: &Attempt,
    (tokens, owner): (Tokens, Owner),
) -> Result<Integration, Problem> {
    let (organization_id, provider, now) = (work.organization_id(), attempt.provider, work.now);
    let mut before = queries::lock(work, organization_id, provider).await?;
    if let Some(other) = before.take_if(|before| before.account_id != owner.id) {
        disconnect::retire(work, &other).await?;
    }
    let id = before
        .as_ref()
        .map_or_else(|| work.new_id(), |before| before.id);
    let sealed = tokens.seal(app.integrations.ring()?, organization_id, id, now)?;
    let owner = NewOwner {
        account_id: owner.id,
        account_name: owner.name.chars().take(320).collect(),
        scopes: tokens.scopes,
        connected_by: attempt.member_id,
    };
    let after = if before.is_some() {
        queries::update(work, organization_id, id, &owner, &sealed, now).await?
    } else {
        queries::insert(work, organization_id, id, provider, &owner, &sealed, now)
            .await
            .on_constraint(|name| {
                (name == "integration_once_per_provider").then(|| {
                    let words = "somebody else connected an account at the same time";
                    Problem::conflict(&kinds::CONCURRENT_CHANGE, words)
                })
            })?
    };
    let subject = ("integration", id);
    work.audit(
        "integration.connected",
        subject,
        before.as_ref(),
        Some(&after),
    )
    .await?;
    Ok(after)
}

impl Returned {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut returned = Self::default();
        for (name, value) in extract::parse_pairs(query)? {
            match name.as_str() {
                "state" => returned.state = value,
                "code" => returned.code = Some(value),
                "error" => returned.error = Some(plain_word(&value)),
                _ => {}
            }
        }
        Ok(returned)
    }
}

/// An error code of RFC 6749, 4.1.2.1; anything else could be anybody's text.
fn plain_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if (1..=60).contains(&word.len()) && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    "an error".to_owned()
}

fn denied(provider: Provider, denial: Denial) -> Problem {
    match denial {
        Denial::Grant(word) | Denial::Other(word) => failed(format!(
            "{provider} does not take the code ({word}); start again"
        )),
        Denial::Client(word) => {
            let name = provider.as_str().to_uppercase();
            super::not_configured(format!(
                "{provider} does not take this installation's client ({word}): check {name}_OAUTH_CLIENT_ID, its secret and the redirect address"
            ))
        }
        Denial::Away(error) => {
            let seconds = error.retry_after_seconds().or(Some(5));
            let words = format!("{provider}: {}; start again", error.message);
            Problem::Sidecar(&kinds::SIDECAR_UNAVAILABLE, words, seconds)
        }
    }
}

fn failed(detail: String) -> Problem {
    Problem::Malformed(&kinds::CONNECTION_FAILED, detail, Vec::new())
}

/// Where providers send people back; registered with each of them, letter by letter.
fn redirect_uri(app: &App, provider: Provider) -> String {
    let base = &app.settings.public_base_url;
    format!("{base}/oauth/{}/callback", provider.as_str())
}

fn place(organization_id: Uuid, row_id: Uuid) -> Place {
    Place {
        organization_id,
        row_id,
        column: "code_verifier",
    }
}

/// 256 bits that nobody can guess, in 43 letters: also what RFC 7636 asks of a code verifier.
fn random() -> Result<SecretString, Problem> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes).into())
}

fn hash(secret: &SecretString) -> [u8; 32] {
    sha256(&[secret.expose_secret().as_bytes()])
}

/// Bound to this host, over TLS only (or on this machine), and to nobody's script.
fn cookie_name(provider: Provider) -> String {
    format!("__Host-oauth-{}", provider.as_str())
}

fn cookie(headers: &HeaderMap, provider: Provider) -> Option<SecretString> {
    let name = cookie_name(provider);
    let values = headers.get_all(header::COOKIE).iter();
    let mut pairs = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value.into())
}

fn set_cookie(
    response: &mut Response,
    provider: Provider,
    value: &str,
    life: SignedDuration,
) -> Result<(), Problem> {
    let (name, seconds) = (cookie_name(provider), life.as_secs());
    let cookie =
        format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    let cookie = HeaderValue::try_from(cookie).map_err(anyhow::Error::from)?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(())
}

/// The end of the way, for a person: the configured page, or a line of text. It holds nothing that came from outside.
fn finished(app: &App, provider: Provider) -> Result<Response, Problem> {
    let mut response = if let Some(url) = &app.integrations.0.return_url {
        redirect_to(url)?
    } else {
        let page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{provider} is connected</title>\n\
             <h1>{provider} is connected</h1>\n<p>You can close this window.</p>\n</html>\n"
        );
        let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        (html, page).into_response()
    };
    set_cookie(&mut response, provider, "", SignedDuration::ZERO)?;
    no_store(&mut response);
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
        ),
        // The address of this page holds a code, which is used up, but nobody else's business.
        ("referrer-policy", "no-referrer"),
    ] {
        let (name, value) = (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

fn redirect_to(url: &str) -> Result<Response, Problem> {
    let url = HeaderValue::try_from(url).map_err(anyhow::Error::from)?;
    Ok((StatusCode::FOUND, [(header::LOCATION, url)]).into_response())
}

fn no_store(response: &mut Response) {
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
}
